//! The web page: what is served, and to whom. `tests/page` drives it in a browser.

use crate::harness::{Request, server};

#[test]
fn the_page_is_for_all_and_runs_nothing_but_its_own() {
    let server = server().arg("--api-key=sesame").start();
    let page = server.get("/").expect(200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    let text = page.text();
    assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
    // Without the key it is all that there is to see.
    server.get("/tasks").expect(401);
    server.get("/index.html").expect(401);

    let length = text.len().to_string();
    let head = server.ask(Request::new("HEAD", "/")).expect(200);
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    let other = server.ask(Request::new("POST", "/").body("{}"));
    other.expect_error(405, "method_not_allowed");
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let server = server().start();
    let tag = server.get("/").header("etag").unwrap().to_owned();
    for (tags, status) in [
        (tag.clone(), 304),
        (format!("\"older\", W/{tag}"), 304),
        ("*".to_owned(), 304),
        ("\"older\"".to_owned(), 200),
        (String::new(), 200),
    ] {
        let answer = server.ask(Request::get("/").header("if-none-match", &tags));
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.text().is_empty(), status == 304);
    }
}

#[test]
fn a_link_leads_to_the_page_and_a_foreign_page_gets_nothing_of_it() {
    let server = server().start();
    let link = Request::get("/")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    server.ask(link.clone()).expect(200);
    let frame = Request::get("/")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "iframe");
    for foreign in [
        frame,
        Request::get("/").header("sec-fetch-site", "cross-site"),
        Request::get("/").header("origin", "http://evil.example"),
        link.header("host", "evil.example"),
    ] {
        server.ask(foreign).expect_error(403, "foreign_origin");
    }
    // A link is followed to the page alone.
    let data = Request::get("/tasks")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    server.ask(data).expect_error(403, "foreign_origin");
}
