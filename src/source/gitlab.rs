//! GitLab: a secret token that is sent as it is, or a signing token after Standard Webhooks.
//!
//! A secret that starts with `whsec_` is a signing token, any other a secret token. Where a
//! delivery brings a signature, the signature decides: falling back to the token would let whoever
//! has seen the token leave the rest unsigned.
//!
//! Attributes: what a note stands under (a merge request, an issue) names number, title, branches
//! and labels, the note itself body and url. A push has the title and the message of its last commit.

use std::sync::LazyLock;

use super::reading::{Reading, Unreadable, joined};
use super::signature::{self, Rejection};
use super::standard::Signatures;
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::{Keyring, Secret};

const TOKEN: &str = "x-gitlab-token";
const SIGNING_TOKEN_PREFIX: &str = "whsec_";

const LINES: &[Line] = &[
    (
        "number",
        Form::Integer,
        &["merge_request.iid", "issue.iid", "object_attributes.iid"],
    ),
    (
        "title",
        Form::Text,
        &[
            "merge_request.title",
            "issue.title",
            "object_attributes.title",
            "name",
        ],
    ),
    ("title", Form::LastFirstLine, &["commits[].message"]),
    (
        "body",
        Form::Text,
        &[
            "object_attributes.note",
            "object_attributes.description",
            "description",
        ],
    ),
    ("body", Form::Last, &["commits[].message"]),
    ("sender", Form::Text, &["user.username", "user_username"]),
    (
        "head_branch",
        Form::Text,
        &[
            "object_attributes.source_branch",
            "merge_request.source_branch",
        ],
    ),
    ("head_branch", Form::Branch, &["ref"]),
    (
        "base_branch",
        Form::Text,
        &[
            "object_attributes.target_branch",
            "merge_request.target_branch",
        ],
    ),
    (
        "head_sha",
        Form::Text,
        &[
            "object_attributes.last_commit.id",
            "merge_request.last_commit.id",
            "object_attributes.sha",
            "checkout_sha",
            "after",
            "sha",
            "commit.id",
        ],
    ),
    ("ref", Form::Text, &["ref", "object_attributes.ref", "tag"]),
    (
        "labels",
        Form::Names,
        &[
            "merge_request.labels[].title",
            "issue.labels[].title",
            "labels[].title",
            "object_attributes.labels[].title",
        ],
    ),
    (
        "draft",
        Form::Flag,
        &[
            "object_attributes.draft",
            "object_attributes.work_in_progress",
            "merge_request.draft",
            "merge_request.work_in_progress",
        ],
    ),
    (
        "url",
        Form::Text,
        &["object_attributes.url", "url", "project.web_url"],
    ),
];

/// What is asked for beside the attributes.
const FACTS: [&str; 7] = [
    "object_kind",
    "event_name",
    "event_type",
    "object_attributes.action",
    "object_attributes.tag",
    "tag",
    "project.path_with_namespace",
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES, FACTS));

pub(super) struct Gitlab {
    tokens: Keyring,
    /// The first secret, for signing, where it is a token.
    token: Option<Secret>,
    signatures: Signatures,
}

impl Gitlab {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        let (signing, tokens): (Vec<Secret>, Vec<Secret>) = secrets
            .iter()
            .cloned()
            .partition(|secret| secret.reveal().starts_with(SIGNING_TOKEN_PREFIX));
        let can_be_sent = |secret: &Secret| {
            let text = secret.reveal();
            let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
            text.trim() == text && text.bytes().all(is_visible)
        };
        if !tokens.iter().all(can_be_sent) {
            return Err(
                "a secret token of GitLab stands in a header: it is visible ASCII without spaces at its ends"
                    .to_owned(),
            );
        }
        let first = secrets.first();
        Ok(Self {
            token: first.filter(|first| tokens.contains(first)).cloned(),
            tokens: Keyring::new(&tokens),
            signatures: Signatures::new(&signing)?,
        })
    }
}

impl Sender for Gitlab {
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
        if Signatures::are_in(headers) {
            return self.signatures.verify(headers, body, now);
        }
        let token = signature::required(headers, TOKEN)?;
        if self.tokens.accepts(token.as_bytes()) {
            Ok(())
        } else {
            Err(Rejection::WrongSignature)
        }
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = TABLE.pick(payload)?;
        let mut attributes = TABLE.attributes(&picked);
        // Pipelines and jobs name a branch or a tag by its bare name, and say which it is.
        let is_branch = picked.flag("object_attributes.tag").or(picked.flag("tag")) == Some(false);
        if is_branch && !attributes.contains_key("head_branch") {
            let name = picked.first_word(&["object_attributes.ref", "ref"]);
            table::put(&mut attributes, "head_branch", name.as_deref());
        }
        let project = picked.word("project.path_with_namespace");
        table::put_repository(&mut attributes, project.as_deref());
        let kind = picked.first_word(&["object_kind", "event_name", "event_type"]);
        // The key stays the same when a delivery is tried again. The UUID alone does not tell
        // deliveries apart: webhooks that set off each other share it.
        let ids = ["webhook-id", "idempotency-key", "x-gitlab-event-uuid"];
        let mut ids = ids.into_iter().filter_map(|name| headers.header(name));
        Ok(Reading {
            event_type: joined(kind, picked.word("object_attributes.action")),
            delivery_id: ids.find(|id| !id.is_empty()).map(str::to_owned),
            actor: picked.first_word(&["user.username", "user_username"]),
            subject: project,
            attributes,
            challenge: None,
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let mut fields = super::fields([
            ("x-gitlab-event", hook_name(outgoing.event())),
            ("x-gitlab-event-uuid", outgoing.delivery_id.to_owned()),
            ("idempotency-key", outgoing.delivery_id.to_owned()),
        ]);
        match &self.token {
            Some(token) => fields.extend(super::fields([(TOKEN, token.reveal().to_owned())])),
            None => fields.extend(self.signatures.sign(outgoing)?),
        }
        Ok(fields)
    }
}

/// What GitLab calls the webhook of a kind of event: `Merge Request Hook`.
fn hook_name(event: &str) -> String {
    let mut name = String::new();
    for word in event.split('_').filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
        name.push(' ');
    }
    name + "Hook"
}
