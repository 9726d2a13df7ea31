//! Rules: an event becomes a worker and a prompt, and says why.
//!
//! A rule is a `[[worker.events]]` table. Of an event's source the first rule of the file whose
//! checks all pass wins, and its template makes the prompt. Everything here is pure: the same
//! facts give the same verdict. `judge` stops at the first failed check; `explain` reports all of
//! them and always agrees with it.
//!
//! Rules and templates are written by the operator, the event's texts by anyone. So whatever an
//! event holds, an evaluation ends, within the bounds that `compile`, `template` and `payload` state, and a
//! text within `fence` cannot pass for the operator's words.
//!
//! - `compile` checks `when` and `prompt`, `template` evaluates them in an `environment`, `payload`
//!   is the body as they see it, `meter` counts what is read of it;
//! - `check` compares an event with `filter`, `glob` knows the patterns, `report` says why.

mod check;
mod compile;
mod environment;
mod glob;
mod meter;
mod payload;
pub mod properties;
mod report;
mod template;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use check::Wanted;
pub use report::{Check, Explanation, RuleReport};

use self::compile::Texts;
use self::report::{Halt, ignored, report, skipped};
use self::template::{Evaluator, Outcome, cut};
use crate::event::Attributes;
use crate::worker::WorkerName;

/// Names that a filter may ask for, beside what attributes an event has: those of every kind of
/// source.
pub const NAMES: [&str; 20] = [
    "actor",
    "subject",
    "source",
    "type",
    "repo_owner",
    "repo_name",
    "number",
    "title",
    "body",
    "sender",
    "head_branch",
    "base_branch",
    "head_sha",
    "ref",
    "labels",
    "draft",
    "url",
    "text",
    "channel",
    "thread",
];

/// Bytes of the reason of a verdict at most, about.
const REASON_BYTES_MAX: usize = 600;

/// A `[[worker.events]]` table as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The worker whose table it is.
    pub worker: WorkerName,
    /// Which of the worker's tables it is, from 0.
    pub number: usize,
    /// The name of the source whose events it takes.
    pub source: String,
    /// The types that it takes; a star at the end of one stands for any rest.
    pub on: Vec<String>,
    /// What attributes must be, by their names: one of these.
    pub filter: Vec<(String, Vec<Wanted>)>,
    /// An expression that must be true.
    pub when: Option<String>,
    /// The template of the prompt.
    pub prompt: String,
    /// Whether the task starts at once; otherwise it waits for an approval.
    pub auto: bool,
}

/// The text of a rule that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `when`.
    When,
    /// `prompt`.
    Prompt,
}

/// Why a rule is none, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The text that is wrong.
    pub part: Part,
    /// The line within the text, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the text: {}", self.line, self.message)
    }
}

impl std::error::Error for CompileError {}

/// A definition whose texts can be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    definition: Definition,
    texts: Texts,
}

/// Rules are equal when their definitions are: the texts follow from them.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl Eq for Rule {}

impl Rule {
    /// Checks and compiles the expression and the template.
    pub fn compile(definition: Definition) -> Result<Self, CompileError> {
        let texts = compile::compile(definition.when.as_deref(), &definition.prompt)?;
        Ok(Self { definition, texts })
    }

    fn takes(&self, event_type: &str) -> bool {
        let mut entries = self.definition.on.iter();
        entries.any(|entry| glob::takes(entry, event_type))
    }
}

/// All rules, in the order of the file. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rulebook {
    rules: Arc<[Rule]>,
}

/// What a judgement rests on.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The name of the event's source.
    pub source: &'a str,
    /// What happened, in the sender's words.
    pub event_type: &'a str,
    /// Who did it.
    pub actor: Option<&'a str>,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// What else rules and prompts may name.
    pub attributes: &'a Attributes,
    /// Globs of the actors whose events the source ignores.
    pub ignore_actors: &'a [String],
    /// The body as JSON; needed where [`Rulebook::wants_payload`] says so.
    pub payload: Option<Arc<String>>,
    /// Random text made for this judgement alone, of letters and digits: `fence` marks with it.
    pub mark: &'a str,
    /// Bytes of a prompt at most.
    pub prompt_bytes_max: usize,
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A rule matched and made a prompt.
    Matched {
        /// The rule's worker.
        worker: WorkerName,
        /// Whether the task starts without an approval.
        auto: bool,
        /// The prompt; not empty.
        prompt: String,
    },
    /// A rule matched and its prompt cannot be made.
    Failed {
        /// The rule's worker.
        worker: WorkerName,
        /// Why.
        reason: String,
    },
    /// No rule matched.
    Skipped {
        /// Why, for a person.
        reason: String,
    },
}

impl Rulebook {
    /// Rules in the order of the file.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules.into(),
        }
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule that could match such an event names the payload.
    pub fn wants_payload(&self, source: &str, event_type: &str) -> bool {
        self.of_source(source)
            .any(|rule| rule.texts.name_payload && rule.takes(event_type))
    }

    /// The verdict of the first rule that matches.
    pub fn judge(&self, facts: &Facts<'_>) -> Verdict {
        self.judge_within(facts, facts.prompt_bytes_max)
    }

    /// The same, where a prompt of more than `room` bytes cannot be made. Less is spent on trying.
    pub fn judge_within(&self, facts: &Facts<'_>, room: usize) -> Verdict {
        let evaluator = Evaluator::new(facts).within(room);
        if let Some(glob) = ignoring_glob(facts) {
            return Verdict::Skipped {
                reason: ignored(facts, glob),
            };
        }
        let mut nearest: Option<(&Rule, Halt)> = None;
        for rule in self.of_source(facts.source) {
            match halt(rule, facts, &evaluator) {
                None => return concluded(rule, &evaluator),
                Some(halt) => {
                    let is_nearer = nearest
                        .as_ref()
                        .is_none_or(|(_, best)| halt.rank() > best.rank());
                    if is_nearer {
                        nearest = Some((rule, halt));
                    }
                }
            }
        }
        Verdict::Skipped {
            reason: skipped(nearest.as_ref(), facts),
        }
    }

    /// Every rule of the event's source with its checks, and the outcome that `judge` gives.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let (prompt, reason) = match self.judge(facts) {
            Verdict::Matched { prompt, .. } => (Some(prompt), None),
            Verdict::Failed { reason, .. } | Verdict::Skipped { reason } => (None, Some(reason)),
        };
        let evaluator = Evaluator::new(facts);
        let rules = self
            .of_source(facts.source)
            .map(|rule| report(rule, facts, &evaluator))
            .collect();
        Explanation {
            rules,
            prompt,
            reason,
        }
    }

    fn of_source(&self, source: &str) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.definition.source == source)
    }
}

/// The first check of `rule` that fails, if one does.
fn halt<'a>(rule: &'a Rule, facts: &Facts<'_>, evaluator: &Evaluator<'a>) -> Option<Halt> {
    if !rule.takes(facts.event_type) {
        return Some(Halt::On);
    }
    let mut filters = rule.definition.filter.iter();
    if let Some(at) = filters.position(|(name, wanted)| !check::passes(facts, name, wanted)) {
        return Some(Halt::Filter(at));
    }
    let when = rule.texts.when.as_ref()?;
    match evaluator.when(when) {
        Outcome::Value(_, true) => None,
        Outcome::Value(found, false) => Some(Halt::When(format!("is {found}"))),
        Outcome::Nothing(why) => Some(Halt::When(format!("has no value: {why}"))),
    }
}

fn concluded<'a>(rule: &'a Rule, evaluator: &Evaluator<'a>) -> Verdict {
    let definition = &rule.definition;
    let worker = definition.worker.clone();
    match evaluator.prompt(&rule.texts.prompt) {
        Ok(prompt) => Verdict::Matched {
            worker,
            auto: definition.auto,
            prompt,
        },
        Err(reason) => Verdict::Failed {
            worker,
            reason: cut(&reason, REASON_BYTES_MAX).into_owned(),
        },
    }
}

fn ignoring_glob<'a>(facts: &'a Facts<'_>) -> Option<&'a str> {
    let actor = facts.actor?;
    let mut globs = facts.ignore_actors.iter();
    globs
        .find(|glob| glob::matches(glob, actor))
        .map(String::as_str)
}
