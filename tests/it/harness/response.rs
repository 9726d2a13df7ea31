//! An answer, held to the general part of the contract.

use serde_json::Value;

use super::wire::Head;

/// The statuses of the contract.
const STATUSES: &[u16] = &[
    100, 200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 417, 429, 431,
    501, 503, 505, 507,
];

/// What stands in no text for clients.
const INTERNALS: &[&str] = &[
    "fjall",
    "lsm",
    "panicked",
    "os error",
    "src/",
    "Error {",
    "Err(",
    "Some(",
    "RUST_BACKTRACE",
];

/// An answer that was held to the general part of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is no JSON: {error}: {:?}", self.text()),
        }
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails the test unless this is the error `code` with `status`; gives the text for people.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> String {
        assert_eq!(
            (self.status, error_code(&self.json())),
            (status, code.to_owned()),
            "{}",
            self.text()
        );
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the server announced that it closes the connection.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// What holds for every answer, whatever was asked (contract section 3).
    #[track_caller]
    pub(super) fn check(&self, is_head: bool) {
        let context = format!("{:?} {}", self.head, self.text());
        assert!(
            STATUSES.contains(&self.status),
            "not the contract's: {context}"
        );
        if self.status == 100 {
            return;
        }
        if self.status < 500 {
            let date = self.header("date").unwrap_or_default();
            assert!(
                date.len() == 29 && date.ends_with(" GMT"),
                "date: {context}"
            );
        }
        for name in [
            "date",
            "content-type",
            "content-length",
            "transfer-encoding",
            "retry-after",
            "allow",
        ] {
            assert!(self.head.header_count(name) <= 1, "{name} twice: {context}");
        }
        let has_length = self.header("content-length").is_some();
        assert!(!(has_length && self.head.is_chunked()), "{context}");
        if matches!(self.status, 204 | 304) {
            assert!(!has_length && self.body.is_empty(), "RFC 9110: {context}");
        }
        if matches!(self.status, 429 | 503) {
            let seconds = self.header("retry-after").and_then(|v| v.parse().ok());
            assert!(
                seconds.is_some_and(|s: u32| s >= 1),
                "retry-after: {context}"
            );
        }
        if self.status == 405 {
            assert!(
                self.header("allow").is_some_and(|v| !v.is_empty()),
                "allow: {context}"
            );
        }
        let media_type = self.header("content-type").unwrap_or_default();
        let is_other = media_type.starts_with("text/plain; version=")
            || media_type == "text/html; charset=utf-8";
        if is_other && self.status == 200 {
            // What Prometheus reads is no JSON, nor is the web page.
        } else if !self.body.is_empty() {
            assert_eq!(
                self.header("content-type"),
                Some("application/json"),
                "{context}"
            );
            let value = self.json();
            if self.status >= 400 && value.get("status").is_none() {
                check_error(&value);
            }
        } else if self.status >= 400 && !is_head {
            panic!("an error without a body: {context}");
        }
    }
}

/// The error's stable name, or an empty text.
fn error_code(body: &Value) -> String {
    body["code"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn check_error(value: &Value) {
    let Some(fields) = value.as_object() else {
        panic!("an error is an object: {value}");
    };
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "error"], "{value}");
    let code = error_code(value);
    assert!(
        code.starts_with(|c: char| c.is_ascii_lowercase())
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
        "code: {value}"
    );
    let text = value["error"].as_str().unwrap_or_default();
    assert!(text.len() > 3, "a text for people: {value}");
    for internal in INTERNALS {
        assert!(!text.contains(internal), "internal text: {value}");
    }
}
