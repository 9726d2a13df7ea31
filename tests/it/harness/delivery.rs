//! Deliveries as their senders make them, signed by code of the tests' own.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::api::Api;
use super::request::Request;
use super::response::Response;
use super::time::wait_for;

/// The secret of the sources here.
pub(crate) const SECRET: &str = "It's a Secret to Everybody";

/// A `[[source]]` table of GitHub's.
pub(crate) fn github_source(settings: &str) -> String {
    format!("[[source]]\nname = \"github\"\nkind = \"github\"\nsecret = \"{SECRET}\"\n{settings}\n")
}

/// A `[[worker.events]]` table for GitHub's events.
pub(crate) fn rule(on: &str, prompt: &str, settings: &str) -> String {
    format!(
        "[[worker.events]]\nsource = \"github\"\non = \"{on}\"\nprompt = {}\n{settings}\n",
        json!(prompt)
    )
}

/// HMAC-SHA256 in lower-case hex.
pub(crate) fn hex_hmac(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// A part of what GitHub tells of a pull request.
pub(crate) fn pull_request(action: &str, number: u64) -> Value {
    json!({
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "title": format!("Change {number}"),
            "body": "It makes things better.",
            "html_url": format!("https://github.com/octo/hello/pull/{number}"),
            "draft": false,
            "head": {"ref": "topic", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e"},
            "base": {"ref": "main"},
            "labels": [{"name": "bug"}, {"name": "help wanted"}],
        },
        "repository": {
            "name": "hello",
            "full_name": "octo/hello",
            "owner": {"login": "octo"},
        },
        "sender": {"login": "mona"},
    })
}

/// A signed delivery of GitHub's.
pub(crate) fn delivery(event: &str, id: &str, payload: &Value) -> Request {
    let body = payload.to_string();
    let signature = format!("sha256={}", hex_hmac(SECRET, body.as_bytes()));
    Request::post("/webhook/github")
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", &signature)
        .body(body)
}

impl Api {
    /// Delivers what GitHub tells of a pull request, and gives the answer.
    #[track_caller]
    pub(crate) fn deliver(&self, id: &str, payload: &Value) -> Response {
        self.ask(delivery("pull_request", id, payload))
    }

    /// Delivers something new, and gives the id of its event.
    #[track_caller]
    pub(crate) fn receive(&self, id: &str, payload: &Value) -> String {
        let event = self.deliver(id, payload).expect(202).json();
        event["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The event as it is now.
    #[track_caller]
    pub(crate) fn event(&self, id: &str) -> Value {
        self.get(&format!("/event/{id}")).expect(200).json()
    }

    /// The event once it is in `state`.
    #[track_caller]
    pub(crate) fn event_in(&self, id: &str, state: &str) -> Value {
        wait_for(&format!("event {id} is {state}"), || {
            Some(self.event(id)).filter(|event| event["state"] == state)
        })
    }
}
