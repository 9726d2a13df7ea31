//! Workers registered over the API.

use super::*;

#[test]
fn a_worker_is_read_from_json() {
    let name: WorkerName = "a".parse().unwrap();
    let json = br#"{"name": "a", "endpoint": "http://[::1]:9000/x/", "token": "t", "timeout": "5s",
        "concurrency": 2, "rate": "3/m", "max_attempts": 1, "backoff": "1s", "cwd": null}"#;
    let worker = worker_from_json(&name, json).unwrap();
    assert_eq!(
        worker,
        Worker {
            name: name.clone(),
            target: Target::Endpoint {
                endpoint: Endpoint {
                    host: "::1".to_owned(),
                    port: 9_000,
                    path: "/x".to_owned(),
                },
                token: Some(Secret::new("t")),
            },
            timeout: Duration::from_secs(5),
            concurrency: 2,
            rate: Some(Rate {
                count: 3,
                per: Duration::from_secs(60),
            }),
            max_attempts: 1,
            backoff: Duration::from_secs(1),
        }
    );
    let whole = br#"{"endpoint": "http://a", "concurrency": 2.0, "max_attempts": 1e2}"#;
    let worker = worker_from_json(&name, whole).unwrap();
    assert_eq!((worker.concurrency, worker.max_attempts), (2, 100));
    let least = worker_from_json(&name, br#"{"endpoint": "http://a", "rate": null}"#).unwrap();
    assert_eq!((least.concurrency, least.max_attempts), (1, 4));
    assert_eq!(
        (least.timeout.as_secs(), least.backoff.as_secs()),
        (600, 30)
    );
}

/// `JSON => PART`: what is sent, and a part of the answer.
const MISTAKES: &str = r#"
{ => not valid JSON (line 1, column 1)
[] => a list; send an object
null => null; send an object
"x" => a text; send an object
{} => endpoint: missing; write a URL
{"endpoint": null} => endpoint: missing
{"endpoint": 5} => endpoint = 5: a number;
{"endpoint": "https://a"} => TLS proxy
{"endpoint": "http://u:s3cr3t@a"} => endpoint = ***: a user name
{"endpoint": "http://a", "endpoint": "http://b"} => endpoint: stands twice
{"endpoint": "http://a", "name": "b"} => not the name in the path
{"endpoint": "http://a", "token": "env:HOME"} => env: and file: are for the configuration file
{"endpoint": "http://a", "token": "env:"} => env: and file: are for the configuration file
{"endpoint": "http://a", "token": "file:/etc/passwd"} => env: and file: are for
{"endpoint": "http://a", "token": "file:x"} => env: and file: are for
{"endpoint": "http://a", "token": ""} => an empty token
{"endpoint": "http://a", "token": "s3cr3t\r\nx"} => token = ***: the secret cannot be sent
{"endpoint": "http://a", "token": ["a"]} => token = ***: a list
{"endpoint": "http://a", "timeout": 30} => timeout = 30: not a duration
{"endpoint": "http://a", "concurrency": "2"} => concurrency = "2": a text;
{"endpoint": "http://a", "concurrency": 2.5} => concurrency = 2.5: a number with a fraction;
{"endpoint": "http://a", "concurrency": 0.0} => out of range
{"endpoint": "http://a", "max_attempts": -1} => out of range
{"endpoint": "http://a", "max_attempts": 1e30} => a number with a fraction
{"endpoint": "http://a", "colour": "s3cr3t"} => colour: unknown key; the fields are name
{"endpoint": "http://a", "addr": 1} => addr: unknown key; the fields are name
{"endpoint": "http://a", "Timeout": 1} => did you mean timeout?
{"command": ["rm"]} => a command worker is declared in the configuration file alone
{"endpoint": "http://a", "env": {"A": "s3cr3t"}} => env: belongs to a command worker
{"endpoint": "http://a", "cwd": "/"} => cwd: belongs to a command worker
{"endpoint": "http://a", "events": []} => events: rules are declared in the configuration file
"#;

#[test]
fn json_that_is_no_worker_is_refused_with_the_reason() {
    let name: WorkerName = "a".parse().unwrap();
    let nested = "[".repeat(10_000);
    let long = " ".repeat(70_000);
    let made = [
        ("", "not valid JSON"),
        (&nested, "not valid JSON"),
        (&long, "at most 65536 bytes"),
    ];
    let listed = MISTAKES
        .trim()
        .lines()
        .map(|case| case.split_once(" => ").unwrap());
    for (json, part) in listed.chain(made) {
        let error = worker_from_json(&name, json.as_bytes()).unwrap_err();
        assert!(error.contains(part), "{json}: {error}");
        assert!(!error.contains("s3cr3t"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        assert!(error.len() < 2_000, "{error}");
    }
}

#[test]
fn all_mistakes_in_json_are_told_up_to_a_bound() {
    let name: WorkerName = "a".parse().unwrap();
    let all = worker_from_json(
        &name,
        br#"{"endpoint": "x", "rate": 1, "timeout": 2, "a b": 3}"#,
    );
    assert_eq!(all.unwrap_err().split(" | ").count(), 4);
    let many: Vec<String> = (0..100).map(|n| format!("\"key-{n}\": 1")).collect();
    let error = worker_from_json(&name, format!("{{{}}}", many.join(",")).as_bytes()).unwrap_err();
    assert!(error.ends_with("and 93 more"), "{error}");
    assert!(worker_from_json(&name, b"\xff").is_err());
}
