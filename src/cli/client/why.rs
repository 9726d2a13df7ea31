//! `mecha why`: what each rule says about an event.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::{json, parsed, with_remote};
use crate::cli::args::OneArgs;
use crate::cli::remote::Answer;
use crate::cli::table::{self, Column, cell};
use crate::cli::{Exit, output};
use crate::http::percent_encoded;
use crate::terminal::on_one_line;

const CHECKS: [Column; 4] = [
    Column::whole("PASSED"),
    Column::text("CHECK"),
    Column::text("WANTED"),
    Column::text("FOUND"),
];

/// Spaces in front of what belongs to a rule.
const INDENT: &str = "  ";

#[derive(Debug, Deserialize)]
struct Why {
    rules: Vec<Rule>,
    reason: Option<String>,
    prompt: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    worker: String,
    #[serde(rename = "rule")]
    number: u64,
    matched: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    #[serde(rename = "check")]
    name: String,
    wanted: Value,
    found: Value,
    passed: bool,
}

/// Says why the rules do with an event what they do.
pub(in crate::cli) fn run(args: &OneArgs) -> Exit {
    with_remote(&args.access, |remote| {
        let path = format!("/event/{}/why", percent_encoded(&args.id));
        let told = remote.get(&path).and_then(Answer::accepted);
        output::finish(told.and_then(|body| {
            if args.json {
                return json(body);
            }
            Ok(text(&parsed(&body, "explanation")?, output::columns()))
        }))
    })
}

fn text(why: &Why, terminal: Option<usize>) -> String {
    let mut text = String::new();
    if why.rules.is_empty() {
        text.push_str("no rule is for the source of this event\n");
    }
    for rule in &why.rules {
        let matches = if rule.matched {
            "matches"
        } else {
            "does not match"
        };
        let worker = table::shown(&rule.worker);
        let _ = writeln!(text, "rule {} of worker {worker} {matches}", rule.number);
        let rows: Vec<_> = rule.checks.iter().map(row).collect();
        let columns = terminal.map(|columns| columns.saturating_sub(INDENT.len()));
        for line in table::render(&CHECKS, &rows, columns).lines() {
            let _ = writeln!(text, "{INDENT}{line}");
        }
        text.push('\n');
    }
    if let Some(reason) = &why.reason {
        let _ = writeln!(text, "no prompt: {}", on_one_line(reason));
    }
    if let Some(prompt) = &why.prompt {
        let _ = writeln!(text, "prompt:\n{prompt}");
    }
    text
}

fn row(check: &Check) -> Vec<String> {
    let passed = if check.passed { "yes" } else { "no" };
    vec![
        passed.to_owned(),
        cell(&check.name),
        cell(&value(&check.wanted)),
        cell(&value(&check.found)),
    ]
}

/// A value as people write it: texts without quotation marks, lists by commas.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let values: Vec<String> = list.iter().map(self::value).collect();
            values.join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_shows_its_checks() {
        let why: Why = serde_json::from_str(
            r#"{"event":"e","rules":[{"worker":"w","rule":0,"matched":false,"checks":[
                {"check":"on","wanted":["a","b*"],"found":"a","passed":true},
                {"check":"filter.draft","wanted":true,"found":null,"passed":false}]}],
                "prompt":"Do\nit"}"#,
        )
        .unwrap();
        assert_eq!(
            text(&why, None),
            "rule 0 of worker w does not match\n\
             \x20 PASSED  CHECK         WANTED  FOUND\n\
             \x20 yes     on            a, b*   a\n\
             \x20 no      filter.draft  true    nothing\n\n\
             prompt:\nDo\nit\n"
        );
        let none = Why {
            rules: Vec::new(),
            reason: None,
            prompt: None,
        };
        assert!(text(&none, Some(10)).starts_with("no rule"));
    }
}
