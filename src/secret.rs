//! A text that must not be shown: an API key, a worker's token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret text. `Debug` shows `***`, and there is no `Display`. `==` tells one configuration from
/// another; what a peer sends is compared by a [`Keyring`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Several secrets of which any may match, compared in constant time.
///
/// What is compared are HMAC-SHA256 tags under a random key, so that the time taken tells
/// neither how many characters agree nor how long a secret is. All secrets are tried, whichever
/// matches.
#[derive(Clone)]
pub struct Keyring {
    keyed: Hmac<Sha256>,
    tags: Vec<Vec<u8>>,
}

impl Keyring {
    /// A ring that accepts each of `secrets`.
    pub fn new(secrets: &[Secret]) -> Self {
        // One block of SHA-256, the size at which HMAC uses a key as it is.
        let mut key = [0_u8; 64];
        if getrandom::fill(&mut key).is_err() {
            // The comparison takes the same time under any key; that nobody knows the key is a
            // second guard.
            fastrand::fill(&mut key);
        }
        let keyed = Hmac::<Sha256>::new(&key.into());
        let tags = secrets
            .iter()
            .map(|secret| {
                let mut mac = keyed.clone();
                mac.update(secret.reveal().as_bytes());
                mac.finalize().into_bytes().to_vec()
            })
            .collect();
        Self { keyed, tags }
    }

    /// Whether no secret is set.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether `candidate` is one of the secrets.
    pub fn accepts(&self, candidate: &[u8]) -> bool {
        let mut mac = self.keyed.clone();
        mac.update(candidate);
        self.tags.iter().fold(false, |accepted, tag| {
            mac.clone().verify_slice(tag).is_ok() | accepted
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.tags.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_accepts_each_of_its_secrets_and_nothing_else() {
        let ring = Keyring::new(&[Secret::new("old"), Secret::new("new")]);
        for (candidate, accepted) in [
            ("old", true),
            ("new", true),
            ("", false),
            ("ol", false),
            ("older", false),
            ("OLD", false),
        ] {
            assert_eq!(ring.accepts(candidate.as_bytes()), accepted, "{candidate}");
        }
        assert!(!Keyring::new(&[]).accepts(b""));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
        assert_eq!(
            format!("{:?}", Keyring::new(&[Secret::new("hunter2")])),
            "1 secrets"
        );
    }
}
