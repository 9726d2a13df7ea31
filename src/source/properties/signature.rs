//! Properties of every scheme of signatures.

use data_encoding::BASE64;
use ed25519_compact::{KeyPair, Seed};

use super::super::{
    Algorithm, Encoding, Fields, HmacSettings, Kind, Rejection, Settings, Source, form,
};
use super::{NOW_MS, split};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// A secret of the sender, as a text and as a key of Standard Webhooks.
const OWN: [&str; 2] = ["secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];

/// A secret of somebody else.
const FOREIGN: [&str; 2] = ["another", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

/// Fields that a scheme checks; each stands once.
const CHECKED: [&str; 15] = [
    "linear-signature",
    "stripe-signature",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-forgejo-signature",
    "x-gitea-signature",
    "x-gitlab-token",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-shopify-hmac-sha256",
    "x-signature",
    "x-slack-request-timestamp",
    "x-slack-signature",
    "x-telegram-bot-api-secret-token",
];

/// What a sender signs is accepted with its secret among others, whatever else stands in the
/// header; and not with another secret, at another time, twice, or with a byte changed. What
/// anybody sends is refused or accepted without a panic, and never under two secrets.
///
/// The first byte chooses the kind, the second the scheme, the next two which byte is changed to
/// what. Then come header lines, an empty line and the body.
pub fn signature(input: &[u8]) {
    let [kind, scheme, at, change, rest @ ..] = input else {
        return;
    };
    let (kind, scheme, at) = (usize::from(*kind), *scheme, usize::from(*at));
    let change = (change & 0x7f).max(1);
    let Some(kind) = Kind::ALL.into_iter().cycle().nth(kind) else {
        return;
    };
    let (headers, body) = split(rest);
    let sender = source(kind, scheme, &[OWN]);
    let receiver = source(kind, scheme, &[FOREIGN, OWN]);
    let stranger = source(kind, scheme, &[FOREIGN]);
    let accepted = [&sender, &stranger].map(|source| source.verify(&headers, body, now()).is_ok());
    assert_ne!(accepted, [true, true]);
    if kind == Kind::Standard && scheme & 0x80 != 0 {
        return public_key(body, at, change);
    }

    let body = sender.stamp(body.to_vec(), now());
    let Ok(mut signed) = sender.sign("push.made", "d-1", &body, now()) else {
        return;
    };
    if kind != Kind::Github {
        // Beside Gitea's own it is for receivers that know GitHub alone.
        signed.retain(|(name, _)| name != "x-hub-signature-256");
    }
    assert_eq!(receiver.verify(&signed, &body, now()), Ok(()));
    assert!(stranger.verify(&signed, &body, now()).is_err());
    let others = headers.into_iter().filter(|(name, _)| !is_told(name));
    let among_others: Fields = signed.iter().cloned().chain(others).collect();
    assert_eq!(receiver.verify(&among_others, &body, now()), Ok(()));
    refuses_changed_fields(&receiver, &signed, &body, at, change);
    refuses_other_times(&receiver, &signed, &body);
    if !is_token(&signed) && !form::is_form(&signed, &body) {
        let changed = changed(&body, at, change);
        assert!(receiver.verify(&signed, &changed, now()).is_err());
    }
}

/// A field that one of the schemes looks at.
fn is_told(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CHECKED.contains(&name.as_str()) || name == "content-type"
}

/// A token is sent as it is and says nothing of the body.
fn is_token(signed: &Fields) -> bool {
    let tokens = ["x-gitlab-token", "x-telegram-bot-api-secret-token"];
    signed
        .iter()
        .any(|(name, _)| tokens.contains(&name.as_str()))
}

fn refuses_changed_fields(source: &Source, signed: &Fields, body: &[u8], at: usize, change: u8) {
    let mut checked = 0;
    for (number, (name, value)) in signed.iter().enumerate() {
        if !CHECKED.contains(&name.as_str()) {
            continue;
        }
        checked += 1;
        let with = |value: Option<String>| -> Fields {
            let mut fields = signed.clone();
            let taken = fields.remove(number);
            fields.extend(value.map(|value| (taken.0, value)));
            fields
        };
        let text = String::from_utf8(changed(value.as_bytes(), at, change)).ok();
        // Such a sender may write hexadecimal digits in either case.
        let is_same = source.kind() == Kind::Hmac
            && text
                .as_ref()
                .is_some_and(|text| text.eq_ignore_ascii_case(value));
        let shorter = value
            .get(..value.len().saturating_sub(1))
            .map(str::to_owned);
        let longer = Some(format!("{value}0"));
        for other in [text.filter(|_| !is_same), shorter, longer, None] {
            let fields = with(other);
            let verdict = source.verify(&fields, body, now());
            assert!(verdict.is_err(), "{name} of {fields:?}");
        }
        let twice = [signed.as_slice(), &[(name.to_uppercase(), value.clone())]].concat();
        assert!(source.verify(&twice, body, now()).is_err(), "{name} twice");
    }
    assert!(checked > 0, "{signed:?}");
}

fn refuses_other_times(source: &Source, signed: &Fields, body: &[u8]) {
    let is_timed = match source.kind() {
        Kind::Slack | Kind::Stripe | Kind::Linear | Kind::Standard => true,
        Kind::Gitlab => !is_token(signed),
        _ => false,
    };
    for (distance_ms, is_near) in [(59_000, true), (301_000, false)] {
        for time in [NOW_MS + distance_ms, NOW_MS - distance_ms] {
            let verdict = source.verify(signed, body, Timestamp::from_millis(time));
            let expected = if is_near || !is_timed {
                Ok(())
            } else {
                Err(Rejection::StaleTimestamp)
            };
            assert_eq!(verdict, expected, "{:?}", source.kind());
        }
    }
}

/// The same of signatures that are checked with a public key.
fn public_key(body: &[u8], at: usize, change: u8) {
    let keys = [7, 8].map(|seed| KeyPair::from_seed(Seed::new([seed; Seed::BYTES])));
    let [own, foreign] = keys;
    let sent = (NOW_MS / 1_000).to_string();
    let signed = [b"d-1.", sent.as_bytes(), b".", body].concat();
    let tag = own.sk.sign(&signed, None);
    let fields = |tag: &[u8]| -> Fields {
        vec![
            ("webhook-id".to_owned(), "d-1".to_owned()),
            ("webhook-timestamp".to_owned(), sent.clone()),
            (
                "webhook-signature".to_owned(),
                format!("v1,AAAA v1a,{}", BASE64.encode(tag)),
            ),
        ]
    };
    let [receiver, stranger] = [&own, &foreign].map(|keys| {
        let secret = format!("whpk_{}", BASE64.encode(keys.pk.as_ref()));
        source_of(Kind::Standard, 0, vec![Secret::new(secret)])
    });
    let right = fields(tag.as_ref());
    assert_eq!(receiver.verify(&right, body, now()), Ok(()));
    assert!(stranger.verify(&right, body, now()).is_err());
    let other_tag = fields(&changed(tag.as_ref(), at, change));
    assert!(receiver.verify(&other_tag, body, now()).is_err());
    let other_body = changed(body, at, change);
    assert!(receiver.verify(&right, &other_body, now()).is_err());
}

/// `bytes` with the byte at `at`, counted round, changed; one more where there is none.
fn changed(bytes: &[u8], at: usize, change: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = bytes.len();
    match at.checked_rem(length).and_then(|at| bytes.get_mut(at)) {
        Some(byte) => *byte ^= change,
        None => bytes.push(change),
    }
    bytes
}

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_MS)
}

fn source(kind: Kind, scheme: u8, secrets: &[[&str; 2]]) -> Source {
    let is_key = kind == Kind::Standard || (kind == Kind::Gitlab && scheme & 1 == 0);
    let secrets = secrets.iter().map(|[text, key]| {
        let secret = if is_key { key } else { text };
        Secret::new(*secret)
    });
    source_of(kind, scheme, secrets.collect())
}

fn source_of(kind: Kind, scheme: u8, secrets: Vec<Secret>) -> Source {
    let algorithm = match scheme >> 2 & 3 {
        0 => Algorithm::Sha1,
        1 => Algorithm::Sha256,
        _ => Algorithm::Sha512,
    };
    let settings = Settings {
        name: "source".to_owned(),
        kind,
        secrets,
        ignore_actors: Vec::new(),
        hmac: (kind == Kind::Hmac).then(|| HmacSettings {
            header: "x-signature".to_owned(),
            prefix: if scheme & 2 == 0 { "" } else { "v=" }.to_owned(),
            encoding: if scheme & 1 == 0 {
                Encoding::Hex
            } else {
                Encoding::Base64
            },
            algorithm,
            type_header: Some("x-type".to_owned()),
            type_field: None,
            id_header: None,
            id_field: Some("id".to_owned()),
        }),
    };
    Source::new(settings).unwrap_or_else(|text| panic!("{text}"))
}
