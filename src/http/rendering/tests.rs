use super::*;

fn rendered(reply: Reply, method: Method, persistence: Persistence) -> (String, String) {
    let rendered = render(reply, method, persistence);
    let Body::Whole(rest) = rendered.rest else {
        panic!("{rendered:?}");
    };
    let bytes = [rendered.front, rest].concat();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head
        .lines()
        .filter(|line| !line.starts_with("date: "))
        .collect::<Vec<_>>()
        .join("\n");
    (head, body.to_owned())
}

#[test]
fn answers_are_rendered_with_their_framing() {
    let json = || Reply::json(200, b"{}".to_vec());
    for (reply, method, persistence, head, body) in [
        (
            json(),
            Method::Get,
            Persistence::Implied,
            "HTTP/1.1 200 OK\ncontent-length: 2\ncontent-type: application/json",
            "{}",
        ),
        (
            json(),
            Method::Head,
            Persistence::Close,
            "HTTP/1.1 200 OK\nconnection: close\ncontent-length: 2\ncontent-type: application/json",
            "",
        ),
        (
            Reply::empty(204),
            Method::Delete,
            Persistence::KeepAlive,
            "HTTP/1.1 204 No Content\nconnection: keep-alive",
            "",
        ),
        (
            Reply::empty(404),
            Method::Get,
            Persistence::Implied,
            "HTTP/1.1 404 Not Found\ncontent-length: 0",
            "",
        ),
        (
            Reply::error(503, "overloaded", "no \"memory\""),
            Method::Post,
            Persistence::Implied,
            "HTTP/1.1 503 Service Unavailable\ncontent-length: 46\ncontent-type: application/json\nretry-after: 1",
            r#"{"error":"no \"memory\"","code":"overloaded"}"#,
        ),
    ] {
        let (found_head, found_body) = rendered(reply, method, persistence);
        // The length is checked against the body below.
        let without_length = |head: &str| {
            head.lines()
                .filter(|line| !line.starts_with("content-length: 4"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(without_length(&found_head), without_length(head));
        assert_eq!(found_body, body);
        if !body.is_empty() {
            assert!(found_head.contains(&format!("content-length: {}", body.len())));
        }
    }
}

#[test]
fn a_head_is_that_of_its_own_answer_whatever_went_before() {
    let at = |path: &str| Reply::json(201, b"{}".to_vec()).with_header("location", path.to_owned());
    for _ in 0..2 {
        for (reply, persistence, line, length) in [
            (
                at("/task/1"),
                Persistence::Implied,
                "\nlocation: /task/1",
                2,
            ),
            (
                at("/task/2\r\nx: y"),
                Persistence::Implied,
                "\nlocation: /task/2x: y",
                2,
            ),
            (
                Reply::json(201, b"[1]".to_vec()),
                Persistence::Implied,
                "",
                3,
            ),
            (
                Reply::json(201, b"[2]".to_vec()),
                Persistence::Close,
                "\nconnection: close",
                3,
            ),
            (
                Reply::empty(201).with_header("etag", "a"),
                Persistence::Implied,
                "\netag: a",
                0,
            ),
            (
                Reply::empty(201).with_header("etag", "b"),
                Persistence::Implied,
                "\netag: b",
                0,
            ),
        ] {
            let (head, body) = rendered(reply, Method::Get, persistence);
            assert!(head.starts_with("HTTP/1.1 201 Created\n"), "{head}");
            assert!(
                head.contains(&format!("\ncontent-length: {length}")),
                "{head}"
            );
            assert!(head.contains(line), "{head}");
            let more = ["location", "connection", "etag"];
            let count = more.iter().filter(|name| head.contains(*name)).count();
            assert_eq!(count, usize::from(!line.is_empty()), "{head}");
            assert_eq!(body.len(), length);
        }
    }
}

#[test]
fn a_large_body_is_not_copied() {
    let body = vec![b'x'; COPIED_BODY_MAX + 1];
    let at = body.as_ptr();
    let rendered = render(Reply::json(200, body), Method::Get, Persistence::Implied);
    let Body::Whole(rest) = rendered.rest else {
        panic!("it is whole");
    };
    assert_eq!(rest.as_ptr(), at);
    assert!(rendered.front.ends_with(b"\r\n\r\n"));
}

#[test]
fn header_values_can_neither_split_the_answer_nor_panic() {
    let mut reply = Reply::empty(200).with_header("x-a", "b\r\nset-cookie: c\u{e9}\0");
    reply.headers.push(("x-b", "\u{2028}d\ne".into()));
    reply.headers.push(("n\u{e4}me", "x".into()));
    reply.headers.push(("content-length", "7".into()));
    let (head, _) = rendered(reply, Method::Get, Persistence::Implied);
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\ncontent-length: 0\nx-a: bset-cookie: c\nx-b: de"
    );
}

#[test]
fn the_date_is_in_the_preferred_form() {
    let text = date(784_111_777).unwrap().as_str().to_owned();
    assert_eq!(text, "Sun, 06 Nov 1994 08:49:37 GMT");
}

#[test]
fn an_unknown_status_becomes_500() {
    let (head, _) = rendered(Reply::empty(299), Method::Get, Persistence::Implied);
    assert!(head.starts_with("HTTP/1.1 500 "));
}
