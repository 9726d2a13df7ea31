//! Properties that hold for every input; see `http::properties`.
#![doc(hidden)]

mod signature;

use serde::de::IgnoredAny;

use super::{
    Algorithm, Encoding, Fields, Headers, HmacSettings, Kind, Message, Settings, Source, form,
};
use crate::clock::Timestamp;
use crate::event::Attribute;
use crate::secret::Secret;

pub use self::signature::signature;

/// When deliveries come, in milliseconds: 2023-11-14T22:13:20Z.
const NOW_MS: u64 = 1_700_000_000_000;

/// What a source signs it accepts, and nothing else; whatever is accepted is read or refused. The
/// first byte chooses the kind, the second whether the delivery is signed and whether it claims
/// to be a form. Then come header lines, an empty line and the body.
pub fn source_delivery(input: &[u8]) {
    let [kind, choice, rest @ ..] = input else {
        return;
    };
    let mut kinds = Kind::ALL.into_iter().cycle();
    let Some(kind) = kinds.nth(usize::from(*kind)) else {
        return;
    };
    let source = source(kind);
    let (fields, body) = split(rest);
    let now = Timestamp::from_millis(NOW_MS);
    let mut headers = fields;
    if choice & 2 != 0 {
        headers.push(("content-type".to_owned(), form::MEDIA_TYPE.to_owned()));
    }
    let mut body = body.to_vec();
    if choice & 1 == 0 {
        let _ = source.verify(&headers, &body, now);
    } else {
        body = source.stamp(body, now);
        let Ok(signed) = source.sign("push.made", "d-1", &body, now) else {
            return;
        };
        assert_eq!(source.verify(&signed, &body, now), Ok(()));
        headers = signed;
        refuses_another_body(&source, &headers, &body, now);
    }
    reads(&source, &headers, body);
}

/// A form is decoded to no more than it is, and says the same when it is encoded again.
pub fn form(input: &[u8]) {
    let Ok(fields) = form::fields(input) else {
        return;
    };
    let length: usize = fields.iter().map(|(n, v)| n.len() + v.len()).sum();
    assert!(length <= input.len());
    let encoded: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    assert_eq!(form::fields(encoded.join("&").as_bytes()), Ok(fields));
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect::<Vec<_>>()
        .concat()
}

fn source(kind: Kind) -> Source {
    let secret = match kind {
        Kind::Standard => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        _ => "secret",
    };
    let settings = Settings {
        name: "source".to_owned(),
        kind,
        secrets: vec![Secret::new(secret)],
        ignore_actors: Vec::new(),
        hmac: (kind == Kind::Hmac).then(|| HmacSettings {
            header: "x-signature".to_owned(),
            prefix: "v=".to_owned(),
            encoding: Encoding::Base64,
            algorithm: Algorithm::Sha512,
            type_header: Some("x-type".to_owned()),
            type_field: Some("event.type".to_owned()),
            id_header: Some("x-id".to_owned()),
            id_field: Some("event.id".to_owned()),
        }),
    };
    Source::new(settings).unwrap_or_else(|text| panic!("{text}"))
}

/// The header lines in front of the first empty line, and what is behind it.
fn split(input: &[u8]) -> (Fields, &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let Some((head, body)) = end.and_then(|end| input.split_at_checked(end)) else {
        return (Vec::new(), input);
    };
    let head = String::from_utf8_lossy(head);
    let fields = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (fields, body.get(2..).unwrap_or_default())
}

fn refuses_another_body(source: &Source, headers: &Fields, body: &[u8], now: Timestamp) {
    let is_token = matches!(source.kind(), Kind::Gitlab | Kind::Telegram);
    // Of a form Gitea signs one field alone.
    if is_token || form::is_form(headers, body) {
        return;
    }
    let mut other = body.to_vec();
    match other.last_mut() {
        Some(last) => *last ^= 1,
        None => other.push(0),
    }
    assert!(source.verify(headers, &other, now).is_err());
}

fn reads(source: &Source, headers: &impl Headers, body: Vec<u8>) {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    let must_be_read = str::from_utf8(&body).is_ok_and(is_json)
        && headers.header("content-type") != Some(form::MEDIA_TYPE);
    let read = match source.read(headers, body) {
        Ok(Message::Delivery(read)) => read,
        Ok(Message::Challenge(_)) => return,
        Err(error) => {
            assert!(!must_be_read, "{error}");
            return;
        }
    };
    assert!(is_json(&read.payload));
    assert!((1..=255).contains(&read.event_type.len()));
    assert!((1..=255).contains(&read.delivery_id.len()));
    assert!(
        read.actor
            .is_none_or(|actor| (1..=255).contains(&actor.len()))
    );
    assert!(
        read.subject
            .is_none_or(|subject| (1..=512).contains(&subject.len()))
    );
    for (name, value) in &read.attributes {
        assert!(!["actor", "subject", "source", "type", "payload"].contains(&name.as_ref()));
        match value {
            Attribute::Text(text) => assert!(text.len() <= 1 << 20),
            Attribute::Names(names) => assert!(names.len() <= 100),
            Attribute::Integer(_) | Attribute::Flag(_) => {}
        }
    }
}
