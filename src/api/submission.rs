//! What `POST /task` carries: the body and the `Idempotency-Key`.

use std::ops::Range;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::unescape::unescape;
use crate::http::Head;

/// Characters of an `Idempotency-Key` at most.
const KEY_LENGTH_MAX: usize = 255;

/// A checked body of `POST /task`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Submission {
    /// Never empty.
    pub(super) prompt: String,
    /// The worker that was named, unchecked; `None` where it was absent, null or empty.
    pub(super) worker: Option<String>,
    /// A JSON object as it came.
    pub(super) context: Option<String>,
}

/// The fields that are read, each still as its JSON, so that a wrong type can be told from a
/// wrong document. Nothing here recurses into what a caller nests.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    worker: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

impl Submission {
    /// Reads a body. The larger one of prompt and context stays in the body's memory, so that it is
    /// never there twice.
    pub(super) fn parse(mut body: Vec<u8>) -> Result<Self, ApiError> {
        let text = object_text(&body)?;
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| refusal(&error))?;
        let worker = match fields.worker {
            Some(worker) => string("worker", worker).map(Some),
            None => Ok(None),
        };
        let context = match fields.context {
            Some(context) if context.get().starts_with('{') => Ok(Some(context)),
            Some(_) => Err(bad_field("context", "an object")),
            None => Ok(None),
        };
        let length = |field: Option<&RawValue>| field.map_or(0, |field| field.get().len());
        let (prompt, context) = if length(fields.prompt) < length(fields.context) {
            let prompt = fields.prompt.map(|prompt| string("prompt", prompt));
            let context = context.map(|context| context.map(|context| place(text, context.get())));
            let context = context.map(|at| at.map(|at| cut_out(body, at)));
            (prompt, context)
        } else {
            let context = context.map(|context| context.map(|context| context.get().to_owned()));
            let prompt = match fields.prompt {
                Some(prompt) if prompt.get().starts_with('"') => {
                    let at = place(text, prompt.get());
                    cut_out_bytes(&mut body, at.start + 1..at.end.saturating_sub(1));
                    let decoded = unescape(&mut body).then_some(body);
                    let decoded = decoded.and_then(|body| String::from_utf8(body).ok());
                    Some(decoded.ok_or_else(|| no_character("prompt")))
                }
                Some(_) => Some(Err(bad_field("prompt", "a string"))),
                None => None,
            };
            (prompt, context)
        };
        let prompt = prompt.transpose()?.unwrap_or_default();
        if prompt.is_empty() {
            return Err(ApiError::new(
                400,
                "missing_prompt",
                "the body must have a \"prompt\", a string that is not empty",
            ));
        }
        Ok(Self {
            prompt,
            worker: worker?.filter(|worker| !worker.is_empty()),
            context: context?,
        })
    }
}

/// Where `part` stands, which is a part of `text`.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}

/// What stands `at` a place of a body, as text, in the body's memory.
fn cut_out(mut body: Vec<u8>, at: Range<usize>) -> String {
    cut_out_bytes(&mut body, at);
    // It is part of a body that was read as text.
    String::from_utf8(body).unwrap_or_default()
}

fn cut_out_bytes(body: &mut Vec<u8>, at: Range<usize>) {
    body.truncate(at.end);
    body.drain(..at.start.min(body.len()));
    if body.len() < body.capacity() / 2 {
        body.shrink_to_fit();
    }
}

/// The body as text, which starts like a JSON object. (Serde would take an array for a struct.)
pub(super) fn object_text(body: &[u8]) -> Result<&str, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let offset = error.valid_up_to();
        invalid_json(format!("the body is not UTF-8 at byte {offset}"))
    })?;
    let start = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if start.is_empty() {
        return Err(invalid_json("the body is empty; it must be a JSON object"));
    }
    if !start.starts_with('{') {
        return Err(invalid_json("the body must be a JSON object"));
    }
    Ok(text)
}

/// What serde found wrong with a document, without its words.
pub(super) fn refusal(error: &serde_json::Error) -> ApiError {
    let what = match error.classify() {
        Category::Eof => "the body ends within its JSON",
        // Every value of a field is taken as it is: only a field that comes twice is left.
        Category::Data => "the body has a field twice",
        Category::Syntax | Category::Io => "the body is not valid JSON",
    };
    invalid_json(format!(
        "{what}, at line {} column {}",
        error.line(),
        error.column()
    ))
}

fn invalid_json(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(400, "invalid_json", message)
}

pub(super) fn string(field: &'static str, value: &RawValue) -> Result<String, ApiError> {
    if !value.get().starts_with('"') {
        return Err(bad_field(field, "a string"));
    }
    // A surrogate without its partner is all that can be wrong with a string by now.
    serde_json::from_str(value.get()).map_err(|_| no_character(field))
}

fn no_character(field: &'static str) -> ApiError {
    invalid_json(format!("\"{field}\" has a \\u escape that is no character"))
}

pub(super) fn bad_field(field: &'static str, right: &'static str) -> ApiError {
    ApiError::new(400, "bad_field", format!("\"{field}\" must be {right}"))
}

/// The request's `Idempotency-Key`, if it has one.
pub(super) fn idempotency_key(head: &Head) -> Result<Option<String>, ApiError> {
    checked_key(
        head.header("idempotency-key"),
        head.header_count("idempotency-key"),
    )
}

fn checked_key(value: Option<&str>, count: usize) -> Result<Option<String>, ApiError> {
    let Some(key) = value else {
        return Ok(None);
    };
    let is_valid = count == 1
        && (1..=KEY_LENGTH_MAX).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_graphic());
    if is_valid {
        return Ok(Some(key.to_owned()));
    }
    Err(ApiError::new(
        400,
        "bad_idempotency_key",
        format!(
            "Idempotency-Key must come once and be 1 to {KEY_LENGTH_MAX} visible ASCII characters"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_whatever_else_it_has() {
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        let with_deep = format!(r#"{{"prompt":"p","context":{deep},"y":{deep}}}"#);
        for (body, prompt, worker, context) in [
            (r#"{"prompt":"p"}"#, "p", None, None),
            (" \r\n{\"prompt\" : \" \"}\t", " ", None, None),
            (
                r#"{"pr\u006fmpt":"\u0000\ud83d\ude00"}"#,
                "\0😀",
                None,
                None,
            ),
            (r#"{"prompt":"p","worker":"w"}"#, "p", Some("w"), None),
            (r#"{"prompt":"p","worker":""}"#, "p", None, None),
            (
                r#"{"prompt":"p","worker":null,"context":null}"#,
                "p",
                None,
                None,
            ),
            (r#"{"prompt":"p","context":{}}"#, "p", None, Some("{}")),
            (
                r#"{"context": { "a" : 1e999 } ,"prompt":"p"}"#,
                "p",
                None,
                Some(r#"{ "a" : 1e999 }"#),
            ),
            (r#"{"prompt":"p","x":1,"x":{"prompt":2}}"#, "p", None, None),
            (&with_deep, "p", None, Some(&deep)),
        ] {
            let expected = Submission {
                prompt: prompt.to_owned(),
                worker: worker.map(str::to_owned),
                context: context.map(str::to_owned),
            };
            assert_eq!(Submission::parse(body.as_bytes().to_vec()), Ok(expected));
        }
    }

    #[test]
    fn a_bad_body_is_refused_with_what_is_wrong() {
        for (body, code, named) in [
            (&b""[..], "invalid_json", "empty"),
            (b" \n", "invalid_json", "empty"),
            (b"p", "invalid_json", "object"),
            (b"null", "invalid_json", "object"),
            (b"[\"p\",null,null]", "invalid_json", "object"),
            (b"\"prompt\"", "invalid_json", "object"),
            (b"{", "invalid_json", "ends"),
            (b"{\"prompt\":\"p", "invalid_json", "ends"),
            (b"{\"prompt\":\n\"p\",}", "invalid_json", "line 2 column 5"),
            (b"{\"prompt\":\"p\"} x", "invalid_json", "line 1"),
            (b"{\"prompt\":\"p\"}{}", "invalid_json", "line 1"),
            (b"{'prompt':'p'}", "invalid_json", "not valid"),
            (b"{\"prompt\":\"a\nb\"}", "invalid_json", "not valid"),
            (
                b"{\"prompt\":\"p\",\"context\":{a}}",
                "invalid_json",
                "not valid",
            ),
            (b"{\"prompt\":\"p\",\"x\":tru}", "invalid_json", "not valid"),
            (b"{\"prompt\":\"\xff\"}", "invalid_json", "byte 11"),
            (b"\xef\xbb\xbf{\"prompt\":\"p\"}", "invalid_json", "object"),
            (
                b"{\"prompt\":\"a\",\"prompt\":\"b\"}",
                "invalid_json",
                "twice",
            ),
            (
                b"{\"prompt\":\"p\",\"context\":{},\"context\":{}}",
                "invalid_json",
                "twice",
            ),
            (b"{\"prompt\":\"\\ud800\"}", "invalid_json", "prompt"),
            (
                b"{\"prompt\":\"p\",\"worker\":\"\\udc00\"}",
                "invalid_json",
                "worker",
            ),
            (b"{}", "missing_prompt", "prompt"),
            (b"{\"prompt\":null}", "missing_prompt", "prompt"),
            (b"{\"prompt\":\"\"}", "missing_prompt", "prompt"),
            (b"{\"Prompt\":\"p\"}", "missing_prompt", "prompt"),
            (b"{\"prompt\":1}", "bad_field", "prompt"),
            (b"{\"prompt\":[\"p\"]}", "bad_field", "prompt"),
            (b"{\"prompt\":\"p\",\"worker\":1}", "bad_field", "worker"),
            (b"{\"prompt\":\"p\",\"worker\":{}}", "bad_field", "worker"),
            (b"{\"prompt\":\"p\",\"context\":[]}", "bad_field", "context"),
            (
                b"{\"prompt\":\"p\",\"context\":\"{}\"}",
                "bad_field",
                "context",
            ),
            (
                b"{\"prompt\":\"p\",\"context\":false}",
                "bad_field",
                "context",
            ),
        ] {
            let error = Submission::parse(body.to_vec()).unwrap_err();
            let body = String::from_utf8_lossy(body);
            assert_eq!((error.status, error.code), (400, code), "{body}");
            assert!(error.message.contains(named), "{body}: {}", error.message);
        }
    }

    #[test]
    fn an_endless_nest_that_never_closes_is_refused() {
        let body = format!(
            "{{\"prompt\":\"p\",\"context\":{{\"a\":{}",
            "[".repeat(1_000_000)
        );
        let error = Submission::parse(body.into_bytes()).unwrap_err();
        assert_eq!(error.code, "invalid_json");
    }

    #[test]
    fn a_key_is_one_visible_ascii_text() {
        let longest = "k".repeat(255);
        for key in ["k", "8e03978e-40d5-43e8-bc93-6894a57f9324", "!~", &longest] {
            assert_eq!(checked_key(Some(key), 1), Ok(Some(key.to_owned())));
        }
        assert_eq!(checked_key(None, 0), Ok(None));
        let too_long = "k".repeat(256);
        for (key, count) in [
            ("", 1),
            ("a b", 1),
            ("ä", 1),
            ("a\t", 1),
            (&too_long, 1),
            ("k", 2),
        ] {
            let error = checked_key(Some(key), count).unwrap_err();
            assert_eq!((error.status, error.code), (400, "bad_idempotency_key"));
        }
    }
}
