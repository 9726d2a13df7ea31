//! Bitbucket: `X-Hub-Signature` with the name of its hash, over the body.
//!
//! Read are the payloads of Bitbucket Cloud, and what those of the Data Center edition have in
//! their place (`pullRequest` beside `pullrequest`).

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use super::reading::{Reading, Unreadable};
use super::signature::{self, Keys, Rejection};
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: &str = "x-hub-signature";
const PREFIX: &str = "sha256=";

const LINES: &[Line] = &[
    (
        "number",
        Form::Integer,
        &["pullrequest.id", "issue.id", "pullRequest.id"],
    ),
    (
        "title",
        Form::Text,
        &[
            "pullrequest.title",
            "issue.title",
            "pullRequest.title",
            "commit_status.name",
        ],
    ),
    (
        "title",
        Form::FirstLine,
        &["push.changes[].new.target.message"],
    ),
    (
        "body",
        Form::Text,
        &[
            "comment.content.raw",
            "comment.text",
            "pullrequest.description",
            "issue.content.raw",
            "pullRequest.description",
            "commit_status.description",
            "push.changes[].new.target.message",
        ],
    ),
    (
        "head_branch",
        Form::Text,
        &[
            "pullrequest.source.branch.name",
            "pullRequest.fromRef.displayId",
            "commit_status.refname",
        ],
    ),
    (
        "base_branch",
        Form::Text,
        &[
            "pullrequest.destination.branch.name",
            "pullRequest.toRef.displayId",
        ],
    ),
    (
        "head_sha",
        Form::Text,
        &[
            "pullrequest.source.commit.hash",
            "pullRequest.fromRef.latestCommit",
            "push.changes[].new.target.hash",
            "changes[].toHash",
        ],
    ),
    (
        "ref",
        Form::Text,
        &[
            "push.changes[].new.name",
            "push.changes[].old.name",
            "changes[].ref.displayId",
        ],
    ),
    (
        "draft",
        Form::Flag,
        &["pullrequest.draft", "pullRequest.draft"],
    ),
    (
        "url",
        Form::Text,
        &[
            "comment.links.html.href",
            "pullrequest.links.html.href",
            "issue.links.html.href",
            "pullRequest.links.self[].href",
            "commit_status.url",
            "push.changes[].links.html.href",
            "repository.links.html.href",
        ],
    ),
];

/// What is asked for beside the attributes.
const FACTS: [&str; 11] = [
    "actor.nickname",
    "actor.name",
    "actor.display_name",
    "repository.full_name",
    "repository.project.key",
    "repository.slug",
    "pullRequest.toRef.repository.project.key",
    "pullRequest.toRef.repository.slug",
    "push.changes[].new.type",
    "push.changes[].old.type",
    "changes[].ref.type",
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES, FACTS));

pub(super) struct Bitbucket {
    keys: Keys,
}

impl Bitbucket {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Bitbucket {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        verify(&self.keys, headers, body)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = TABLE.pick(payload)?;
        let mut attributes = TABLE.attributes(&picked);
        let actor = picked.first_word(&["actor.nickname", "actor.name", "actor.display_name"]);
        table::put(&mut attributes, "sender", actor.as_deref());
        // A push may concern a tag.
        let kinds = [
            "push.changes[].new.type",
            "push.changes[].old.type",
            "changes[].ref.type",
        ];
        let is_branch = picked
            .first_word(&kinds)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("branch"));
        if is_branch && !attributes.contains_key("head_branch") {
            let paths = [
                "push.changes[].new.name",
                "push.changes[].old.name",
                "changes[].ref.displayId",
            ];
            table::put(
                &mut attributes,
                "head_branch",
                picked.first_word(&paths).as_deref(),
            );
        }
        let full_name = picked.word("repository.full_name").or_else(|| {
            let key = [
                "repository.project.key",
                "pullRequest.toRef.repository.project.key",
            ];
            let slug = ["repository.slug", "pullRequest.toRef.repository.slug"];
            Some(format!(
                "{}/{}",
                picked.first_word(&key)?,
                picked.first_word(&slug)?
            ))
        });
        table::put_repository(&mut attributes, full_name.as_deref());
        let ids = ["x-request-uuid", "x-request-id"];
        let mut ids = ids.into_iter().filter_map(|name| headers.header(name));
        Ok(Reading {
            event_type: headers.header("x-event-key").map(str::to_owned),
            delivery_id: ids.find(|id| !id.is_empty()).map(str::to_owned),
            actor,
            subject: full_name,
            attributes,
            challenge: None,
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        Ok(super::fields([
            ("x-event-key", outgoing.event_type.to_owned()),
            ("x-request-uuid", outgoing.delivery_id.to_owned()),
            (SIGNATURE, sign(&self.keys, outgoing.body)?),
        ]))
    }
}

/// Checks the signature of an Atlassian sender.
pub(super) fn verify(keys: &Keys, headers: &dyn Headers, body: &[u8]) -> Result<(), Rejection> {
    let tag = signature::hex(signature::required(headers, SIGNATURE)?, PREFIX)?;
    keys.over(&[body]).check(&tag)
}

/// The signature of an Atlassian sender.
pub(super) fn sign(keys: &Keys, body: &[u8]) -> Result<String, String> {
    Ok(format!("{PREFIX}{}", HEXLOWER.encode(&keys.sign(&[body])?)))
}
