//! Linear: the HMAC of the body as bare hexadecimal digits; the time of sending is in the body.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use super::paths::Paths;
use super::pick::pick;
use super::reading::{Reading, Unreadable, joined};
use super::signature::{self, Keys, Rejection};
use super::table::{Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: &str = "linear-signature";

/// The field that holds the time of sending, in milliseconds.
const SENT: &str = "webhookTimestamp";

static SENT_PATH: LazyLock<Paths> = LazyLock::new(|| Paths::new([SENT]));

/// Milliseconds between sending and receiving at most, either way.
const TOLERANCE_MS: u64 = 60_000;

const LINES: &[Line] = &[
    (
        "number",
        Form::Integer,
        &["data.number", "data.issue.number"],
    ),
    (
        "title",
        Form::Text,
        &["data.title", "data.issue.title", "data.name"],
    ),
    ("body", Form::Text, &["data.body", "data.description"]),
    ("sender", Form::Text, &["actor.name"]),
    ("labels", Form::Names, &["data.labels[].name"]),
    ("url", Form::Text, &["url", "data.url"]),
];

/// What is asked for beside the attributes.
const FACTS: [&str; 5] = ["type", "action", "actor.name", "data.identifier", "data.id"];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES, FACTS));

pub(super) struct Linear {
    keys: Keys,
}

impl Linear {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Linear {
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
        let tag = signature::hex(signature::required(headers, SIGNATURE)?, "")?;
        self.keys.over(&[body]).check(&tag)?;
        match sent(body) {
            // It is the sender's and no JSON, which whoever reads it says.
            Err(Unsent::NoJson) => Ok(()),
            Err(Unsent::Rejected(rejection)) => Err(rejection),
            Ok(sent) => signature::check_millis(sent, now, TOLERANCE_MS),
        }
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = TABLE.pick(payload)?;
        let event = headers
            .header("linear-event")
            .filter(|event| !event.is_empty());
        let event = event.map(str::to_owned).or_else(|| picked.word("type"));
        Ok(Reading {
            event_type: joined(event, picked.word("action")),
            delivery_id: headers.header("linear-delivery").map(str::to_owned),
            actor: picked.word("actor.name"),
            subject: picked.first_word(&["data.identifier", "data.id"]),
            attributes: TABLE.attributes(&picked),
            challenge: None,
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let is_fresh = |sent| signature::check_millis(sent, outgoing.now, TOLERANCE_MS).is_ok();
        if !sent(outgoing.body).is_ok_and(is_fresh) {
            return Err(format!(
                "the field {SENT} must be the time of sending in milliseconds, which is {}",
                outgoing.now.as_millis()
            ));
        }
        let tag = self.keys.sign(&[outgoing.body])?;
        Ok(super::fields([
            ("linear-event", outgoing.event().to_owned()),
            ("linear-delivery", outgoing.delivery_id.to_owned()),
            (SIGNATURE, HEXLOWER.encode(&tag)),
        ]))
    }
}

/// Why a body has no time of sending.
enum Unsent {
    NoJson,
    Rejected(Rejection),
}

/// The time of sending. Read only of a body whose signature is right, or of one's own.
fn sent(body: &[u8]) -> Result<u64, Unsent> {
    let text = str::from_utf8(body).map_err(|_| Unsent::NoJson)?;
    let picked = pick(text, &SENT_PATH).map_err(|_| Unsent::NoJson)?;
    let sent = picked.at(SENT).first().ok_or(Rejection::MissingTimestamp);
    sent.and_then(signature::timestamp)
        .map_err(Unsent::Rejected)
}

/// See [`super::Source::stamp`]. A body without the field stays as it is.
pub(super) fn stamp(body: Vec<u8>, now: Timestamp) -> Vec<u8> {
    let text = str::from_utf8(&body).ok();
    let place = text.and_then(|text| {
        let picked = pick(text, &SENT_PATH).ok()?;
        let value = picked.at(SENT).first()?;
        // The value is a piece of the text.
        let start = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        Some(start..start.checked_add(value.len())?)
    });
    let Some((front, behind)) = place.and_then(|place| {
        let front = body.get(..place.start)?;
        Some((front, body.get(place.end..)?))
    }) else {
        return body;
    };
    [front, now.as_millis().to_string().as_bytes(), behind].concat()
}
