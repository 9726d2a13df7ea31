//! Reads the command line.

mod client;
mod options;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub(super) use self::client::{
    Access, BackupArgs, ListArgs, OneArgs, TaskArgs, WebhookArgs, WorkerArgs,
};
use self::options::{Options, option_name, option_shown};
use super::topic::Topic;
use crate::config::{self, addr, nearest, quoted};
use crate::secret::Secret;

/// A day: the longest torture.
const SECONDS_MAX: u64 = 86_400;

/// What is said where an operand is missing.
const NO_TASK: &str = "no task: write its id, which 'mecha tasks' lists";
const NO_EVENT: &str = "no event: write its id, which 'mecha events' lists";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Serve(config::Args),
    Demo {
        /// A loopback address.
        addr: SocketAddr,
        exit: bool,
    },
    Init {
        file: PathBuf,
    },
    Check(config::Args),
    Health {
        addr: Option<String>,
    },
    Task(TaskArgs),
    Tasks(ListArgs),
    Events(ListArgs),
    Workers {
        access: Access,
        json: bool,
    },
    WorkerAdd(WorkerArgs),
    WorkerRemove {
        access: Access,
        name: String,
    },
    Change(Change, OneArgs),
    Why(OneArgs),
    Webhook(WebhookArgs),
    Backup(BackupArgs),
    Completions(Shell),
    Man,
    Torture(TortureArgs),
    /// Help on a command, or on the program where it is absent.
    Help(Option<Topic>),
    /// Help on the commands whose names begin with the same word.
    HelpBelow(Vec<Topic>),
    Version,
}

/// What is to become of a task or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Cancel,
    Retry,
    Replay,
    Approve,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// What `mecha torture` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TortureArgs {
    /// A directory that is empty or does not exist.
    pub(super) data: PathBuf,
    pub(super) seconds: u64,
    /// Chosen at random where it is absent.
    pub(super) seed: Option<u64>,
    pub(super) keep: bool,
    pub(super) json: bool,
}

/// Reads the command line without the program's name. The error is one line that says what would
/// be right.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Command, String> {
    let mut arguments = pico_args::Arguments::from_vec(arguments);
    let not_utf8 = |_| "the command is not UTF-8; see 'mecha --help'".to_owned();
    let Some(name) = arguments.subcommand().map_err(not_utf8)? else {
        return parse_without_command(arguments);
    };
    // What 'mecha --help' is to some is 'mecha help' to others.
    if name == "help" {
        return match arguments.subcommand().map_err(not_utf8)? {
            None => Ok(Command::Help(None)),
            Some(first) => find(first, &mut arguments).map(|found| match found {
                Found::Command(topic) => Command::Help(Some(topic)),
                Found::Below(_, topics) => Command::HelpBelow(topics),
            }),
        };
    }
    let topic = match find(name, &mut arguments)? {
        Found::Command(topic) => topic,
        Found::Below(_, topics) if arguments.contains(["-h", "--help"]) => {
            return Ok(Command::HelpBelow(topics));
        }
        Found::Below(first, topics) => {
            let names: Vec<String> = topics
                .iter()
                .map(|topic| format!("'mecha {}'", topic.name()))
                .collect();
            return Err(format!(
                "'mecha {first}' is half a command; write {}",
                names.join(" or ")
            ));
        }
    };
    let mut options = Options::new(arguments, topic);
    if options.wants_help() {
        return Ok(Command::Help(Some(topic)));
    }
    let command = match topic {
        Topic::Serve => Command::Serve(parse_config(&mut options)?),
        Topic::Check => Command::Check(parse_config(&mut options)?),
        Topic::Demo => Command::Demo {
            addr: parse_demo_addr(options.value("--addr")?)?,
            exit: options.flag("--exit"),
        },
        Topic::Init => {
            let file = options.finish_with_path()?;
            return Ok(Command::Init {
                file: file.unwrap_or_else(|| PathBuf::from("mecha.toml")),
            });
        }
        Topic::Health => Command::Health {
            addr: options.value("--addr")?,
        },
        Topic::Torture => Command::Torture(parse_torture(&mut options)?),
        Topic::Man => Command::Man,
        Topic::Completions => return parse_shell(options).map(Command::Completions),
        Topic::Task => return client::task(options).map(Command::Task),
        Topic::Tasks => {
            return client::list(options, &["--state", "--worker"]).map(Command::Tasks);
        }
        Topic::Events => {
            return client::list(options, &["--state", "--source", "--type"]).map(Command::Events);
        }
        Topic::Cancel => return change(options, Change::Cancel, NO_TASK),
        Topic::Retry => return change(options, Change::Retry, NO_TASK),
        Topic::Replay => return change(options, Change::Replay, NO_EVENT),
        Topic::Approve => return change(options, Change::Approve, NO_EVENT),
        Topic::Why => return client::one(options, NO_EVENT).map(Command::Why),
        Topic::Webhook => return client::webhook(options).map(Command::Webhook),
        Topic::Workers => {
            let access = client::access(&mut options)?;
            let json = options.flag("--json");
            Command::Workers { access, json }
        }
        Topic::WorkerAdd => return client::worker(options).map(Command::WorkerAdd),
        Topic::WorkerRemove => {
            let access = client::access(&mut options)?;
            let name = options.finish_with_text("no worker: write its name")?;
            return Ok(Command::WorkerRemove { access, name });
        }
        Topic::Backup => return client::backup(options).map(Command::Backup),
    };
    options.finish()?;
    Ok(command)
}

fn change(options: Options, change: Change, missing: &str) -> Result<Command, String> {
    client::one(options, missing).map(|args| Command::Change(change, args))
}

fn parse_shell(options: Options) -> Result<Shell, String> {
    let wanted = "write bash, zsh or fish";
    let name = options.finish_with_text(&format!("no shell: {wanted}"))?;
    Shell::named(&name).ok_or_else(|| format!("no completions for {}; {wanted}", quoted(&name)))
}

/// What the first words of the command line name.
enum Found {
    Command(Topic),
    /// A word that several commands begin with, and no second one.
    Below(String, Vec<Topic>),
}

/// Finds the command that `first` and perhaps the next argument name.
fn find(first: String, arguments: &mut pico_args::Arguments) -> Result<Found, String> {
    if let Some(topic) = Topic::named(&first) {
        return Ok(Found::Command(topic));
    }
    let below = Topic::below(&first);
    if below.is_empty() {
        return Err(unknown_command(&first));
    }
    let second = arguments
        .subcommand()
        .map_err(|_| format!("the word behind 'mecha {first}' is not UTF-8"))?;
    let Some(second) = second else {
        return Ok(Found::Below(first, below));
    };
    let name = format!("{first} {second}");
    Topic::named(&name)
        .map(Found::Command)
        .ok_or_else(|| unknown_command(&name))
}

fn parse_without_command(mut arguments: pico_args::Arguments) -> Result<Command, String> {
    if arguments.contains(["-h", "--help"]) {
        return Ok(Command::Help(None));
    }
    if arguments.contains(["-V", "--version"]) {
        return Ok(Command::Version);
    }
    let left = arguments.finish();
    let Some(first) = left.first() else {
        return Err(
            "no command; start with 'mecha demo', run 'mecha serve', or see 'mecha --help'"
                .to_owned(),
        );
    };
    let command = Topic::ALL
        .into_iter()
        .find(|topic| left.iter().any(|argument| argument == topic.name()));
    Err(match command {
        Some(topic) => format!(
            "the command comes first: 'mecha {0}', then its options; see 'mecha {0} --help'",
            topic.name()
        ),
        None => format!(
            "unknown option {} without a command; see 'mecha --help'",
            option_shown(option_name(&first.to_string_lossy()))
        ),
    })
}

fn unknown_command(name: &str) -> String {
    let names = Topic::ALL.map(Topic::name);
    let meant = nearest(name, &names).map_or_else(String::new, |meant| {
        format!("did you mean 'mecha {meant}'? ")
    });
    format!(
        "unknown command {}; {meant}'mecha --help' lists the commands",
        quoted(name)
    )
}

fn parse_config(options: &mut Options) -> Result<config::Args, String> {
    Ok(config::Args {
        addr: options.value("--addr")?,
        api_key: options.value("--api-key")?.map(Secret::new),
        config: options.value("--config")?.map(PathBuf::from),
        data: options.value("--data")?.map(PathBuf::from),
        log: options.value("--log")?,
        allow_anonymous: options.flag("--allow-anonymous"),
    })
}

/// The demo has no API key, so it stays on this machine.
fn parse_demo_addr(text: Option<String>) -> Result<SocketAddr, String> {
    let Some(text) = text else {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    };
    let resolved = addr::parse(&text).and_then(|addr| addr.resolve());
    match resolved {
        Ok(addr) if addr.ip().to_canonical().is_loopback() => Ok(addr),
        Ok(addr) => Err(format!(
            "--addr {addr}: the demo stays on this machine; write 127.0.0.1:{}",
            addr.port()
        )),
        Err(error) => Err(format!("--addr {}: {error}", quoted(&text))),
    }
}

fn parse_torture(options: &mut Options) -> Result<TortureArgs, String> {
    let data = options.value("--data")?.map(PathBuf::from);
    let seconds = options.value("--seconds")?;
    let seconds = seconds.as_deref().unwrap_or("60").parse();
    let seed = options.value("--seed")?.map(|seed| seed.parse());
    Ok(TortureArgs {
        data: data.ok_or(
            "--data is missing: a directory that is empty or does not exist, on the disk to be tried",
        )?,
        seconds: seconds
            .ok()
            .filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
            .ok_or_else(|| format!("--seconds wants a number from 1 to {SECONDS_MAX}"))?,
        seed: seed
            .transpose()
            .map_err(|_| format!("--seed wants a number from 0 to {}", u64::MAX))?,
        keep: options.flag("--keep"),
        json: options.flag("--json"),
    })
}

#[cfg(test)]
mod tests;
