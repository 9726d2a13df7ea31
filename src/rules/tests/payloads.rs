//! The payload as templates see it.

use std::fmt::Write as _;

use fastrand::Rng;

use super::*;

/// What a template makes of `json`.
fn made(json: &str, template: &str) -> Result<String, String> {
    Case::of_payload(json).prompt(template)
}

#[test]
fn members_are_found_whatever_they_are() {
    let json = r#" { "a" : 1 , "b":[10,{"c":"x"},[] , "last"],
        "text":"tab\tquote\" \u00e4 \ud83d\ude00", "k\u0065y":true, "":"empty", "a":2,
        "big":18446744073709551615, "low":-9223372036854775808, "huge":18446744073709551616,
        "fraction":1.50, "half":"\ud800!", "deep":{"e":{"f":null}} } "#;
    for (template, prompt) in [
        ("{{ payload.a }}", "2"),
        ("{{ payload['a'] }}", "2"),
        ("{{ payload.b[0] }}", "10"),
        ("{{ payload.b[1].c }}", "x"),
        ("{{ payload.b[-1] }}", "last"),
        ("{{ payload.b[1:3] | tojson }}", r#"[{"c":"x"},[]]"#),
        (
            "{{ payload.b | length }} {{ payload.deep | length }}",
            "4 1",
        ),
        ("{{ payload.b | first }} {{ payload.b | last }}", "10 last"),
        ("{{ payload.text }}", "tab\tquote\" ä 😀"),
        ("{{ payload.key }}", "True"),
        ("{{ payload[''] }}", "empty"),
        ("{{ payload.big }}", "18446744073709551615"),
        ("{{ payload.low }}", "-9223372036854775808"),
        ("{{ payload.fraction + 1 }}", "2.5"),
        ("{{ payload.deep }}", r#"{"e":{"f":null}}"#),
        ("{{ payload.deep | tojson }}", r#"{"e":{"f":null}}"#),
        (
            "{{ payload.deep | tojson(2) }}",
            "{\n  \"e\": {\n    \"f\": null\n  }\n}",
        ),
        (
            "{{ [payload.b] | tojson }}",
            r#"[[10,{"c":"x"},[],"last"]]"#,
        ),
        ("{{ payload.deep == payload.deep.e }}", "False"),
        ("{{ payload.b[2] == [] }}", "True"),
        ("{{ 'x' in payload }}{{ 'key' in payload }}", "FalseTrue"),
        ("{{ 'last' in payload.b }}", "True"),
        (
            "{% for m in payload.b %}{{ loop.index }}/{{ loop.length }} {% endfor %}",
            "1/4 2/4 3/4 4/4 ",
        ),
        (
            "{% for k, v in payload.deep | items %}{{ k }}={{ v }}{% endfor %}",
            r#"e={"f":null}"#,
        ),
        (
            "{% for k in payload %}{{ k }} {% endfor %}",
            "a b text key  a big low huge fraction half deep ",
        ),
        (
            "{{ payload.b | map('string') | join('|') }}",
            r#"10|{"c":"x"}|[]|last"#,
        ),
        ("{{ [payload.b[1], payload.b[1]] | unique | length }}", "1"),
        (
            "{{ [payload.deep, payload.b[1]] | map('length') | join }}",
            "11",
        ),
    ] {
        assert_eq!(made(json, template).as_deref(), Ok(prompt), "{template}");
    }
    let half = made(json, "{{ payload.half }}").unwrap();
    assert!(
        half.starts_with('\u{fffd}') && half.ends_with('!'),
        "{half}"
    );
    let huge = made(json, "{{ payload.huge == 18446744073709551616.0 }}");
    assert_eq!(huge.as_deref(), Ok("True"));
}

#[test]
fn a_payload_may_be_any_value() {
    for (json, template, prompt) in [
        ("\"a text\"", "{{ payload }}", "a text"),
        (" 7\n", "{{ payload + 1 }}", "8"),
        ("[1]", "{{ payload[0] }}", "1"),
        ("[]", "{{ payload | length }}", "0"),
        (
            "{}",
            "{% for k in payload %}{% else %}none{% endfor %}",
            "none",
        ),
        ("true", "{{ payload }}", "True"),
    ] {
        assert_eq!(made(json, template).as_deref(), Ok(prompt), "{json}");
    }
}

#[test]
fn text_that_is_no_json_has_no_members() {
    for json in [
        "",
        " ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{a:1}",
        "[1 2]",
        "[,]",
        "{\"a\" 1}",
        "[1",
        "nul",
        "-",
        "\"",
        "\"\\",
        "{\"\\x\":1}",
        "]",
        "}",
    ] {
        for template in [
            "{{ payload }}",
            "{{ payload.a }}",
            "{{ payload[0].b }}",
            "{{ payload | length }}",
            "{{ payload | tojson }}",
            "{% for x in payload %}{{ x }}{% endfor %}",
        ] {
            // Whatever comes of it, it ends.
            let _ = made(json, template);
        }
    }
}

/// A JSON text with white space, escapes and every kind of value, its members' names distinct.
fn generated(rng: &mut Rng, depth: usize, json: &mut String) {
    let space = |rng: &mut Rng| ["", "", " ", "\n\t"][rng.usize(..4)];
    let text = |rng: &mut Rng, json: &mut String| {
        json.push('"');
        for _ in 0..rng.usize(..6) {
            json.push_str(
                [
                    "a",
                    "ä",
                    "\\n",
                    "\\\"",
                    "\\\\",
                    "\\u00e9",
                    "\\ud83d\\ude00",
                    "{",
                    "]",
                    ",",
                ][rng.usize(..10)],
            );
        }
    };
    json.push_str(space(rng));
    match rng.usize(..if depth < 5 { 9 } else { 6 }) {
        0 => json.push_str("null"),
        1 => json.push_str(["true", "false"][rng.usize(..2)]),
        2 => {
            let _ = write!(json, "{}", rng.i64(..));
        }
        3 => {
            let _ = write!(json, "{}", rng.u64(..));
        }
        4 => json.push_str(
            [
                "0",
                "-0",
                "1e3",
                "-1.5E-7",
                "0.1",
                "12345678901234567890123",
            ][rng.usize(..6)],
        ),
        5 => {
            text(rng, json);
            json.push('"');
        }
        6 => {
            json.push('[');
            for at in 0..rng.usize(..5) {
                json.push_str(if at > 0 { "," } else { "" });
                generated(rng, depth + 1, json);
            }
            json.push_str(space(rng));
            json.push(']');
        }
        _ => {
            json.push('{');
            for at in 0..rng.usize(..5) {
                json.push_str(if at > 0 { "," } else { "" });
                json.push_str(space(rng));
                text(rng, json);
                let _ = write!(json, "{at}\"");
                json.push_str(space(rng));
                json.push(':');
                generated(rng, depth + 1, json);
            }
            json.push_str(space(rng));
            json.push('}');
        }
    }
    json.push_str(space(rng));
}

/// The view, walked through by the engine's own means, as a tree.
fn walked(value: &minijinja::Value) -> Json {
    match value.kind() {
        minijinja::value::ValueKind::Map => value
            .try_iter()
            .unwrap()
            .map(|key| {
                let member = value.get_item(&key).unwrap();
                (key.as_str().unwrap().to_owned(), walked(&member))
            })
            .collect(),
        minijinja::value::ValueKind::Seq => {
            let length = value.len().unwrap();
            let by_index = (0..length).map(|at| walked(&value.get_item_by_index(at).unwrap()));
            let by_index: Vec<Json> = by_index.collect();
            let by_loop: Vec<Json> = value.try_iter().unwrap().map(|m| walked(&m)).collect();
            assert_eq!(by_index, by_loop);
            Json::Array(by_loop)
        }
        _ => serde_json::to_value(value).unwrap(),
    }
}

#[test]
fn the_view_and_a_tree_are_the_same() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..500 {
        let mut json = String::new();
        generated(&mut rng, 0, &mut json);
        let tree: Json = serde_json::from_str(&json).unwrap();
        let text = Arc::new(json.clone());
        let meter = Arc::new(meter::Meter::new(PROMPT_BYTES_MAX));
        let value = payload::value(&text, &meter).unwrap();
        assert_eq!(walked(&value), tree, "{json}");
        assert_eq!(meter.problem(), None);
        let made = made(&json, "{{ payload | tojson }}").unwrap();
        assert_eq!(serde_json::from_str::<Json>(&made).unwrap(), tree, "{json}");
        let pretty = self::made(&json, "{{ payload | tojson(indent=true) }}").unwrap();
        assert_eq!(
            serde_json::from_str::<Json>(&pretty).unwrap(),
            tree,
            "{json}"
        );
    }
}

#[test]
fn a_deep_payload_needs_no_deep_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 100_000;
        let json = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let printed = Case {
            prompt_bytes_max: 8 << 20,
            ..Case::of_payload(json.as_str())
        };
        for template in [
            "{{ payload }}",
            "{{ payload | tojson }}",
            "{{ payload == payload }}",
            "{{ [payload] | sort | length }}",
        ] {
            printed.prompt(template).unwrap();
        }
        let walk = ["{{ payload", &".a".repeat(200), " }}"].concat();
        let walk = if open == "[" {
            walk.replace(".a", "[0]")
        } else {
            walk
        };
        let reason = "the prompt cannot be made: the payload is nested too deeply there".to_owned();
        assert_eq!(printed.prompt(&walk), Err(reason));
        for template in [
            "{{ payload | tojson(2) }}",
            "{% for a in payload recursive %}{{ loop(a) }}{% endfor %}",
            "{{ [payload] == [[payload]] }}",
            "{{ payload | tojson | length }}{{ [payload, [payload]] | sort | length }}",
        ] {
            let _ = printed.prompt(template);
        }
    }
}

#[test]
fn a_large_payload_is_searched_and_never_held_twice() {
    let filler = "x".repeat(24 << 20);
    let json = format!("{{\"filler\":\"{filler}\",\"last\":{{\"id\":\"7\"}}}}");
    let case = Case::of_payload(json.as_str());
    assert_eq!(case.prompt("{{ payload.last.id }}").as_deref(), Ok("7"));
    assert!(case.when("payload.last.id == '7'").0);

    // As a text it is longer than a prompt, and so is whatever holds it.
    for template in [
        "{{ payload.filler | length }}",
        "{{ payload }}",
        "{{ payload | tojson }}",
    ] {
        let reason = case.prompt(template).unwrap_err();
        assert!(reason.len() < 200, "{template}: {reason}");
    }
    // What was found once is not searched again.
    let repeating = "{% for n in range(10000) %}{{ payload.last.id }}{% endfor %}";
    assert_eq!(case.prompt(repeating), Ok("7".repeat(10_000)));
    // A loop cannot search it for ever.
    let searching = "{% for n in range(10000) %}{{ payload[n ~ ''] is defined }}{% endfor %}";
    let reason = case.prompt(searching);
    let expected = "the prompt cannot be made: the payload is too large to be searched so often";
    assert_eq!(reason.unwrap_err(), expected);
    let (is_match, found) =
        case.when("range(10000) | map('string') | select('in', payload) | list");
    assert!(!is_match, "{found}");
}

#[test]
fn a_bound_that_one_rule_meets_is_not_the_next_ones() {
    let filler = "x".repeat(4 << 20);
    let case = Case::of_payload(format!("{{\"filler\":\"{filler}\",\"last\":1}}"));
    let mut greedy = definition();
    greedy.when = Some("payload.filler == 'x'".to_owned());
    let rules = [greedy, definition()].map(|definition| Rule::compile(definition).unwrap());
    let book = Rulebook::new(rules.to_vec());
    assert!(matches!(book.judge(&case.facts()), Verdict::Matched { .. }));
    let checks = &book.explain(&case.facts()).rules[0].checks;
    let found = "a text of the payload is longer than a prompt may be";
    assert_eq!(checks.last().unwrap().found, found);
}

#[test]
fn many_members_are_walked_within_the_bounds() {
    let numbers = vec!["1"; 500_000].join(",");
    let case = Case::of_payload(format!("{{\"list\":[{numbers}],\"last\":1}}"));
    assert_eq!(case.prompt("{{ payload.last }}").as_deref(), Ok("1"));
    assert_eq!(
        case.prompt("{{ payload.list | length }}").as_deref(),
        Ok("500000")
    );
    assert_eq!(
        case.prompt("{{ payload.list[499999] }}").as_deref(),
        Ok("1")
    );
    for template in [
        "{{ payload.list | list | length }}",
        "{{ payload.list | sort | length }}",
        "{{ payload.list | join }}",
        "{% for n in payload.list %}{{ n }}{% endfor %}",
        "{{ payload.list | map('string') | join }}",
        "{{ payload.list | sum }}",
    ] {
        let reason = case.prompt(template).unwrap_err();
        assert!(
            reason.contains("more steps than allowed"),
            "{template}: {reason}"
        );
    }
}
