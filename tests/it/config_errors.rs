//! Contract section 2: every mistake of a configuration is told with its line.

use std::fs;

use crate::harness::{Outcome, Program, server};

fn check(text: &str) -> Outcome {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("mecha.toml"), text).unwrap();
    Program::run_with(
        home.path(),
        &["check", "--config", "mecha.toml"],
        &[("SET_VARIABLE", "value"), ("EMPTY_VARIABLE", "")],
    )
}

/// Whether `outcome` tells of something in that line of the file.
fn tells(outcome: &Outcome, line: usize) -> bool {
    let printed = outcome.printed();
    let places = [
        format!("mecha.toml:{line}:"),
        format!("mecha.toml:{line} "),
        format!("line {line}"),
    ];
    places.iter().any(|place| {
        printed.match_indices(place.as_str()).any(|(start, _)| {
            let behind = printed[start + place.len()..].chars().next();
            place.ends_with(':') || !behind.is_some_and(|c| c.is_ascii_digit())
        })
    })
}

const SOURCE: &str = "[[source]]\nname = \"s\"\nkind = \"github\"\nsecret = \"x\"\n";
const WORKER: &str = "[[worker]]\nname = \"w\"\nendpoint = \"http://127.0.0.1:9\"\n";

const EVENTS: &str = "[[worker.events]]\nsource = \"github\"\n";

#[test]
fn each_mistake_is_told_with_its_line_and_what_would_be_right() {
    for (text, line, words) in [
        ("colour = 1".to_owned(), 1, vec!["colour"]),
        ("\n\nadr = \"127.0.0.1:1\"".to_owned(), 3, vec!["adr"]),
        ("addr = \"nowhere\"".to_owned(), 1, vec!["addr", "nowhere"]),
        ("addr = 21212".to_owned(), 1, vec!["addr"]),
        ("drain = \"30\"".to_owned(), 1, vec!["drain", "30"]),
        ("drain = 30".to_owned(), 1, vec!["drain"]),
        ("drain = \"a fortnight\"".to_owned(), 1, vec!["fortnight"]),
        ("drain = \"-1s\"".to_owned(), 1, vec!["-1s"]),
        ("drain = \"1.5s\"".to_owned(), 1, vec!["1.5s"]),
        (
            "drain = \"99999999999999999999d\"".to_owned(),
            1,
            vec!["drain"],
        ),
        ("data = 1".to_owned(), 1, vec!["data"]),
        ("api_key = 1".to_owned(), 1, vec!["api_key"]),
        ("api_key = \"\"".to_owned(), 1, vec!["api_key"]),
        ("api_key = [\"a\", 1]".to_owned(), 1, vec!["api_key"]),
        (
            "api_key = \"env:NOT_SET_ANYWHERE\"".to_owned(),
            1,
            vec!["NOT_SET_ANYWHERE"],
        ),
        (
            "api_key = \"env:EMPTY_VARIABLE\"".to_owned(),
            1,
            vec!["EMPTY_VARIABLE"],
        ),
        (
            "api_key = \"file:/nonexistent/key\"".to_owned(),
            1,
            vec!["/nonexistent/key"],
        ),
        (
            "[limits]\ntask_body = \"8MB\"".to_owned(),
            2,
            vec!["task_body", "8MB", "MiB"],
        ),
        ("[limits]\ntask_body = 8".to_owned(), 2, vec!["task_body"]),
        ("[limits]\nmemory = \"lots\"".to_owned(), 2, vec!["lots"]),
        (
            "[limits]\nconnections = 0".to_owned(),
            2,
            vec!["connections"],
        ),
        (
            "[limits]\nconnections = \"many\"".to_owned(),
            2,
            vec!["connections"],
        ),
        ("[limits]\nqueue = -1".to_owned(), 2, vec!["queue"]),
        (
            "[limits]\nretention = \"forever\"".to_owned(),
            2,
            vec!["forever"],
        ),
        ("[limits]\nspeed = 1".to_owned(), 2, vec!["speed"]),
        ("limits = 1".to_owned(), 1, vec!["limits"]),
        ("worker = 1".to_owned(), 1, vec!["worker"]),
        (
            "[[worker]]\nendpoint = \"http://a\"".to_owned(),
            1,
            vec!["name"],
        ),
        (
            "[[worker]]\nname = \"w\"".to_owned(),
            1,
            vec!["endpoint", "command"],
        ),
        (
            "[[worker]]\nname = \"a b\"\nendpoint = \"http://a\"".to_owned(),
            2,
            vec!["a b", "a-z"],
        ),
        (
            format!(
                "[[worker]]\nname = \"{}\"\nendpoint = \"http://a\"",
                "w".repeat(65)
            ),
            2,
            vec!["64"],
        ),
        (format!("{WORKER}{WORKER}"), 5, vec!["w"]),
        (
            format!("{WORKER}command = [\"cat\"]"),
            4,
            vec!["command", "endpoint"],
        ),
        (format!("{WORKER}colour = \"red\""), 4, vec!["colour"]),
        (
            format!("{WORKER}{EVENTS}on = []\nprompt = \"x\""),
            6,
            vec!["on"],
        ),
        (
            format!("{WORKER}{EVENTS}on = \"*\"\nprompt = \"a {{{{ title\""),
            7,
            vec!["prompt", "line 1"],
        ),
        (
            format!("{WORKER}{EVENTS}on = \"*\"\nprompt = \"x\"\nwhen = \"number >\""),
            8,
            vec!["when"],
        ),
        (
            format!("{WORKER}{EVENTS}on = \"*\"\nprompt = \"x\"\nfilter = {{ branch = \"a\" }}"),
            8,
            vec!["branch", "base_branch"],
        ),
        (
            format!("{WORKER}{EVENTS}on = \"*\"\nprompt = \"x\"\nautomatic = true"),
            8,
            vec!["automatic", "auto"],
        ),
        (
            "[[worker]]\nname = \"w\"\ncommand = []".to_owned(),
            3,
            vec!["command"],
        ),
        (
            "[[worker]]\nname = \"w\"\ncommand = \"cat\"".to_owned(),
            3,
            vec!["command"],
        ),
        (
            "[[worker]]\nname = \"w\"\ncommand = [\"\"]".to_owned(),
            3,
            vec!["command"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"https://a\"".to_owned(),
            3,
            vec!["https"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"a:9000\"".to_owned(),
            3,
            vec!["a:9000", "http://"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"http://\"".to_owned(),
            3,
            vec!["endpoint"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"http://u:p@a\"".to_owned(),
            3,
            vec!["endpoint"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"http://a?x\"".to_owned(),
            3,
            vec!["endpoint"],
        ),
        (
            "[[worker]]\nname = \"w\"\nendpoint = \"http://a:0x1\"".to_owned(),
            3,
            vec!["endpoint"],
        ),
        (format!("{WORKER}concurrency = 0"), 4, vec!["concurrency"]),
        (
            format!("{WORKER}concurrency = \"1\""),
            4,
            vec!["concurrency"],
        ),
        (format!("{WORKER}max_attempts = 0"), 4, vec!["max_attempts"]),
        (format!("{WORKER}timeout = \"0s\""), 4, vec!["timeout"]),
        (
            format!("{WORKER}timeout = \"10\""),
            4,
            vec!["timeout", "10"],
        ),
        (format!("{WORKER}backoff = \"x\""), 4, vec!["backoff"]),
        (format!("{WORKER}rate = \"0/s\""), 4, vec!["rate"]),
        (format!("{WORKER}rate = \"2\""), 4, vec!["rate", "2/s"]),
        (format!("{WORKER}rate = \"2/y\""), 4, vec!["rate"]),
        (format!("{WORKER}token = 1"), 4, vec!["token"]),
        (
            format!("{WORKER}token = \"env:NOT_SET_ANYWHERE\""),
            4,
            vec!["NOT_SET_ANYWHERE"],
        ),
        (format!("{WORKER}env = {{ A = \"b\" }}"), 4, vec!["env"]),
        (format!("{WORKER}cwd = \"/\""), 4, vec!["cwd"]),
        (
            "[[worker]]\nname = \"w\"\ncommand = [\"cat\"]\nenv = { \"A=B\" = \"x\" }".to_owned(),
            4,
            vec!["env"],
        ),
        ("source = 1".to_owned(), 1, vec!["source"]),
        (
            "[[source]]\nkind = \"github\"\nsecret = \"s\"".to_owned(),
            1,
            vec!["name"],
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"github\"".to_owned(),
            1,
            vec!["secret"],
        ),
        (
            "[[source]]\nname = \"a\"\nsecret = \"s\"".to_owned(),
            1,
            vec!["kind"],
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"git\"\nsecret = \"s\"".to_owned(),
            3,
            vec!["git", "github", "hmac"],
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"hmac\"\nsecret = \"s\"".to_owned(),
            1,
            vec!["header"],
        ),
        (
            "[[source]]\nname = \"a\"\nkind = \"standard\"\nsecret = \"s\"".to_owned(),
            4,
            vec!["whsec_"],
        ),
        (format!("{SOURCE}colour = 1"), 5, vec!["colour"]),
        (format!("{SOURCE}header = \"x\""), 5, vec!["header", "hmac"]),
        (
            format!("{SOURCE}ignore_actors = 1"),
            5,
            vec!["ignore_actors"],
        ),
        (format!("{SOURCE}{SOURCE}"), 6, vec!["s"]),
        ("a = \n".to_owned(), 1, vec![]),
        ("a = \"open".to_owned(), 1, vec![]),
        ("\n\n[[worker\n".to_owned(), 3, vec![]),
        ("drain = \"1s\"\ndrain = \"2s\"".to_owned(), 2, vec![]),
    ] {
        let outcome = check(&text);
        assert_eq!(outcome.code, Some(2), "{text}\n{outcome:#?}");
        assert!(
            tells(&outcome, line),
            "line {line} of\n{text}\n{outcome:#?}"
        );
        for word in words {
            assert!(
                outcome.printed().contains(word),
                "{word} of\n{text}\n{outcome:#?}"
            );
        }
        assert!(!outcome.printed().contains("panicked"), "{outcome:#?}");
    }
}

#[test]
fn several_mistakes_are_all_told() {
    let text = "colour = 1\ndrain = \"soon\"\n[limits]\nqueue = \"x\"\nmemory = \"y\"\n\
                [[worker]]\nname = \"a b\"\nendpoint = \"https://a\"\nconcurrency = 0\n\
                [[worker]]\nname = \"w\"\ntimeout = \"x\"\nshade = 2\n";
    let outcome = check(text);
    assert_eq!(outcome.code, Some(2));
    for line in [1, 2, 4, 5, 7, 8, 9, 10, 12, 13] {
        assert!(tells(&outcome, line), "line {line}: {outcome:#?}");
    }
}

#[test]
fn good_values_are_accepted() {
    for text in [
        "",
        "# nothing\n",
        "addr = \"[::1]:0\"",
        "addr = \"127.0.0.1:21212\"",
        "drain = \"200ms\"",
        "drain = \"0s\"",
        "drain = \"1h\"",
        "api_key = \"literal\"",
        "api_key = \"env:SET_VARIABLE\"",
        "api_key = [\"a\", \"env:SET_VARIABLE\"]",
        "[limits]\ntask_body = \"512B\"\nwebhook_body = \"25MiB\"\nmemory = \"2GiB\"\nconnections = 1\nqueue = 1\nretention = \"6h\"\ndisk_reserve = \"64KiB\"",
        "[[worker]]\nname = \"0a_.-\"\nendpoint = \"http://agents.local\"",
        "[[worker]]\nname = \"w\"\nendpoint = \"http://[::1]:9000/a/b\"\nrate = \"30/m\"\ntimeout = \"10m\"",
        "[[worker]]\nname = \"w\"\ncommand = [\"claude\", \"--print\"]\nenv = { KEY = \"env:SET_VARIABLE\" }\ncwd = \"/\"",
        "[[source]]\nname = \"0a_.-\"\nkind = \"github\"\nsecret = [\"a\", \"env:SET_VARIABLE\"]\nignore_actors = [\"*[bot]\"]",
        "[[source]]\nname = \"a\"\nkind = \"standard\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
        "[[source]]\nname = \"a\"\nkind = \"hmac\"\nsecret = \"a\"\nheader = \"X-Signature\"\nencoding = \"base64\"\nalgorithm = \"sha1\"\ntype_field = \"a.b\"",
    ] {
        let outcome = check(text);
        assert_eq!(outcome.code, Some(0), "{text}\n{outcome:#?}");
    }
}

#[test]
fn serve_refuses_what_check_refuses() {
    let outcome = server().config("colour = 1").refused().expect(2);
    assert!(outcome.stderr.contains("colour"), "{outcome:#?}");
    assert!(tells(&outcome, 1), "{outcome:#?}");
    let launch = server().config("[[worker]]\nname = \"w\"");
    launch.refused().expect(2);
    assert!(
        !launch.data().exists(),
        "nothing is created for a bad configuration"
    );
}

#[test]
fn secrets_are_not_repeated_in_complaints() {
    for text in [
        "api_key = [\"hunter2\", \"\"]",
        "api_key = \"hunter2\"\ncolour = 1",
        "[[worker]]\nname = \"w\"\nendpoint = \"http://a\"\ntoken = \"hunter2\"\nshade = 1",
        "[[worker]]\nname = \"w\"\nendpoint = \"http://u:hunter2@a\"",
        "[[worker]]\nname = \"w\"\ncommand = [\"cat\"]\nenv = { KEY = \"hunter2\" }\nshade = 1",
        "[[worker]]\nname = \"w\"\nendpoint = \"http://a\"\ntoken = \"hunter2\\n\"",
        "api_key = \"hunter2",
        "[[source]]\nname = \"a\"\nkind = \"standard\"\nsecret = \"hunter2\"",
        "[[source]]\nname = \"a\"\nkind = \"github\"\nsecret = [\"hunter2\", 1]\nshade = 1",
    ] {
        let outcome = check(text);
        assert_eq!(outcome.code, Some(2), "{text}\n{outcome:#?}");
        assert!(
            !outcome.printed().contains("hunter2"),
            "{text}\n{outcome:#?}"
        );
    }
}

#[test]
fn odd_files_are_told_and_not_believed() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("binary.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let deep = format!("a = {}", "[".repeat(20_000));
    fs::write(home.path().join("deep.toml"), deep).unwrap();
    for name in ["binary.toml", "deep.toml", "."] {
        let outcome = Program::run(home.path(), &["check", "--config", name]);
        assert_eq!(outcome.code, Some(2), "{name}: {outcome:#?}");
        assert!(!outcome.printed().contains("panicked"), "{outcome:#?}");
    }
}

#[test]
fn a_valid_file_is_shown_without_its_secrets() {
    let text = "api_key = [\"hunter2\", \"env:SET_VARIABLE\"]\n\
                [[worker]]\nname = \"a\"\nendpoint = \"http://a\"\ntoken = \"hunter2\"\n\
                [[worker]]\nname = \"b\"\ncommand = [\"cat\"]\nenv = { KEY = \"hunter2\" }\n\
                [[source]]\nname = \"c\"\nkind = \"github\"\nsecret = \"hunter2\"\n";
    let outcome = check(text).expect(0);
    assert!(!outcome.printed().contains("hunter2"), "{outcome:#?}");
}
