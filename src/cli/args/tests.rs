//! Command lines, right and wrong.

use std::os::unix::ffi::OsStringExt;

use super::*;

fn parse_line(line: &str) -> Result<Command, String> {
    parse(line.split_whitespace().map(OsString::from).collect())
}

#[test]
fn command_lines_are_read() {
    let serve = config::Args {
        addr: Some("[::1]:0".to_owned()),
        api_key: Some(Secret::new("-key")),
        config: Some(PathBuf::from("a.toml")),
        data: Some(PathBuf::from("d")),
        log: Some("json".to_owned()),
        allow_anonymous: true,
    };
    let demo = |addr: &str, exit| Command::Demo {
        addr: addr.parse().unwrap(),
        exit,
    };
    for (line, command) in [
        ("--help", Command::Help(None)),
        ("-h", Command::Help(None)),
        ("--version", Command::Version),
        ("-V", Command::Version),
        ("serve", Command::Serve(config::Args::default())),
        (
            "serve --addr [::1]:0 --api-key -key --config=a.toml --data d --log=json --allow-anonymous",
            Command::Serve(serve.clone()),
        ),
        (
            "check --allow-anonymous --log json --data=d --config a.toml --api-key=-key --addr=[::1]:0",
            Command::Check(serve),
        ),
        ("serve --addr x --help", Command::Help(Some(Topic::Serve))),
        ("demo", demo("127.0.0.1:0", false)),
        ("demo --exit --addr localhost:5", demo("127.0.0.1:5", true)),
        ("init -h", Command::Help(Some(Topic::Init))),
        (
            "init",
            Command::Init {
                file: "mecha.toml".into(),
            },
        ),
        (
            "init a.toml",
            Command::Init {
                file: "a.toml".into(),
            },
        ),
        ("health", Command::Health { addr: None }),
        (
            "health --addr a:1",
            Command::Health {
                addr: Some("a:1".to_owned()),
            },
        ),
    ] {
        assert_eq!(parse_line(line), Ok(command), "{line}");
    }
}

#[test]
fn wrong_command_lines_are_refused_with_what_would_be_right() {
    for (line, part) in [
        ("", "no command; start with 'mecha demo'"),
        ("--addr a:1 serve", "the command comes first: 'mecha serve'"),
        ("--foo", "unknown option --foo without a command"),
        (
            "srve",
            "unknown command \"srve\"; did you mean 'mecha serve'?",
        ),
        (
            "fly hello",
            "unknown command \"fly\"; 'mecha --help' lists the commands",
        ),
        ("backup", "no directory: name the one that is to be made"),
        ("backup a b", "unexpected argument \"b\" for 'mecha backup'"),
        ("backup --dir a", "unknown option --dir for 'mecha backup'"),
        ("torture", "--data is missing: a directory that is empty"),
        (
            "torture --data d --seconds 0",
            "--seconds wants a number from 1 to 86400",
        ),
        ("torture --data d --seed x", "--seed wants a number"),
        (
            "serve --foo",
            "unknown option --foo for 'mecha serve'; see 'mecha serve --help'",
        ),
        (
            "serve --adr a:1",
            "unknown option --adr for 'mecha serve'; did you mean --addr?",
        ),
        (
            "serve --api-kye s3cr3t",
            "unknown option --api-kye for 'mecha serve'; did you mean --api-key?",
        ),
        ("serve --api-kye=s3cr3t", "unknown option --api-kye for"),
        ("serve -x", "unknown option -x for"),
        ("serve --", "unknown option -- for"),
        ("serve now", "unexpected argument \"now\" for 'mecha serve'"),
        ("serve --addr", "--addr wants a value"),
        ("serve --addr=", "--addr wants a value"),
        (
            "serve --addr --data d",
            "--addr wants a value in front of --data",
        ),
        (
            "serve --addr --data=d",
            "--addr wants a value in front of --data",
        ),
        ("serve --addr a:1 --addr b:2", "--addr is given twice"),
        (
            "serve --api-key s3cr3t --api-key=s3cr3t",
            "--api-key is given twice",
        ),
        (
            "serve --allow-anonymous=1",
            "--allow-anonymous takes no value",
        ),
        ("demo --exit --exit", "--exit is given twice"),
        (
            "demo --addr 0.0.0.0:1",
            "the demo stays on this machine; write 127.0.0.1:1",
        ),
        ("demo --addr x", "--addr \"x\": not an address"),
        ("init a b", "unexpected argument \"b\" for 'mecha init'"),
        ("init --force", "unknown option --force for 'mecha init'"),
        ("init a --force", "unknown option --force for 'mecha init'"),
        (
            "check mecha.toml",
            "unexpected argument \"mecha.toml\" for 'mecha check'",
        ),
        (
            "health --port 1",
            "unknown option --port for 'mecha health'",
        ),
    ] {
        assert_refused(line, part);
    }
}

/// That `line` is refused, in one line without secrets that has `part`.
fn assert_refused(line: &str, part: &str) {
    let error = parse_line(line).unwrap_err();
    assert!(error.contains(part), "{line}: {error}");
    assert!(
        !error.contains("s3cr3t") && !error.contains('\n'),
        "{error}"
    );
}

#[test]
fn wrong_client_commands_are_refused_with_what_would_be_right() {
    for (line, part) in [
        (
            "worker list",
            "unknown command \"worker list\"; 'mecha --help'",
        ),
        (
            "worker",
            "half a command; write 'mecha worker add' or 'mecha worker remove'",
        ),
        (
            "worker add w",
            "--endpoint is missing: where the worker listens",
        ),
        ("task", "no prompt: say what is to be done"),
        (
            "task Say hello",
            "\"hello\" for 'mecha task'; put the prompt in quotation marks",
        ),
        (
            "task --wait -- -a -b",
            "unexpected argument \"-b\" for 'mecha task'",
        ),
        ("task --wait=1 p", "--wait takes no value"),
        ("task --context 1 p", "--context wants a JSON object"),
        (
            "tasks --limit 100001",
            "--limit wants a number from 1 to 100000",
        ),
        ("cancel", "no task: write its id"),
        ("why a b", "unexpected argument \"b\" for 'mecha why'"),
        (
            "completions tcsh",
            "no completions for \"tcsh\"; write bash, zsh or fish",
        ),
        ("webhook", "--source is missing"),
        ("webhook --source github", "--event is missing"),
        ("webhook --source s --event e", "no file: name the one"),
        (
            "webhook --source s --event e a b",
            "unexpected argument \"b\" for 'mecha webhook'",
        ),
        ("events --state", "--state wants a value"),
        (
            "events push",
            "unexpected argument \"push\" for 'mecha events'",
        ),
    ] {
        assert_refused(line, part);
    }
}

#[test]
fn arguments_of_any_bytes_are_refused_on_one_line() {
    for bytes in [&b"\xff"[..], b"a\nb", b"\x1b[2J", b"--\xff", &[b'x'; 5_000]] {
        for before in [&[][..], &["serve"], &["serve", "--addr"], &["init", "a"]] {
            let mut arguments: Vec<OsString> = before.iter().map(OsString::from).collect();
            arguments.push(OsString::from_vec(bytes.to_vec()));
            if let Err(error) = parse(arguments) {
                assert!(!error.chars().any(char::is_control), "{error:?}");
                assert!(error.len() < 300, "{error}");
            }
        }
    }
}

#[test]
fn client_commands_are_read() {
    let access = Access {
        addr: Some("a:1".to_owned()),
        api_key: Some(Secret::new("k")),
    };
    let task = TaskArgs {
        access: access.clone(),
        prompt: "-p".to_owned(),
        worker: Some("w".to_owned()),
        context: Some("{}".to_owned()),
        idempotency_key: Some("i".to_owned()),
        wait: true,
        json: false,
    };
    let one = OneArgs {
        access: access.clone(),
        id: "x".to_owned(),
        json: true,
    };
    for (line, command) in [
        (
            "task --addr a:1 --api-key k --worker w --context {} --idempotency-key=i --wait -- -p",
            Command::Task(task),
        ),
        (
            "tasks --worker w --limit 7 --addr a:1 --api-key=k",
            Command::Tasks(ListArgs {
                access: access.clone(),
                filters: vec![("worker", "w".to_owned())],
                limit: 7,
                json: false,
            }),
        ),
        (
            "retry x --json --addr a:1 --api-key=k",
            Command::Change(Change::Retry, one.clone()),
        ),
        ("why --json --addr a:1 --api-key=k x", Command::Why(one)),
        (
            "worker remove w --addr a:1 --api-key=k",
            Command::WorkerRemove {
                access,
                name: "w".to_owned(),
            },
        ),
        ("completions zsh", Command::Completions(Shell::Zsh)),
        ("man", Command::Man),
        (
            "worker --help",
            Command::HelpBelow(vec![Topic::WorkerAdd, Topic::WorkerRemove]),
        ),
        ("help worker add", Command::Help(Some(Topic::WorkerAdd))),
        ("worker add --help", Command::Help(Some(Topic::WorkerAdd))),
    ] {
        assert_eq!(parse_line(line), Ok(command), "{line}");
    }
}

#[test]
fn help_is_a_command_too() {
    for (arguments, topic) in [
        (&["help"][..], None),
        (&["help", "serve"], Some(Topic::Serve)),
        (&["serve", "--help"], Some(Topic::Serve)),
        (&["--help"], None),
    ] {
        let arguments = arguments.iter().map(OsString::from).collect();
        match parse(arguments) {
            Ok(Command::Help(found)) => assert_eq!(found, topic),
            other => panic!("{other:?}"),
        }
    }
}
