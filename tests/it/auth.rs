//! Contract section 3: keys.

use crate::harness::{Request, Response, Server, server};

const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/tasks"),
    ("HEAD", "/tasks"),
    ("POST", "/task"),
    ("GET", "/task/0000000000000000"),
    ("DELETE", "/task/0000000000000000"),
    ("POST", "/task/0000000000000000/retry"),
    ("GET", "/workers"),
    ("PUT", "/worker/w"),
    ("DELETE", "/worker/w"),
];

fn ask(server: &Server, name: &str, value: &str) -> Response {
    server.ask(Request::get("/tasks").header(name, value))
}

#[test]
fn without_the_key_every_endpoint_is_401_and_health_is_open() {
    let server = server().arg("--api-key=sesame").start();
    for (method, target) in ENDPOINTS {
        let mut request = Request::new(method, target);
        if *method == "POST" || *method == "PUT" {
            request = request.body("{}");
        }
        let answer = server.ask(request);
        assert_eq!(answer.status, 401, "{method} {target}");
        assert!(
            answer.header("www-authenticate").is_some(),
            "RFC 9110 15.5.2: {:?}",
            answer.head
        );
    }
    server.get("/health").expect(200);
    let hook = server.ask(Request::post("/webhook/nobody").body("{}"));
    assert_eq!(hook.status, 404, "webhooks carry signatures, not keys");
}

#[test]
fn both_headers_open_the_api() {
    let server = server().arg("--api-key").arg("sesame").start();
    for (name, value, status) in [
        ("Authorization", "Bearer sesame", 200),
        ("authorization", "bearer sesame", 200),
        ("AUTHORIZATION", "BEARER sesame", 200),
        ("X-API-Key", "sesame", 200),
        ("x-api-key", "sesame", 200),
        ("Authorization", "sesame", 401),
        ("Authorization", "Bearer", 401),
        ("Authorization", "Bearer ", 401),
        ("Authorization", "Bearer sesam", 401),
        ("Authorization", "Bearer sesamee", 401),
        ("Authorization", "Bearer SESAME", 401),
        ("Authorization", "Bearer sesame sesame", 401),
        ("Authorization", "Basic c2VzYW1l", 401),
        ("Authorization", "Basic sesame", 401),
        ("X-API-Key", "", 401),
        ("X-API-Key", "Bearer sesame", 401),
        ("X-API-Key", "Sesame", 401),
        ("X-Api-Token", "sesame", 401),
        ("Cookie", "api_key=sesame", 401),
    ] {
        let answer = ask(&server, name, value);
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    server.get("/tasks?api_key=sesame").expect(401);
}

#[test]
fn a_refusal_does_not_repeat_the_key() {
    let server = server().arg("--api-key=sesame").start();
    let text = ask(&server, "X-API-Key", "abracadabra").expect(401).text();
    assert!(
        !text.contains("sesame") && !text.contains("abracadabra"),
        "{text}"
    );
}

#[test]
fn several_keys_open_the_api_from_literal_environment_and_file() {
    let launch = server();
    let file = launch.home().join("key");
    std::fs::write(&file, "from-file\n").unwrap();
    let config = format!(
        "api_key = [\"literal\", \"env:SOME_KEY\", \"file:{}\"]",
        file.display()
    );
    let server = launch
        .config(config)
        .env("SOME_KEY", "from-environment")
        .start();
    for (key, status) in [
        ("literal", 200),
        ("from-environment", 200),
        ("env:SOME_KEY", 401),
        ("from-file", 200),
        ("other", 401),
    ] {
        assert_eq!(ask(&server, "X-API-Key", key).status, status, "{key}");
    }
}

#[test]
fn the_last_newline_of_a_key_file_is_dropped() {
    for (content, key) in [("k1\n", "k1"), ("k2", "k2"), ("k3\r\n", "k3")] {
        let launch = server();
        let file = launch.home().join("key");
        std::fs::write(&file, content).unwrap();
        let server = launch
            .config(format!("api_key = \"file:{}\"", file.display()))
            .start();
        assert_eq!(ask(&server, "X-API-Key", key).status, 200, "{content:?}");
    }
}

#[test]
fn a_variable_replaces_the_keys_of_the_file_and_a_flag_both() {
    let config = "api_key = [\"file-1\", \"file-2\"]";
    let by_variable = server()
        .config(config)
        .env("MECHA_API_KEY", "variable")
        .start();
    ask(&by_variable, "X-API-Key", "variable").expect(200);
    ask(&by_variable, "X-API-Key", "file-1").expect(401);
    let by_flag = server()
        .config(config)
        .env("MECHA_API_KEY", "variable")
        .arg("--api-key=flag")
        .start();
    ask(&by_flag, "X-API-Key", "flag").expect(200);
    ask(&by_flag, "X-API-Key", "variable").expect(401);
    ask(&by_flag, "X-API-Key", "file-2").expect(401);
}

#[test]
fn a_body_is_not_waited_for_without_a_key() {
    let server = server().arg("--api-key=sesame").start();
    let mut connection = server.connect();
    connection.send(format!(
        "POST /task HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
        server.addr
    ));
    connection.receive().expect(401);
    assert!(connection.ends());
}

#[test]
fn without_a_key_a_loopback_server_is_open() {
    let server = server().start();
    server.get("/tasks").expect(200);
    ask(&server, "X-API-Key", "anything").expect(200);
}
