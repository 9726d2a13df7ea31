//! Shopify: the HMAC of the body in base64; everything else that is asked for stands in headers.
//!
//! Newer deliveries name their headers without the `X-`.

use data_encoding::BASE64;

use super::pick;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Keys, Rejection};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

const SIGNATURE: [&str; 2] = ["x-shopify-hmac-sha256", "shopify-hmac-sha256"];

pub(super) struct Shopify {
    keys: Keys,
}

impl Shopify {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self, String> {
        Ok(Self {
            keys: Keys::of_texts(secrets)?,
        })
    }
}

impl Sender for Shopify {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        let [old, new] = SIGNATURE;
        let value = match signature::single(headers, old)? {
            Some(value) => value,
            None if headers.header_count(new) > 0 => signature::required(headers, new)?,
            None => signature::required(headers, old)?,
        };
        self.keys.over(&[body]).check(&signature::base64(value)?)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        pick::check(payload)?;
        let find = |names: [&str; 2]| {
            let mut values = names.into_iter().filter_map(|name| headers.header(name));
            values.find(|value| !value.is_empty()).map(str::to_owned)
        };
        Ok(Reading {
            event_type: find(["x-shopify-topic", "shopify-topic"]),
            delivery_id: find(["x-shopify-webhook-id", "shopify-webhook-id"]),
            subject: find(["x-shopify-shop-domain", "shopify-shop-domain"]),
            ..Reading::default()
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let [signature, _] = SIGNATURE;
        Ok(super::fields([
            ("x-shopify-topic", outgoing.event_type.to_owned()),
            // Which shop it would be is not known here.
            ("x-shopify-shop-domain", "example.myshopify.com".to_owned()),
            ("x-shopify-webhook-id", outgoing.delivery_id.to_owned()),
            (signature, BASE64.encode(&self.keys.sign(&[outgoing.body])?)),
        ]))
    }
}
