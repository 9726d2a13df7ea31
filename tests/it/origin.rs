//! Contract section 3: what browsers send from foreign pages is refused.

use serde_json::json;

use crate::harness::{EndpointWorker, Request, Server, server};

#[test]
fn a_foreign_origin_is_refused() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let port = server.addr.port();
    let body = json!({"prompt": "p", "worker": "w"});
    for origin in [
        "http://evil.example".to_owned(),
        "https://evil.example:443".to_owned(),
        "null".to_owned(),
        format!("http://evil.example:{port}"),
        "http://127.0.0.1".to_owned(),
        "http://127.0.0.1:1".to_owned(),
        format!("http://127.0.0.1:{port}.evil.example"),
        format!("http://localhost:{port}"),
        "file://".to_owned(),
        "chrome-extension://abcdef".to_owned(),
        String::new(),
    ] {
        for request in [
            Request::post("/task").json(&body),
            Request::get("/tasks"),
            Request::new("DELETE", "/task/0000000000000000"),
        ] {
            let answer = server.ask(request.header("origin", &origin));
            answer.expect_error(403, "foreign_origin");
        }
    }
    assert!(server.ids("/tasks").is_empty());
    assert!(worker.attempts().is_empty());
}

#[test]
fn the_server_s_own_origin_is_served() {
    let server = server().start();
    let port = server.addr.port();
    for (host, origin) in [
        (
            format!("127.0.0.1:{port}"),
            format!("http://127.0.0.1:{port}"),
        ),
        (
            format!("localhost:{port}"),
            format!("http://localhost:{port}"),
        ),
        (format!("[::1]:{port}"), format!("http://[::1]:{port}")),
        (
            format!("LocalHost:{port}"),
            format!("http://localhost:{port}"),
        ),
    ] {
        let request = Request::get("/tasks")
            .header("host", &host)
            .header("origin", &origin);
        let answer = server.ask(request);
        assert_eq!(answer.status, 200, "{host} {origin}: {}", answer.text());
    }
}

#[test]
fn cross_site_fetches_are_refused() {
    let server = server().start();
    for (site, status) in [("cross-site", 403), ("same-origin", 200), ("none", 200)] {
        let answer = server.ask(Request::get("/tasks").header("Sec-Fetch-Site", site));
        assert_eq!(answer.status, status, "{site}");
    }
    server
        .ask(Request::get("/tasks").header("sec-fetch-site", "cross-site"))
        .expect_error(403, "foreign_origin");
}

#[test]
fn without_a_key_a_host_that_is_no_loopback_name_is_refused() {
    let server = server().start();
    let port = server.addr.port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.evil.example".to_owned(),
        "10.0.0.1".to_owned(),
        "0.0.0.0".to_owned(),
        "notlocalhost".to_owned(),
    ] {
        let answer = server.ask(Request::get("/tasks").header("host", &host));
        assert_eq!(answer.status, 403, "{host}");
        answer.expect_error(403, "foreign_origin");
    }
    for host in [
        "localhost".to_owned(),
        format!("localhost:{port}"),
        "LOCALHOST".to_owned(),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        "127.8.9.10".to_owned(),
        "[::1]".to_owned(),
        format!("[::1]:{port}"),
    ] {
        let answer = server.ask(Request::get("/tasks").header("host", &host));
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
}

#[test]
fn with_a_key_any_host_is_served_and_a_foreign_origin_is_not() {
    let server = server().arg("--api-key=sesame").key("sesame").start();
    let host = Request::get("/tasks").header("host", "tasks.example:8443");
    server.ask(host.clone()).expect(200);
    server
        .ask(host.clone().header("origin", "https://tasks.example:8443"))
        .expect(200);
    server
        .ask(host.clone().header("origin", "https://tasks.example"))
        .expect_error(403, "foreign_origin");
    server
        .ask(host.header("sec-fetch-site", "cross-site"))
        .expect_error(403, "foreign_origin");
}

#[test]
fn health_and_webhooks_are_free_of_it() {
    let server = server().start();
    for request in [
        Request::get("/health").header("host", "evil.example"),
        Request::get("/health").header("origin", "http://evil.example"),
        Request::get("/health").header("sec-fetch-site", "cross-site"),
    ] {
        server.ask(request).expect(200);
    }
    for request in [
        Request::post("/webhook/nobody").header("host", "evil.example"),
        Request::post("/webhook/nobody").header("origin", "http://evil.example"),
    ] {
        server.ask(request.body("{}")).expect(404);
    }
}

#[test]
fn a_preflight_from_a_foreign_page_gets_no_permission() {
    let server = server().start();
    let answer = server.ask(
        Request::new("OPTIONS", "/task")
            .header("origin", "http://evil.example")
            .header("access-control-request-method", "POST"),
    );
    assert!(matches!(answer.status, 200 | 204 | 403));
    assert!(answer.header("access-control-allow-origin").is_none());
}
