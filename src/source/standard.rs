//! Standard Webhooks: an id, a time and signatures over both and the body, in `webhook-…` headers,
//! or in Svix's own, `svix-…`.
//!
//! `v1` is HMAC-SHA256 with a shared secret `whsec_…`, `v1a` is Ed25519 with the sender's public key
//! `whpk_…`. A delivery brings a list of signatures, of which any may match; versions that are not
//! known are passed over (github.com/standard-webhooks/standard-webhooks).
//!
//! BOUND: checking an Ed25519 signature reads the whole body for each key, so that a delivery has
//! [`ED25519_CHECKS_MAX`] of these checks at most.

use std::sync::LazyLock;

use data_encoding::BASE64;
use ed25519_compact::{PublicKey, Signature};

use super::paths::Paths;
use super::pick::pick;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Algorithm, Keys, Rejection, TRIED_MAX, Tags};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// The names of the header fields of a delivery.
struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const NAMES: Names = Names {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
};

/// Those of Svix, unless its customer has paid for the others
/// (docs.svix.com/receiving/verifying-payloads/how-manual).
const SVIX_NAMES: Names = Names {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
};

/// The names that a delivery uses, all of one kind.
fn names(headers: &dyn Headers) -> &'static Names {
    let is_svix = headers.header_count(NAMES.signature) == 0
        && headers.header_count(SVIX_NAMES.signature) > 0;
    if is_svix { &SVIX_NAMES } else { &NAMES }
}

/// Seconds between sending and receiving at most, either way.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// Ed25519 checks, of one signature with one key, at most: four signatures with four keys, or one
/// with each of as many as a source may have.
const ED25519_CHECKS_MAX: usize = 16;

/// Bytes of a shared secret, as the specification has them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The keys that signatures are checked with.
pub(super) struct Signatures {
    shared: Keys,
    public: Vec<PublicKey>,
}

impl Signatures {
    /// Keys of secrets that are written `whsec_…` or `whpk_…`.
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        let mut shared = Vec::new();
        let mut public = Vec::new();
        for secret in secrets {
            let text = secret.reveal();
            if let Some(encoded) = text.strip_prefix("whsec_") {
                shared.push(shared_key(encoded)?);
            } else if let Some(encoded) = text.strip_prefix("whpk_") {
                public.push(public_key(encoded)?);
            } else if text.starts_with("whsk_") {
                return Err(
                    "a private key (whsk_), which is the sender's; write its public key, whpk_..."
                        .to_owned(),
                );
            } else {
                return Err(
                    "not a secret of Standard Webhooks; write whsec_... as the sender shows it, or its public key whpk_..."
                        .to_owned(),
                );
            }
        }
        let keys = shared.iter().map(Vec::as_slice);
        Ok(Self {
            shared: Keys::new(Algorithm::Sha256, keys)?,
            public,
        })
    }

    /// Whether a delivery claims to be signed.
    pub(super) fn are_in(headers: &dyn Headers) -> bool {
        headers.header_count(NAMES.signature) > 0
    }

    pub(super) fn verify(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejection> {
        self.verify_named(&NAMES, headers, body, now)
    }

    fn verify_named(
        &self,
        names: &Names,
        headers: &dyn Headers,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let list = signature::required(headers, names.signature)?;
        let id = signature::single(headers, names.id)?.ok_or(Rejection::MissingId)?;
        let sent = signature::single(headers, names.timestamp)?;
        let sent = sent.ok_or(Rejection::MissingTimestamp)?;
        signature::check_seconds(signature::timestamp(sent)?, now, TOLERANCE_SECONDS)?;
        let signed = [id.as_bytes(), b".", sent.as_bytes(), b".", body];
        let tags = self.shared.over(&signed);
        self.check_list(list, &tags, &signed)
    }

    /// Whether one signature of `list` matches. All of them are tried.
    fn check_list(&self, list: &str, tags: &Tags, signed: &[&[u8]]) -> Result<(), Rejection> {
        let mut is_any_read = false;
        let mut accepted = false;
        let mut checks = 0;
        for entry in list.split(' ').take(TRIED_MAX) {
            let Some((version, encoded)) = entry.split_once(',') else {
                continue;
            };
            let Ok(tag) = signature::base64(encoded) else {
                continue;
            };
            match version {
                "v1" => accepted |= tags.accepts(&tag),
                "v1a" if checks + self.public.len() <= ED25519_CHECKS_MAX => {
                    checks += self.public.len();
                    accepted |= self.accepts_public(&tag, signed);
                }
                _ => continue,
            }
            is_any_read = true;
        }
        match (accepted, is_any_read) {
            (true, _) => Ok(()),
            (false, true) => Err(Rejection::WrongSignature),
            (false, false) => Err(Rejection::MalformedSignature),
        }
    }

    fn accepts_public(&self, tag: &[u8], signed: &[&[u8]]) -> bool {
        let Ok(tag) = Signature::from_slice(tag) else {
            return false;
        };
        self.public.iter().any(|key| {
            let Ok(mut state) = key.verify_incremental(&tag) else {
                return false;
            };
            for part in signed {
                state.absorb(part);
            }
            state.verify().is_ok()
        })
    }

    pub(super) fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        if self.shared.is_empty() {
            return Err(
                "a public key (whpk_) checks signatures and cannot make them; add a whsec_ secret to try this source out"
                    .to_owned(),
            );
        }
        let sent = outgoing.seconds();
        let id = outgoing.delivery_id;
        let signed = [id.as_bytes(), b".", sent.as_bytes(), b".", outgoing.body];
        let tag = self.shared.sign(&signed)?;
        Ok(super::fields([
            (NAMES.id, id.to_owned()),
            (NAMES.timestamp, sent),
            (NAMES.signature, format!("v1,{}", BASE64.encode(&tag))),
        ]))
    }
}

fn shared_key(encoded: &str) -> Result<Vec<u8>, String> {
    signature::key_of_base64(encoded)
        .filter(|key| KEY_BYTES.contains(&key.len()))
        .ok_or_else(|| {
            format!(
                "behind whsec_ stand {} to {} bytes in base64; copy the secret whole",
                KEY_BYTES.start(),
                KEY_BYTES.end()
            )
        })
}

fn public_key(encoded: &str) -> Result<PublicKey, String> {
    signature::key_of_base64(encoded)
        .and_then(|bytes| PublicKey::from_slice(&bytes).ok())
        .filter(|key| key.validate().is_ok())
        .ok_or_else(|| {
            "behind whpk_ stands an Ed25519 public key, 32 bytes in base64; copy the key whole"
                .to_owned()
        })
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(["type"]));

pub(super) struct Standard {
    signatures: Signatures,
}

impl Standard {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            signatures: Signatures::new(secrets)?,
        })
    }
}

impl Sender for Standard {
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
        self.signatures
            .verify_named(names(headers), headers, body, now)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = pick(payload, &PATHS)?;
        Ok(Reading {
            event_type: picked.word("type"),
            delivery_id: headers.header(names(headers).id).map(str::to_owned),
            ..Reading::default()
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        self.signatures.sign(outgoing)
    }
}
