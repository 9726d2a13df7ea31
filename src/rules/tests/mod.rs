//! Tests of rules: what matches, what is said about it, and what no event can make of them.

mod bounds;
mod judging;
mod payloads;
mod prompts;

use std::sync::Arc;

use serde_json::Value as Json;

use super::*;
use crate::event::Attribute;

const MARK: &str = "k3v9x0m2q7w1e8r5";
const PROMPT_BYTES_MAX: usize = 1 << 20;

/// An event and what it is judged by.
struct Case {
    source: &'static str,
    event_type: &'static str,
    actor: Option<&'static str>,
    attributes: Attributes,
    ignore_actors: Vec<String>,
    payload: Option<Arc<String>>,
    prompt_bytes_max: usize,
}

impl Case {
    /// A pull request of ada's, number 7, against main.
    fn pull_request() -> Self {
        let attributes = [
            ("number", Attribute::Integer(7)),
            ("title", Attribute::from("Fix the bug")),
            ("body", Attribute::from("It is fixed.\n")),
            ("base_branch", Attribute::from("main")),
            ("draft", Attribute::Flag(false)),
            (
                "labels",
                Attribute::Names(vec!["bug".to_owned(), "urgent".to_owned()]),
            ),
        ];
        Self {
            source: "github",
            event_type: "pull_request.opened",
            actor: Some("ada"),
            attributes: attributes
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            ignore_actors: Vec::new(),
            payload: None,
            prompt_bytes_max: PROMPT_BYTES_MAX,
        }
    }

    fn of_payload(json: impl Into<String>) -> Self {
        Self {
            payload: Some(Arc::new(json.into())),
            ..Self::pull_request()
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            source: self.source,
            event_type: self.event_type,
            actor: self.actor,
            subject: Some("ada/engine"),
            attributes: &self.attributes,
            ignore_actors: &self.ignore_actors,
            payload: self.payload.clone(),
            mark: MARK,
            prompt_bytes_max: self.prompt_bytes_max,
        }
    }

    /// The prompt that `template` makes, or why it makes none.
    fn prompt(&self, template: &str) -> Result<String, String> {
        let mut definition = definition();
        definition.prompt = template.to_owned();
        let book = Rulebook::new(vec![Rule::compile(definition).unwrap()]);
        match book.judge(&self.facts()) {
            Verdict::Matched { prompt, .. } => Ok(prompt),
            Verdict::Failed { reason, .. } => Err(reason),
            Verdict::Skipped { reason } => panic!("{reason}"),
        }
    }

    /// Whether the rule with this `when` matches, and what the check found.
    fn when(&self, expression: &str) -> (bool, Json) {
        let mut definition = definition();
        definition.when = Some(expression.to_owned());
        let book = Rulebook::new(vec![Rule::compile(definition).unwrap()]);
        let explanation = book.explain(&self.facts());
        let check = explanation.rules[0].checks.last().unwrap().clone();
        assert_eq!(check.check, "when");
        let is_match = matches!(book.judge(&self.facts()), Verdict::Matched { .. });
        assert_eq!(is_match, check.passed, "{expression}");
        (is_match, check.found)
    }
}

/// A rule that takes every event of github.
fn definition() -> Definition {
    Definition {
        worker: "reviewer".parse().unwrap(),
        number: 0,
        source: "github".to_owned(),
        on: vec!["*".to_owned()],
        filter: Vec::new(),
        when: None,
        prompt: "Review it".to_owned(),
        auto: true,
    }
}
