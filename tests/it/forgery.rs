//! Text of peers forges nothing: no log line, no order to a terminal, no header of an answer.

use serde_json::{Value, json};

use crate::harness::{
    Answer, EndpointWorker, Program, Request, Server, command_worker, delivery, github_source,
    pull_request, rule, server, wait_until,
};

/// A line of a log in the middle, and whatever a terminal obeys: C0, DEL, C1, marks of direction.
const EVIL: &str = "evil\r\n2026-03-30T12:00:00.000Z ERROR forged\n{\"level\":\"forged\"}\u{0}\u{7}\
                    \u{8}\u{1b}[2J\u{1b}]0;x\u{7}\u{7f}\u{85}\u{9b}31m\u{2028}\u{202e}\u{2066}\u{200f}";

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Evil bytes: the text, and what is no UTF-8.
fn evil_bytes() -> Vec<u8> {
    [EVIL.as_bytes(), b"\xff\xfe\xc3(\xed\xa0\x80"].concat()
}

fn percent_encoded(bytes: &[u8]) -> String {
    let encode = |encoded: String, byte: &u8| encoded + &format!("%{byte:02x}");
    bytes.iter().fold(String::new(), encode)
}

/// A server that everything is tried on, with the worker that answers evil.
fn target(format: &str) -> (Server, EndpointWorker) {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "head" => Answer::Raw([b"HTTP/1.1 200 OK\r\n", &evil_bytes()[..], b"\r\n\r\n"].concat()),
        "start" => Answer::Raw(evil_bytes()),
        "coding" => Answer::Raw(
            [
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: x\x1b[2J\xc2\x9b",
                &b"\r\n\r\n"[..],
            ]
            .concat(),
        ),
        status => Answer::Reply {
            status: status.parse().unwrap(),
            headers: vec![("retry-after".to_owned(), "\u{1b}[2J\u{9b}".to_owned())],
            body: evil_bytes(),
        },
    });
    // The shell writes the bytes that the test cannot put into a configuration.
    let octal = evil_bytes().iter().fold(String::new(), |octal, byte| {
        octal + &format!("\\{byte:03o}")
    });
    let script = format!("printf '{octal}' >&2; exit 1");
    let config = [
        worker.config("w", "max_attempts = 1\nconcurrency = 8"),
        command_worker("c", &["sh", "-c", &script], "max_attempts = 1"),
        // What it starts has a name that is told when it is not there.
        command_worker(
            "gone",
            &[&EVIL.replace(['\0', '\u{7f}'], "")],
            "max_attempts = 1",
        ),
        rule("pull_request.*", "{{ head_branch.x.y }} {{ absent }}", ""),
        github_source("ignore_actors = \"*[bot]*\""),
    ]
    .concat();
    let server = server().config(config).log(format).start();
    server.worker_in("w", "online");
    (server, worker)
}

/// Says everything that a peer can say.
fn say_everything(server: &Server) -> Vec<String> {
    for prompt in ["head", "start", "coding", "200", "400", "302", "599"] {
        let id = server.submit("w", prompt);
        server.task_in(&id, "failed");
    }
    let id = server.submit("c", EVIL);
    server.task_in(&id, "failed");
    let mut events = Vec::new();
    for (id, actor) in [("d-1", "mona"), ("d-2", "[bot]")] {
        let mut payload = pull_request(&format!("opened{EVIL}"), 1);
        payload["sender"]["login"] = json!(format!("{actor}{EVIL}"));
        payload["repository"]["full_name"] = json!(format!("octo/{EVIL}"));
        payload["pull_request"]["title"] = json!(EVIL);
        payload["pull_request"]["head"]["ref"] = json!(EVIL);
        let event = server.receive(id, &payload);
        wait_until("the event is decided", || {
            server.event(&event)["state"] != "received"
        });
        events.push(event);
    }
    let encoded = percent_encoded(&evil_bytes());
    for target in [
        format!("/task/{encoded}"),
        format!("/worker/{encoded}"),
        format!("/event/{encoded}/why"),
        format!("/webhook/{encoded}"),
        format!("/{encoded}"),
        format!("/tasks?state={encoded}&worker={encoded}"),
        "/tasks?state=%0aERROR%20forged%1b%c2%9b".to_owned(),
        "/events?before=%0aERROR%20forged%1b%c2%9b".to_owned(),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let request = Request::new(method, &target).body(EVIL);
            server.ask(request);
        }
    }
    server.post("/task", &json!({"prompt": EVIL, "worker": EVIL}));
    server.put(
        "/worker/a",
        &json!({"endpoint": EVIL, "token": EVIL, EVIL: EVIL}),
    );
    server.put(
        "/worker/a",
        &json!({"endpoint": "http://127.0.0.1:9", "rate": EVIL}),
    );
    // A refused signature, an id of another sender's form, headers of any bytes.
    let signed = delivery("push", "\u{9b}evil", &json!({}));
    server.raw(signed.bytes("mecha"));
    let unsigned = Request::post("/webhook/github").header("x-hub-signature-256", "\t'\"%1b\\n");
    server.ask(unsigned.body(evil_bytes()));
    for place in [
        "{} / HTTP/1.1\r\nhost: a",
        "GET {} HTTP/1.1\r\nhost: a",
        "GET / {}\r\nhost: a",
    ] {
        let place = format!("{place}\r\n\r\n");
        server.raw(place.replace("{}", EVIL));
        server.raw(place.replace("{}", "x\u{1b}[2J"));
        server.raw(place.replace("{}", "x\\\"\t'"));
    }
    for field in [
        "host: {}",
        "{}: x",
        "content-length: {}",
        "expect: {}",
        "origin: {}",
    ] {
        for text in [EVIL, "x\\n\t\"y", "\u{1b}[2J", "\u{9b}2J"] {
            let field = field.replace("{}", text);
            server.raw(format!("GET /tasks HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n"));
        }
    }
    server.get("/health").expect(200);
    events
}

#[test]
fn no_text_of_a_peer_forges_a_line_of_the_log() {
    for format in ["text", "json"] {
        let (server, _worker) = target(format);
        say_everything(&server);
        let log = server.stop().outcome.stderr;
        let mut evil_lines = 0;
        for line in log.split_terminator('\n') {
            assert!(!line.chars().any(is_obeyed), "{line:?}");
            evil_lines += usize::from(line.contains("evil"));
            if format == "json" {
                let value: Value = match serde_json::from_str(line) {
                    Ok(value) => value,
                    Err(error) => panic!("{error}: {line}"),
                };
                assert_ne!(value["level"], "forged");
                assert_eq!(value.as_object().unwrap().len(), 4, "{line}");
            } else {
                assert!(is_line_of_the_log(line), "{line:?}");
            }
        }
        // Or nothing of it had been logged.
        assert!(evil_lines >= 6, "{evil_lines}: {log}");
    }
}

/// `TIME LEVEL TARGET  MESSAGE`, its target one that there is.
fn is_line_of_the_log(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let time = words.next().unwrap_or_default();
    let level = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    time.len() == 24
        && time.ends_with('Z')
        && ["INFO", "WARN", "ERROR"].contains(&level)
        && target.starts_with("mecha")
}

#[test]
fn no_text_of_a_peer_gives_an_order_to_a_terminal() {
    let (server, _worker) = target("json");
    let events = say_everything(&server);
    let addr = server.addr.to_string();
    let mut payload = pull_request(&format!("opened{EVIL}"), 2);
    payload["sender"]["login"] = json!(format!("[bot]{EVIL}"));
    std::fs::write(server.home().join("evil.json"), payload.to_string()).unwrap();
    let table = ["events", "--addr", &addr];
    let listed = ["events", "--json", "--addr", &addr];
    let webhook = [
        "webhook",
        "--config",
        "mecha.toml",
        "--source",
        "github",
        "--event",
        "push",
        "--addr",
        &addr,
        "evil.json",
    ];
    let bad = [
        "events",
        "--state",
        EVIL.trim_matches('\0'),
        "--addr",
        &addr,
    ];
    let bad: Vec<String> = bad.iter().map(|text| text.replace('\0', "")).collect();
    let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
    for args in [&table[..], &listed, &webhook, &bad] {
        let outcome = Program::run(server.home(), args);
        let printed = outcome.printed();
        let order = printed.chars().find(|c| is_obeyed(*c) && *c != '\n');
        assert_eq!(order, None, "{args:?}: {printed:?}");
        assert!(printed.contains("evil") || args == webhook, "{printed}");
        if args == listed {
            let shown: Value = serde_json::from_str(&outcome.stdout).unwrap();
            let own = server.get("/events").expect(200).json();
            assert_eq!(
                shown.as_array().unwrap().len(),
                own.as_array().unwrap().len()
            );
            for event in own.as_array().unwrap() {
                assert!(shown.as_array().unwrap().contains(event), "the same JSON");
            }
        }
    }
    assert_eq!(events.len(), 2);
}

/// A server that is none: its answers are shown, too.
#[test]
fn no_answer_of_a_server_gives_an_order_to_a_terminal() {
    let evil = json!(EVIL).to_string();
    for body in [
        format!("{{\"error\": {evil}, \"code\": \"x\"}}"),
        format!("{{\"id\": {evil}, \"state\": {evil}}}"),
        format!("{{\"id\": {evil}, \"status\": \"duplicate\", \"state\": {evil}}}"),
        format!("[{{\"id\": {evil}}}]"),
        EVIL.to_owned(),
    ] {
        for status in [200, 400] {
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let addr = answering(head.into_bytes());
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("m.toml"), github_source("")).unwrap();
            std::fs::write(home.path().join("b.json"), "{}").unwrap();
            let webhook = [
                "webhook", "--config", "m.toml", "--source", "github", "--event", "push", "--addr",
                &addr, "b.json",
            ];
            for args in [
                &["events", "--addr", &addr][..],
                &["events", "--json", "--addr", &addr],
                &["health", "--addr", &addr],
                &webhook,
            ] {
                let printed = Program::run(home.path(), args).printed();
                let order = printed.chars().find(|c| is_obeyed(*c) && *c != '\n');
                assert_eq!(order, None, "{args:?}: {printed:?}");
            }
        }
    }
}

/// Where every connection gets this answer, as long as the test runs.
fn answering(answer: Vec<u8>) -> String {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(64) {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(&answer);
        }
    });
    addr
}

#[test]
fn no_text_of_a_peer_splits_a_header_of_an_answer() {
    let config = format!(
        "{}{}",
        github_source(""),
        command_worker("w", &["true"], "")
    );
    let server = Server::with(config);
    let action =
        "opened\r\nset-cookie: forged=1\r\n\r\nHTTP/1.1 200 OK\r\n\u{1b}\u{9b}>; rel=\"x\"";
    for number in 0..3 {
        let id = format!("d-{number}");
        let answer = server
            .deliver(&id, &pull_request(action, number))
            .expect(202);
        assert_eq!(answer.header("set-cookie"), None);
        assert!(answer.header("location").unwrap().starts_with("/event/"));
    }
    let encoded = percent_encoded(format!("pull_request.{action}").as_bytes());
    let answer = server
        .get(&format!("/events?type={encoded}&limit=1"))
        .expect(200);
    let link = answer.header("link").expect("there are more").to_owned();
    assert_eq!(answer.header("set-cookie"), None);
    assert!(
        link.ends_with(">; rel=\"next\"") && !link.contains("rel=\"x\""),
        "{link}"
    );
    assert!(link.chars().all(|c| (' '..='~').contains(&c)), "{link:?}");
    // And it leads to the next page.
    let next = &link[1..link.find('>').unwrap()];
    assert_eq!(
        server
            .get(next)
            .expect(200)
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for target in [
        "/tasks%0d%0aset-cookie:%20x",
        "/webhook/%0d%0aset-cookie:%20x",
    ] {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            let answer = server.ask(Request::new(method, target).body("{}"));
            assert_eq!(answer.header("set-cookie"), None, "{method} {target}");
        }
    }
}
