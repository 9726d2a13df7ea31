//! Single steps in the life of a request, a webhook and a task: what the benches of time and of
//! instructions take over and over.

use std::hint::black_box;
use std::io;

use mecha::clock::Timestamp;
use mecha::event::Delivery;
use mecha::http::Reply;
use mecha::http::operations::{read_head, render_reply, scan_head};
use mecha::queue::command::{Attempt, Command};
use mecha::rules::{Definition, Facts, Rule, Rulebook, Verdict, Wanted};
use mecha::secret::Secret;
use mecha::source::{Algorithm, Encoding, HmacSettings, Kind, Message, Settings, Source};
use mecha::store::Payload;
use mecha::store::record::{TaskRecord, decode, encode};

use crate::directory;
use crate::payload::{PAYLOAD_BYTES, pull_request};
use crate::queue::{Queue, worker};

/// A step, ready to be taken. It panics where it does not come to what it should.
pub(crate) type Step = Box<dyn FnMut()>;

/// A step by its name.
pub(crate) struct Operation {
    /// Its name.
    pub(crate) name: &'static str,
    /// Makes all that it needs.
    pub(crate) ready: fn() -> io::Result<Step>,
}

/// All of them.
pub(crate) const ALL: [Operation; 13] = [
    operation("head_scan", || Ok(head(scan_head))),
    operation("head_scan_and_decode", || {
        Ok(head(|bytes| read_head(bytes).is_some()))
    }),
    operation("reply_render", || Ok(reply())),
    operation("signature_verify_21k", verify),
    operation("event_read_21k", read),
    operation("event_read_small_of_12_kinds", read_small),
    operation("payload_encode_21k", || Ok(payload())),
    operation("rule_match_and_render", || judge(true)),
    operation("rule_skip_of_10", || judge(false)),
    operation("record_encode", || {
        let record = record()?;
        Ok(Box::new(move || {
            black_box(encode(black_box(&record)));
        }))
    }),
    operation("record_decode", || {
        let bytes = encode(&record()?);
        Ok(Box::new(move || {
            let record = decode::<TaskRecord>(black_box(&bytes), "bench");
            assert!(black_box(record).is_ok());
        }))
    }),
    operation("queue_submit_synced", || queue(false)),
    operation("queue_submit_claim_complete_synced", || queue(true)),
];

const fn operation(name: &'static str, ready: fn() -> io::Result<Step>) -> Operation {
    Operation { name, ready }
}

/// A head as a client library sends it.
const HEAD: &str = "POST /task?wait=30s HTTP/1.1\r\nHost: 127.0.0.1:21212\r\n\
    User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\
    Connection: keep-alive\r\nAuthorization: Bearer 5d41402abc4b2a76b9719d911017c592\r\n\
    Idempotency-Key: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n\
    Content-Type: application/json\r\nContent-Length: 104\r\n\r\n";

fn head(is_read: fn(&[u8]) -> bool) -> Step {
    Box::new(move || {
        assert!(is_read(black_box(HEAD.as_bytes())));
    })
}

fn reply() -> Step {
    const BODY: &[u8] = br#"{"id":"0k3v9z2c8m1d0qxa","state":"pending","worker_name":"claude-reviewer","attempts":0,"created_at":"2026-03-30T12:00:00.000Z"}"#;
    Box::new(|| {
        let reply = Reply::json(202, black_box(BODY).to_vec());
        let reply = reply.with_header("location", "/task/0k3v9z2c8m1d0qxa");
        assert!(render_reply(reply).ends_with(BODY));
    })
}

/// When the deliveries come, in milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

/// A source, and the head and the body of a delivery of its sender.
type Delivered = (Source, Vec<(String, String)>, String);

/// GitHub's delivery of 21 KB, signed.
fn github() -> io::Result<Delivered> {
    let source = source(Kind::Github)?;
    let body = pull_request(PAYLOAD_BYTES);
    let now = Timestamp::from_millis(NOW_MS);
    let headers = source.sign("pull_request", "d-1", body.as_bytes(), now);
    Ok((source, headers.map_err(io::Error::other)?, body))
}

fn source(kind: Kind) -> io::Result<Source> {
    let secret = match kind {
        Kind::Standard => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        _ => "secret",
    };
    let settings = Settings {
        name: "source".to_owned(),
        kind,
        secrets: vec![Secret::new(secret)],
        ignore_actors: Vec::new(),
        hmac: (kind == Kind::Hmac).then(|| HmacSettings {
            header: "x-signature".to_owned(),
            prefix: "v=".to_owned(),
            encoding: Encoding::Hex,
            algorithm: Algorithm::Sha256,
            type_header: Some("x-type".to_owned()),
            type_field: Some("event.type".to_owned()),
            id_header: Some("x-id".to_owned()),
            id_field: Some("event.id".to_owned()),
        }),
    };
    Source::new(settings).map_err(io::Error::other)
}

fn verify() -> io::Result<Step> {
    let (source, headers, body) = github()?;
    let now = Timestamp::from_millis(NOW_MS);
    Ok(Box::new(move || {
        let verified = source.verify(&headers, black_box(body.as_bytes()), now);
        assert!(verified.is_ok());
    }))
}

fn read() -> io::Result<Step> {
    let (source, headers, body) = github()?;
    Ok(Box::new(move || {
        let read = source.read(&headers, black_box(body.as_bytes()).to_vec());
        assert!(black_box(read).is_ok());
    }))
}

/// A short delivery of each kind but Forgejo, whose reading is Gitea's.
fn read_small() -> io::Result<Step> {
    const BODY: &str = r#"{"action":"opened","webhookTimestamp":1700000000000,"object_kind":"note","webhookEvent":"jira:issue_created","issue":{"key":"OPS-7"},"type":"invoice.paid","id":"evt_1","event":{"type":"message","channel":"C1","user":"U1","text":"deploy"},"event_id":"Ev1","update_id":7,"message":{"from":{"username":"mona"},"chat":{"id":4},"text":"deploy"},"data":{"id":"x","object":{"id":"in_1"}},"number":7,"pull_request":{"title":"Add a cache","head":{"ref":"cache","sha":"6dcb09b"},"base":{"ref":"main"},"labels":[{"name":"bug"}],"draft":false},"repository":{"full_name":"octo/hello"},"sender":{"login":"mona"}}"#;
    let mut deliveries = Vec::new();
    for kind in Kind::ALL {
        if kind != Kind::Forgejo {
            let source = source(kind)?;
            let now = Timestamp::from_millis(NOW_MS);
            let body = source.stamp(BODY.as_bytes().to_vec(), now);
            let headers = source.sign("push", "d-1", &body, now);
            let headers = headers.map_err(|error| io::Error::other(format!("{kind}: {error}")))?;
            deliveries.push((source, headers, body));
        }
    }
    Ok(Box::new(move || {
        for (source, headers, body) in &deliveries {
            let read = source.read(headers, black_box(body).clone());
            assert!(black_box(read).is_ok(), "{}", source.kind());
        }
    }))
}

fn payload() -> Step {
    let text = pull_request(PAYLOAD_BYTES);
    Box::new(move || {
        let payload = Payload::encode(black_box(&text));
        assert!(payload.stored_bytes() < text.len());
    })
}

/// Ten rules, of which the last one matches, or none.
fn judge(matches: bool) -> io::Result<Step> {
    let (source, headers, body) = github()?;
    let read = source.read(&headers, body.into_bytes());
    let Ok(Message::Delivery(delivery)) = read else {
        return Err(io::Error::other("the delivery cannot be read"));
    };
    let rules = (0..10).map(|number| {
        let base = if matches && number == 9 {
            "main"
        } else {
            "release"
        };
        Rule::compile(Definition {
            worker: worker()?,
            number,
            source: "source".to_owned(),
            on: vec!["pull_request.*".to_owned()],
            filter: vec![(
                "base_branch".to_owned(),
                vec![Wanted::Text(base.to_owned())],
            )],
            when: Some("number > 3 and 'bug' in labels".to_owned()),
            prompt: "Review #{{ number }}: {{ title }}\n\n{{ body | fence }}".to_owned(),
            auto: true,
        })
        .map_err(io::Error::other)
    });
    let book = Rulebook::new(rules.collect::<io::Result<_>>()?);
    Ok(Box::new(move || {
        let verdict = book.judge(black_box(&facts(&delivery)));
        assert_eq!(matches!(verdict, Verdict::Matched { .. }), matches);
    }))
}

fn facts(delivery: &Delivery) -> Facts<'_> {
    Facts {
        source: &delivery.source,
        event_type: &delivery.event_type,
        actor: delivery.actor.as_deref(),
        subject: delivery.subject.as_deref(),
        attributes: &delivery.attributes,
        ignore_actors: &[],
        payload: None,
        mark: "k3v9x0m2q7w1e8r5",
        prompt_bytes_max: 1 << 20,
    }
}

/// A completed task's record, read of a row of version 1: its fields, integers as LEB128.
fn record() -> io::Result<TaskRecord> {
    let mut row = vec![1];
    // Lane 3; completed; one attempt, numbered 1, no failure, none broken off; run 9.
    row.extend([3, 2, 1, 1, 0, 0, 9]);
    integer(&mut row, NOW_MS);
    for millis in [20, 950] {
        row.push(1);
        integer(&mut row, NOW_MS + millis);
    }
    // No time at which it is due; a prompt of 300 bytes; no context; a result of 17 bytes; no error;
    // no key.
    row.push(0);
    integer(&mut row, 300);
    row.extend([0, 1, 17, 0, 0]);
    decode(&row, "bench").map_err(io::Error::other)
}

fn integer(row: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return row.push(low & 0x7f);
        }
        row.push(low | 0x80);
    }
}

/// Tasks that wait in the queue already.
const PENDING: u64 = 1_000;

/// A task is submitted in a commit of its own; with `ends`, the one before is completed and it is
/// claimed in the same commit.
fn queue(ends: bool) -> io::Result<Step> {
    let dir = directory::on_disk()?;
    let mut queue = Queue::open(&dir.path().join("data"))?;
    smol::block_on(queue.fill(PENDING))?;
    let mut running: Option<Attempt> = None;
    let mut step = move || -> io::Result<()> {
        // The directory goes with the step.
        let _ = &dir;
        let mut commands = queue.submissions(1)?;
        if ends {
            commands.extend(running.take().map(|attempt| Command::Complete {
                attempt,
                result: r#"{"output":"LGTM"}"#.to_owned(),
            }));
            commands.push(Command::Demand {
                worker: worker()?,
                ticket: 1,
                count: 1,
            });
        }
        let grants = queue.group(commands)?.grants;
        let mut granted = grants.into_iter().flat_map(|(_, granted)| granted);
        running = granted.next().map(|granted| granted.attempt);
        assert_eq!(running.is_some(), ends);
        Ok(())
    };
    Ok(Box::new(move || {
        if let Err(error) = step() {
            panic!("{error}");
        }
    }))
}
