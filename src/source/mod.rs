//! Sources of events: whether a webhook is genuine, and what it says.
//!
//! A [`Source`] is one sender and its secrets. [`Source::verify`] decides over the exact bytes that
//! came whether they are the sender's and fresh; [`Source::read`] turns them into a [`Delivery`].
//! Pure: nothing here reads a clock, a file or a socket. Each kind of sender has a file of its own;
//! `signature` has what their schemes share, `form` decodes bodies of forms, `pick` takes
//! single values out of JSON without a tree of it: `paths` is where they are, `scan` walks over the
//! text, `found` is what is there, `text` reads what stands in quotes; `table` names them, `reading` is what a sender found.
//!
//! BOUND: apart from the body itself, a delivery takes at most 1 MiB for each text attribute, and
//! at most 16 signatures of a list are tried.

mod bitbucket;
mod form;
mod found;
mod gitea;
mod github;
mod gitlab;
mod hmac;
mod jira;
mod kind;
mod linear;
mod paths;
mod pick;
pub mod properties;
mod reading;
mod scan;
mod shopify;
mod signature;
mod slack;
mod standard;
mod stripe;
mod table;
mod telegram;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::hmac::{Encoding, HmacSettings};
pub use self::kind::{Kind, NotAKind};
pub use self::reading::Unreadable;
pub use self::signature::{Algorithm, Rejection};

use self::reading::Reading;
use crate::clock::Timestamp;
use crate::event::Delivery;
use crate::secret::Secret;

/// The header of a request, as far as a delivery is told by it.
pub trait Headers {
    /// The first value of the header `name`, which is given in lower case.
    fn header(&self, name: &str) -> Option<&str>;

    /// How many fields of that name there are.
    fn header_count(&self, name: &str) -> usize;
}

/// What [`Source::sign`] makes can be verified and read again.
impl Headers for Vec<(String, String)> {
    fn header(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn header_count(&self, name: &str) -> usize {
        self.iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .count()
    }
}

/// What the configuration says about a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The `{source}` in `/webhook/{source}`.
    pub name: String,
    /// Who sends.
    pub kind: Kind,
    /// The secrets; any of them may match.
    pub secrets: Vec<Secret>,
    /// Globs of actors whose events are skipped.
    pub ignore_actors: Vec<String>,
    /// The scheme of a source of kind `hmac`; absent for every other.
    pub hmac: Option<HmacSettings>,
}

/// What a verified delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Something happened.
    Delivery(Delivery),
    /// The sender wants to see this text in the answer before it sends anything (Slack).
    Challenge(String),
}

/// A sender of webhooks, its keys prepared.
#[derive(Clone)]
pub struct Source {
    settings: Settings,
    sender: Arc<dyn Sender>,
}

impl Source {
    /// A source of these settings. The error says what is wrong with a secret, without showing it.
    pub fn new(settings: Settings) -> Result<Self, String> {
        if settings.secrets.is_empty() {
            return Err("no secret; a source needs one".to_owned());
        }
        if settings.secrets.iter().any(|s| s.reveal().is_empty()) {
            return Err("an empty secret; anybody could sign with it".to_owned());
        }
        let sender = sender_of(&settings)?;
        Ok(Self { settings, sender })
    }

    /// Its name, as in `/webhook/{source}`.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Who sends.
    pub fn kind(&self) -> Kind {
        self.settings.kind
    }

    /// What it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Globs of actors whose events are skipped.
    pub fn ignore_actors(&self) -> &[String] {
        &self.settings.ignore_actors
    }

    /// Whether the bytes of `body` are the sender's, and fresh where its scheme tells the time.
    pub fn verify(
        &self,
        headers: &impl Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejection> {
        self.sender.verify(headers, body, now)
    }

    /// What a delivery says. Only to be asked of one that was verified.
    pub fn read(&self, headers: &impl Headers, body: Vec<u8>) -> Result<Message, Unreadable> {
        let payload = self.sender.payload(headers, body)?;
        if payload.trim_ascii().is_empty() {
            return Err(Unreadable::Empty);
        }
        let reading = self.sender.read(headers, &payload)?;
        Ok(reading.into_message(self.name(), payload))
    }

    /// What a delivery of this type with this payload would say, signed or not.
    pub fn read_as(&self, event_type: &str, payload: String) -> Result<Delivery, Unreadable> {
        let mut reading = self.sender.read(&Vec::new(), &payload)?;
        reading.event_type = Some(event_type.to_owned());
        Ok(reading.into_delivery(self.name(), payload))
    }

    /// Whether the payload of such a request is decoded beside the body that carries it.
    pub fn decodes_form(&self, headers: &impl Headers) -> bool {
        self.kind().sends_forms() && form::is_announced(headers)
    }

    /// The header fields, their names in lower case, with which a sender of this kind would send
    /// `body`, signed with the first secret. Where a kind's body itself names the type or the
    /// delivery, the body counts. The error says why nobody could send that.
    pub fn sign(
        &self,
        event_type: &str,
        delivery_id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, String> {
        for (what, text) in [("event", event_type), ("delivery id", delivery_id)] {
            let is_visible = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            if text.trim().is_empty() || !is_visible {
                return Err(format!(
                    "the {what} {text:?} cannot stand in a header; write visible ASCII"
                ));
            }
        }
        let media_type = if self.kind().sends_forms() && !form::looks_like_json(body) {
            form::MEDIA_TYPE
        } else {
            "application/json"
        };
        let mut fields = vec![("content-type".to_owned(), media_type.to_owned())];
        let outgoing = Outgoing {
            event_type,
            delivery_id,
            body,
            now,
        };
        let signed = self.sender.sign(&outgoing)?;
        fields.extend(signed);
        Ok(fields)
    }

    /// `body` with the time of sending at `now`, for the kind whose body holds it (Linear). An old
    /// file can be signed again with it; every other kind's body stays as it is.
    pub fn stamp(&self, body: Vec<u8>, now: Timestamp) -> Vec<u8> {
        match self.kind() {
            Kind::Linear => linear::stamp(body, now),
            _ => body,
        }
    }
}

/// Sources are equal when their settings are: the keys follow from them.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

/// What is to be sent by a sender.
struct Outgoing<'a> {
    event_type: &'a str,
    delivery_id: &'a str,
    body: &'a [u8],
    now: Timestamp,
}

impl Outgoing<'_> {
    /// What stands in front of the type's first dot: the part that code hosts name in a header.
    fn event(&self) -> &str {
        self.event_type
            .split_once('.')
            .map_or(self.event_type, |(event, _)| event)
    }

    /// The present second.
    fn seconds(&self) -> String {
        (self.now.as_millis() / 1_000).to_string()
    }
}

/// Header fields, their names in lower case.
type Fields = Vec<(String, String)>;

fn fields<const N: usize>(fields: [(&str, String); N]) -> Fields {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How a kind of sender signs and what its deliveries say.
trait Sender: Send + Sync {
    /// See [`Source::verify`].
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection>;

    /// The JSON that the body is or carries. It need not be checked to be JSON.
    fn payload(&self, _headers: &dyn Headers, body: Vec<u8>) -> Result<String, Unreadable> {
        reading::text(body)
    }

    /// What the header and the payload say. An error where the payload is no JSON.
    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable>;

    /// See [`Source::sign`].
    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String>;
}

fn sender_of(settings: &Settings) -> Result<Arc<dyn Sender>, String> {
    let secrets = settings.secrets.as_slice();
    if settings.hmac.is_some() && settings.kind != Kind::Hmac {
        return Err(format!(
            "the scheme of a source of kind {} is fixed",
            settings.kind
        ));
    }
    Ok(match settings.kind {
        Kind::Github => Arc::new(github::Github::new(secrets)?),
        Kind::Gitlab => Arc::new(gitlab::Gitlab::new(secrets)?),
        Kind::Gitea => Arc::new(gitea::Gitea::new(secrets, gitea::Host::Gitea)?),
        Kind::Forgejo => Arc::new(gitea::Gitea::new(secrets, gitea::Host::Forgejo)?),
        Kind::Bitbucket => Arc::new(bitbucket::Bitbucket::new(secrets)?),
        Kind::Jira => Arc::new(jira::Jira::new(secrets)?),
        Kind::Slack => Arc::new(slack::Slack::new(secrets)?),
        Kind::Stripe => Arc::new(stripe::Stripe::new(secrets)?),
        Kind::Shopify => Arc::new(shopify::Shopify::new(secrets)?),
        Kind::Linear => Arc::new(linear::Linear::new(secrets)?),
        Kind::Telegram => Arc::new(telegram::Telegram::new(secrets)?),
        Kind::Standard => Arc::new(standard::Standard::new(secrets)?),
        Kind::Hmac => {
            let scheme = settings
                .hmac
                .clone()
                .ok_or("a source of kind hmac needs the header of its signature")?;
            Arc::new(hmac::Generic::new(secrets, scheme)?)
        }
    })
}
