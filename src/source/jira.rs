//! Jira: signed as Bitbucket signs; the body names type, actor and issue.

use std::sync::LazyLock;

use super::bitbucket;
use super::reading::{Reading, Unreadable};
use super::signature::{Keys, Rejection};
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

const DELIVERY: &str = "x-atlassian-webhook-identifier";

const LINES: &[Line] = &[
    ("title", Form::Text, &["issue.fields.summary"]),
    (
        "body",
        Form::Text,
        &["comment.body", "issue.fields.description"],
    ),
    ("labels", Form::Names, &["issue.fields.labels[]"]),
    ("url", Form::Text, &["issue.self"]),
];

/// Who did it. Events of comments and work logs have no `user`.
const ACTOR: [&str; 5] = [
    "user.displayName",
    "comment.updateAuthor.displayName",
    "comment.author.displayName",
    "worklog.updateAuthor.displayName",
    "worklog.author.displayName",
];

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let facts = ["webhookEvent", "issue.key"].into_iter().chain(ACTOR);
    Table::new(LINES, facts)
});

pub(super) struct Jira {
    keys: Keys,
}

impl Jira {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Jira {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        bitbucket::verify(&self.keys, headers, body)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = TABLE.pick(payload)?;
        let mut attributes = TABLE.attributes(&picked);
        let actor = picked.first_word(&ACTOR);
        table::put(&mut attributes, "sender", actor.as_deref());
        Ok(Reading {
            event_type: picked.word("webhookEvent"),
            delivery_id: headers.header(DELIVERY).map(str::to_owned),
            actor,
            subject: picked.word("issue.key"),
            attributes,
            challenge: None,
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        Ok(super::fields([
            (DELIVERY, outgoing.delivery_id.to_owned()),
            (
                "x-hub-signature",
                bitbucket::sign(&self.keys, outgoing.body)?,
            ),
        ]))
    }
}
