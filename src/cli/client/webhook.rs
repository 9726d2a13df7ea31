//! `mecha webhook`: signs a file as its sender would and posts it, for trying a rule out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::parsed;
use super::shown::EventShown;
use crate::cli::args::WebhookArgs;
use crate::cli::remote::Remote;
use crate::cli::{Exit, output, table};
use crate::clock::{Clock, monotonic};
use crate::config;
use crate::source::{Message, Source};

/// Bytes of a file at most: what GitHub sends, and four times as much.
const FILE_MAX: u64 = 100 << 20;

/// How long the command waits to tell what the rules made of the event.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two looks at the event.
const PAUSE: Duration = Duration::from_millis(50);

/// Signs and posts a file.
pub(in crate::cli) fn run(args: &WebhookArgs) -> Exit {
    let source = match config::find_source(&args.config, &args.source) {
        Ok(source) => source,
        Err(problems) => {
            for problem in problems {
                output::complain(&problem);
            }
            return Exit::Usage;
        }
    };
    let remote = match Remote::find(&args.access) {
        Ok(remote) => remote,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    let body = match read(&args.file) {
        Ok(body) => body,
        Err(error) => {
            output::complain(&format!("{}: {error}", args.file.display()));
            return Exit::Failed;
        }
    };
    // Each delivery is another one, so that the same file can be tried twice with those kinds of
    // senders that have the id in a header.
    let delivery_id = format!("mecha-{:016x}", fastrand::u64(..));
    let now = Clock::system().now();
    let body = source.stamp(body, now);
    let told = source
        .sign(&args.event, &delivery_id, &body, now)
        .and_then(|headers| {
            warn_of_type(&source, &headers, &body, &args.event);
            let path = format!("/webhook/{}", args.source);
            remote.post(&path, &headers, body)?.accepted()
        })
        .and_then(|answer| tell(&remote, &answer));
    output::finish(told)
}

/// Says so where the payload itself names its type, and another one than was asked for.
fn warn_of_type(source: &Source, headers: &Vec<(String, String)>, body: &[u8], wanted: &str) {
    if let Ok(Message::Delivery(delivery)) = source.read(headers, body.to_vec())
        && delivery.event_type != wanted
    {
        output::report(&format!(
            "note: with this payload a sender of kind {} says {}, not {}",
            source.kind(),
            table::shown(&delivery.event_type),
            table::shown(wanted)
        ));
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if path == Path::new("-") {
        io::stdin()
            .lock()
            .take(FILE_MAX + 1)
            .read_to_end(&mut body)?;
    } else {
        File::open(path)?
            .take(FILE_MAX + 1)
            .read_to_end(&mut body)?;
    }
    if body.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("larger than {FILE_MAX} bytes")));
    }
    Ok(body)
}

/// What became of the event, once the rules have seen it.
fn tell(remote: &Remote, answer: &[u8]) -> Result<String, String> {
    let shown: EventShown = parsed(answer, "event")?;
    let Some(id) = shown.id else {
        return Ok(format!(
            "the server answers {}",
            String::from_utf8_lossy(answer)
        ));
    };
    if shown.status.as_deref() == Some("duplicate") {
        let state = table::shown(shown.state.as_deref().unwrap_or_default());
        return Ok(format!("event {id}: delivered before, it is {state}"));
    }
    let deadline = monotonic() + PATIENCE;
    loop {
        let path = format!("/event/{id}");
        let event = match remote.get(&path)?.accepted() {
            Ok(body) => serde_json::from_slice::<EventShown>(&body),
            // A key may open less than the webhook, which wants none.
            Err(problem) => {
                return Ok(format!(
                    "event {id}: received; it cannot be followed: {problem}"
                ));
            }
        };
        let event = event.map_err(|error| format!("{path} is no event: {error}"))?;
        if event.state.as_deref() != Some("received") || monotonic() >= deadline {
            return Ok(event.line());
        }
        thread::sleep(PAUSE);
    }
}
