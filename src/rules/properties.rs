//! Properties of judgements that hold for every event; see `http::properties`.
#![doc(hidden)]

use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

use super::{
    CompileError, Definition, Facts, Part, REASON_BYTES_MAX, Rule, Rulebook, Verdict, Wanted,
};
use crate::event::{Attribute, Attributes};
use crate::worker::WorkerName;

const PROMPT_BYTES_MAX: usize = 4_096;
const MARK: &str = "k3v9x0m2q7w1e8r5";

/// Pairs of `when` and `prompt`, as somebody might write them. The first is a text in its fence,
/// the second the payload as it is.
const TEXTS: [(Option<&str>, &str); 10] = [
    (None, "{{ title | fence }}"),
    (None, "{{ payload | tojson }}"),
    (None, "{{ payload }} {{ payload | tojson(2) }}"),
    (
        None,
        "{% for m in payload recursive %}{{ m }};{% if m is iterable and m is not string %}{{ loop(m) }}{% endif %}{% endfor %}",
    ),
    (
        None,
        "{% for k, v in payload | items %}{{ k }}={{ payload[k] | tojson }}\n{% endfor %}.",
    ),
    (
        Some("payload.a.b == 1 or 'x' in payload.list"),
        "{{ payload.a.b }}{{ payload.list[-1] }}",
    ),
    (
        Some("number > 3"),
        "{{ labels | join(', ') }}{{ number * 2 }}",
    ),
    (
        None,
        "{{ payload | list | sort | unique | map('string') | join('+') }}{{ payload | length }}",
    ),
    (
        None,
        "{{ title | upper | replace('A', title) | split | join('-') }}{{ title[::-1] }}",
    ),
    (
        None,
        "{{ payload == [payload] }}{{ [payload, [payload]] | sort }}{{ payload.a | default('-') }}",
    ),
];

/// The first line of `input` is the number of a rule, any other text all of them; the next three
/// are type, actor and title of an event, the rest is its payload. Whatever they are, judging ends
/// without a panic and within its bounds, explaining agrees with it, and a fence has two marks.
pub fn rules(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let mut lines = input.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let number = line().parse::<usize>().ok();
    let (event_type, actor, title, payload) = (line(), line(), line(), line());
    let attributes = attributes(title);
    let ignore_actors = ["*[bot]".to_owned(), "?*a*a*b".to_owned()];
    let facts = Facts {
        source: "fuzz",
        event_type,
        actor: (!actor.is_empty()).then_some(actor),
        subject: None,
        attributes: &attributes,
        ignore_actors: &ignore_actors,
        payload: (!payload.is_empty()).then(|| Arc::new(payload.to_owned())),
        mark: MARK,
        prompt_bytes_max: PROMPT_BYTES_MAX,
    };
    let Some(number) = number else {
        let all = books().iter().flat_map(|book| book.rules.iter().cloned());
        judged(&Rulebook::new(all.collect()), &facts);
        return;
    };
    let number = number % TEXTS.len();
    let Some(prompt) = books().get(number).and_then(|book| judged(book, &facts)) else {
        return;
    };
    if number == 0 {
        assert_eq!(prompt.matches(MARK).count(), 2);
    }
    if number == 1
        && let Ok(tree) = serde_json::from_str::<Json>(payload)
    {
        assert_eq!(serde_json::from_str::<Json>(&prompt).ok(), Some(tree));
    }
}

/// The first line of `input` is a `when`, or empty; then come a template, a line of three dashes and
/// a payload. The texts are refused with a line of theirs, or judging by them ends within its
/// bounds, gives the same twice, and agrees with its explanation.
pub fn rule_text(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (when, rest) = input.split_once('\n').unwrap_or_default();
    let (prompt, payload) = rest.split_once("\n---\n").unwrap_or((rest, ""));
    let definition = Definition {
        on: vec!["*".to_owned()],
        ..definition(0, (!when.is_empty()).then_some(when), prompt)
    };
    let rule = match Rule::compile(definition) {
        Ok(rule) => rule,
        Err(error) => return is_of_the_text(&error, when, prompt),
    };
    compiles_again(&rule);
    let attributes = attributes("a title with labels");
    let facts = Facts {
        source: "fuzz",
        event_type: "push",
        actor: Some("ann"),
        subject: None,
        attributes: &attributes,
        ignore_actors: &[],
        payload: (!payload.is_empty()).then(|| Arc::new(payload.to_owned())),
        mark: MARK,
        prompt_bytes_max: PROMPT_BYTES_MAX,
    };
    let book = Rulebook::new(vec![rule]);
    judged(&book, &facts);
}

/// Checks that what compiled once compiles to the same again.
pub(crate) fn compiles_again(rule: &Rule) {
    assert_eq!(Rule::compile(rule.definition.clone()).as_ref(), Ok(rule));
}

fn is_of_the_text(error: &CompileError, when: &str, prompt: &str) {
    let text = match error.part {
        Part::When => when,
        Part::Prompt => prompt,
    };
    let lines = text.split('\n').count();
    assert!((1..=lines).contains(&error.line), "{error}");
    assert!(!error.message.is_empty());
}

fn attributes(title: &str) -> Attributes {
    let labels = title.split(' ').map(str::to_owned).collect();
    let number = i64::try_from(title.len()).unwrap_or(i64::MAX);
    [
        ("title", Attribute::from(title)),
        ("labels", Attribute::Names(labels)),
        ("number", Attribute::Integer(number)),
    ]
    .into_iter()
    .map(|(name, attribute)| (name.into(), attribute))
    .collect()
}

/// The prompt, if there is one.
fn judged(book: &Rulebook, facts: &Facts<'_>) -> Option<String> {
    let verdict = book.judge(facts);
    let explanation = book.explain(facts);
    let winner = explanation.rules.iter().find(|rule| rule.matched);
    let (worker, prompt, reason) = match verdict {
        Verdict::Matched { worker, prompt, .. } => (Some(worker), Some(prompt), None),
        Verdict::Failed { worker, reason } => (Some(worker), None, Some(reason)),
        Verdict::Skipped { reason } => (None, None, Some(reason)),
    };
    assert_eq!(
        winner.map(|rule| rule.worker.as_str()),
        worker.as_ref().map(WorkerName::as_str)
    );
    assert_eq!(
        (&explanation.prompt, &explanation.reason),
        (&prompt, &reason)
    );
    if let Some(reason) = reason {
        assert!(!reason.is_empty() && reason.len() <= REASON_BYTES_MAX + "...".len());
    }
    let prompt = prompt?;
    assert!(prompt.len() <= PROMPT_BYTES_MAX && !prompt.trim().is_empty());
    Some(prompt)
}

/// A book for each pair of texts, its rule for the events of a worker of its own.
fn books() -> &'static [Rulebook] {
    static BOOKS: OnceLock<Vec<Rulebook>> = OnceLock::new();
    BOOKS.get_or_init(|| {
        let rules = TEXTS.iter().enumerate().map(|(number, (when, prompt))| {
            let definition = Definition {
                filter: match number % 2 {
                    0 => Vec::new(),
                    _ => vec![(
                        "type".to_owned(),
                        vec![Wanted::Integer(1), Wanted::Text("push".to_owned())],
                    )],
                },
                ..definition(number, *when, prompt)
            };
            Rule::compile(definition).unwrap_or_else(|error| panic!("{error}"))
        });
        rules.map(|rule| Rulebook::new(vec![rule])).collect()
    })
}

/// A rule without a filter, for the events of a worker of its own.
fn definition(number: usize, when: Option<&str>, prompt: &str) -> Definition {
    Definition {
        worker: format!("worker-{number}")
            .parse()
            .unwrap_or_else(|error| panic!("{error}")),
        number,
        source: "fuzz".to_owned(),
        on: vec!["push".to_owned(), "pull_request.*".to_owned()],
        filter: Vec::new(),
        when: when.map(str::to_owned),
        prompt: prompt.to_owned(),
        auto: true,
    }
}
