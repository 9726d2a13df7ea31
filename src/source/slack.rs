//! Slack: `X-Slack-Signature` over a version, the time of sending and the body.
//!
//! Three things come from Slack: events as JSON, interaction as a form whose field `payload` is
//! JSON, and slash commands as a form of plain fields. Of the last, an object of the fields is made.
//! Before anything else Slack wants to see a challenge in the answer (`url_verification`).

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use super::pick::Picked;
use super::reading::{self, Reading, Unreadable, joined};
use super::signature::{self, Keys, Rejection};
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender, form};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";
const PREFIX: &str = "v0=";

/// Seconds between sending and receiving at most, either way.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// The user's id, wherever an event, an interaction or a command has it.
const ACTOR: [&str; 8] = [
    "event.user",
    "event.user.id",
    "event.message.user",
    "event.user_id",
    "event.bot_id",
    "user.id",
    "user_id",
    "event.inviter",
];

/// The channel's id.
const SUBJECT: [&str; 8] = [
    "event.channel",
    "event.channel.id",
    "event.item.channel",
    "event.channel_id",
    "channel.id",
    "container.channel_id",
    "channel_id",
    "event.assistant_thread.channel_id",
];

const LINES: &[Line] = &[
    (
        "text",
        Form::Text,
        &["event.text", "event.message.text", "text", "message.text"],
    ),
    (
        "thread",
        Form::Word,
        &[
            "event.thread_ts",
            "event.message.thread_ts",
            "event.assistant_thread.thread_ts",
            "message.thread_ts",
            "container.thread_ts",
        ],
    ),
];

/// What is asked for beside them.
const FACTS: [&str; 6] = [
    "type",
    "event.type",
    "event.subtype",
    "event_id",
    "challenge",
    "command",
];

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let facts = FACTS.into_iter().chain(ACTOR).chain(SUBJECT);
    Table::new(LINES, facts)
});

pub(super) struct Slack {
    keys: Keys,
}

impl Slack {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Slack {
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
        let tag = signature::hex(signature::required(headers, SIGNATURE)?, PREFIX)?;
        let sent = signature::single(headers, TIMESTAMP)?.ok_or(Rejection::MissingTimestamp)?;
        signature::check_seconds(signature::timestamp(sent)?, now, TOLERANCE_SECONDS)?;
        self.keys.over(&signed(sent, body)).check(&tag)
    }

    fn payload(&self, headers: &dyn Headers, body: Vec<u8>) -> Result<String, Unreadable> {
        if !form::is_form(headers, &body) {
            return reading::text(body);
        }
        let mut fields = form::fields(&body)?;
        if let Some(at) = fields.iter().position(|(name, _)| name == "payload") {
            return Ok(fields.swap_remove(at).1);
        }
        Ok(object_of(&fields))
    }

    fn read(&self, _: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = TABLE.pick(payload)?;
        let challenge = match picked.word("type").as_deref() {
            Some("url_verification") => picked.word("challenge"),
            _ => None,
        };
        let (actor, subject) = (picked.first_word(&ACTOR), picked.first_word(&SUBJECT));
        let mut attributes = TABLE.attributes(&picked);
        table::put(&mut attributes, "sender", actor.as_deref());
        table::put(&mut attributes, "channel", subject.as_deref());
        Ok(Reading {
            event_type: event_type(&picked),
            delivery_id: picked.word("event_id"),
            actor,
            subject,
            attributes,
            challenge,
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let sent = outgoing.seconds();
        let tag = self.keys.sign(&signed(&sent, outgoing.body))?;
        Ok(super::fields([
            (SIGNATURE, format!("{PREFIX}{}", HEXLOWER.encode(&tag))),
            (TIMESTAMP, sent),
        ]))
    }
}

fn signed<'a>(sent: &'a str, body: &'a [u8]) -> [&'a [u8]; 4] {
    [b"v0:", sent.as_bytes(), b":", body]
}

fn event_type(picked: &Picked<'_, '_>) -> Option<String> {
    let outer = picked.word("type");
    if outer.as_deref() == Some("event_callback") {
        return joined(picked.word("event.type"), picked.word("event.subtype")).or(outer);
    }
    outer.or_else(|| picked.word("command").map(|_| "command".to_owned()))
}

/// The fields as a JSON object, in their order.
fn object_of(fields: &[(String, String)]) -> String {
    let members: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            format!("{}:{}", quoted(name), quoted(value))
        })
        .collect();
    format!("{{{}}}", members.join(","))
}
