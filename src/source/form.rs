//! Decodes `application/x-www-form-urlencoded`.
//!
//! Stricter than a browser's form need be (WHATWG URL, 5.1): an escape that is none, a name that
//! stands twice and bytes that are not UTF-8 are refused, so that a form has one meaning. BOUND: a
//! form has at most [`FIELDS_MAX`] fields, and what is decoded is never larger than what came.

use super::Headers;

/// The media type of a form.
pub(super) const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Fields of a form at most; a slash command has some 15.
const FIELDS_MAX: usize = 256;

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadForm {
    /// `%` without two hexadecimal digits.
    Escape,
    /// What an escape or a byte stands for is not UTF-8.
    NotUtf8,
    /// A name stands twice.
    Repeated,
    /// More than [`FIELDS_MAX`] fields.
    TooMany,
}

impl BadForm {
    /// What is wrong.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Escape => "% stands without two hexadecimal digits behind it",
            Self::NotUtf8 => "it is not UTF-8",
            Self::Repeated => "a field stands twice",
            Self::TooMany => "it has more than 256 fields",
        }
    }
}

/// Whether the body is a form. The header that says so is not signed, so it cannot make a form of
/// a body that is JSON: a text in it could be taken for a field.
pub(super) fn is_form(headers: &dyn Headers, body: &[u8]) -> bool {
    is_announced(headers) && !looks_like_json(body)
}

/// Whether `Content-Type` says that the body is a form.
pub(super) fn is_announced(headers: &dyn Headers) -> bool {
    let media_type = headers.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(MEDIA_TYPE)
}

/// Whether a body begins like a JSON object or array, as no form does.
pub(super) fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Names and values in their order. A field without `=` has an empty value.
pub(super) fn fields(body: &[u8]) -> Result<Vec<(String, String)>, BadForm> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in body.split(|byte| *byte == b'&') {
        if field.is_empty() {
            continue;
        }
        if fields.len() == FIELDS_MAX {
            return Err(BadForm::TooMany);
        }
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next().unwrap_or_default())?;
        let value = decode(halves.next().unwrap_or_default())?;
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(BadForm::Repeated);
        }
        fields.push((name, value));
    }
    Ok(fields)
}

/// The value of the field `name`.
pub(super) fn field(body: &[u8], name: &str) -> Result<Option<String>, BadForm> {
    let found = fields(body)?.into_iter().find(|(known, _)| known == name);
    Ok(found.map(|(_, value)| value))
}

fn decode(encoded: &[u8]) -> Result<String, BadForm> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(&byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(|digit| hex_digit(*digit));
                let low = bytes.next().and_then(|digit| hex_digit(*digit));
                high.zip(low)
                    .map(|(high, low)| high << 4 | low)
                    .ok_or(BadForm::Escape)?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| BadForm::NotUtf8)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        for (body, wanted) in [
            (&b""[..], &[][..]),
            (b"&&", &[]),
            (b"a=1&b=2", &[("a", "1"), ("b", "2")]),
            (b"&a=1&&b=2&", &[("a", "1"), ("b", "2")]),
            (b"a", &[("a", "")]),
            (b"a=", &[("a", "")]),
            (b"=1", &[("", "1")]),
            (b"a=b=c", &[("a", "b=c")]),
            (b"a+b=c+d%20e", &[("a b", "c d e")]),
            (b"a=%2B%26%3D%25", &[("a", "+&=%")]),
            (b"%61=%c3%a4%C3%A4", &[("a", "\u{e4}\u{e4}")]),
            ("a=\u{e4}".as_bytes(), &[("a", "\u{e4}")]),
            (b"a=%00\0", &[("a", "\0\0")]),
            (b"a=\"{}\"", &[("a", "\"{}\"")]),
        ] {
            let read = fields(body).unwrap();
            let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(read, wanted, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for (body, error) in [
            (&b"a=%"[..], BadForm::Escape),
            (b"a=%4", BadForm::Escape),
            (b"a=%4&b=1", BadForm::Escape),
            (b"a=%zz", BadForm::Escape),
            (b"a=%+1", BadForm::Escape),
            (b"%=1", BadForm::Escape),
            (b"a=%ff", BadForm::NotUtf8),
            (b"a=\xff", BadForm::NotUtf8),
            (b"%c3=1", BadForm::NotUtf8),
            (b"a=1&a=2", BadForm::Repeated),
            (b"a=1&%61=1", BadForm::Repeated),
        ] {
            assert_eq!(
                fields(body),
                Err(error),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        let form = |count: usize| {
            let fields: Vec<String> = (0..count).map(|n| format!("f{n}=")).collect();
            fields.join("&")
        };
        assert!(fields(form(FIELDS_MAX).as_bytes()).is_ok());
        assert_eq!(
            fields(form(FIELDS_MAX + 1).as_bytes()),
            Err(BadForm::TooMany)
        );
    }

    #[test]
    fn a_form_is_told_by_its_media_type_and_never_is_json() {
        for (media_type, body, wanted) in [
            (MEDIA_TYPE, "payload=1", true),
            (
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
                "a=1",
                true,
            ),
            ("application/json", "payload=1", false),
            ("", "payload=1", false),
            (MEDIA_TYPE, "{\"a\": \"&payload=1\"}", false),
            (MEDIA_TYPE, " [\"&payload=1\"]", false),
        ] {
            let headers = vec![("content-type".to_owned(), media_type.to_owned())];
            assert_eq!(
                is_form(&headers, body.as_bytes()),
                wanted,
                "{media_type} {body}"
            );
        }
        assert!(!is_form(&Vec::new(), b"payload=1"));
    }
}
