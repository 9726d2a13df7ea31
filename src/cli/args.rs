//! Reads the command line.

use std::convert::Infallible;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::topic::Topic;
use crate::config::{self, addr, nearest, quoted};
use crate::secret::Secret;

/// A day: the longest torture.
const SECONDS_MAX: u64 = 86_400;

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
    Events(EventsArgs),
    Webhook(WebhookArgs),
    Backup(BackupArgs),
    Torture(TortureArgs),
    /// Help on a command, or on the program where it is absent.
    Help(Option<Topic>),
    Version,
}

/// What `mecha events` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EventsArgs {
    pub(super) addr: Option<String>,
    pub(super) api_key: Option<Secret>,
    pub(super) state: Option<String>,
    pub(super) source: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) limit: Option<String>,
    pub(super) json: bool,
}

/// What `mecha webhook` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebhookArgs {
    pub(super) addr: Option<String>,
    pub(super) api_key: Option<Secret>,
    /// Where the configuration is that has the source's secret.
    pub(super) config: config::Args,
    pub(super) source: String,
    pub(super) event: String,
    /// `-` is standard input.
    pub(super) file: PathBuf,
}

/// What `mecha backup` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackupArgs {
    pub(super) addr: Option<String>,
    pub(super) api_key: Option<Secret>,
    /// The directory that is to be made.
    pub(super) dir: PathBuf,
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
    let topic = |name: &str| {
        let found = Topic::ALL.into_iter().find(|topic| topic.name() == name);
        found.ok_or_else(|| unknown_command(name))
    };
    // What 'mecha --help' is to some is 'mecha help' to others.
    if name == "help" {
        let about = arguments.subcommand().map_err(not_utf8)?;
        return Ok(Command::Help(about.as_deref().map(topic).transpose()?));
    }
    let topic = topic(&name)?;
    if arguments.contains(["-h", "--help"]) {
        return Ok(Command::Help(Some(topic)));
    }
    let mut options = Options { arguments, topic };
    let command = match topic {
        Topic::Serve => Command::Serve(parse_config(&mut options)?),
        Topic::Check => Command::Check(parse_config(&mut options)?),
        Topic::Demo => Command::Demo {
            addr: parse_demo_addr(options.value("--addr")?)?,
            exit: options.flag("--exit"),
        },
        Topic::Init => return parse_init(options),
        Topic::Health => Command::Health {
            addr: options.value("--addr")?,
        },
        Topic::Events => Command::Events(EventsArgs {
            addr: options.value("--addr")?,
            api_key: options.value("--api-key")?.map(Secret::new),
            state: options.value("--state")?,
            source: options.value("--source")?,
            event_type: options.value("--type")?,
            limit: options.value("--limit")?,
            json: options.flag("--json"),
        }),
        Topic::Webhook => return parse_webhook(options),
        Topic::Backup => return parse_backup(options),
        Topic::Torture => Command::Torture(parse_torture(&mut options)?),
    };
    options.finish()?;
    Ok(command)
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
    match nearest(name, &names) {
        Some(meant) => format!(
            "unknown command {}; did you mean 'mecha {meant}'? See 'mecha --help'",
            quoted(name)
        ),
        None => format!(
            "unknown command {}; the commands are {}; see 'mecha --help'",
            quoted(name),
            names.join(", ")
        ),
    }
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

fn parse_init(options: Options) -> Result<Command, String> {
    let file = match options.finish_with_file()? {
        Last::File(file) => file,
        Last::Nothing => PathBuf::from("mecha.toml"),
        Last::Help(command) => return Ok(*command),
    };
    Ok(Command::Init { file })
}

fn parse_webhook(mut options: Options) -> Result<Command, String> {
    let addr = options.value("--addr")?;
    let api_key = options.value("--api-key")?.map(Secret::new);
    let config = config::Args {
        config: options.value("--config")?.map(PathBuf::from),
        ..config::Args::default()
    };
    let source = options.value("--source")?;
    let event = options.value("--event")?;
    let last = options.finish_with_file()?;
    let missing = |what| Err(format!("{what}; see 'mecha webhook --help'"));
    match (last, source, event) {
        (Last::Help(command), ..) => Ok(*command),
        (_, None, _) => missing("--source is missing: the name of a [[source]]"),
        (_, _, None) => missing("--event is missing: what happened, like pull_request.opened"),
        (Last::Nothing, ..) => missing("no file: name the one with the payload, or - to type it"),
        (Last::File(file), Some(source), Some(event)) => Ok(Command::Webhook(WebhookArgs {
            addr,
            api_key,
            config,
            source,
            event,
            file,
        })),
    }
}

fn parse_backup(mut options: Options) -> Result<Command, String> {
    let addr = options.value("--addr")?;
    let api_key = options.value("--api-key")?.map(Secret::new);
    match options.finish_with_file()? {
        Last::Help(command) => Ok(*command),
        Last::Nothing => Err(
            "no directory: name the one that is to be made; see 'mecha backup --help'".to_owned(),
        ),
        Last::File(dir) => Ok(Command::Backup(BackupArgs { addr, api_key, dir })),
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

/// What stands behind the options of a command that takes a file.
enum Last {
    File(PathBuf),
    Nothing,
    /// Help was asked for after all.
    Help(Box<Command>),
}

/// The arguments behind a command, taken one by one.
struct Options {
    arguments: pico_args::Arguments,
    topic: Topic,
}

impl Options {
    fn flag(&mut self, key: &'static str) -> bool {
        debug_assert!(self.topic.flags().contains(&key), "{key}");
        self.arguments.contains(key)
    }

    fn value(&mut self, key: &'static str) -> Result<Option<String>, String> {
        debug_assert!(self.topic.options().contains(&key), "{key}");
        let name = self.topic.name();
        let read = self
            .arguments
            .opt_value_from_fn(key, |text| Ok::<_, Infallible>(text.to_owned()));
        match read {
            // A value may begin with a dash, as API keys do, but it is no option of this command.
            Ok(Some(value)) if self.knows(option_name(&value)) => Err(format!(
                "{key} wants a value in front of {}; see 'mecha {name} --help'",
                option_name(&value)
            )),
            Ok(value) => Ok(value),
            Err(pico_args::Error::OptionWithoutAValue(_)) => {
                Err(format!("{key} wants a value; see 'mecha {name} --help'"))
            }
            Err(_) => Err(format!("the value of {key} is not UTF-8")),
        }
    }

    fn knows(&self, option: &str) -> bool {
        self.topic.options().contains(&option) || self.topic.flags().contains(&option)
    }

    /// Takes the file that may stand behind the options, and refuses whatever else is left.
    fn finish_with_file(self) -> Result<Last, String> {
        let left = self.arguments.finish();
        let help = |command| Last::Help(Box::new(command));
        match left.as_slice() {
            [] => Ok(Last::Nothing),
            [file] if !is_option(file) => Ok(Last::File(PathBuf::from(file))),
            // The file itself is expected, so it is what follows it that is not.
            [file, rest @ ..] if !is_option(file) => refuse_left(self.topic, rest).map(help),
            left => refuse_left(self.topic, left).map(help),
        }
    }

    /// Refuses whatever is left.
    fn finish(self) -> Result<(), String> {
        let topic = self.topic;
        match self.arguments.finish().as_slice() {
            [] => Ok(()),
            left => refuse_left(topic, left).map(|_| ()),
        }
    }
}

/// The error for arguments that nothing has taken. An option is named before what stands alone,
/// which is most often its value, and perhaps a secret.
fn refuse_left(topic: Topic, left: &[OsString]) -> Result<Command, String> {
    let option = left.iter().find(|argument| is_option(argument));
    let Some(argument) = option.or(left.first()) else {
        return Ok(Command::Help(Some(topic)));
    };
    let text = argument.to_string_lossy();
    let name = topic.name();
    if option.is_none() {
        return Err(format!(
            "unexpected argument {} for 'mecha {name}'; see 'mecha {name} --help'",
            quoted(&text)
        ));
    }
    let key = option_name(&text);
    if topic.flags().contains(&key) && text.contains('=') {
        return Err(format!("{key} takes no value; see 'mecha {name} --help'"));
    }
    let known = [topic.options(), topic.flags()].concat();
    if known.contains(&key) {
        return Err(format!("{key} is given twice; give it once"));
    }
    let advice = match nearest(key, &known) {
        Some(meant) => format!("did you mean {meant}? See 'mecha {name} --help'"),
        None => format!("see 'mecha {name} --help'"),
    };
    Err(format!(
        "unknown option {} for 'mecha {name}'; {advice}",
        option_shown(key)
    ))
}

fn is_option(argument: &OsString) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"-") && bytes != b"-"
}

/// An option without the value behind its equals sign.
fn option_name(argument: &str) -> &str {
    argument.split_once('=').map_or(argument, |(name, _)| name)
}

/// An option as a message shows it: on one line and short.
fn option_shown(option: &str) -> String {
    let start: String = option.chars().take(40).collect();
    start.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
