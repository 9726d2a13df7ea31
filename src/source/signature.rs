//! What the schemes share: keys, tags compared in constant time, and the forms of a signature.
//!
//! A signature is decoded to bytes first, and what is compared are whole tags. All keys are tried,
//! whichever matches, so that the time taken tells nothing about them.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::Headers;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Signatures of a list that are tried at most. Senders put two there while a secret is changed.
pub(super) const TRIED_MAX: usize = 16;

/// Digits of a timestamp at most: milliseconds until after the year 9999.
const TIMESTAMP_DIGITS_MAX: usize = 15;

/// Why a delivery was not accepted. To its sender all of them look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// There is no signature or token.
    MissingSignature,
    /// There is a signature's header with nothing in it, as of a sender without a secret.
    EmptySignature,
    /// The signature has another form than the sender's, or stands there twice.
    MalformedSignature,
    /// The signature is another one: another secret or another body.
    WrongSignature,
    /// The delivery's id, which is signed, is missing.
    MissingId,
    /// The time of sending is missing.
    MissingTimestamp,
    /// The time of sending is no number.
    MalformedTimestamp,
    /// The time of sending is too far from now.
    StaleTimestamp,
}

impl Rejection {
    /// Every rejection.
    pub const ALL: [Self; 8] = [
        Self::MissingSignature,
        Self::EmptySignature,
        Self::MalformedSignature,
        Self::WrongSignature,
        Self::MissingId,
        Self::MissingTimestamp,
        Self::MalformedTimestamp,
        Self::StaleTimestamp,
    ];

    /// Its name in `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingSignature => "missing_signature",
            Self::EmptySignature => "empty_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::WrongSignature => "wrong_signature",
            Self::MissingId => "missing_id",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::StaleTimestamp => "stale_timestamp",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingSignature => "there is no signature",
            Self::EmptySignature => "the signature is empty; the sender has no secret",
            Self::MalformedSignature => "the signature has not the sender's form",
            Self::WrongSignature => "the signature is made with another secret or of another body",
            Self::MissingId => "the delivery's id is missing",
            Self::MissingTimestamp => "the time of sending is missing",
            Self::MalformedTimestamp => "the time of sending is not a number",
            Self::StaleTimestamp => {
                "the time of sending is too far from now; is a clock wrong, or was it sent again?"
            }
        })
    }
}

impl std::error::Error for Rejection {}

/// The hash under an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, for old senders alone.
    Sha1,
}

#[derive(Clone)]
enum Keyed {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Sha1(Hmac<Sha1>),
}

impl Keyed {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, String> {
        // HMAC takes a key of any length.
        let unfit = |_| "the secret cannot be a key".to_owned();
        Ok(match algorithm {
            Algorithm::Sha256 => Self::Sha256(Hmac::new_from_slice(key).map_err(unfit)?),
            Algorithm::Sha512 => Self::Sha512(Hmac::new_from_slice(key).map_err(unfit)?),
            Algorithm::Sha1 => Self::Sha1(Hmac::new_from_slice(key).map_err(unfit)?),
        })
    }

    fn update(&mut self, part: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(part),
            Self::Sha512(mac) => mac.update(part),
            Self::Sha1(mac) => mac.update(part),
        }
    }

    fn accepts(&self, tag: &[u8]) -> bool {
        match self.clone() {
            Self::Sha256(mac) => mac.verify_slice(tag),
            Self::Sha512(mac) => mac.verify_slice(tag),
            Self::Sha1(mac) => mac.verify_slice(tag),
        }
        .is_ok()
    }

    fn finalize(self) -> Vec<u8> {
        match self {
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha1(mac) => mac.finalize().into_bytes().to_vec(),
        }
    }
}

/// The keys of a source, each ready to begin.
pub(super) struct Keys(Vec<Keyed>);

impl Keys {
    /// Keys of these bytes.
    pub(super) fn new<'k>(
        algorithm: Algorithm,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> Result<Self, String> {
        let keyed = keys.into_iter().map(|key| Keyed::new(algorithm, key));
        keyed.collect::<Result<_, _>>().map(Self)
    }

    /// HMAC-SHA256 with the texts of `secrets` as they are.
    pub(super) fn of_texts(secrets: &[Secret]) -> Result<Self, String> {
        let texts = secrets.iter().map(|secret| secret.reveal().as_bytes());
        Self::new(Algorithm::Sha256, texts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags of `parts` one behind the other, under each key.
    pub(super) fn over(&self, parts: &[&[u8]]) -> Tags {
        let mut keyed = self.0.clone();
        for mac in &mut keyed {
            for part in parts {
                mac.update(part);
            }
        }
        Tags(keyed)
    }

    /// The tag of `parts` under the first key.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mut mac = self
            .0
            .first()
            .cloned()
            .ok_or("there is no key to sign with")?;
        for part in parts {
            mac.update(part);
        }
        Ok(mac.finalize())
    }
}

/// What the sender's signature must be, under each key.
pub(super) struct Tags(Vec<Keyed>);

impl Tags {
    /// Whether `tag` is the whole tag under one of the keys.
    pub(super) fn accepts(&self, tag: &[u8]) -> bool {
        self.0
            .iter()
            .fold(false, |accepted, mac| mac.accepts(tag) | accepted)
    }

    /// The same with the rejection that follows.
    pub(super) fn check(&self, tag: &[u8]) -> Result<(), Rejection> {
        if self.accepts(tag) {
            Ok(())
        } else {
            Err(Rejection::WrongSignature)
        }
    }
}

/// The value of a header that stands there once, if at all. An empty one is none.
pub(super) fn single<'h>(
    headers: &'h dyn Headers,
    name: &str,
) -> Result<Option<&'h str>, Rejection> {
    if headers.header_count(name) > 1 {
        return Err(Rejection::MalformedSignature);
    }
    Ok(headers.header(name).filter(|value| !value.is_empty()))
}

/// The value of the header of a signature, which stands there exactly once.
pub(super) fn required<'h>(headers: &'h dyn Headers, name: &str) -> Result<&'h str, Rejection> {
    single(headers, name)?.ok_or_else(|| {
        if headers.header_count(name) > 0 {
            Rejection::EmptySignature
        } else {
            Rejection::MissingSignature
        }
    })
}

/// The bytes of a signature in lower-case hexadecimal digits behind `prefix`.
pub(super) fn hex(value: &str, prefix: &str) -> Result<Vec<u8>, Rejection> {
    value
        .strip_prefix(prefix)
        .and_then(|digits| HEXLOWER.decode(digits.as_bytes()).ok())
        .filter(|tag| !tag.is_empty())
        .ok_or(Rejection::MalformedSignature)
}

/// The bytes of a signature in base64 with its padding.
pub(super) fn base64(value: &str) -> Result<Vec<u8>, Rejection> {
    BASE64
        .decode(value.as_bytes())
        .ok()
        .filter(|tag| !tag.is_empty())
        .ok_or(Rejection::MalformedSignature)
}

/// The bytes of a key in base64. Some senders show keys without the padding.
pub(super) fn key_of_base64(text: &str) -> Option<Vec<u8>> {
    BASE64
        .decode(text.as_bytes())
        .or_else(|_| BASE64_NOPAD.decode(text.as_bytes()))
        .ok()
}

/// A time of sending: digits alone, of bounded number.
pub(super) fn timestamp(text: &str) -> Result<u64, Rejection> {
    let is_number = (1..=TIMESTAMP_DIGITS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Rejection::MalformedTimestamp);
    }
    text.parse().map_err(|_| Rejection::MalformedTimestamp)
}

/// Checks that the second `sent` is at most `tolerance` seconds from `now`, either way.
pub(super) fn check_seconds(sent: u64, now: Timestamp, tolerance: u64) -> Result<(), Rejection> {
    check_distance(sent, now.as_millis() / 1_000, tolerance)
}

/// The same for milliseconds.
pub(super) fn check_millis(sent: u64, now: Timestamp, tolerance: u64) -> Result<(), Rejection> {
    check_distance(sent, now.as_millis(), tolerance)
}

fn check_distance(sent: u64, now: u64, tolerance: u64) -> Result<(), Rejection> {
    if sent.abs_diff(now) <= tolerance {
        Ok(())
    } else {
        Err(Rejection::StaleTimestamp)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE;

    use super::*;

    #[test]
    fn tags_are_those_of_rfc_4231_and_rfc_2202() {
        let long = vec![0xaa; 131];
        let counted: Vec<u8> = (1..=25).collect();
        let large: &[u8] = b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.";
        for (algorithm, key, data, tag) in [
            (
                Algorithm::Sha256,
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                Algorithm::Sha256,
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Algorithm::Sha256,
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                Algorithm::Sha256,
                &counted,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                Algorithm::Sha256,
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                Algorithm::Sha256,
                &long,
                large,
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
            (
                Algorithm::Sha512,
                &[0x0b; 20],
                b"Hi There",
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                Algorithm::Sha512,
                b"Jefe",
                b"what do ya want for nothing?",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                Algorithm::Sha1,
                &[0x0b; 20],
                b"Hi There",
                "b617318655057264e28bc0b6fb378c8ef146be00",
            ),
            (
                Algorithm::Sha1,
                b"Jefe",
                b"what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
        ] {
            let keys = Keys::new(algorithm, [key]).unwrap();
            let tag = HEXLOWER_PERMISSIVE.decode(tag.as_bytes()).unwrap();
            assert_eq!(keys.sign(&[data]).unwrap(), tag);
            let (front, back) = data.split_at(data.len() / 2);
            assert!(keys.over(&[front, back]).accepts(&tag));
        }
    }

    #[test]
    fn only_a_whole_tag_under_one_of_the_keys_is_accepted() {
        let keys = Keys::new(Algorithm::Sha256, [&b"old"[..], b"new"]).unwrap();
        let tags = keys.over(&[b"body"]);
        for key in ["old", "new"] {
            let tag = Keys::of_texts(&[Secret::new(key)])
                .unwrap()
                .sign(&[b"body"])
                .unwrap();
            assert!(tags.accepts(&tag));
            for length in 0..tag.len() {
                assert!(!tags.accepts(&tag[..length]));
            }
            assert!(!tags.accepts(&[tag.as_slice(), &[0]].concat()));
            for bit in 0..tag.len() * 8 {
                let mut wrong = tag.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(!tags.accepts(&wrong));
            }
        }
        assert!(
            !Keys::new(Algorithm::Sha256, [])
                .unwrap()
                .over(&[])
                .accepts(&[])
        );
    }

    #[test]
    fn encodings_are_strict() {
        for (value, is_read) in [
            ("sha256=00ff", true),
            ("sha256=00FF", false),
            ("sha256=00f", false),
            ("sha256=", false),
            ("SHA256=00ff", false),
            ("sha1=00ff", false),
            ("sha256= 00ff", false),
            ("sha256=00ff ", false),
            ("00ff", false),
            ("sha256=0xff", false),
        ] {
            assert_eq!(hex(value, "sha256=").is_ok(), is_read, "{value}");
        }
        for (value, is_read) in [
            ("AP8=", true),
            ("AP8", false),
            ("AP9=", false),
            ("AP8=\n", false),
            ("", false),
            ("A_8=", false),
        ] {
            assert_eq!(base64(value).is_ok(), is_read, "{value}");
        }
    }

    #[test]
    fn a_timestamp_is_a_few_digits() {
        for (text, read) in [
            ("0", Some(0)),
            ("1614265330", Some(1_614_265_330)),
            ("001", Some(1)),
            ("999999999999999", Some(999_999_999_999_999)),
            ("1000000000000000", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            (" 1", None),
            ("1.0", None),
            ("1e3", None),
            ("0x1", None),
        ] {
            assert_eq!(timestamp(text).ok(), read, "{text}");
        }
    }

    #[test]
    fn freshness_holds_to_the_second_both_ways() {
        let now = Timestamp::from_millis(1_000_999);
        for (sent, is_fresh) in [(700, true), (699, false), (1_300, true), (1_301, false)] {
            assert_eq!(check_seconds(sent, now, 300).is_ok(), is_fresh, "{sent}");
        }
        assert!(check_seconds(u64::MAX, now, 300).is_err());
        assert!(check_millis(1_000_999 - 60_000, now, 60_000).is_ok());
        assert!(check_millis(1_000_999 - 60_001, now, 60_000).is_err());
    }

    #[test]
    fn rejections_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> =
            Rejection::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Rejection::ALL.len());
    }
}
