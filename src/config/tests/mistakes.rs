//! Every mistake is reported, with its line and what would be right.

use super::*;

/// `MISTAKE => PART`: a line alone at the top of a file, and a part of the problem it makes.
const TOP_MISTAKES: &str = r#"
adr = "a" => adr: unknown key; did you mean addr?
colour = "a" => colour: unknown key; the top of the file has addr,
log = "json" => log: unknown key; it is set by --log
queue = 5 => queue: unknown key; queue belongs to [limits]
endpoint = "x" => endpoint belongs to [[worker]]
"a b" = 1 => "a b": unknown key
addr = 21212 => addr = 21212: a number; a text in quotation marks is wanted
addr = "21212" => addr = "21212": not an address; write HOST:PORT
addr = "127.0.0.1:99999" => 0 to 65535
api_key = "" => api_key = ***: an empty secret
api_key = [] => api_key: a list of 0; write 1 to 100 keys
api_key = 5 => api_key = ***: a number;
api_key = ["a", 5] => api_key = ***: a number;
api_key = "env:NO" => api_key = ***: the variable NO is not set
api_key = "file:/no/such" => /no/such cannot be read: No such file
api_key = "a b" => cannot be sent in a header
data = "" => an empty path
data = "~bob" => write the whole path
drain = 30 => drain = 30: not a duration; write
drain = "30" => drain = "30": not a duration; write
drain = "2h" => drain = "2h": out of range; allowed is 0s to 1h
drain = true => drain = true: not a duration
drain = 2026-01-01 => drain = 2026-01-01: not a duration
limits = 5 => limits: a table is wanted; write [limits]
limits.memory = 64 => limits.memory = 64: not a size; write
limits.memory = "64MB" => limits.memory = "64MB": not a size
limits.memory = "1KiB" => out of range; allowed is 64KiB to 1024GiB
limits.task_body = "2GiB" => out of range; allowed is 64B to 1GiB
limits.connections = 0 => limits.connections = 0: out of range; allowed is 1 to 65536
limits.connections = -1 => limits.connections = -1: out of range
limits.connections = 1.5 => 1.5: a number with a fraction; a whole number from 1 to 65536
limits.connections = "9" => without quotation marks
limits.queue = 99999999999999999999 => out of range; allowed is 1 to 1000000000
limits.retention = "0s" => out of range; allowed is 1s to 36500d
limits.disk_reserve = 5 => limits.disk_reserve = 5: not a size
limits.addr = "x" => limits.addr: unknown key; addr belongs to the top of the file
worker = 5 => worker: a list of tables is wanted; write [[worker]]
worker.name = "x" => worker: a list of tables is wanted; write [[worker]]
worker = [5] => worker: a list of tables is wanted; write [[worker]]
source = 5 => source: a list of tables is wanted; write [[source]]
kind = "github" => kind belongs to [[source]]
addr = "127.0.0.1:1 => not TOML: a quotation mark is missing
drain = 30s => not TOML: a text stands in quotation marks
addr = 127.0.0.1:1 => not TOML: a text stands in quotation marks
drain = => not TOML: 
"#;

fn cases(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table
        .trim()
        .lines()
        .map(|case| case.split_once(" => ").unwrap())
}

#[test]
fn every_mistake_at_the_top_is_reported_with_its_line() {
    for (line, part) in cases(TOP_MISTAKES) {
        let problems = Place::with(format!("# one\n\n{line}\n")).problems(&[]);
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        let (number, text) = &problems[0];
        assert_eq!(*number, 3, "{line}: {text}");
        assert!(text.contains(part), "{line}: {text}");
    }
}

/// The same for a line in the table of a worker that is otherwise right.
const WORKER_MISTAKES: &str = r#"
tiemout = "5m" => worker.tiemout: unknown key; did you mean timeout?
url = "x" => worker.url: unknown key; [[worker]] has name, endpoint,
addr = "x" => worker.addr: unknown key; addr belongs to the top of the file
memory = "x" => memory belongs to [limits]
name = "a b" => worker.name = "a b": not a worker's name; a worker's name is
name = "" => not a worker's name
name = 5 => worker.name = 5: a number;
endpoint = "https://a" => worker.endpoint = "https://a": https:// is not spoken
endpoint = "a:9000" => write http://HOST:PORT
endpoint = "http://u:s3cr3t@a" => worker.endpoint = ***: a user name or password
endpoint = ["http://a"] => worker.endpoint = [...]: a list;
token = "" => worker.token = ***: an empty secret
token = ["a", "b"] => a token is sent, so it is one secret
token = "s3cr3t\r\nx: y" => worker.token = ***: the secret cannot be sent in a header
token = "env:s3cr3t-x" => behind env: stands the name
timeout = "1ms" => worker.timeout = "1ms": out of range; allowed is 10ms to 7d
timeout = "8d" => out of range; allowed is 10ms to 7d
concurrency = 0 => worker.concurrency = 0: out of range; allowed is 1 to 1000
concurrency = 1001 => out of range; allowed is 1 to 1000
concurrency = true => true or false; a whole number from 1 to 1000 is wanted
rate = "0/s" => worker.rate = "0/s": not a rate; write
rate = 2 => worker.rate = 2: not a rate; write
max_attempts = 0 => worker.max_attempts = 0: out of range; allowed is 1 to 1000
backoff = "0s" => out of range; allowed is 1ms to 1d
command = ["x"] => worker.command: endpoint is given, too; keep one of the two
env = { A = "b" } => worker.env: belongs to a worker with a command
cwd = "/" => worker.cwd: belongs to a worker with a command
events = "x" => worker.events: a list of tables is wanted; write [[worker.events]]
events = [1] => worker.events: a list of tables is wanted
command = "claude s3cr3t" => worker.command = ***: a text; a list of texts is wanted
command = [] => an empty list; a list of texts is wanted
command = [""] => an empty program;
command = ["a", 1] => a number in the list;
command = ["a\u0000"] => no NUL
env = "A=s3cr3t" => worker.env = ***: a text; a table is wanted
env = { A = 1 } => worker.env.A = ***: a number;
env = { "A=B" = "1" } => worker.env.A=B = ***: not a variable's name
env = { MECHA_ATTEMPT = "1" } => mecha sets this variable
"#;

#[test]
fn every_mistake_in_a_worker_is_reported_with_its_line() {
    for (line, part) in cases(WORKER_MISTAKES) {
        let is_command = line.starts_with("command =") && !line.contains("[\"x\"]")
            || line.starts_with("env =") && !line.contains("= \"b\"");
        let mut lines = vec!["[[worker]]"];
        if !line.starts_with("name") {
            lines.push("name = \"a\"");
        }
        if is_command && !line.starts_with("command") {
            lines.push("command = [\"true\"]");
        } else if !is_command && !line.starts_with("endpoint") {
            lines.push("endpoint = \"http://127.0.0.1:1\"");
        }
        lines.push(line);
        let problems = Place::with(lines.join("\n")).problems(&[]);
        let (number, text) = &problems[0];
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        assert_eq!(*number, lines.len(), "{line}: {text}");
        assert!(text.contains(part), "{line}: {text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

/// The same for a line in the table of a source that is otherwise right.
const SOURCE_MISTAKES: &str = r#"
knid = "github" => source.knid: unknown key; did you mean kind?
url = "x" => source.url: unknown key; [[source]] has name, kind, secret,
endpoint = "x" => source.endpoint: unknown key; endpoint belongs to [[worker]]
name = "a b" => source.name = "a b": not a source's name; it is 1 to 64 characters
name = 5 => source.name = 5: a number;
kind = "svix" => source.kind = "svix": not a kind; write one of github, gitlab,
kind = "gihtub" => not a kind; did you mean github? write one of
kind = 5 => source.kind = 5: a number;
kind = "hmac" => source.header: missing; name the header of the signature
kind = "standard" => source.secret = ***: not a secret of Standard Webhooks
kind = "telegram" => source.secret = ***: a secret token of Telegram is
secret = "" => source.secret = ***: an empty secret
secret = [] => source.secret: a list of 0; write 1 to 16 secrets
secret = ["s3cr3t", 5] => source.secret = ***: a number;
secret = ["s3cr3t", ""] => source.secret = ***: an empty secret
secret = "env:ABSENT" => source.secret = ***: the variable ABSENT is not set
secret = { a = "s3cr3t" } => source.secret = ***: a table;
ignore_actors = 5 => source.ignore_actors = 5: a number; a text or a list of texts
ignore_actors = [""] => a glob of 0 bytes; it has 1 to 255
ignore_actors = ["a", 5] => a number; a text or a list of texts is wanted
header = "X-Signature" => source.header: belongs to kind hmac; the scheme of kind github is fixed
prefix = "" => source.prefix: belongs to kind hmac
id_field = "id" => source.id_field: belongs to kind hmac
"#;

/// The same for kind `hmac`.
const HMAC_MISTAKES: &str = r#"
header = "X Signature" => source.header = "X Signature": not the name of a header
header = "" => not the name of a header
type_header = "a:b" => source.type_header = "a:b": not the name of a header
id_header = 5 => source.id_header = 5: a number;
prefix = "a\n" => source.prefix = "a\n": not a prefix; it is at most 255
encoding = "base32" => source.encoding = "base32": not an encoding; write hex or base64
algorithm = "md5" => source.algorithm = "md5": not an algorithm; write sha256, sha512 or sha1
type_field = "" => source.type_field = "": not a field; write its key
id_field = "a..b" => not a field; write its key
id_field = "a[].b" => not a field; write its key
"#;

#[test]
fn every_mistake_in_a_source_is_reported_with_its_line() {
    let of_github = cases(SOURCE_MISTAKES).map(|case| ("github", case));
    let of_hmac = cases(HMAC_MISTAKES).map(|case| ("hmac", case));
    for (kind, (line, part)) in of_github.chain(of_hmac) {
        let mut lines = vec!["[[source]]".to_owned()];
        for (key, value) in [
            ("name", "a"),
            ("kind", kind),
            ("secret", "s3cr3t!"),
            ("header", "X-Signature"),
        ] {
            let is_given = line.starts_with(&format!("{key} ="));
            if !is_given && (key != "header" || kind == "hmac") {
                lines.push(format!("{key} = \"{value}\""));
            }
        }
        lines.push(line.to_owned());
        let problems = Place::with(lines.join("\n")).problems(&[]);
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        let (number, text) = &problems[0];
        let wanted = match line {
            "kind = \"hmac\"" => 1,
            "kind = \"standard\"" | "kind = \"telegram\"" => 3,
            _ => lines.len(),
        };
        assert_eq!(*number, wanted, "{line}: {text}");
        assert!(text.contains(part), "{line}: {text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[test]
fn sources_are_bounded_named_once_and_complete() {
    let source =
        |name: &str| format!("[[source]]\nname = \"{name}\"\nkind = \"jira\"\nsecret = \"s\"\n");
    let problems = Place::with(source("a") + &source("b") + &source("a")).problems(&[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, 10);
    assert!(
        problems[0]
            .1
            .contains("the source of line 2 has this name, too"),
        "{problems:?}"
    );

    let many = |count: usize| {
        (0..count)
            .map(|n| source(&format!("s{n}")))
            .collect::<Vec<_>>()
            .concat()
    };
    assert_eq!(Place::with(many(100)).load(&[]).unwrap().sources.len(), 100);
    let problems = Place::with(many(101)).problems(&[]);
    assert!(
        problems[0].1.contains("101 sources; at most 100"),
        "{problems:?}"
    );

    let problems = Place::with("[[source]]\n").problems(&[]);
    let missing: Vec<_> = problems
        .iter()
        .map(|(_, text)| text.split(';').next().unwrap())
        .collect();
    assert_eq!(
        missing,
        [
            "source.name: missing",
            "source.kind: missing",
            "source.secret: missing"
        ]
    );
}

#[test]
fn what_a_worker_lacks_is_reported_at_its_header() {
    let problems = Place::with("\n[[worker]]\n\n[[worker]]\nname = \"b\"\n").problems(&[]);
    let found: Vec<_> = problems
        .iter()
        .map(|(line, text)| (*line, text.split(';').next().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (2, "worker.name: missing"),
            (2, "worker.endpoint: missing"),
            (4, "worker.endpoint: missing"),
        ]
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let place = Place::with(
        r#"addr = "nowhere"
api_key = "s3cr3t key"
colour = "s3cr3t"
drain = "9h"

[limits]
memory = "lots"
queue = 0

[[worker]]
name = "a"
endpoint = "https://a"
token = "env:ABSENT"

[[worker]]
name = "a"
timeout = "soon"

[[worker.events]]
source = "github"
auto = "yes"
"#,
    );
    let problems = place.problems(&[("MECHA_LOG", "xml"), ("MECHA_ALLOW_ANONYMOUS", "yes")]);
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(
        lines,
        [0, 0, 1, 2, 3, 4, 7, 8, 12, 13, 15, 16, 17, 19, 19, 20, 21]
    );
    assert!(!format!("{problems:?}").contains("s3cr3t"));
}

#[test]
fn a_syntax_error_hides_no_other_mistake_and_invents_none() {
    for (content, wanted) in [
        ("addr = \ndrain = 5\n", vec![1, 2]),
        (
            "drain = 5\naddr = \"127.0.0.1:1\n[limits]\nqueue = 0\n",
            vec![1, 2, 4],
        ),
        (
            "[[worker]]\nname = \"a\"\nendpoint = http://a\ntimeout = 5\n",
            vec![3, 4],
        ),
        ("[[worker]\nname = \"a\"\n", vec![1]),
        ("drain = \"1s\"\ndrain = \"2s\"\nqueue = 5\n", vec![2, 3]),
        ("[limits]\nqueue = 0\n[limits]\nmemory = 5\n", vec![2, 3]),
        ("command = [\"a\",\n", vec![1]),
    ] {
        let problems = Place::with(content).problems(&[]);
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, wanted, "{content}: {problems:?}");
    }
}

#[test]
fn any_bytes_end_in_a_configuration_or_in_problems() {
    let parts: [&[u8]; 22] = [
        b"[", b"]", b"[[", b"]]", b"=", b"\"", b"'''", b"\"\"\"", b"\n", b"worker", b"limits",
        b".", b"{", b"}", b",", b"\xff", b"#", b"1", b"\\u00", b" ", b"queue", b"\0",
    ];
    fastrand::seed(7);
    for _ in 0..3_000 {
        let length = fastrand::usize(0..24);
        let content: Vec<u8> = (0..length)
            .flat_map(|_| parts[fastrand::usize(0..parts.len())].to_vec())
            .collect();
        if let Err(error) = Place::with(&content).load(&[]) {
            assert!(!error.problems().is_empty());
            assert_eq!(error.to_string().lines().count(), error.problems().len());
        }
    }
    let nested = format!("a = {}", "[".repeat(100_000));
    assert_eq!(Place::with(nested).problems(&[])[0].0, 1);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let directory = tempfile::tempdir().unwrap();
    for (path, part) in [
        (
            directory.path().join("absent"),
            "cannot be read: No such file",
        ),
        (
            directory.path().to_owned(),
            "cannot be read: not a regular file",
        ),
        (
            PathBuf::from("/dev/zero"),
            "cannot be read: not a regular file",
        ),
        (PathBuf::from(""), "--config: an empty path"),
    ] {
        let args = Args {
            config: Some(path),
            ..Args::default()
        };
        let error = load_with(&args, &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let latin = Place::with(b"# one\n# \xe4\n").problems(&[]);
    assert_eq!(
        latin,
        [(2, "not UTF-8; save the file in this encoding".to_owned())]
    );
    let large = Place::with(vec![b'\n'; (1 << 20) + 1]).problems(&[]);
    assert!(
        large[0].1.contains("larger than 1048576 bytes"),
        "{large:?}"
    );
}

#[test]
fn of_very_many_mistakes_the_rest_is_counted() {
    let place = Place::with("x = \n".repeat(5_000));
    let error = place.load(&[]).unwrap_err();
    assert_eq!(error.problems().len(), 1_001);
    assert!(error.to_string().ends_with("and 4000 more problems"));
}
