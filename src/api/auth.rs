//! Whether a request has one of the API keys.
//!
//! A missing key and a wrong one look the same from outside: same answer, and a comparison that
//! takes the same time whatever the candidate is.

use crate::http::Head;
use crate::secret::Keyring;

/// What a request offers as a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credentials<'a> {
    /// `Authorization`, whole.
    pub(super) authorization: Option<&'a str>,
    /// `X-API-Key`.
    pub(super) api_key: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// Reads them from a request. A header that came more than once is ambiguous, and ignored.
    pub(super) fn of(head: &'a Head) -> Self {
        let single = |name| match head.header_count(name) {
            1 => head.header(name),
            _ => None,
        };
        Self {
            authorization: single("authorization"),
            api_key: single("x-api-key"),
        }
    }

    /// Whether one of them opens `keys`. An empty ring is open to all.
    pub(super) fn open(self, keys: &Keyring) -> bool {
        if keys.is_empty() {
            return true;
        }
        let bearer = self.authorization.and_then(bearer_token);
        let accepts =
            |candidate: Option<&str>| candidate.is_some_and(|key| keys.accepts(key.as_bytes()));
        accepts(bearer) | accepts(self.api_key)
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;
    use crate::secret::Secret;

    #[test]
    fn one_right_key_in_either_header_opens() {
        let keys = Keyring::new(&[Secret::new("old"), Secret::new("new")]);
        for (authorization, api_key, opens) in [
            (Some("Bearer new"), None, true),
            (Some("bearer old"), None, true),
            (Some("BEARER   new "), None, true),
            (None, Some("new"), true),
            (Some("Basic bmV3"), Some("new"), true),
            (Some("Bearer wrong"), Some("new"), true),
            (Some("Bearer new"), Some("wrong"), true),
            (Some("Bearer wrong"), Some("wrong"), false),
            (Some("new"), None, false),
            (Some("Bearer"), None, false),
            (Some("Bearer "), None, false),
            (Some("Bearernew"), None, false),
            (Some("Bearer NEW"), None, false),
            (Some("Basic new"), None, false),
            (None, Some(""), false),
            (None, Some("Bearer new"), false),
            (None, None, false),
        ] {
            let credentials = Credentials {
                authorization,
                api_key,
            };
            assert_eq!(credentials.open(&keys), opens, "{credentials:?}");
        }
    }

    #[test]
    fn a_header_that_comes_twice_opens_nothing() {
        let keys = Keyring::new(&[Secret::new("key")]);
        let opens = |fields: &[(&str, &str)]| {
            let head = Head::new(Method::Get, "/tasks", "", fields.iter().copied());
            Credentials::of(&head).open(&keys)
        };
        let bearer = ("authorization", "Bearer key");
        let api_key = ("x-api-key", "key");
        assert!(opens(&[bearer]));
        assert!(opens(&[api_key]));
        assert!(opens(&[bearer, bearer, api_key]));
        assert!(!opens(&[bearer, bearer]));
        assert!(!opens(&[api_key, ("x-api-key", "other")]));
        assert!(!opens(&[]));
    }

    #[test]
    fn without_a_key_everybody_may_in() {
        assert!(Credentials::default().open(&Keyring::new(&[])));
    }
}
