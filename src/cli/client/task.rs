//! `mecha task`: submits a prompt, and waits for its result.
//!
//! The request has an idempotency key, so it can be repeated when the connection breaks before the
//! answer: however often it is sent, it stores one task at most. Where no good answer comes in the
//! end, the error has the key, with which the same command submits nothing twice. BOUND: 100 MiB of
//! standard input are read, and a request that may have been sent is repeated for [`OUTAGE_MAX`].

use std::fmt::Write as _;
use std::io::{self, Read};

use async_io::Timer;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::shown::TaskShown;
use super::wait::{self, Ended, OUTAGE_MAX, Outage, Said};
use super::{json, parsed, with_remote};
use crate::cli::args::TaskArgs;
use crate::cli::output::{self, Progress};
use crate::cli::remote::{Answer, Failure, Remote};
use crate::cli::{Exit, table};
use crate::clock::monotonic;
use crate::config::quoted;
use crate::http::Method;

/// Bytes of a prompt from standard input at most. What the server takes, it says itself.
const PROMPT_MAX: u64 = 100 << 20;

/// Characters of an idempotency key at most.
const KEY_MAX: usize = 255;

/// The body of `POST /task`.
#[derive(Serialize)]
struct Body<'a> {
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
}

/// Submits a task.
pub(in crate::cli) fn run(args: &TaskArgs) -> Exit {
    let key = match &args.idempotency_key {
        None => new_key(),
        Some(key) if is_key(key) => key.clone(),
        Some(key) => {
            output::complain(&format!(
                "--idempotency-key {}: 1 to {KEY_MAX} visible ASCII characters are wanted",
                quoted(key)
            ));
            return Exit::Usage;
        }
    };
    with_remote(&args.access, |remote| {
        let submitted = body(args).and_then(|body| submit(remote, &key, &body));
        let ended = submitted.and_then(|(task, answer)| {
            if !args.wait {
                tell(args, &task, answer)?;
                return Ok(None);
            }
            // The key may be that of a task that has ended.
            if task.has_ended() {
                return Ok(Some(Ended { task, body: answer }));
            }
            let id = task.id.to_string();
            let ended = wait::for_end(remote, &id);
            ended.map(Some).map_err(|why| format!("task {id}: {why}"))
        });
        match ended {
            Ok(None) => Exit::Done,
            Ok(Some(ended)) => finish(args, ended),
            Err(problem) => {
                output::complain(&problem);
                Exit::Failed
            }
        }
    })
}

/// Says which task it is.
fn tell(args: &TaskArgs, task: &TaskShown, answer: Vec<u8>) -> Result<(), String> {
    if args.json {
        output::print(&json(answer)?);
    } else {
        output::print(task.id.as_ref());
    }
    Ok(())
}

/// Says how the task ended.
fn finish(args: &TaskArgs, ended: Ended) -> Exit {
    let Ended { task, body } = ended;
    let printed = if args.json {
        json(body).map(|json| output::print(&json))
    } else if task.state == "completed" {
        let result = task.result.as_deref().unwrap_or_default();
        let printed = output::print_content(&content(result));
        printed.map_err(|error| format!("standard output: {error}"))
    } else {
        Ok(())
    };
    if let Err(problem) = printed {
        output::complain(&problem);
        return Exit::Failed;
    }
    if task.state == "completed" {
        return Exit::Done;
    }
    let error = task.error.as_deref().unwrap_or("no reason is known");
    output::complain(&format!(
        "task {} {}: {error}",
        task.id,
        table::shown(&task.state)
    ));
    Exit::Failed
}

/// What a result says: its `output` where that is a text, otherwise its JSON.
fn content(result: &str) -> String {
    match serde_json::from_str::<Value>(result) {
        Ok(Value::Object(mut fields)) => match fields.remove("output") {
            Some(Value::String(output)) => output,
            _ => crate::terminal::in_json(result.to_owned()),
        },
        // The server keeps objects alone; whatever this is, it is shown as it is.
        _ => crate::terminal::in_json(result.to_owned()),
    }
}

fn body(args: &TaskArgs) -> Result<Vec<u8>, String> {
    let read;
    let prompt = if args.prompt == "-" {
        read = read_prompt(io::stdin().lock()).map_err(|why| format!("standard input: {why}"))?;
        &read
    } else {
        &args.prompt
    };
    let context = args.context.as_deref();
    let context = context.map(serde_json::from_str).transpose();
    let body = Body {
        prompt,
        worker: args.worker.as_deref(),
        context: context.map_err(|error| format!("--context: {error}"))?,
    };
    serde_json::to_vec(&body).map_err(|error| format!("the task cannot be written: {error}"))
}

fn read_prompt(input: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = input.take(PROMPT_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > PROMPT_MAX {
        return Err(format!("a prompt has {PROMPT_MAX} bytes at most"));
    }
    if bytes.is_empty() {
        return Err("it is empty; a prompt is wanted".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "a prompt is UTF-8".to_owned())
}

/// Submits the task, again where it is not known what became of it: the task and its JSON.
fn submit(remote: &Remote, key: &str, body: &[u8]) -> Result<(TaskShown, Vec<u8>), String> {
    let headers = [("idempotency-key".to_owned(), key.to_owned())];
    let mut outage = Outage::new(OUTAGE_MAX);
    let mut progress = Progress::new();
    let mut may_be_stored = false;
    let why = loop {
        let answer = remote.ask(Method::Post, "/task", &headers, Some(body.to_owned()));
        may_be_stored |= may_have_stored(&answer);
        let why = match wait::judge(answer) {
            Said::Body(answer) => match parsed(&answer, "task") {
                Ok(task) => return Ok((task, answer)),
                Err(why) => break why,
            },
            Said::Later(why) if may_be_stored => why,
            // Where nothing was sent, there is no server to wait for.
            Said::Later(why) | Said::Never(why) => break why,
        };
        match outage.go_on(&why, monotonic()) {
            Ok(pause) => {
                progress.show(&format!("{why}; trying again"));
                smol::block_on(Timer::after(pause));
            }
            Err(why) => break why,
        }
    };
    progress.clear();
    if !may_be_stored {
        return Err(why);
    }
    Err(format!(
        "{why}; whether the task was stored is not known; run it again with --idempotency-key {key}"
    ))
}

/// Whether the task may be stored after this.
fn may_have_stored(answer: &Result<Answer, Failure>) -> bool {
    match answer {
        // A proxy may have lost the answer, and the store may have failed behind the task.
        Ok(answer) => {
            matches!(answer.status, 200..300 | 500 | 502 | 504) || answer.code() == "store_failed"
        }
        Err(Failure::NotReached(_)) => false,
        Err(Failure::Broken(_) | Failure::NoAnswer(_)) => true,
    }
}

fn is_key(key: &str) -> bool {
    (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

/// A key that nobody has used.
fn new_key() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    let mut key = "mecha-task-".to_owned();
    for byte in bytes {
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_text_is_what_a_result_says() {
        for (result, said) in [
            (r#"{"output": "a\nb", "status": 1}"#, "a\nb"),
            (r#"{"output": ""}"#, ""),
            (r#"{"output": ["a"]}"#, r#"{"output": ["a"]}"#),
            (r#"{"comment": "a"}"#, r#"{"comment": "a"}"#),
            ("{}", "{}"),
            ("no JSON", "no JSON"),
        ] {
            assert_eq!(content(result), said);
        }
    }

    #[test]
    fn a_prompt_is_read_up_to_its_bound() {
        let most = || io::repeat(b'x').take(PROMPT_MAX);
        let length = read_prompt(most()).map(|prompt| prompt.len() as u64);
        assert_eq!(length, Ok(PROMPT_MAX));
        assert_eq!(read_prompt(&b"a\n"[..]).as_deref(), Ok("a\n"));
        for (input, part) in [(&b""[..], "empty"), (b"\xff", "UTF-8")] {
            let error = read_prompt(input).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        for more in [
            read_prompt(most().chain(&b"x"[..])),
            read_prompt(io::repeat(b'x')),
        ] {
            assert!(more.unwrap_err().contains("104857600 bytes at most"));
        }
    }

    #[test]
    fn keys_are_new_and_keys() {
        let (a, b) = (new_key(), new_key());
        assert!(a != b && is_key(&a), "{a} {b}");
        assert!(!is_key("") && !is_key("a b") && !is_key(&"k".repeat(256)));
    }
}
