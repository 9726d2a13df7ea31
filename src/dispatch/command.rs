//! An attempt on a command worker: one process, started for it and ended with it.
//!
//! No shell: the program is executed as it is configured. The prompt goes to its standard input;
//! `MECHA_TASK_ID`, `MECHA_ATTEMPT` and `MECHA_CONTEXT`, `{}` where the task has none, are in its
//! environment. Exit 0 completes the task: standard output is the result if it is a JSON object,
//! without the white space around it; else its text becomes
//! `{"output": "<text>"}`. When the program has exited, whatever is left of its process group is
//! killed. A program that must be stopped gets SIGTERM and 2 s before that.
//!
//! BOUND: the time is the worker's timeout and 7 s to end the group; the memory is the prompt
//! until it is written, and what `capture` allows.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use async_io::{Async, Timer};
use rustix::process::Signal;
use smol::future::{self, FutureExt};
use smol::io::AsyncWriteExt;

use super::attempt::Order;
use super::capture::{OUTPUT_MAX, Output, Overrun, Tail};
use super::outcome::{Outcome, Written};
use super::output;
use super::process::{Children, Group, Pipes};
use crate::allocator;
use crate::budget::Budget;
use crate::secret::Secret;

/// How long a group may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// How long the kernel may take to end a group after SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a context at most: Linux passes no string of more than 32 pages of 4 KiB to a
/// program (`MAX_ARG_STRLEN`), the variable's name and the zero byte at the end included.
const CONTEXT_MAX: usize = 32 * 4_096 - "MECHA_CONTEXT=".len() - 1;

/// The program of a command worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    /// Program and arguments.
    pub(super) argv: &'a [String],
    /// Variables that are set beside the server's own.
    pub(super) env: &'a [(String, Secret)],
    /// Working directory.
    pub(super) cwd: Option<&'a Path>,
    /// Variables that are not inherited, beside `MECHA_API_KEY`.
    pub(super) secret_variables: &'a [String],
}

/// Runs an attempt to its end, or until `stop` says why not; its process group has ended then.
pub(super) async fn run<S>(
    program: Program<'_>,
    order: Order,
    children: &Children,
    budget: &Budget,
    stop: impl Future<Output = S>,
) -> Result<Outcome, S> {
    if let Some(context) = &order.work.context
        && context.len() > CONTEXT_MAX
    {
        return Ok(Outcome::Rejected(format!(
            "the context has {} bytes; a command worker takes at most {CONTEXT_MAX}, \
             as much as fits into an environment variable",
            context.len()
        )));
    }
    let started = children
        .spawn(&mut command(program, &order))
        .and_then(|(group, pipes)| Ok((group, Streams::try_from(pipes)?)));
    let (group, streams) = match started {
        Ok(started) => started,
        Err(error) => return Ok(not_started(program, &error)),
    };
    let mut output = Output::new(streams.stdout, budget);
    let mut tail = Tail::new(streams.stderr);
    let timeout = order.timeout;
    let feed = feed(streams.stdin, order);
    let end = watch(&group, feed, &mut output, &mut tail, timeout, stop).await;
    if matches!(end, End::Exited) {
        return Ok(finish(group, output, tail).await);
    }
    end_group(group, &mut output, &mut tail).await;
    match end {
        End::Stopped(why) => Err(why),
        End::Overrun(Overrun::TooLarge) => Ok(too_large()),
        End::Overrun(Overrun::NoMemory) => Ok(Outcome::NoMemory),
        End::Exited | End::Timeout => {
            let error = format!("did not end within {}", Written(timeout));
            Ok(Outcome::failed(with_tail(error, &tail.text())))
        }
    }
}

/// Why the program is not waited for any longer.
enum End<S> {
    Exited,
    Overrun(Overrun),
    Timeout,
    Stopped(S),
}

/// Serves the program's streams until it has exited, or must be stopped.
async fn watch<S>(
    group: &Group<'_>,
    feed: impl Future<Output = ()>,
    output: &mut Output<Async<ChildStdout>>,
    tail: &mut Tail<Async<ChildStderr>>,
    timeout: Duration,
    stop: impl Future<Output = S>,
) -> End<S> {
    let stop = async { End::Stopped(stop.await) };
    let timeout = async {
        Timer::after(timeout).await;
        End::Timeout
    };
    let exited = async {
        group.exited().await;
        End::Exited
    };
    // Closed streams are no end: the program may go on without them.
    let written = async {
        future::zip(feed, tail.read()).await;
        future::pending().await
    };
    let read = async {
        match output.read().await {
            Ok(()) => future::pending().await,
            Err(overrun) => End::Overrun(overrun),
        }
    };
    stop.or(timeout).or(exited).or(read).or(written).await
}

/// The server's ends of the program's standard streams.
struct Streams {
    stdin: Async<ChildStdin>,
    stdout: Async<ChildStdout>,
    stderr: Async<ChildStderr>,
}

impl TryFrom<Pipes> for Streams {
    type Error = io::Error;

    fn try_from(pipes: Pipes) -> io::Result<Self> {
        match (pipes.stdin, pipes.stdout, pipes.stderr) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Self {
                stdin: Async::new(stdin)?,
                stdout: Async::new(stdout)?,
                stderr: Async::new(stderr)?,
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The program with its environment. What the worker's `env` sets outranks what is inherited,
/// and the attempt's own variables outrank both.
fn command(program: Program<'_>, order: &Order) -> Command {
    let (name, arguments) = match program.argv {
        [name, arguments @ ..] => (name.as_str(), arguments),
        [] => ("", &[][..]),
    };
    let mut command = Command::new(name);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("MECHA_API_KEY");
    for variable in allocator::own_variables() {
        command.env_remove(variable);
    }
    for variable in program.secret_variables {
        command.env_remove(variable);
    }
    for (variable, value) in program.env {
        command.env(variable, value.reveal());
    }
    command
        .env("MECHA_TASK_ID", order.task.to_string())
        .env("MECHA_ATTEMPT", order.attempt.to_string())
        .env(
            "MECHA_CONTEXT",
            order.work.context.as_deref().unwrap_or("{}"),
        );
    if let Some(cwd) = program.cwd {
        command.current_dir(cwd);
    }
    command
}

fn not_started(program: Program<'_>, error: &io::Error) -> Outcome {
    let name = program.argv.first().map_or("", String::as_str);
    let text = format!("{name:?} could not be started: {error}");
    match error.kind() {
        // No later attempt is any shorter.
        io::ErrorKind::ArgumentListTooLong => Outcome::Rejected(format!(
            "{text}; context, arguments and environment are more than the system passes on"
        )),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Outcome::unreachable(text),
        _ => Outcome::failed(text),
    }
}

/// Writes the prompt, gives its memory back and closes the pipe. A program that does not read it
/// is free to do so.
async fn feed(mut stdin: Async<ChildStdin>, order: Order) {
    let _ = stdin.write_all(order.work.prompt.as_bytes()).await;
    drop((stdin, order));
}

/// The outcome of a program that has exited. Its last writes are in the pipes by then.
async fn finish(
    group: Group<'_>,
    mut output: Output<Async<ChildStdout>>,
    mut tail: Tail<Async<ChildStderr>>,
) -> Outcome {
    group.signal(Signal::KILL);
    let status = match group.reap() {
        Ok(status) => status,
        Err(error) => return Outcome::failed(format!("its exit status is unknown: {error}")),
    };
    if !status.success() {
        tail.read_ready().await;
        return Outcome::failed(with_tail(exit_text(status), &tail.text()));
    }
    match output.read_ready().await {
        Ok(()) => {
            let (written, permit) = output.into_parts();
            match output::into_result(written, permit).await {
                Ok((result, permit)) => Outcome::Completed { result, permit },
                Err(Overrun::TooLarge) => too_large(),
                Err(Overrun::NoMemory) => Outcome::NoMemory,
            }
        }
        Err(Overrun::TooLarge) => too_large(),
        Err(Overrun::NoMemory) => Outcome::NoMemory,
    }
}

/// Ends a group that still runs: SIGTERM, then SIGKILL once its leader has exited and its streams
/// are closed, or after the grace period.
async fn end_group(
    group: Group<'_>,
    output: &mut Output<Async<ChildStdout>>,
    tail: &mut Tail<Async<ChildStderr>>,
) {
    group.signal(Signal::TERM);
    let gone = async {
        let streams = future::zip(output.discard(), tail.read());
        future::zip(group.exited(), streams).await;
    };
    gone.or(async {
        Timer::after(GRACE).await;
    })
    .await;
    group.signal(Signal::KILL);
    group
        .exited()
        .or(async {
            Timer::after(KILL_PATIENCE).await;
        })
        .await;
    if let Err(error) = group.reap() {
        log::error!("a process does not end after SIGKILL: {error}");
    }
}

fn exit_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended with {status}"),
    }
}

fn with_tail(text: String, tail: &str) -> String {
    if tail.is_empty() {
        text
    } else {
        format!("{text}: {tail}")
    }
}

fn too_large() -> Outcome {
    Outcome::Rejected(format!(
        "wrote more than {} MiB to standard output",
        OUTPUT_MAX >> 20
    ))
}

#[cfg(test)]
mod tests;
