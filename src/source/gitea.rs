//! Gitea and Forgejo: the HMAC of the JSON payload as bare hexadecimal digits.
//!
//! Two traps: what is signed is the JSON, even where it is sent as a form; and a sender without a
//! secret sends the header with nothing in it. Forgejo sends Gitea's headers as well as its own, and
//! both send GitHub's, so that any of them will do; the first that is not empty decides.

use data_encoding::HEXLOWER;

use super::github;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Keys, Rejection, Tags};
use super::{Fields, Headers, Outgoing, Sender, form};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Which of the two, as what it sends is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Gitea,
    Forgejo,
}

/// The names of one thing in the order in which they count.
type Names = [&'static str; 3];

impl Host {
    fn ordered(self, [gitea, forgejo, github]: Names) -> Names {
        match self {
            Self::Gitea => [gitea, forgejo, github],
            Self::Forgejo => [forgejo, gitea, github],
        }
    }
}

const SIGNATURE: Names = [
    "x-gitea-signature",
    "x-forgejo-signature",
    "x-hub-signature-256",
];
const EVENT: Names = ["x-gitea-event", "x-forgejo-event", "x-github-event"];
const DELIVERY: Names = [
    "x-gitea-delivery",
    "x-forgejo-delivery",
    "x-github-delivery",
];

pub(super) struct Gitea {
    keys: Keys,
    host: Host,
}

impl Gitea {
    pub(super) fn new(secrets: &[Secret], host: Host) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
            host,
        })
    }

    fn first<'h>(&self, headers: &'h dyn Headers, names: Names) -> Option<&'h str> {
        let mut names = self.host.ordered(names).into_iter();
        names.find_map(|name| headers.header(name).filter(|value| !value.is_empty()))
    }

    /// The tags of what is signed: of the JSON, wherever it stands.
    fn tags(&self, headers: &dyn Headers, body: &[u8]) -> Result<Tags, Rejection> {
        if !form::is_form(headers, body) {
            return Ok(self.keys.over(&[body]));
        }
        // A form without a payload holds nothing that could be signed.
        let payload = form::field(body, "payload").ok().flatten();
        let payload = payload.ok_or(Rejection::WrongSignature)?;
        Ok(self.keys.over(&[payload.as_bytes()]))
    }
}

impl Sender for Gitea {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        let names = self.host.ordered(SIGNATURE);
        for name in names {
            let Some(value) = signature::single(headers, name)? else {
                continue;
            };
            let prefix = if name == "x-hub-signature-256" {
                "sha256="
            } else {
                ""
            };
            let tag = signature::hex(value, prefix)?;
            return self.tags(headers, body)?.check(&tag);
        }
        if names.iter().any(|name| headers.header_count(name) > 0) {
            return Err(Rejection::EmptySignature);
        }
        Err(Rejection::MissingSignature)
    }

    fn payload(&self, headers: &dyn Headers, body: Vec<u8>) -> Result<String, Unreadable> {
        github::form_payload(headers, body)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        github::read(
            self.first(headers, EVENT),
            self.first(headers, DELIVERY),
            payload,
        )
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let payload = if form::looks_like_json(outgoing.body) {
            None
        } else {
            let payload = form::field(outgoing.body, "payload").ok().flatten();
            Some(payload.ok_or("neither a JSON object nor a form with the field payload")?)
        };
        let signed = payload
            .as_ref()
            .map_or(outgoing.body, |payload| payload.as_bytes());
        let tag = HEXLOWER.encode(&self.keys.sign(&[signed])?);
        let [event, ..] = self.host.ordered(EVENT);
        let [delivery, ..] = self.host.ordered(DELIVERY);
        let [signature, ..] = self.host.ordered(SIGNATURE);
        Ok(super::fields([
            (event, outgoing.event().to_owned()),
            (delivery, outgoing.delivery_id.to_owned()),
            (signature, tag.clone()),
            ("x-hub-signature-256", format!("sha256={tag}")),
        ]))
    }
}
