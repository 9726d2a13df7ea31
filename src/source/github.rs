//! GitHub: `X-Hub-Signature-256` over the body, be it JSON or a form.
//!
//! Where each attribute comes from stands in [`LINES`], which holds for Gitea and Forgejo, too: their
//! payloads are made like GitHub's. What an event is about comes first (a pull request, an issue, a
//! discussion, a release, a run, a push), and a comment or review before what it stands under.
//!
//! GitHub tells no time of sending, so a delivery that is sent again is told by its id alone.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use super::reading::{self, Reading, Unreadable, joined};
use super::signature::{self, Keys, Rejection};
use super::table::{self, Form, Line, Table};
use super::{Fields, Headers, Outgoing, Sender, form};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";

const LINES: &[Line] = &[
    (
        "repo_owner",
        Form::Text,
        &[
            "repository.owner.login",
            "repository.owner.name",
            "repository.owner.username",
        ],
    ),
    ("repo_name", Form::Text, &["repository.name"]),
    (
        "number",
        Form::Integer,
        &[
            "pull_request.number",
            "issue.number",
            "discussion.number",
            "milestone.number",
            "alert.number",
            "number",
            "check_run.pull_requests[].number",
            "check_suite.pull_requests[].number",
            "workflow_run.pull_requests[].number",
        ],
    ),
    (
        "title",
        Form::Text,
        &[
            "pull_request.title",
            "issue.title",
            "discussion.title",
            "release.name",
            "milestone.title",
            "alert.security_advisory.summary",
            "alert.rule.description",
            "check_run.output.title",
            "check_run.name",
            "workflow_run.display_title",
            "workflow_run.name",
            "workflow_job.name",
            "context",
        ],
    ),
    ("title", Form::FirstLine, &["head_commit.message"]),
    (
        "body",
        Form::Text,
        &[
            "comment.body",
            "review.body",
            "review.content",
            "pull_request.body",
            "issue.body",
            "discussion.body",
            "release.body",
            "milestone.description",
            "alert.security_advisory.description",
            "check_run.output.summary",
            "head_commit.message",
        ],
    ),
    ("sender", Form::Text, &["sender.login", "sender.username"]),
    (
        "head_branch",
        Form::Text,
        &[
            "pull_request.head.ref",
            "workflow_run.head_branch",
            "workflow_job.head_branch",
            "check_suite.head_branch",
            "check_run.check_suite.head_branch",
        ],
    ),
    (
        "head_branch",
        Form::Branch,
        &["merge_group.head_ref", "ref"],
    ),
    ("base_branch", Form::Text, &["pull_request.base.ref"]),
    ("base_branch", Form::Branch, &["merge_group.base_ref"]),
    (
        "head_sha",
        Form::Text,
        &[
            "pull_request.head.sha",
            "workflow_run.head_sha",
            "workflow_job.head_sha",
            "check_run.head_sha",
            "check_suite.head_sha",
            "merge_group.head_sha",
            "deployment.sha",
            "comment.commit_id",
            "after",
            "sha",
        ],
    ),
    (
        "ref",
        Form::Text,
        &["ref", "release.tag_name", "deployment.ref"],
    ),
    (
        "labels",
        Form::Names,
        &[
            "pull_request.labels[].name",
            "issue.labels[].name",
            "discussion.labels[].name",
        ],
    ),
    (
        "draft",
        Form::Flag,
        &["pull_request.draft", "release.draft"],
    ),
    (
        "url",
        Form::Text,
        &[
            "comment.html_url",
            "review.html_url",
            "pull_request.html_url",
            "issue.html_url",
            "discussion.html_url",
            "release.html_url",
            "milestone.html_url",
            "alert.html_url",
            "check_run.html_url",
            "workflow_run.html_url",
            "workflow_job.html_url",
            "compare",
            "compare_url",
            "target_url",
            "repository.html_url",
        ],
    ),
];

/// What is asked for beside the attributes.
const FACTS: [&str; 6] = [
    "description",
    "action",
    "ref_type",
    "repository.full_name",
    "comment",
    "review",
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES, FACTS));

pub(super) struct Github {
    keys: Keys,
}

impl Github {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Github {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        let tag = signature::hex(signature::required(headers, SIGNATURE)?, PREFIX)?;
        self.keys.over(&[body]).check(&tag)
    }

    fn payload(&self, headers: &dyn Headers, body: Vec<u8>) -> Result<String, Unreadable> {
        form_payload(headers, body)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        read(
            headers.header("x-github-event"),
            headers.header("x-github-delivery"),
            payload,
        )
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let tag = self.keys.sign(&[outgoing.body])?;
        Ok(super::fields([
            ("x-github-event", outgoing.event().to_owned()),
            ("x-github-delivery", outgoing.delivery_id.to_owned()),
            (SIGNATURE, format!("{PREFIX}{}", HEXLOWER.encode(&tag))),
        ]))
    }
}

/// The body itself, or the field `payload` of a form.
pub(super) fn form_payload(headers: &dyn Headers, body: Vec<u8>) -> Result<String, Unreadable> {
    if form::is_form(headers, &body) {
        return form::field(&body, "payload")?.ok_or(Unreadable::NoPayload);
    }
    reading::text(body)
}

/// Reads a payload that is made like GitHub's.
pub(super) fn read(
    event: Option<&str>,
    id: Option<&str>,
    payload: &str,
) -> Result<Reading, Unreadable> {
    let picked = TABLE.pick(payload)?;
    let mut attributes = TABLE.attributes(&picked);
    // A review may say nothing; what it stands under is not what it says.
    let speaks = ["comment", "review"].iter().any(|path| picked.has(path));
    let said = ["comment.body", "review.body", "review.content"];
    if speaks && !said.iter().any(|path| picked.has(path)) {
        attributes.remove("body");
    }
    // Only of a commit's status is it the status that is described; elsewhere, the repository.
    if picked.has("context") {
        table::put(
            &mut attributes,
            "body",
            picked.text("description").as_deref(),
        );
    }
    // A branch that is created or deleted has its bare name there.
    if picked.word("ref_type").as_deref() == Some("branch")
        && !attributes.contains_key("head_branch")
    {
        table::put(
            &mut attributes,
            "head_branch",
            picked.word("ref").as_deref(),
        );
    }
    let full_name = picked.word("repository.full_name");
    table::put_repository(&mut attributes, full_name.as_deref());
    let full_name = full_name.or_else(|| table::repository(&attributes));
    let event = event.map(str::to_owned).filter(|event| !event.is_empty());
    Ok(Reading {
        event_type: joined(event, picked.word("action")),
        delivery_id: id.map(str::to_owned),
        actor: picked.first_word(&["sender.login", "sender.username"]),
        subject: full_name,
        attributes,
        challenge: None,
    })
}
