//! Contract section 6: every kind of sender over real HTTP: taken when it is genuine, refused with
//! one and the same answer when it is not.

use mecha::clock::{Clock, Timestamp};
use mecha::secret::Secret;
use mecha::source::{Algorithm, Encoding, HmacSettings, Kind, Settings, Source};
use serde_json::json;

use crate::harness::{Request, Server, hex_hmac};

/// Kinds whose schemes sign the time.
const TIMED: [Kind; 4] = [Kind::Slack, Kind::Stripe, Kind::Linear, Kind::Standard];

fn secret(kind: Kind, which: u8) -> String {
    match kind {
        Kind::Standard => format!("whsec_{}", data_encoding::BASE64.encode(&[which; 32])),
        _ => format!("s3cret-{which}"),
    }
}

fn source(kind: Kind, which: u8) -> Source {
    let settings = Settings {
        name: kind.as_str().to_owned(),
        kind,
        secrets: vec![Secret::new(secret(kind, which))],
        ignore_actors: Vec::new(),
        hmac: (kind == Kind::Hmac).then(|| HmacSettings {
            header: "x-signature".to_owned(),
            prefix: "v1=".to_owned(),
            encoding: Encoding::Base64,
            algorithm: Algorithm::Sha512,
            type_header: Some("x-event".to_owned()),
            type_field: None,
            id_header: Some("x-delivery".to_owned()),
            id_field: None,
        }),
    };
    Source::new(settings).unwrap()
}

fn config() -> String {
    let table = |kind: &Kind| {
        let more = match kind {
            Kind::Hmac => {
                "header = \"X-Signature\"\nprefix = \"v1=\"\nencoding = \"base64\"\n\
                 algorithm = \"sha512\"\ntype_header = \"X-Event\"\nid_header = \"X-Delivery\"\n"
            }
            _ => "",
        };
        format!(
            "[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\nsecret = \"{}\"\n{more}",
            secret(*kind, 1)
        )
    };
    Kind::ALL.iter().map(table).collect()
}

fn now() -> u64 {
    Clock::system().now().as_millis()
}

/// A payload of this kind, and the type that it is to have.
fn payload(kind: Kind, sent_ms: u64) -> (&'static str, String) {
    let (event_type, payload) = match kind {
        Kind::Github | Kind::Gitea | Kind::Forgejo => (
            "pull_request.opened",
            json!({"action": "opened", "number": 7}),
        ),
        Kind::Gitlab => (
            "merge_request.open",
            json!({"object_kind": "merge_request", "object_attributes": {"action": "open"}}),
        ),
        Kind::Bitbucket => ("pullrequest:created", json!({"actor": {"nickname": "m"}})),
        Kind::Jira => (
            "jira:issue_created",
            json!({"webhookEvent": "jira:issue_created"}),
        ),
        Kind::Slack => (
            "message.channel_join",
            json!({"type": "event_callback", "event_id": "E1",
                "event": {"type": "message", "subtype": "channel_join"}}),
        ),
        Kind::Stripe => (
            "invoice.paid",
            json!({"id": "evt_1", "type": "invoice.paid"}),
        ),
        Kind::Shopify => ("orders/create", json!({"id": 1})),
        Kind::Linear => (
            "Issue.create",
            json!({"action": "create", "webhookTimestamp": sent_ms}),
        ),
        Kind::Telegram => (
            "message",
            json!({"update_id": 1, "message": {"text": "hi"}}),
        ),
        Kind::Standard => ("response.completed", json!({"type": "response.completed"})),
        Kind::Hmac => ("nightly", json!({"ok": true})),
    };
    (event_type, payload.to_string())
}

/// What a sender of `kind` would send at `sent_ms` with the secret `which`.
fn signed(kind: Kind, which: u8, sent_ms: u64) -> Request {
    let (event_type, body) = payload(kind, sent_ms);
    let at = Timestamp::from_millis(sent_ms);
    let headers = source(kind, which)
        .sign(event_type, "d-1", body.as_bytes(), at)
        .unwrap();
    request(kind, &headers, body)
}

fn request(kind: Kind, headers: &[(String, String)], body: impl Into<Vec<u8>>) -> Request {
    let request = Request::post(&format!("/webhook/{kind}")).body(body);
    headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    })
}

#[test]
fn every_kind_of_sender_is_taken_and_its_repetition_is_known() {
    let server = Server::with(config());
    for kind in Kind::ALL {
        let sent = now();
        let event = server.ask(signed(kind, 1, sent)).expect(202).json();
        assert_eq!(event["type"], payload(kind, sent).0, "{kind}");
        assert_eq!(event["source"], kind.as_str());
        assert_eq!(event["state"], "received");
        let again = server.ask(signed(kind, 1, sent)).expect(200).json();
        assert_eq!(again["status"], "duplicate", "{kind}");
        assert_eq!(again["id"], event["id"], "{kind}");
        let shown = server.event(event["id"].as_str().unwrap());
        assert_eq!(shown["payload"].to_string(), {
            let value: serde_json::Value = serde_json::from_str(&payload(kind, sent).1).unwrap();
            value.to_string()
        });
    }
}

#[test]
fn whatever_is_wrong_with_a_signature_the_answer_is_the_same() {
    let server = Server::with(config());
    let mut answers = Vec::new();
    let mut refuse = |request: Request, case: &str| {
        let answer = server.ask(request);
        assert_eq!(answer.status, 401, "{case}: {}", answer.text());
        answers.push(answer.text());
    };
    for kind in Kind::ALL {
        let (_, body) = payload(kind, now());
        refuse(signed(kind, 2, now()), &format!("{kind}, another secret"));
        refuse(request(kind, &[], body), &format!("{kind}, no signature"));
        if TIMED.contains(&kind) {
            let hour_ms = 60 * 60 * 1_000;
            for at in [now() - hour_ms, now() + hour_ms] {
                refuse(signed(kind, 1, at), &format!("{kind}, at {at}"));
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(server.get("/events").expect(200).json(), json!([]));
}

#[test]
fn what_is_genuine_and_no_json_is_a_bad_request() {
    let server = Server::with(config());
    for kind in Kind::ALL {
        for body in ["nonsense", "{", "", " "] {
            let tag = || hex_hmac(&secret(kind, 1), body.as_bytes());
            let headers = match kind {
                // They would not send it, so nor does what signs for them here.
                Kind::Linear => vec![("linear-signature".to_owned(), tag())],
                Kind::Gitea | Kind::Forgejo => vec![(format!("x-{kind}-signature"), tag())],
                _ => {
                    let mut headers = source(kind, 1)
                        .sign("x", "d-1", body.as_bytes(), Timestamp::from_millis(now()))
                        .unwrap();
                    headers.retain(|(name, _)| name != "content-type");
                    headers
                }
            };
            let answer = server.ask(request(kind, &headers, body));
            // A body of no length is not a delivery, either.
            assert_eq!(answer.status, 400, "{kind} {body:?}: {}", answer.text());
            answer.expect_error(400, "invalid_json");
        }
    }
}

#[test]
fn svix_names_its_headers_after_itself() {
    let server = Server::with(config());
    let (kind, sent) = (Kind::Standard, now());
    let (_, body) = payload(kind, sent);
    let at = Timestamp::from_millis(sent);
    let headers = source(kind, 1).sign("x", "msg_1", body.as_bytes(), at);
    let renamed = |headers: Vec<(String, String)>| -> Vec<(String, String)> {
        headers
            .into_iter()
            .map(|(name, value)| (name.replace("webhook-", "svix-"), value))
            .collect()
    };
    let headers = renamed(headers.unwrap());
    let event = server
        .ask(request(kind, &headers, body.clone()))
        .expect(202)
        .json();
    assert_eq!(event["delivery_id"], "msg_1");
    // The two sets are not mixed.
    let mixed = headers.iter().map(|(name, value)| {
        let name = if name == "svix-id" {
            "webhook-id"
        } else {
            name
        };
        (name.to_owned(), value.clone())
    });
    server
        .ask(request(kind, &mixed.collect::<Vec<_>>(), body.clone()))
        .expect_error(401, "bad_signature");
    let stale = source(kind, 1).sign(
        "x",
        "msg_2",
        body.as_bytes(),
        Timestamp::from_millis(sent - 10 * 60 * 1_000),
    );
    server
        .ask(request(kind, &renamed(stale.unwrap()), body))
        .expect_error(401, "bad_signature");
}
