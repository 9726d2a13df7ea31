//! A scheme of one's own: an HMAC of the body in a header, its form as it is configured.
//!
//! Hexadecimal digits are taken in either case. Such a sender tells no time, so a delivery that is
//! sent again is told by its id alone, or by what it says.

use data_encoding::{BASE64, HEXLOWER};

use super::paths::Paths;
use super::pick::pick;
use super::reading::{Reading, Unreadable};
use super::signature::{self, Algorithm, Keys, Rejection};
use super::{Fields, Headers, Outgoing, Sender};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits.
    Hex,
    /// Base64 with its padding.
    Base64,
}

/// The scheme of a source of kind `hmac`. Names of headers are in lower case. A field is named by
/// its path in the body: `type`, `event.name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacSettings {
    /// The header of the signature.
    pub header: String,
    /// What stands in front of the signature; often empty.
    pub prefix: String,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The hash.
    pub algorithm: Algorithm,
    /// The header of the type.
    pub type_header: Option<String>,
    /// The field of the type, for a delivery without that header.
    pub type_field: Option<String>,
    /// The header of the delivery's id.
    pub id_header: Option<String>,
    /// The field of the delivery's id, for a delivery without that header.
    pub id_field: Option<String>,
}

pub(super) struct Generic {
    keys: Keys,
    scheme: HmacSettings,
    /// Those of the type and the id.
    paths: Paths,
}

impl Generic {
    pub(super) fn new(secrets: &[Secret], scheme: HmacSettings) -> Result<Self, String> {
        let keys = secrets.iter().map(|secret| secret.reveal().as_bytes());
        let fields = [&scheme.type_field, &scheme.id_field];
        let paths = Paths::new(fields.into_iter().flatten().map(String::as_str));
        Ok(Self {
            keys: Keys::new(scheme.algorithm, keys)?,
            paths,
            scheme,
        })
    }
}

impl Sender for Generic {
    fn verify(&self, headers: &dyn Headers, body: &[u8], _: Timestamp) -> Result<(), Rejection> {
        let value = signature::required(headers, &self.scheme.header)?;
        let value = value
            .strip_prefix(self.scheme.prefix.as_str())
            .ok_or(Rejection::MalformedSignature)?;
        let tag = match self.scheme.encoding {
            Encoding::Hex => signature::hex(&value.to_ascii_lowercase(), "")?,
            Encoding::Base64 => signature::base64(value)?,
        };
        self.keys.over(&[body]).check(&tag)
    }

    fn read(&self, headers: &dyn Headers, payload: &str) -> Result<Reading, Unreadable> {
        let scheme = &self.scheme;
        let picked = pick(payload, &self.paths)?;
        let find = |header: &Option<String>, field: &Option<String>| {
            let in_header = header.as_ref().and_then(|name| headers.header(name));
            let in_header = in_header.filter(|value| !value.is_empty());
            in_header
                .map(str::to_owned)
                .or_else(|| picked.word(field.as_ref()?))
        };
        Ok(Reading {
            event_type: find(&scheme.type_header, &scheme.type_field),
            delivery_id: find(&scheme.id_header, &scheme.id_field),
            ..Reading::default()
        })
    }

    fn sign(&self, outgoing: &Outgoing<'_>) -> Result<Fields, String> {
        let scheme = &self.scheme;
        let tag = self.keys.sign(&[outgoing.body])?;
        let encoded = match scheme.encoding {
            Encoding::Hex => HEXLOWER.encode(&tag),
            Encoding::Base64 => BASE64.encode(&tag),
        };
        let mut fields = vec![(scheme.header.clone(), format!("{}{encoded}", scheme.prefix))];
        let event_type = outgoing.event_type.to_owned();
        fields.extend(scheme.type_header.clone().map(|name| (name, event_type)));
        let id = outgoing.delivery_id.to_owned();
        fields.extend(scheme.id_header.clone().map(|name| (name, id)));
        Ok(fields)
    }
}
