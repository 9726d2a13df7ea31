//! Which rule matches, and what is said about those that do not.

use serde_json::json;

use super::*;

fn rule(change: impl FnOnce(&mut Definition)) -> Rule {
    let mut definition = definition();
    change(&mut definition);
    Rule::compile(definition).unwrap()
}

#[test]
fn filters_compare_by_type() {
    use Wanted::{Flag, Integer, Text};
    let text = |text: &str| Text(text.to_owned());
    let case = Case::pull_request();
    for (name, wanted, passes) in [
        ("base_branch", vec![text("main")], true),
        ("base_branch", vec![text("dev")], false),
        ("base_branch", vec![text("dev"), text("main")], true),
        ("base_branch", vec![text("Main")], false),
        ("number", vec![Integer(7)], true),
        ("number", vec![text("7")], true),
        ("number", vec![text("07")], false),
        ("number", vec![Integer(8), Integer(7)], true),
        ("number", vec![Flag(true)], false),
        ("draft", vec![Flag(false)], true),
        ("draft", vec![Flag(true)], false),
        ("draft", vec![text("false")], true),
        ("draft", vec![Integer(0)], false),
        ("labels", vec![text("urgent")], true),
        ("labels", vec![text("minor")], false),
        ("labels", vec![text("bug,urgent")], false),
        ("actor", vec![text("ada")], true),
        ("subject", vec![text("ada/engine")], true),
        ("source", vec![text("github")], true),
        ("type", vec![text("pull_request.opened")], true),
        ("url", vec![text("")], false),
    ] {
        let book = Rulebook::new(vec![rule(|r| {
            r.filter = vec![(name.to_owned(), wanted.clone())];
        })]);
        let is_match = matches!(book.judge(&case.facts()), Verdict::Matched { .. });
        assert_eq!(is_match, passes, "{name} {wanted:?}");
        assert_eq!(book.explain(&case.facts()).rules[0].matched, passes);
    }
}

#[test]
fn expressions_are_true_as_in_templates() {
    let case = Case::of_payload(r#"{"n":0,"list":[],"full":[0],"null":null,"text":"@bot go"}"#);
    for (when, passes, found) in [
        ("number > 5", true, json!(true)),
        ("number > 100", false, json!(false)),
        ("number", true, json!(7)),
        ("'bug' in labels", true, json!(true)),
        ("title", true, json!("Fix the bug")),
        (
            "title.startswith('x')",
            false,
            json!("object has no method named startswith"),
        ),
        ("title is startingwith 'Fix'", true, json!(true)),
        ("not draft", true, json!(true)),
        ("url", false, json!("`url` is absent")),
        ("not url", false, json!("`url` is absent")),
        ("url is defined", false, json!(false)),
        ("url == 'x' or number", false, json!("`url` is absent")),
        (
            "payload.missing.more",
            false,
            json!("`payload.missing` is absent"),
        ),
        ("payload.n", false, json!(0)),
        ("payload.list", false, json!("[]")),
        ("payload.full", true, json!("[0]")),
        ("payload.null", false, json!("`payload.null` is absent")),
        ("payload.null is none", false, json!(false)),
        ("payload.null is defined", false, json!(false)),
        ("'@bot' in payload.text", true, json!(true)),
        ("payload.list | length == 0", true, json!(true)),
    ] {
        let (is_match, shown) = case.when(when);
        assert_eq!(is_match, passes, "{when}: {shown}");
        if !when.contains("startswith(") {
            assert_eq!(shown, found, "{when}");
        }
    }
}

#[test]
fn the_first_rule_of_the_source_that_matches_wins() {
    let book = Rulebook::new(vec![
        rule(|r| r.source = "gitlab".to_owned()),
        rule(|r| r.on = vec!["push".to_owned()]),
        rule(|r| {
            r.number = 1;
            r.on = vec!["push".to_owned(), "pull_request.*".to_owned()];
            r.auto = false;
            r.prompt = "first {{ number }}".to_owned();
        }),
        rule(|r| r.prompt = "second".to_owned()),
    ]);
    let case = Case::pull_request();
    assert_eq!(
        book.judge(&case.facts()),
        Verdict::Matched {
            worker: "reviewer".parse().unwrap(),
            auto: false,
            prompt: "first 7".to_owned(),
        }
    );
    let explanation = book.explain(&case.facts());
    let matched: Vec<bool> = explanation.rules.iter().map(|rule| rule.matched).collect();
    assert_eq!(matched, [false, true, true]);
    assert_eq!(explanation.prompt.as_deref(), Some("first 7"));
    assert_eq!(explanation.reason, None);
}

#[test]
fn a_report_has_every_check_whatever_became_of_those_before() {
    let book = Rulebook::new(vec![rule(|r| {
        r.on = vec!["push".to_owned(), "pull_request.*".to_owned()];
        r.filter = vec![
            (
                "base_branch".to_owned(),
                vec![Wanted::Text("dev".to_owned())],
            ),
            (
                "url".to_owned(),
                vec![Wanted::Integer(1), Wanted::Flag(true)],
            ),
        ];
        r.when = Some("number > 100".to_owned());
    })]);
    let mut case = Case::pull_request();
    case.ignore_actors = vec!["*[bot]".to_owned()];
    let reports = serde_json::to_value(book.explain(&case.facts()).rules).unwrap();
    assert_eq!(
        reports,
        json!([{"worker": "reviewer", "rule": 0, "matched": false, "checks": [
            {"check": "ignore_actors", "wanted": ["*[bot]"], "found": "ada", "passed": true},
            {"check": "on", "wanted": ["push", "pull_request.*"], "found": "pull_request.opened", "passed": true},
            {"check": "filter.base_branch", "wanted": "dev", "found": "main", "passed": false},
            {"check": "filter.url", "wanted": [1, true], "found": null, "passed": false},
            {"check": "when", "wanted": "number > 100", "found": false, "passed": false},
        ]}])
    );

    let book = Rulebook::new(vec![rule(|r| r.when = Some("url == 'x'".to_owned()))]);
    case.ignore_actors.clear();
    let reports = serde_json::to_value(book.explain(&case.facts()).rules).unwrap();
    assert_eq!(
        reports[0]["checks"][1],
        json!({"check": "when", "wanted": "url == 'x'", "found": "`url` is absent", "passed": false})
    );
}

#[test]
fn reasons_say_what_to_look_at() {
    let filtered = |r: &mut Definition| {
        let wanted = vec![Wanted::Text("dev".to_owned())];
        r.filter = vec![("base_branch".to_owned(), wanted)];
    };
    let nearest = "no rule matched; nearest: rule 0 of worker reviewer: ";
    for (rules, reason) in [
        (vec![], "no rule is for this source".to_owned()),
        (
            vec![rule(|r| r.on = vec!["push".to_owned()])],
            "no rule's \"on\" takes the type pull_request.opened".to_owned(),
        ),
        (
            vec![
                rule(|r| r.on = vec!["push".to_owned()]),
                rule(filtered),
                rule(|r| {
                    r.filter = vec![("url".to_owned(), vec![Wanted::Flag(true)])];
                }),
            ],
            format!("{nearest}filter.base_branch: base_branch is \"main\""),
        ),
        (
            vec![rule(|r| {
                r.filter = vec![("url".to_owned(), vec![Wanted::Flag(true)])];
            })],
            format!("{nearest}filter.url: url is absent"),
        ),
        (
            vec![
                rule(filtered),
                rule(|r| r.when = Some("number > 9".to_owned())),
            ],
            format!("{nearest}\"when\" is false"),
        ),
        (
            vec![rule(|r| r.when = Some("url".to_owned()))],
            format!("{nearest}\"when\" has no value: `url` is absent"),
        ),
    ] {
        let book = Rulebook::new(rules);
        let case = Case::pull_request();
        let skipped = Verdict::Skipped {
            reason: reason.clone(),
        };
        assert_eq!(book.judge(&case.facts()), skipped);
        let explanation = book.explain(&case.facts());
        assert_eq!(explanation.reason, Some(reason));
        assert_eq!(explanation.prompt, None);
    }
}

#[test]
fn ignored_actors_match_no_rule() {
    let mut case = Case::pull_request();
    case.ignore_actors = vec!["ci".to_owned(), "*[bot]".to_owned()];
    case.actor = Some("dependabot[bot]");
    let book = Rulebook::new(vec![rule(|_| ())]);
    assert_eq!(
        book.judge(&case.facts()),
        Verdict::Skipped {
            reason: "actor dependabot[bot] is ignored (*[bot])".to_owned()
        }
    );
    assert!(!book.explain(&case.facts()).rules[0].matched);
    case.actor = None;
    assert!(matches!(book.judge(&case.facts()), Verdict::Matched { .. }));
}

#[test]
fn long_texts_are_cut_where_they_are_shown() {
    let mut case = Case::pull_request();
    let long = "ä".repeat(100_000);
    case.attributes
        .insert("title".into(), Attribute::Text(long));
    let book = Rulebook::new(vec![rule(|r| {
        let wanted = vec![Wanted::Text("x".to_owned())];
        r.filter = vec![("title".to_owned(), wanted)];
    })]);
    let explanation = book.explain(&case.facts());
    let found = explanation.rules[0].checks[1].found.as_str().unwrap();
    assert_eq!(found.len(), 256 + "...".len());
    assert!(explanation.reason.unwrap().len() < 700);
    let (_, found) = case.when("title");
    assert_eq!(found.as_str().unwrap().len(), 256 + "...".len());
}

#[test]
fn the_payload_is_wanted_where_a_rule_that_could_match_names_it() {
    let book = Rulebook::new(vec![
        rule(|r| {
            r.on = vec!["push".to_owned()];
            r.prompt = "{{ payload.ref }}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["issues.*".to_owned()];
            r.when = Some("payload.issue.locked".to_owned());
        }),
        rule(|r| r.on = vec!["ping".to_owned()]),
        rule(|r| {
            r.on = vec!["loop".to_owned()];
            r.prompt = "{% for c in payload.commits %}{{ c.id }}{% endfor %}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["set".to_owned()];
            r.prompt = "{% if draft %}{% set payload = 1 %}{% endif %}{{ payload }}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["own".to_owned()];
            r.prompt = "{% set payload = payload.ref %}{{ payload }}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["slice".to_owned()];
            r.prompt = "{{ payload.commits[:2] | tojson }}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["bracket".to_owned()];
            r.when = Some("payload.commits[1:] == labels[:1]".to_owned());
        }),
        rule(|r| {
            r.on = vec!["prose".to_owned()];
            r.prompt = "[x] Mind: the payload of {{ labels[0] }} {{ title }} [ ] now".to_owned();
        }),
        rule(|r| {
            r.on = vec!["nested".to_owned()];
            r.prompt = "{{ payload[labels[0]:3] }}".to_owned();
        }),
        rule(|r| {
            r.on = vec!["expression".to_owned()];
            r.when = Some("payload[labels[0]:3]".to_owned());
        }),
    ]);
    for (event_type, wants) in [
        ("push", true),
        ("issues.opened", true),
        ("ping", false),
        ("loop", true),
        ("set", true),
        ("own", true),
        ("slice", true),
        ("bracket", true),
        ("prose", false),
        ("nested", true),
        ("expression", true),
        ("other", false),
    ] {
        assert_eq!(
            book.wants_payload("github", event_type),
            wants,
            "{event_type}"
        );
        assert!(!book.wants_payload("gitlab", event_type));
    }
}
