//! The parameters behind the `?`.
//!
//! A parameter that is not known is ignored, because proxies and link trackers add their own. One
//! that is known must make sense and come once.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::error::ApiError;
use crate::feed::Position;
use crate::http::percent_encoded;
use crate::queue::{EventFilter, Filter};

/// Tasks on a page where `limit` is absent.
const LIMIT_DEFAULT: usize = 100;
/// Tasks on a page at most.
const LIMIT_MAX: usize = 1_000;
/// A longer `wait` is cut to this.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Characters of a bad value that an error repeats.
const SHOWN_MAX: usize = 64;

/// The parameters of `GET /tasks`.
pub(super) fn filter(query: &str) -> Result<Filter, ApiError> {
    Ok(Filter {
        state: parsed(query, "state")?,
        worker: parsed(query, "worker")?,
        before: parsed(query, "before")?,
        limit: limit(query)?,
    })
}

/// The parameters of `GET /events`.
pub(super) fn event_filter(query: &str) -> Result<EventFilter, ApiError> {
    Ok(EventFilter {
        state: parsed(query, "state")?,
        source: parameter(query, "source")?,
        event_type: parameter(query, "type")?,
        before: parsed(query, "before")?,
        limit: limit(query)?,
    })
}

fn limit(query: &str) -> Result<usize, ApiError> {
    match parameter(query, "limit")? {
        None => Ok(LIMIT_DEFAULT),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit) && is_digits(&text))
            .ok_or_else(|| bad("limit", &text, format_args!("it is 1 to {LIMIT_MAX}"))),
    }
}

/// The target of the page that follows `filter`'s, whose last task is `filter.before`.
pub(super) fn tasks_target(filter: &Filter) -> String {
    let parameters: [(_, Option<&dyn Display>); 3] = [
        ("state", filter.state.as_ref().map(|state| state as _)),
        ("worker", filter.worker.as_ref().map(|worker| worker as _)),
        ("before", filter.before.as_ref().map(|before| before as _)),
    ];
    target("/tasks", filter.limit, &parameters)
}

/// The target of the page that follows `filter`'s, whose last event is `filter.before`.
pub(super) fn events_target(filter: &EventFilter) -> String {
    let (source, event_type) = (filter.source.as_ref(), filter.event_type.as_ref());
    let parameters: [(_, Option<&dyn Display>); 4] = [
        ("state", filter.state.as_ref().map(|state| state as _)),
        ("source", source.map(|source| source as _)),
        ("type", event_type.map(|event_type| event_type as _)),
        ("before", filter.before.as_ref().map(|before| before as _)),
    ];
    target("/events", filter.limit, &parameters)
}

fn target(path: &str, limit: usize, parameters: &[(&str, Option<&dyn Display>)]) -> String {
    let mut target = format!("{path}?limit={limit}");
    for (name, value) in parameters {
        if let Some(value) = value {
            target.extend(["&", name, "=", &percent_encoded(&value.to_string())]);
        }
    }
    target
}

/// The `wait` of `GET /task/{id}`: a number and one of `ms s m h d`.
pub(super) fn wait(query: &str) -> Result<Option<Duration>, ApiError> {
    let Some(text) = parameter(query, "wait")? else {
        return Ok(None);
    };
    let wait = duration(&text).ok_or_else(|| {
        let right = "it is a number and a unit (ms, s, m, h or d), as in 30s";
        bad("wait", &text, right)
    })?;
    Ok(Some(wait.min(WAIT_MAX)))
}

/// The `last_event_id` of `GET /stream`; one that is empty is absent, as the header of that name is.
pub(super) fn last_event_id(query: &str) -> Result<Option<Position>, ApiError> {
    const NAME: &str = "last_event_id";
    match parameter(query, NAME)?.as_deref() {
        None | Some("") => Ok(None),
        Some(_) => parsed(query, NAME),
    }
}

/// A duration as the configuration file writes it; what is too long for a `u64` of milliseconds
/// is the longest.
fn duration(text: &str) -> Option<Duration> {
    let unit_start = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(unit_start)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    let count = digits.parse().unwrap_or(u64::MAX);
    Some(Duration::from_millis(count.saturating_mul(unit_ms)))
}

fn parsed<T>(query: &str, name: &str) -> Result<Option<T>, ApiError>
where
    T: FromStr,
    T::Err: Display,
{
    match parameter(query, name)? {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(right) => Err(bad(name, &text, right)),
        },
    }
}

/// The decoded value of the parameter `name`; "" where it stands without one.
fn parameter(query: &str, name: &str) -> Result<Option<String>, ApiError> {
    let mut found = None;
    for pair in query.split('&') {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(raw_name).as_deref() != Some(name) {
            continue;
        }
        let value = decode(raw_value)
            .ok_or_else(|| bad(name, raw_value, "its percent-encoding is not one of UTF-8"))?;
        if found.replace(value).is_some() {
            return Err(ApiError::new(
                400,
                "bad_parameter",
                format!("the parameter {name} may be given once"),
            ));
        }
    }
    Ok(found)
}

/// Undoes percent-encoding and the `+` of forms.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// 400 for a value that makes no sense; `right` says what would.
pub(super) fn bad(name: &str, value: &str, right: impl Display) -> ApiError {
    let shown: String = value.chars().take(SHOWN_MAX).collect();
    ApiError::new(
        400,
        "bad_parameter",
        format!("the parameter {name} cannot be {shown:?}: {right}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::State;

    #[test]
    fn a_filter_is_read_from_its_parameters() {
        let worker = |name: &str| Some(name.parse().unwrap());
        let before = Some("0k3v00000000000a".parse().unwrap());
        for (query, expected) in [
            ("", (None, None, None, 100)),
            ("state=failed", (Some(State::Failed), None, None, 100)),
            ("limit=1", (None, None, None, 1)),
            ("limit=1000", (None, None, None, 1_000)),
            ("limit=007", (None, None, None, 7)),
            (
                "worker=a.b&state=pending",
                (Some(State::Pending), worker("a.b"), None, 100),
            ),
            ("%77orker=%61", (None, worker("a"), None, 100)),
            ("before=0k3v00000000000a", (None, None, before, 100)),
            (
                "utm_source=x&sate=failed&%zz=1&=&&",
                (None, None, None, 100),
            ),
        ] {
            let filter = filter(query).unwrap();
            let found = (filter.state, filter.worker, filter.before, filter.limit);
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn a_bad_value_is_named_with_what_would_be_right() {
        for (query, named) in [
            ("state=done", "pending, dispatched, completed or failed"),
            ("state=", "\"\""),
            ("state", "pending"),
            ("state=Pending", "\"Pending\""),
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
            ("limit=-1", "1 to 1000"),
            ("limit=%2B5", "1 to 1000"),
            ("limit=5.0", "1 to 1000"),
            ("limit=99999999999999999999999", "1 to 1000"),
            ("limit=", "1 to 1000"),
            ("worker=a%20b", "\"a b\""),
            ("worker=%zz", "percent-encoding"),
            ("worker=%ff", "percent-encoding"),
            ("worker=%f", "percent-encoding"),
            ("before=0k3v", "16 characters"),
            ("limit=5&limit=5", "once"),
        ] {
            let error = filter(query).unwrap_err();
            assert_eq!((error.status, error.code), (400, "bad_parameter"));
            assert!(error.message.contains(named), "{query}: {}", error.message);
        }
        let error = filter(&format!("worker={}", "%07".repeat(3_000))).unwrap_err();
        assert!(error.message.len() < 1_000 && error.message.is_ascii());
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        for query in [
            "limit=5",
            "limit=100&state=failed",
            "limit=100&worker=a.b&before=0k3v00000000000a",
            "limit=3&state=pending&worker=a&before=0k3v00000000000a",
        ] {
            assert_eq!(
                tasks_target(&filter(query).unwrap()),
                format!("/tasks?{query}")
            );
        }
    }

    #[test]
    fn a_wait_has_a_unit_and_is_cut_to_a_minute() {
        for (query, expected_ms) in [
            ("", None),
            ("wait=0s", Some(0)),
            ("wait=200ms", Some(200)),
            ("wait=30s", Some(30_000)),
            ("wait=60s", Some(60_000)),
            ("wait=61s", Some(60_000)),
            ("wait=10m", Some(60_000)),
            ("wait=6h", Some(60_000)),
            ("wait=30d", Some(60_000)),
            ("wait=99999999999999999999999999ms", Some(60_000)),
        ] {
            let expected = expected_ms.map(Duration::from_millis);
            assert_eq!(wait(query), Ok(expected), "{query}");
        }
        for query in [
            "wait",
            "wait=",
            "wait=30",
            "wait=s",
            "wait=-1s",
            "wait=1.5s",
            "wait=30S",
            "wait=30%20s",
            "wait=30sec",
            "wait=%C3%A9",
            "wait=1s&wait=2s",
        ] {
            assert_eq!(wait(query).unwrap_err().code, "bad_parameter", "{query}");
        }
    }
}
