//! The rules of workers.

use super::*;
use crate::rules::{Definition, Rule, Wanted};

const HEAD: &str = r#"[[source]]
name = "github"
kind = "github"
secret = "a"
[[source]]
name = "tracker"
kind = "jira"
secret = "b"
[[worker]]
name = "reviewer"
endpoint = "http://127.0.0.1:1"
[[worker.events]]
"#;

/// Lines of `HEAD`.
const HEAD_LINES: usize = 12;

/// Problems of a file whose only rule is `HEAD` with these lines, their places counted from it.
fn problems_of(rule: &str) -> Vec<(usize, String)> {
    let place = Place::with(format!("{HEAD}{rule}\n"));
    match place.load(&[]) {
        Ok(_) => Vec::new(),
        Err(_) => place
            .problems(&[])
            .into_iter()
            .map(|(line, text)| (line.saturating_sub(HEAD_LINES), text))
            .collect(),
    }
}

#[test]
fn rules_are_read_in_the_order_of_the_file() {
    let place = Place::with(
        r#"
[[worker]]
name = "b"
endpoint = "http://127.0.0.1:1"
[[worker.events]]
source = "github"
on = "*"
prompt = "first"
[[worker.events]]
source = "github"
on = ["pull_request.*", "push"]
filter = { base_branch = "main", number = [1, -2, "3"], draft = false }
when = "number > 100"
prompt = "{{ title }}"
auto = false
[[worker]]
name = "a"
command = ["cat"]
events = [{ source = "github", on = ["push"], prompt = "third" }]
[[source]]
name = "github"
kind = "github"
secret = "a"
"#,
    );
    let config = place.load(&[]).unwrap();
    let plain = |worker: &str, on: &str, prompt: &str| Definition {
        worker: worker.parse().unwrap(),
        number: 0,
        source: "github".to_owned(),
        on: vec![on.to_owned()],
        filter: Vec::new(),
        when: None,
        prompt: prompt.to_owned(),
        auto: true,
    };
    let text = |text: &str| Wanted::Text(text.to_owned());
    let second = Definition {
        number: 1,
        on: vec!["pull_request.*".to_owned(), "push".to_owned()],
        filter: vec![
            ("base_branch".to_owned(), vec![text("main")]),
            (
                "number".to_owned(),
                vec![Wanted::Integer(1), Wanted::Integer(-2), text("3")],
            ),
            ("draft".to_owned(), vec![Wanted::Flag(false)]),
        ],
        when: Some("number > 100".to_owned()),
        auto: false,
        ..plain("b", "*", "{{ title }}")
    };
    let rules = [
        plain("b", "*", "first"),
        second,
        plain("a", "push", "third"),
    ];
    let rules = rules.map(|definition| Rule::compile(definition).unwrap());
    assert_eq!(config.rules, Rulebook::new(rules.to_vec()));
}

/// A rule that would be right but for this line, and a part of what is said about it.
const MISTAKES: &str = r#"
source = "gihub" => worker.events.source = "gihub": no such source; did you mean github?
source = "elsewhere" => no such source; the sources are "github", "tracker"
source = "" => worker.events.source = "": an empty name
source = ["github"] => worker.events.source = [...]: a list; a text
on = [] => worker.events.on = [...]: an empty list takes no event
on = "" => worker.events.on = "": an empty type
on = ["push", ""] => an empty type
on = 5 => worker.events.on = 5: a number; a type like
on = [5] => a number; a type like
on = "pull_*.opened" => "pull_*.opened": a star stands at the end alone
on = "**" => a star stands at the end alone
filter = "main" => worker.events.filter = "main": a text; a table is wanted
filter = { base_brnch = "main" } => worker.events.filter.base_brnch: no attribute has this name; did you mean base_branch?
filter = { colour = "red" } => no attribute has this name; the attributes are actor,
filter = { number = [] } => worker.events.filter.number: an empty list lets no event pass
filter = { number = 1.5 } => a number with a fraction; a text, a whole number
filter = { labels = [["a"]] } => a list; a text, a whole number
filter = { number = 9223372036854775808 } => out of range
when = 5 => worker.events.when = 5: a number; a text
when = "" => worker.events.when = "": an empty expression
when = "number >" => worker.events.when: line 1 of the text: unexpected end of input
when = "title | nothing" => worker.events.when: line 1 of the text: filter nothing is unknown
prompt = "" => worker.events.prompt = "": an empty prompt
prompt = " \n" => an empty prompt
prompt = ["x"] => worker.events.prompt = [...]: a list; a text
prompt = "a\n{{ title" => worker.events.prompt: line 2 of the text: unexpected end of
prompt = "{% if %}" => worker.events.prompt: line 1 of the text
prompt = "{{ body | fnece }}" => filter fnece is unknown
auto = "yes" => worker.events.auto = "yes": a text; true or false is wanted
auto = 1 => worker.events.auto = 1: a number; true or false is wanted
promt = "x" => worker.events.promt: unknown key; did you mean prompt?
timeout = "1s" => worker.events.timeout: unknown key; timeout belongs to [[worker]]
colour = "x" => unknown key; [[worker.events]] has source, on, filter, when, prompt, auto
"#;

#[test]
fn every_mistake_in_a_rule_is_reported_with_its_line() {
    for case in MISTAKES.trim().lines() {
        let (lines, part) = case.split_once(" => ").unwrap();
        let key = lines.split(' ').next().unwrap();
        let right = ["source = \"github\"", "on = \"*\"", "prompt = \"x\""];
        let mut rule: Vec<&str> = right
            .into_iter()
            .filter(|line| !line.starts_with(key))
            .collect();
        rule.push(lines);
        let problems = problems_of(&rule.join("\n"));
        assert_eq!(problems.len(), 1, "{lines}: {problems:?}");
        let (line, text) = &problems[0];
        assert_eq!(*line, rule.len(), "{lines}: {text}");
        assert!(text.contains(part), "{lines}: {text}");
    }
}

#[test]
fn what_a_rule_lacks_is_reported_at_its_header() {
    let found = problems_of("auto = true");
    let found: Vec<_> = found
        .iter()
        .map(|(line, text)| (*line, text.split(';').next().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (0, "worker.events.source: missing"),
            (0, "worker.events.on: missing"),
            (0, "worker.events.prompt: missing"),
        ]
    );
}

#[test]
fn the_line_of_a_long_prompt_is_that_of_its_key() {
    let rule = "source = \"github\"\non = \"*\"\nprompt = \"\"\"\na\nb\n{{ title\nc\n\"\"\"";
    let problems = problems_of(rule);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].0, 3);
    assert!(problems[0].1.contains("line "), "{problems:?}");
}

#[test]
fn a_source_that_a_syntax_error_may_hide_is_not_missed() {
    let place = Place::with(
        "[[worker]]\nname = \"a\"\ncommand = [\"cat\"]\n[[worker.events]]\nsource = \"github\"\non = \"*\"\nprompt = \"x\"\n[[source]\nname = \"github\"\n",
    );
    let lines: Vec<usize> = place.problems(&[]).iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [8]);
}

#[test]
fn rules_and_their_prompts_are_bounded() {
    let rule = "source = \"github\"\non = \"*\"\n";
    let exact = "x".repeat(65_536);
    assert_eq!(problems_of(&format!("{rule}prompt = \"{exact}\"")), []);
    let problems = problems_of(&format!("{rule}prompt = \"{exact}x\""));
    assert!(problems[0].1.contains("at most 65536"), "{problems:?}");

    let prompt = "prompt = \"x\"\n";
    let more = format!("[[worker.events]]\n{rule}{prompt}").repeat(999);
    let most = format!("{rule}{prompt}{more}");
    assert_eq!(problems_of(&most), []);
    let problems = problems_of(&format!("{most}[[worker.events]]\n{rule}{prompt}"));
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].1.contains("1001 [[worker.events]]"),
        "{problems:?}"
    );
}
