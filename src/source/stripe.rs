//! Stripe: `Stripe-Signature` with the time of sending and signatures over it and the body.
//!
//! The whole text of the secret, `whsec_` included, is the key. While a secret is rolled there are
//! several `v1` signatures; other schemes are passed over, so that nobody can choose a weaker one.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;

use super::paths::Paths;
use super::pick::pick;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Keys, Rejection, TRIED_MAX};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: &str = "stripe-signature";

/// Seconds between sending and receiving at most, either way.
const TOLERANCE_SECONDS: u64 = 300;

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(["type", "id", "data.object.id"]));

pub(super) struct Stripe {
    keys: Keys,
}

impl Stripe {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Stripe {
    fn verify(&self, headers: &dyn Headers, body: &[u8], now: Timestamp) -> Result<(), Rejection> {
        let value = signature::required(headers, SIGNATURE)?;
        let entries = |wanted: &'static str| {
            value
                .split(',')
                .filter_map(|entry| entry.trim().split_once('='))
                .filter(move |(scheme, _)| *scheme == wanted)
                .map(|(_, value)| value)
        };
        let mut times = entries("t");
        let sent = times.next().ok_or(Rejection::MissingTimestamp)?;
        if times.next().is_some() {
            return Err(Rejection::MalformedTimestamp);
        }
        signature::check_seconds(signature::timestamp(sent)?, now, TOLERANCE_SECONDS)?;
        let tags: Vec<Vec<u8>> = entries("v1")
            .take(TRIED_MAX)
            .filter_map(|digits| signature::hex(digits, "").ok())
            .collect();
        if tags.is_empty() {
            return Err(Rejection::MalformedSignature);
        }
        let wanted = self.keys.over(&[sent.as_bytes(), b".", body]);
        let is_any = tags
            .iter()
            .fold(false, |any, tag| wanted.accepts(tag) | any);
        if is_any {
            Ok(())
        } else {
            Err(Rejection::WrongSignature)
        }
    }

    fn read(&self, _: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let picked = pick(payload, &PATHS)?;
        Ok(Reading {
            event_type: picked.word("type"),
            delivery_id: picked.word("id"),
            subject: picked.word("data.object.id"),
            ..Reading::default()
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let sent = outgoing.seconds();
        let tag = self.keys.sign(&[sent.as_bytes(), b".", outgoing.body])?;
        let value = format!("t={sent},v1={}", HEXLOWER.encode(&tag));
        Ok(super::fields([(SIGNATURE, value)]))
    }
}
