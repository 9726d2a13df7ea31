//! What is said about a judgement: every check of every rule, or what the nearest one lacks.

use serde::Serialize;
use serde_json::Value as Json;

use super::template::{self, Evaluator, Outcome, cut};
use super::{Facts, REASON_BYTES_MAX, Rule, check, ignoring_glob};

/// Why an event's verdict is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Every rule of the event's source, in the order of the file.
    pub rules: Vec<RuleReport>,
    /// The prompt, where a rule made one.
    pub prompt: Option<String>,
    /// Why the event is skipped or failed.
    pub reason: Option<String>,
}

/// What a rule made of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    /// The rule's worker.
    pub worker: String,
    /// Which of the worker's rules it is, from 0.
    pub rule: usize,
    /// Whether every check passed.
    pub matched: bool,
    /// All its checks, whatever became of those before.
    pub checks: Vec<Check>,
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `ignore_actors`, `on`, `filter.<name>` or `when`.
    pub check: String,
    /// What the rule asks for.
    pub wanted: Json,
    /// What the event has; cut where it is long.
    pub found: Json,
    /// Whether the condition holds.
    pub passed: bool,
}

/// Where a rule stopped, in the order of its checks: the rule that comes furthest is the nearest.
pub(super) enum Halt {
    On,
    Filter(usize),
    When(String),
}

impl Halt {
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::On => 0,
            Self::Filter(_) => 1,
            Self::When(_) => 2,
        }
    }
}

/// That the event's actor is ignored, and by which glob.
pub(super) fn ignored(facts: &Facts<'_>, glob: &str) -> String {
    let actor = cut(facts.actor.unwrap_or_default(), 100);
    format!("actor {actor} is ignored ({})", cut(glob, 100))
}

/// Why no rule matched: what the one that came furthest lacks.
pub(super) fn skipped(nearest: Option<&(&Rule, Halt)>, facts: &Facts<'_>) -> String {
    let Some((rule, halt)) = nearest else {
        return "no rule is for this source".to_owned();
    };
    let definition = &rule.definition;
    let lacks = match halt {
        Halt::On => {
            let event_type = cut(facts.event_type, 100);
            return format!("no rule's \"on\" takes the type {event_type}");
        }
        Halt::Filter(at) => {
            let name = definition.filter.get(*at).map_or("", |(name, _)| name);
            match check::found(facts, name) {
                Json::Null => format!("filter.{name}: {name} is absent"),
                found => format!("filter.{name}: {name} is {found}"),
            }
        }
        Halt::When(why) => format!("\"when\" {why}"),
    };
    let reason = format!(
        "no rule matched; nearest: rule {} of worker {}: {lacks}",
        definition.number, definition.worker
    );
    cut(&reason, REASON_BYTES_MAX).into_owned()
}

/// All checks of a rule.
pub(super) fn report<'a>(
    rule: &'a Rule,
    facts: &Facts<'_>,
    evaluator: &Evaluator<'a>,
) -> RuleReport {
    let definition = &rule.definition;
    let mut checks = Vec::new();
    if !facts.ignore_actors.is_empty() {
        checks.push(Check {
            check: "ignore_actors".to_owned(),
            wanted: Json::from(facts.ignore_actors),
            found: facts.actor.map_or(Json::Null, template::shown_text),
            passed: ignoring_glob(facts).is_none(),
        });
    }
    checks.push(Check {
        check: "on".to_owned(),
        wanted: Json::from(definition.on.as_slice()),
        found: template::shown_text(facts.event_type),
        passed: rule.takes(facts.event_type),
    });
    for (name, wanted) in &definition.filter {
        checks.push(Check {
            check: format!("filter.{name}"),
            wanted: check::wanted_json(wanted),
            found: check::found(facts, name),
            passed: check::passes(facts, name, wanted),
        });
    }
    if let (Some(wanted), Some(when)) = (&definition.when, &rule.texts.when) {
        let (found, passed) = match evaluator.when(when) {
            Outcome::Value(found, is_true) => (found, is_true),
            Outcome::Nothing(why) => (Json::String(why), false),
        };
        checks.push(Check {
            check: "when".to_owned(),
            wanted: Json::String(wanted.clone()),
            found,
            passed,
        });
    }
    RuleReport {
        worker: definition.worker.as_str().to_owned(),
        rule: definition.number,
        matched: checks.iter().all(|check| check.passed),
        checks,
    }
}
