//! The arguments behind a command, taken one by one, and what is said of those that are wrong.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::manual::Values;
use crate::cli::topic::Topic;
use crate::config::{nearest, quoted};

/// What stands behind the options of a command that takes one operand.
pub(super) enum Last {
    Operand(OsString),
    Nothing,
}

/// The arguments behind a command, taken one by one.
pub(super) struct Options {
    arguments: pico_args::Arguments,
    /// What stands behind `--`, which is no option whatever it looks like.
    operands: Vec<OsString>,
    pub(super) topic: Topic,
}

impl Options {
    /// The arguments behind the name of `topic`.
    pub(super) fn new(arguments: pico_args::Arguments, topic: Topic) -> Self {
        let mut options = arguments.finish();
        let mut operands = Vec::new();
        let takes_operands = !topic.page().operands.is_empty();
        let end = options.iter().position(|argument| argument == "--");
        if let Some(end) = end.filter(|_| takes_operands) {
            operands = options.split_off(end);
            operands.remove(0);
        }
        Self {
            arguments: pico_args::Arguments::from_vec(options),
            operands,
            topic,
        }
    }

    /// Whether help is asked for.
    pub(super) fn wants_help(&mut self) -> bool {
        self.arguments.contains(["-h", "--help"])
    }

    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        debug_assert!(self.topic.page().flags().contains(&key), "{key}");
        self.arguments.contains(key)
    }

    /// The value of an option. Where the command's page lists what it may be, it is one of those.
    pub(super) fn value(&mut self, key: &'static str) -> Result<Option<String>, String> {
        debug_assert!(self.topic.page().valued().contains(&key), "{key}");
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
            Ok(value) => self.check_word(key, value),
            Err(pico_args::Error::OptionWithoutAValue(_)) => {
                Err(format!("{key} wants a value; see 'mecha {name} --help'"))
            }
            Err(_) => Err(format!("the value of {key} is not UTF-8")),
        }
    }

    fn check_word(&self, key: &str, value: Option<String>) -> Result<Option<String>, String> {
        let mut options = self.topic.page().options.iter();
        let values = options
            .find(|item| item.name == key)
            .map(|item| item.values);
        match (values, value) {
            (Some(Values::Words(words)), Some(value)) if !words.contains(&&*value) => {
                Err(format!("{key} {}: write {}", quoted(&value), one_of(words)))
            }
            (_, value) => Ok(value),
        }
    }

    fn knows(&self, option: &str) -> bool {
        let mut options = self.topic.page().options.iter();
        options.any(|item| item.name == option)
    }

    /// Takes the operand that may stand behind the options, and refuses whatever else is left.
    pub(super) fn finish_with_operand(self) -> Result<Last, String> {
        let topic = self.topic;
        let left = self.arguments.finish();
        let option = left.iter().find(|argument| is_option(argument));
        if option.is_some() {
            // The operand itself is expected, so it is what follows it that is not.
            let unexpected = match left.as_slice() {
                [first, rest @ ..] if !is_option(first) => rest,
                all => all,
            };
            return Err(refusal(topic, unexpected));
        }
        let mut operands = left;
        operands.extend(self.operands);
        match operands.as_slice() {
            [] => Ok(Last::Nothing),
            [operand] => Ok(Last::Operand(operand.clone())),
            [_, unexpected, ..] => Err(unexpected_argument(topic, unexpected)),
        }
    }

    /// The same of a command whose operand is text; `missing` says what it is.
    pub(super) fn finish_with_text(self, missing: &str) -> Result<String, String> {
        let name = self.topic.name();
        match self.finish_with_operand()? {
            Last::Nothing => Err(format!("{missing}; see 'mecha {name} --help'")),
            Last::Operand(text) => match text.into_string() {
                Ok(text) if text.is_empty() => Err(format!("{missing}; see 'mecha {name} --help'")),
                Ok(text) => Ok(text),
                Err(_) => Err(format!("the argument of 'mecha {name}' is not UTF-8")),
            },
        }
    }

    /// The same of a command whose operand is a file or a directory.
    pub(super) fn finish_with_path(self) -> Result<Option<PathBuf>, String> {
        Ok(match self.finish_with_operand()? {
            Last::Nothing => None,
            Last::Operand(path) => Some(PathBuf::from(path)),
        })
    }

    /// Refuses whatever is left.
    pub(super) fn finish(self) -> Result<(), String> {
        let topic = self.topic;
        match self.arguments.finish().as_slice() {
            [] => Ok(()),
            left => Err(refusal(topic, left)),
        }
    }
}

/// The error for arguments that nothing has taken. An option is named before what stands alone,
/// which is most often its value, and perhaps a secret.
fn refusal(topic: Topic, left: &[OsString]) -> String {
    let name = topic.name();
    let option = left.iter().find(|argument| is_option(argument));
    let Some(argument) = option else {
        let first = left.first().cloned().unwrap_or_default();
        return unexpected_argument(topic, &first);
    };
    let text = argument.to_string_lossy();
    let key = option_name(&text);
    let page = topic.page();
    if page.flags().contains(&key) && text.contains('=') {
        return format!("{key} takes no value; see 'mecha {name} --help'");
    }
    let known = [page.valued(), page.flags()].concat();
    if known.contains(&key) {
        return format!("{key} is given twice; give it once");
    }
    let advice = match nearest(key, &known) {
        Some(meant) => format!("did you mean {meant}? See 'mecha {name} --help'"),
        None => format!("see 'mecha {name} --help'"),
    };
    format!(
        "unknown option {} for 'mecha {name}'; {advice}",
        option_shown(key)
    )
}

/// The error for an argument too many.
fn unexpected_argument(topic: Topic, argument: &OsString) -> String {
    let name = topic.name();
    let advice = if topic == Topic::Task {
        "put the prompt in quotation marks".to_owned()
    } else {
        format!("see 'mecha {name} --help'")
    };
    format!(
        "unexpected argument {} for 'mecha {name}'; {advice}",
        quoted(&argument.to_string_lossy())
    )
}

/// `a, b or c`
fn one_of(words: &[&str]) -> String {
    match words {
        [front @ .., before, last] => {
            let front: String = front.iter().flat_map(|word| [*word, ", "]).collect();
            format!("{front}{before} or {last}")
        }
        _ => words.concat(),
    }
}

fn is_option(argument: &OsString) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"-") && bytes != b"-"
}

/// An option without the value behind its equals sign.
pub(super) fn option_name(argument: &str) -> &str {
    argument.split_once('=').map_or(argument, |(name, _)| name)
}

/// An option as a message shows it: on one line and short.
pub(super) fn option_shown(option: &str) -> String {
    let start: String = option.chars().take(40).collect();
    start.escape_debug().to_string()
}
