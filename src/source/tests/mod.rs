//! Sources as a whole.

mod picking;
mod readings;
mod signatures;

use super::*;

/// Header fields made up for a test.
fn headers(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn source(kind: Kind, secrets: &[&str]) -> Source {
    Source::new(settings(kind, secrets)).unwrap()
}

fn settings(kind: Kind, secrets: &[&str]) -> Settings {
    Settings {
        name: "here".to_owned(),
        kind,
        secrets: secrets.iter().map(|text| Secret::new(*text)).collect(),
        ignore_actors: Vec::new(),
        hmac: (kind == Kind::Hmac).then(|| HmacSettings {
            header: "x-signature".to_owned(),
            prefix: "v=".to_owned(),
            encoding: Encoding::Hex,
            algorithm: Algorithm::Sha256,
            type_header: Some("x-type".to_owned()),
            type_field: Some("event.name".to_owned()),
            id_header: None,
            id_field: Some("event.id".to_owned()),
        }),
    }
}

/// A secret that the kind takes; `which` tells secrets apart.
fn secret_of(kind: Kind, which: u8) -> String {
    match kind {
        Kind::Standard => format!("whsec_{}", data_encoding::BASE64.encode(&[which; 24])),
        _ => format!("secret-{which}"),
    }
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn delivery(source: &Source, fields: &[(&str, &str)], body: &str) -> Delivery {
    match source.read(&headers(fields), body.as_bytes().to_vec()) {
        Ok(Message::Delivery(delivery)) => delivery,
        other => panic!("{other:?} of {body}"),
    }
}

#[test]
fn secrets_that_cannot_be_are_refused_and_never_shown() {
    for (kind, secret, part) in [
        (Kind::Github, "", "an empty secret"),
        (
            Kind::Standard,
            "s3cr3t",
            "not a secret of Standard Webhooks",
        ),
        (Kind::Standard, "whsec_", "24 to 64 bytes"),
        (Kind::Standard, "whsec_czNjcjN0", "24 to 64 bytes"),
        (Kind::Standard, "whsec_not base64!", "24 to 64 bytes"),
        (Kind::Standard, "whpk_czNjcjN0", "32 bytes in base64"),
        (
            Kind::Standard,
            "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "32 bytes in base64",
        ),
        (Kind::Standard, "whsk_czNjcjN0", "public key"),
        (Kind::Gitlab, "whsec_czNjcjN0", "24 to 64 bytes"),
        (Kind::Telegram, "s3cr3t!", "A-Za-z0-9_-"),
        (Kind::Telegram, &"s3cr3t".repeat(50), "1 to 256 characters"),
    ] {
        let error = Source::new(settings(kind, &[&secret_of(kind, 1), secret])).unwrap_err();
        assert!(error.contains(part), "{kind} {secret}: {error}");
        assert!(
            !error.contains("s3cr3t") && !error.contains("czNjcjN0"),
            "{error}"
        );
    }
    assert!(Source::new(settings(Kind::Github, &[])).is_err());
    let mut odd = settings(Kind::Hmac, &["a"]);
    odd.kind = Kind::Github;
    assert!(Source::new(odd.clone()).is_err());
    odd.kind = Kind::Hmac;
    odd.hmac = None;
    assert!(Source::new(odd).is_err());
}

#[test]
fn a_source_shows_no_secret_and_equals_one_of_the_same_settings() {
    for kind in Kind::ALL {
        let secret = secret_of(kind, 1);
        let one = source(kind, &[&secret]);
        assert!(!format!("{one:?}").contains(&secret), "{one:?}");
        assert_eq!(one, one.clone());
        assert_eq!(one, source(kind, &[&secret]));
        assert_ne!(one, source(kind, &[&secret_of(kind, 2)]));
    }
}
