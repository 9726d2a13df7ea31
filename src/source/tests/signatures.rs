//! Who is let in: the published vectors, and everything that is nearly right.

use super::*;

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

#[test]
fn published_vectors_hold() {
    let words = "It's a Secret to Everybody";
    let atlassian = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";
    let standard = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
    ];
    let with = |signature| [&standard[..], &[("webhook-signature", signature)]].concat();
    for (kind, secret, fields, body, now) in [
        (
            Kind::Github,
            words,
            vec![(
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            )],
            "Hello, World!",
            0,
        ),
        (
            Kind::Jira,
            words,
            vec![("x-hub-signature", atlassian)],
            "Hello World!",
            0,
        ),
        (
            Kind::Bitbucket,
            words,
            vec![("x-hub-signature", atlassian)],
            "Hello World!",
            0,
        ),
        (
            Kind::Slack,
            "8f742231b10e8888abcd99yyyzzz85a5",
            vec![
                ("x-slack-request-timestamp", "1531420618"),
                (
                    "x-slack-signature",
                    "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
                ),
            ],
            SLACK_BODY,
            1_531_420_618,
        ),
        (
            Kind::Standard,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            with("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            "{\"test\": 2432232314}",
            1_614_265_330,
        ),
        (
            Kind::Gitlab,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            with("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            "{\"test\": 2432232314}",
            1_614_265_330,
        ),
        (
            Kind::Standard,
            "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            with(
                "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
            ),
            "{\"test\": 2432232314}",
            1_614_265_330,
        ),
    ] {
        let source = source(kind, &[&secret_of(kind, 1), secret]);
        let fields = headers(&fields);
        assert_eq!(
            source.verify(&fields, body.as_bytes(), seconds(now)),
            Ok(()),
            "{kind}"
        );
        let other = [body.as_bytes(), b" "].concat();
        assert_eq!(
            source.verify(&fields, &other, seconds(now)),
            Err(Rejection::WrongSignature),
            "{kind}"
        );
    }
}

/// A delivery of `body` signed by a source with `secret`, and the moment it was signed at.
fn signed(kind: Kind, secret: &str, body: &str) -> Vec<(String, String)> {
    source(kind, &[secret])
        .sign("push", "d-1", body.as_bytes(), now())
        .unwrap()
}

fn now() -> Timestamp {
    seconds(1_700_000_000)
}

/// A body that every kind would sign.
const BODY: &str = r#"{"webhookTimestamp": 1700000000000}"#;

/// The header of the signature or token.
fn signature_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Github => "x-hub-signature-256",
        Kind::Gitlab => "x-gitlab-token",
        Kind::Gitea => "x-gitea-signature",
        Kind::Forgejo => "x-forgejo-signature",
        Kind::Bitbucket | Kind::Jira => "x-hub-signature",
        Kind::Slack => "x-slack-signature",
        Kind::Stripe => "stripe-signature",
        Kind::Shopify => "x-shopify-hmac-sha256",
        Kind::Linear => "linear-signature",
        Kind::Telegram => "x-telegram-bot-api-secret-token",
        Kind::Standard => "webhook-signature",
        Kind::Hmac => "x-signature",
    }
}

/// Whether the body is signed, rather than a token sent.
fn signs(kind: Kind) -> bool {
    !matches!(kind, Kind::Gitlab | Kind::Telegram)
}

fn with(fields: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut fields = fields.to_vec();
    fields.retain(|(known, _)| known != name);
    fields.push((name.to_owned(), value.to_owned()));
    fields
}

fn without(fields: &[(String, String)], name: &str) -> Vec<(String, String)> {
    let mut fields = fields.to_vec();
    fields.retain(|(known, _)| known != name);
    fields
}

#[test]
fn what_a_kind_signs_it_accepts_and_reads() {
    for kind in Kind::ALL {
        let secret = secret_of(kind, 1);
        let source = source(kind, &[&secret]);
        let fields = signed(kind, &secret, BODY);
        assert_eq!(
            source.verify(&fields, BODY.as_bytes(), now()),
            Ok(()),
            "{kind}"
        );
        let read = source.read(&fields, BODY.as_bytes().to_vec());
        let Ok(Message::Delivery(read)) = read else {
            panic!("{kind}: {read:?}");
        };
        assert_eq!(
            (read.source.as_str(), read.payload.as_str()),
            ("here", BODY)
        );
        let names_type = !matches!(
            kind,
            Kind::Gitlab
                | Kind::Jira
                | Kind::Slack
                | Kind::Stripe
                | Kind::Telegram
                | Kind::Standard
        );
        if names_type {
            assert_eq!(read.event_type, "push", "{kind}");
        }
        let names_id = !matches!(
            kind,
            Kind::Slack | Kind::Stripe | Kind::Telegram | Kind::Hmac
        );
        assert_eq!(
            read.delivery_id == "d-1",
            names_id,
            "{kind}: {}",
            read.delivery_id
        );
    }
}

#[test]
fn a_signature_that_is_nearly_right_is_refused() {
    for kind in Kind::ALL {
        let secret = secret_of(kind, 1);
        let source = source(kind, &[&secret]);
        let fields = signed(kind, &secret, BODY);
        let name = signature_of(kind);
        let right = fields.header(name).unwrap().to_owned();
        let verify = |fields: &Vec<(String, String)>| source.verify(fields, BODY.as_bytes(), now());
        // Gitea's senders sign a second time as GitHub does.
        let fields = match kind {
            Kind::Gitea | Kind::Forgejo => without(&fields, "x-hub-signature-256"),
            _ => fields,
        };
        assert_eq!(verify(&fields), Ok(()), "{kind}");
        assert_eq!(
            verify(&without(&fields, name)),
            Err(Rejection::MissingSignature),
            "{kind}"
        );
        assert_eq!(
            verify(&with(&fields, name, "")),
            Err(Rejection::EmptySignature),
            "{kind}"
        );
        let twice = [fields.clone(), headers(&[(name, &right)])].concat();
        assert_eq!(verify(&twice), Err(Rejection::MalformedSignature), "{kind}");
        let reversed: String = right.chars().rev().collect();
        for wrong in [
            format!("{right} "),
            format!(" {right}"),
            format!("{right}0"),
            format!("{right}00"),
            right[..right.len() - 1].to_owned(),
            right[..right.len() - 2].to_owned(),
            right[1..].to_owned(),
            reversed,
            right.replace('=', ":"),
            "sha256=".to_owned(),
            "v1,".to_owned(),
            "0".repeat(64),
            "\u{e4}".to_owned(),
        ] {
            // Some of them leave the signature as it is.
            let is_same = wrong == right
                || (kind == Kind::Standard || kind == Kind::Stripe) && wrong.trim() == right;
            assert_eq!(
                verify(&with(&fields, name, &wrong)).is_ok(),
                is_same,
                "{kind} {wrong}"
            );
        }
        if signs(kind) {
            for bit in 0..BODY.len() * 8 {
                let mut wrong = BODY.as_bytes().to_vec();
                wrong[bit / 8] ^= 1 << (bit % 8);
                let verified = source.verify(&fields, &wrong, now());
                assert_eq!(verified, Err(Rejection::WrongSignature), "{kind}");
            }
        }
        let other = signed(kind, &secret_of(kind, 2), BODY);
        assert_eq!(verify(&other), Err(Rejection::WrongSignature), "{kind}");
    }
}

#[test]
fn hexadecimal_digits_are_in_lower_case_but_for_the_scheme_of_ones_own() {
    for (kind, prefix) in [
        (Kind::Github, "sha256="),
        (Kind::Gitea, ""),
        (Kind::Forgejo, ""),
        (Kind::Bitbucket, "sha256="),
        (Kind::Jira, "sha256="),
        (Kind::Slack, "v0="),
        (Kind::Linear, ""),
        (Kind::Hmac, "v="),
    ] {
        let secret = secret_of(kind, 1);
        let source = source(kind, &[&secret]);
        let fields = signed(kind, &secret, BODY);
        let name = signature_of(kind);
        let digits = fields.header(name).unwrap().strip_prefix(prefix).unwrap();
        let upper = with(&fields, name, &format!("{prefix}{}", digits.to_uppercase()));
        let verified = source.verify(&upper, BODY.as_bytes(), now());
        let wanted = match kind {
            Kind::Hmac => Ok(()),
            _ => Err(Rejection::MalformedSignature),
        };
        assert_eq!(verified, wanted, "{kind}");
        for other in ["sha1=", "sha512=", "SHA256=", "v1=", "V=", "x"] {
            let odd = with(&fields, name, &format!("{other}{digits}"));
            let verified = source.verify(&odd, BODY.as_bytes(), now());
            assert_eq!(
                verified,
                Err(Rejection::MalformedSignature),
                "{kind} {other}"
            );
        }
    }
}

#[test]
fn every_secret_counts_while_one_is_replaced() {
    for kind in Kind::ALL {
        let secrets = [1, 2].map(|which| secret_of(kind, which));
        let source = source(kind, &[&secrets[0], &secrets[1]]);
        for (which, is_accepted) in [(1, true), (2, true), (3, false)] {
            let fields = signed(kind, &secret_of(kind, which), BODY);
            let verified = source.verify(&fields, BODY.as_bytes(), now());
            assert_eq!(verified.is_ok(), is_accepted, "{kind} {which}");
        }
    }
}

#[test]
fn what_was_sent_too_long_ago_or_in_the_future_is_stale() {
    for (kind, tolerance_ms) in [
        (Kind::Slack, Some(300_000)),
        (Kind::Stripe, Some(300_000)),
        (Kind::Standard, Some(300_000)),
        (Kind::Linear, Some(60_000)),
        (Kind::Github, None),
        (Kind::Gitlab, None),
        (Kind::Shopify, None),
    ] {
        let secret = secret_of(kind, 1);
        let source = source(kind, &[&secret]);
        let fields = signed(kind, &secret, BODY);
        let at = |ms: u64| source.verify(&fields, BODY.as_bytes(), Timestamp::from_millis(ms));
        let sent = now().as_millis();
        let Some(tolerance) = tolerance_ms else {
            assert_eq!(at(0), Ok(()), "{kind}");
            continue;
        };
        // Seconds are compared as whole ones, milliseconds as they are.
        let step = if kind == Kind::Linear { 1 } else { 1_000 };
        for (now, is_fresh) in [
            (sent, true),
            (sent + tolerance, true),
            (sent + tolerance + step, false),
            (sent - tolerance, true),
            (sent - tolerance - step, false),
            (0, false),
            (u64::MAX, false),
        ] {
            let wanted = if is_fresh {
                Ok(())
            } else {
                Err(Rejection::StaleTimestamp)
            };
            assert_eq!(at(now), wanted, "{kind} {now}");
        }
    }
}

#[test]
fn a_time_of_sending_is_a_plain_number() {
    for (kind, name) in [
        (Kind::Slack, "x-slack-request-timestamp"),
        (Kind::Standard, "webhook-timestamp"),
    ] {
        let secret = secret_of(kind, 1);
        let source = source(kind, &[&secret]);
        let fields = signed(kind, &secret, BODY);
        let verify = |fields: &Vec<(String, String)>| source.verify(fields, BODY.as_bytes(), now());
        for missing in [without(&fields, name), with(&fields, name, "")] {
            assert_eq!(verify(&missing), Err(Rejection::MissingTimestamp), "{kind}");
        }
        for odd in [
            "+1700000000",
            " 1700000000",
            "1700000000.0",
            "0x1",
            "1e9",
            "9999999999999999",
        ] {
            let verified = verify(&with(&fields, name, odd));
            assert_eq!(verified, Err(Rejection::MalformedTimestamp), "{kind} {odd}");
        }
        // It is signed, so that another one is no help.
        let other = verify(&with(&fields, name, "1700000001"));
        assert_eq!(other, Err(Rejection::WrongSignature), "{kind}");
        let twice = [fields.clone(), headers(&[(name, "1700000000")])].concat();
        assert_eq!(verify(&twice), Err(Rejection::MalformedSignature), "{kind}");
    }
}

#[test]
fn a_body_of_linear_tells_when_it_was_sent() {
    let linear = source(Kind::Linear, &["s"]);
    let keys = signature::Keys::of_texts(&[Secret::new("s")]).unwrap();
    for (body, wanted) in [
        (r#"{"webhookTimestamp": 1700000000000}"#, Ok(())),
        (
            r#"{"webhookTimestamp": 1699999939999}"#,
            Err(Rejection::StaleTimestamp),
        ),
        (
            r#"{"webhookTimestamp": "1700000000000"}"#,
            Err(Rejection::MalformedTimestamp),
        ),
        (
            r#"{"webhookTimestamp": 1.7e12}"#,
            Err(Rejection::MalformedTimestamp),
        ),
        (
            r#"{"webhookTimestamp": null}"#,
            Err(Rejection::MissingTimestamp),
        ),
        (
            r#"{"data": {"webhookTimestamp": 1700000000000}}"#,
            Err(Rejection::MissingTimestamp),
        ),
        // What is no JSON is not refused for its signature.
        ("{", Ok(())),
    ] {
        let tag = data_encoding::HEXLOWER.encode(&keys.sign(&[body.as_bytes()]).unwrap());
        let fields = headers(&[("linear-signature", &tag)]);
        assert_eq!(
            linear.verify(&fields, body.as_bytes(), now()),
            wanted,
            "{body}"
        );
    }
    let old = r#"{"a": "webhookTimestamp", "webhookTimestamp": 5 , "b": 5}"#;
    assert!(
        linear
            .sign("Issue", "d", old.as_bytes(), now())
            .unwrap_err()
            .contains("1700000000000")
    );
    let stamped = linear.stamp(old.as_bytes().to_vec(), now());
    let wanted = r#"{"a": "webhookTimestamp", "webhookTimestamp": 1700000000000 , "b": 5}"#;
    assert_eq!(String::from_utf8(stamped.clone()).unwrap(), wanted);
    assert!(linear.sign("Issue", "d", &stamped, now()).is_ok());
    for same in ["{}", "{", ""] {
        assert_eq!(
            linear.stamp(same.as_bytes().to_vec(), now()),
            same.as_bytes()
        );
    }
    assert_eq!(
        source(Kind::Github, &["s"]).stamp(old.as_bytes().to_vec(), now()),
        old.as_bytes()
    );
}

#[test]
fn of_a_list_of_signatures_any_may_match() {
    let secret = secret_of(Kind::Standard, 1);
    let standard = source(Kind::Standard, &[&secret]);
    let fields = signed(Kind::Standard, &secret, BODY);
    let right = fields.header("webhook-signature").unwrap().to_owned();
    let wrong = format!("v1,{}", data_encoding::BASE64.encode(&[0; 32]));
    for (list, wanted) in [
        (format!("{wrong} {right}"), Ok(())),
        (format!("{right} {wrong}"), Ok(())),
        (format!("v9,x v1a,AAAA {right}"), Ok(())),
        (format!("garbage {right}"), Ok(())),
        (format!("{} {right}", vec!["v0,AAAA"; 15].join(" ")), Ok(())),
        (
            format!("{} {right}", vec!["v0,AAAA"; 16].join(" ")),
            Err(Rejection::MalformedSignature),
        ),
        (
            format!("{} {right}", vec![wrong.as_str(); 16].join(" ")),
            Err(Rejection::WrongSignature),
        ),
        (
            right.replace("v1,", "v2,"),
            Err(Rejection::MalformedSignature),
        ),
        (right.replace("v1,", "v1a,"), Err(Rejection::WrongSignature)),
        (right.replace("v1,", ""), Err(Rejection::MalformedSignature)),
        (format!("{wrong} {wrong}"), Err(Rejection::WrongSignature)),
    ] {
        let fields = with(&fields, "webhook-signature", &list);
        assert_eq!(
            standard.verify(&fields, BODY.as_bytes(), now()),
            wanted,
            "{list}"
        );
    }
    for missing in [
        without(&fields, "webhook-id"),
        with(&fields, "webhook-id", ""),
    ] {
        let verified = standard.verify(&missing, BODY.as_bytes(), now());
        assert_eq!(verified, Err(Rejection::MissingId));
    }
    let other = with(&fields, "webhook-id", "d-2");
    assert_eq!(
        standard.verify(&other, BODY.as_bytes(), now()),
        Err(Rejection::WrongSignature)
    );
}

#[test]
fn a_header_of_stripe_has_one_time_and_any_number_of_signatures() {
    let stripe = source(Kind::Stripe, &["whsec_test_secret"]);
    let fields = signed(Kind::Stripe, "whsec_test_secret", BODY);
    let right = fields.header("stripe-signature").unwrap();
    let (time, tag) = right.split_once(",v1=").unwrap();
    let zero = "0".repeat(64);
    for (value, wanted) in [
        (right.to_owned(), Ok(())),
        (format!("{time},v1={zero},v1={tag},v0={zero}"), Ok(())),
        (format!("v1={tag},{time}"), Ok(())),
        (format!("{time}, v1={tag}"), Ok(())),
        (format!("{time},v1=xyz,v1={tag}"), Ok(())),
        (
            format!("{time},v0={tag}"),
            Err(Rejection::MalformedSignature),
        ),
        (time.to_owned(), Err(Rejection::MalformedSignature)),
        (
            format!("{time},v1={}", tag.to_uppercase()),
            Err(Rejection::MalformedSignature),
        ),
        (format!("{time},v1={zero}"), Err(Rejection::WrongSignature)),
        (
            format!(
                "{time},v1={zero}{}",
                format!(",v1={zero}").repeat(15) + ",v1=" + tag
            ),
            Err(Rejection::WrongSignature),
        ),
        (format!("v1={tag}"), Err(Rejection::MissingTimestamp)),
        (format!("t=,v1={tag}"), Err(Rejection::MalformedTimestamp)),
        (
            format!("{time},{time},v1={tag}"),
            Err(Rejection::MalformedTimestamp),
        ),
        (
            format!("t=1700000001,v1={tag}"),
            Err(Rejection::WrongSignature),
        ),
        (
            format!("t=1600000000,v1={tag}"),
            Err(Rejection::StaleTimestamp),
        ),
    ] {
        let fields = headers(&[("stripe-signature", &value)]);
        assert_eq!(
            stripe.verify(&fields, BODY.as_bytes(), now()),
            wanted,
            "{value}"
        );
    }
}

#[test]
fn gitlab_never_falls_back_from_a_signature_to_the_token() {
    let signing = secret_of(Kind::Standard, 1);
    let both = source(Kind::Gitlab, &["token", &signing]);
    let only_token = source(Kind::Gitlab, &["token"]);
    let only_signing = source(Kind::Gitlab, &[&signing]);
    let token = headers(&[("x-gitlab-token", "token")]);
    let signature = only_signing
        .sign("push", "d-1", BODY.as_bytes(), now())
        .unwrap();
    let signed = [token.clone(), signature.clone()].concat();
    let broken = with(
        &signed,
        "webhook-signature",
        &format!("v1,{}", data_encoding::BASE64.encode(&[0; 32])),
    );
    let empty = with(&signed, "webhook-signature", "");
    for (source, fields, wanted) in [
        (&both, &token, Ok(())),
        (&both, &signature, Ok(())),
        (&both, &signed, Ok(())),
        (&both, &broken, Err(Rejection::WrongSignature)),
        (&both, &empty, Err(Rejection::EmptySignature)),
        (&only_token, &signed, Err(Rejection::WrongSignature)),
        (&only_token, &empty, Err(Rejection::EmptySignature)),
        (&only_signing, &signature, Ok(())),
        (&only_signing, &token, Err(Rejection::WrongSignature)),
        (&only_signing, &Vec::new(), Err(Rejection::MissingSignature)),
    ] {
        assert_eq!(
            source.verify(fields, BODY.as_bytes(), now()),
            wanted,
            "{fields:?}"
        );
    }
    // What is sent as a token is never the signing token itself.
    let leaked = headers(&[("x-gitlab-token", &signing)]);
    assert_eq!(
        both.verify(&leaked, BODY.as_bytes(), now()),
        Err(Rejection::WrongSignature)
    );
}

#[test]
fn gitea_and_forgejo_may_sign_under_any_of_three_names() {
    let tag = signed(Kind::Gitea, "s", BODY)
        .header("x-gitea-signature")
        .unwrap()
        .to_owned();
    let hub = format!("sha256={tag}");
    let zero = "0".repeat(64);
    for kind in [Kind::Gitea, Kind::Forgejo] {
        let source = source(kind, &["s"]);
        for (fields, wanted) in [
            (vec![("x-gitea-signature", tag.as_str())], Ok(())),
            (vec![("x-forgejo-signature", &tag)], Ok(())),
            (vec![("x-hub-signature-256", &hub)], Ok(())),
            (
                vec![("x-gitea-signature", ""), ("x-hub-signature-256", &hub)],
                Ok(()),
            ),
            (
                vec![("x-gitea-signature", ""), ("x-hub-signature-256", "")],
                Err(Rejection::EmptySignature),
            ),
            (
                vec![("x-gitea-signature", &hub)],
                Err(Rejection::MalformedSignature),
            ),
            (
                vec![("x-hub-signature-256", &tag)],
                Err(Rejection::MalformedSignature),
            ),
            (
                vec![("x-gitea-signature", &zero), ("x-hub-signature-256", &hub)],
                Err(Rejection::WrongSignature),
            ),
        ] {
            let fields = headers(&fields);
            assert_eq!(
                source.verify(&fields, BODY.as_bytes(), now()),
                wanted,
                "{kind} {fields:?}"
            );
        }
    }
}

#[test]
fn of_a_form_github_signs_the_body_and_gitea_the_payload() {
    let form = "payload=%7B%22action%22%3A+%22opened%22%7D";
    let json = r#"{"action": "opened"}"#;
    for kind in [Kind::Github, Kind::Gitea, Kind::Forgejo] {
        let source = source(kind, &["s"]);
        let fields = source
            .sign("issues", "d-1", form.as_bytes(), now())
            .unwrap();
        assert_eq!(fields.header("content-type"), Some(form::MEDIA_TYPE));
        assert_eq!(
            source.verify(&fields, form.as_bytes(), now()),
            Ok(()),
            "{kind}"
        );
        let Ok(Message::Delivery(read)) = source.read(&fields, form.as_bytes().to_vec()) else {
            panic!("{kind}");
        };
        assert_eq!(
            (read.event_type.as_str(), read.payload.as_str()),
            ("issues.opened", json)
        );
        let of_json = source
            .sign("issues", "d-1", json.as_bytes(), now())
            .unwrap();
        let name = signature_of(kind);
        let is_same = of_json.header(name) == fields.header(name);
        assert_eq!(is_same, kind != Kind::Github, "{kind}");
    }
    let gitea = source(Kind::Gitea, &["s"]);
    let fields = gitea.sign("issues", "d-1", form.as_bytes(), now()).unwrap();
    for other in [
        "payload=%7B%7D",
        "p=1",
        "payload=%zz",
        "payload=%7B%7D&payload=%7B%7D",
    ] {
        let verified = gitea.verify(&fields, other.as_bytes(), now());
        assert_eq!(verified, Err(Rejection::WrongSignature), "{other}");
    }
}

#[test]
fn a_scheme_of_ones_own_is_as_it_is_configured() {
    for (encoding, algorithm, prefix, length) in [
        (Encoding::Hex, Algorithm::Sha256, "sha256=", 64),
        (Encoding::Hex, Algorithm::Sha512, "", 128),
        (Encoding::Base64, Algorithm::Sha1, "HMAC ", 28),
        (Encoding::Base64, Algorithm::Sha256, "", 44),
    ] {
        let mut settings = settings(Kind::Hmac, &["a", "b"]);
        settings.hmac = settings.hmac.map(|scheme| HmacSettings {
            prefix: prefix.to_owned(),
            encoding,
            algorithm,
            ..scheme
        });
        let source = Source::new(settings).unwrap();
        let fields = source.sign("push", "d", BODY.as_bytes(), now()).unwrap();
        let value = fields.header("x-signature").unwrap();
        assert_eq!(value.strip_prefix(prefix).map(str::len), Some(length));
        assert_eq!(source.verify(&fields, BODY.as_bytes(), now()), Ok(()));
        let short = with(&fields, "x-signature", &value[..value.len() - 4]);
        assert!(source.verify(&short, BODY.as_bytes(), now()).is_err());
    }
}

#[test]
fn what_cannot_stand_in_a_header_is_not_signed() {
    let github = source(Kind::Github, &["s"]);
    for (event, id) in [
        ("", "d"),
        (" ", "d"),
        ("a\r\nb", "d"),
        ("\u{e4}", "d"),
        ("a", ""),
        ("a", "\0"),
    ] {
        assert!(
            github.sign(event, id, b"{}", now()).is_err(),
            "{event:?} {id:?}"
        );
    }
    let public = source(
        Kind::Standard,
        &["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="],
    );
    let error = public.sign("a", "d", b"{}", now()).unwrap_err();
    assert!(error.contains("public key"), "{error}");
}
