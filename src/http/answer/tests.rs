//! What workers answer, by tables.

use super::*;

fn read(bytes: &[u8], piece: usize) -> Result<Parts, Flaw> {
    let mut reader = AnswerReader::new(20);
    for piece in bytes.chunks(piece) {
        if reader.feed(piece)? {
            break;
        }
    }
    reader.finish()
}

/// The same whatever the pieces.
fn read_in_all_pieces(bytes: &[u8]) -> Result<Parts, Flaw> {
    let whole = read(bytes, bytes.len().max(1));
    for piece in 1..bytes.len().min(40) {
        assert_eq!(read(bytes, piece).ok(), whole.clone().ok(), "{piece}");
    }
    whole
}

#[test]
fn answers_are_read_whatever_their_framing() {
    for (text, status, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}more",
            200,
            "{}",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
            200,
            "{}",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\na: \
             b\r\n\r\n",
            200,
            "{}",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.1 200\r\n\r\n", 200, ""),
        ("HTTP/1.1 200 \nContent-Length: 1\n\nx", 200, "x"),
        ("HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", 299, ""),
        ("HTTP/1.1 520 Odder\r\nContent-Length: 1\r\n\r\nx", 520, "x"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            304,
            "",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: \
             x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            200,
            "x",
        ),
        (
            "HTTP/1.1 200 OK\r\nserver: caf\u{e9} \u{2028}\r\nContent-Length: 1\r\n\r\nx",
            200,
            "x",
        ),
        (
            "HTTP/1.1 200 caf\u{e9}\r\nContent-Length: 0\r\n\r\n",
            200,
            "",
        ),
    ] {
        let parts =
            read_in_all_pieces(text.as_bytes()).unwrap_or_else(|flaw| panic!("{text}: {flaw}"));
        assert_eq!(parts.status, status, "{text}");
        assert_eq!(String::from_utf8(parts.body).unwrap(), body, "{text}");
    }
}

#[test]
fn retry_after_is_read_where_it_can_be() {
    for (line, value) in [
        ("Retry-After: 7", Some("7")),
        ("RETRY-AFTER:7 ", Some("7")),
        ("Retry-After: 7\r\nRetry-After: 8", Some("7")),
        (
            "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT",
            Some("Fri, 31 Dec 1999 23:59:59 GMT"),
        ),
        ("Retry-After: \u{e9}", None),
        ("x: y", None),
    ] {
        let text = format!("HTTP/1.1 503 x\r\n{line}\r\nContent-Length: 0\r\n\r\n");
        let parts = read_in_all_pieces(text.as_bytes()).unwrap();
        assert_eq!(parts.retry_after.as_deref(), value, "{line}");
    }
}

#[test]
fn a_link_is_read_beside_it() {
    let long = format!("</{}>", "x".repeat(4_090));
    for (line, link) in [
        ("Link: </a>; rel=\"next\"", Some("</a>; rel=\"next\"")),
        ("link: <a>\r\nLink: <b>", Some("<a>")),
        (&format!("Link: {long}"), Some(&*long)),
        (&format!("Link: {}", long.repeat(2)), None),
    ] {
        let text =
            format!("HTTP/1.1 200 x\r\nRetry-After: 7\r\n{line}\r\nContent-Length: 0\r\n\r\n");
        let parts = read_in_all_pieces(text.as_bytes()).unwrap();
        assert_eq!(parts.link.as_deref(), link, "{line}");
        assert_eq!(parts.retry_after.as_deref(), Some("7"), "{line}");
    }
}

#[test]
fn what_is_no_http_is_said_to_be_none() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_MAX));
    let endless_interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000);
    for text in [
        "hello\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.x 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &endless,
        &endless_interim,
    ] {
        let found = read_in_all_pieces(text.as_bytes());
        assert!(matches!(found, Err(Flaw::NotHttp(_))), "{text}: {found:?}");
    }
}

#[test]
fn an_answer_that_ends_early_is_not_taken_as_whole() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ] {
        for end in 0..text.len() {
            let found = read(&text.as_bytes()[..end], 7);
            assert!(
                matches!(found, Err(Flaw::EndedEarly(_))),
                "{:?}: {found:?}",
                &text[..end]
            );
        }
    }
}

#[test]
fn a_body_over_its_limit_is_refused_before_it_is_read() {
    let text = |framing: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
    let twenty_one = "x".repeat(21);
    for text in [
        text("Content-Length: 21", ""),
        text("Transfer-Encoding: chunked", "15\r\n"),
        text("Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFF\r\nx"),
        text("x: y", &twenty_one),
    ] {
        assert_eq!(
            read_in_all_pieces(text.as_bytes()),
            Err(Flaw::TooLarge),
            "{text}"
        );
    }
    let just_right = text("x: y", &twenty_one[1..]);
    assert!(read_in_all_pieces(just_right.as_bytes()).is_ok());
}
