//! What the soak is told by its command line, and what it tells the server.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The secret of the source.
pub(crate) const SECRET: &str = "soak secret";

/// How long and how hard.
pub(crate) struct Settings {
    /// The whole time of the load.
    pub(crate) time: Duration,
    /// The load, over the usual one.
    pub(crate) pace: f64,
    /// `limits.retention`: short, so that deleting goes on all the time.
    pub(crate) retention: Duration,
    /// The time between two looks at the server.
    pub(crate) look_every: Duration,
}

impl Settings {
    /// Reads the command line.
    pub(crate) fn read() -> io::Result<Self> {
        let mut minutes = 60.0;
        let mut pace = 1.0;
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--minutes" => minutes = number(&argument, arguments.next(), 5.0, 10_000.0)?,
                "--pace" => pace = number(&argument, arguments.next(), 0.1, 10.0)?,
                _ => {
                    return Err(io::Error::other(format!(
                        "unknown argument {argument:?}; there are --minutes and --pace"
                    )));
                }
            }
        }
        let time = Duration::from_secs_f64(minutes * 60.0);
        Ok(Self {
            time,
            pace,
            retention: (time / 30).clamp(Duration::from_secs(10), Duration::from_secs(120)),
            look_every: Duration::from_secs(5),
        })
    }

    /// The server's configuration; `variant` differs with each time it is read again.
    pub(crate) fn config(&self, worker: SocketAddr, variant: u32) -> String {
        let retention = self.retention.as_secs();
        let concurrency = 16 + variant % 2 * 8;
        let shell = "head -c 65536 | wc -c; test $((MECHA_ATTEMPT % 2)) = 1 || exit 3";
        format!(
            "drain = \"5s\"\n\
             [limits]\n\
             memory = \"8MiB\"\n\
             queue = 5000\n\
             connections = 128\n\
             disk_reserve = \"64MiB\"\n\
             retention = \"{retention}s\"\n\
             \n\
             [[worker]]\n\
             name = \"endpoint\"\n\
             endpoint = \"http://{worker}\"\n\
             concurrency = {concurrency}\n\
             timeout = \"3s\"\n\
             backoff = \"200ms\"\n\
             max_attempts = 3\n\
             \n\
             [[worker.events]]\n\
             source = \"github\"\n\
             on = \"pull_request.opened\"\n\
             when = \"number % 10 != 0\"\n\
             prompt = \"Review #{{{{ number }}}}: {{{{ title }}}} {{{{ body | fence }}}}\"\n\
             \n\
             [[worker]]\n\
             name = \"shell\"\n\
             command = [\"/bin/sh\", \"-c\", \"{shell}\"]\n\
             concurrency = 2\n\
             timeout = \"5s\"\n\
             backoff = \"200ms\"\n\
             max_attempts = 2\n\
             \n\
             [[source]]\n\
             name = \"github\"\n\
             kind = \"github\"\n\
             secret = \"{SECRET}\"\n"
        )
    }
}

fn number(name: &str, text: Option<String>, least: f64, most: f64) -> io::Result<f64> {
    let text = text.unwrap_or_default();
    let number = text.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            io::Error::other(format!(
                "{name} is {text:?}; write a number from {least} to {most}"
            ))
        })
}
