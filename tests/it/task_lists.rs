//! Contract section 4: `GET /tasks`, its filters and its pages.

use serde_json::json;

use crate::harness::{Answer, EndpointWorker, Request, Response, Server, offline_worker};

fn server_with_offline_workers(names: &[&str]) -> Server {
    let config: String = names.iter().map(|name| offline_worker(name)).collect();
    Server::with(config)
}

/// The target of the `Link` to the next page.
#[track_caller]
fn next(page: &Response) -> Option<String> {
    let link = page.header("link")?;
    let (target, parameters) = link
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .unwrap_or_else(|| panic!("Link: {link}"));
    assert_eq!(parameters.replace(' ', ""), ";rel=\"next\"", "{link}");
    let path = target.find("/tasks").map(|start| &target[start..]);
    Some(path.unwrap_or_else(|| panic!("Link: {link}")).to_owned())
}

/// Every id on the page and those behind it.
#[track_caller]
fn follow(server: &Server, first: &str, page_max: usize) -> Vec<String> {
    let mut target = Some(first.to_owned());
    let mut ids = Vec::new();
    while let Some(here) = target {
        let page = server.get(&here).expect(200);
        let tasks = page.json();
        let tasks = tasks.as_array().unwrap();
        assert!(!tasks.is_empty() || ids.is_empty(), "an empty page follows");
        assert!(tasks.len() <= page_max);
        ids.extend(
            tasks
                .iter()
                .map(|task| task["id"].as_str().unwrap().to_owned()),
        );
        target = next(&page);
    }
    ids
}

#[test]
fn pages_hold_every_task_once_newest_first() {
    let server = server_with_offline_workers(&["a", "b"]);
    let mut ids: Vec<String> = (0..25)
        .map(|number| server.submit(if number % 5 == 0 { "b" } else { "a" }, "p"))
        .collect();
    ids.reverse();
    assert_eq!(server.ids("/tasks"), ids);
    assert!(server.get("/tasks").header("link").is_none());
    for limit in [1, 7, 24, 25, 26, 1_000] {
        let target = format!("/tasks?limit={limit}");
        assert_eq!(follow(&server, &target, limit), ids, "{limit}");
    }
    assert_eq!(
        server.ids(&format!("/tasks?before={}", ids[4])),
        ids[5..],
        "before excludes its task"
    );
    assert_eq!(
        server.ids(&format!("/tasks?before={}&limit=2", ids[4])),
        ids[5..7]
    );
    assert!(server.ids(&format!("/tasks?before={}", ids[24])).is_empty());
    assert_eq!(server.ids("/tasks?before=zzzzzzzzzzzzzzzz"), ids);
    assert!(server.ids("/tasks?before=0000000000000000").is_empty());
}

#[test]
fn a_page_holds_100_tasks_by_default() {
    let server = server_with_offline_workers(&["a"]);
    for _ in 0..101 {
        server.submit("a", "p");
    }
    let page = server.get("/tasks").expect(200);
    assert_eq!(page.json().as_array().unwrap().len(), 100);
    assert_eq!(follow(&server, "/tasks", 100).len(), 101);
}

#[test]
fn lists_are_filtered_by_state_and_worker() {
    let done = EndpointWorker::obliging();
    let failing = EndpointWorker::start(|_| Answer::status(400, "{}"));
    let hanging = EndpointWorker::hanging();
    let server = Server::with(
        [
            done.config("done", ""),
            failing.config("failing", ""),
            hanging.config("hanging", ""),
        ]
        .concat(),
    );
    let mut completed = Vec::new();
    let mut failed = Vec::new();
    let mut others = Vec::new();
    for _ in 0..4 {
        completed.push(server.submit("done", "p"));
        failed.push(server.submit("failing", "p"));
        others.push(server.submit("hanging", "p"));
    }
    for id in &completed {
        server.task_in(id, "completed");
    }
    for id in &failed {
        server.task_in(id, "failed");
    }
    server.task_in(&others[0], "dispatched");
    completed.reverse();
    failed.reverse();
    others.reverse();
    for (query, ids) in [
        ("state=completed", completed.clone()),
        ("state=failed", failed.clone()),
        ("state=dispatched", others[3..].to_vec()),
        ("state=pending", others[..3].to_vec()),
        ("worker=hanging", others.clone()),
        ("worker=done&state=completed", completed.clone()),
        ("state=failed&worker=done", vec![]),
        ("worker=hanging&state=pending", others[..3].to_vec()),
    ] {
        assert_eq!(server.ids(&format!("/tasks?{query}")), ids, "{query}");
        let target = format!("/tasks?{query}&limit=1");
        assert_eq!(follow(&server, &target, 1), ids, "{query} by pages");
    }
    let page = server.get("/tasks?state=completed").expect(200).json();
    for task in page.as_array().unwrap() {
        assert_eq!(task, &server.task(task["id"].as_str().unwrap()));
    }
}

#[test]
fn bad_parameters_are_400() {
    let server = server_with_offline_workers(&["a"]);
    server.submit("a", "p");
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=+1",
        "limit=1.0",
        "limit=ten",
        "limit=",
        "limit=99999999999999999999",
        "state=",
        "state=PENDING",
        "state=done",
        "state=pending,failed",
        "before=x",
        "before=",
        "before=000000000000000",
        "before=000000000000000A",
    ] {
        let answer = server.get(&format!("/tasks?{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    for query in ["limit=1", "limit=1000", "state=pending"] {
        server.get(&format!("/tasks?{query}")).expect(200);
    }
    let unknown = server.get("/tasks?worker=nobody");
    match unknown.status {
        200 => assert_eq!(unknown.json(), json!([])),
        status => assert_eq!(status, 404),
    }
}

#[test]
fn a_query_may_be_percent_encoded() {
    let server = server_with_offline_workers(&["a.b"]);
    let id = server.submit("a.b", "p");
    assert_eq!(server.ids("/tasks?worker=a%2Eb"), [id]);
    let bad = server.get("/tasks?state=%zz");
    assert_eq!(bad.status, 400);
}

#[test]
fn a_page_ends_before_its_body_passes_8_mib() {
    let server = server_with_offline_workers(&["a"]);
    let prompt = "x".repeat(3 * 1024 * 1024);
    let mut ids: Vec<String> = (0..5).map(|_| server.submit("a", &prompt)).collect();
    ids.reverse();
    let page = server.get("/tasks").expect(200);
    assert!(page.body.len() <= 8 * 1024 * 1024, "{}", page.body.len());
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    assert_eq!(follow(&server, "/tasks", 2), ids);
}

#[test]
fn control_characters_make_a_page_no_larger_than_8_mib() {
    let server = server_with_offline_workers(&["a"]);
    // One byte stored, six bytes in JSON.
    let prompt = "\u{1}".repeat(1_000_000);
    for _ in 0..3 {
        server.submit("a", &prompt);
    }
    let page = server.get("/tasks").expect(200);
    assert!(page.body.len() <= 8 * 1024 * 1024, "{}", page.body.len());
    assert_eq!(follow(&server, "/tasks", 3).len(), 3);
}

#[test]
fn a_task_larger_than_a_page_is_on_a_page_of_its_own() {
    let large = format!("{{\"output\": \"{}\"}}", "y".repeat(6 * 1024 * 1024));
    let worker = EndpointWorker::start(move |_| Answer::result(&large));
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", &"x".repeat(4 * 1024 * 1024));
    server.task_in(&id, "completed");
    assert_eq!(follow(&server, "/tasks", 1), [id]);
}

#[test]
fn head_of_a_list_keeps_the_link() {
    let server = server_with_offline_workers(&["a"]);
    server.submit("a", "p");
    server.submit("a", "p");
    let get = server.get("/tasks?limit=1");
    let head = server.ask(Request::new("HEAD", "/tasks?limit=1"));
    assert_eq!(head.header("link"), get.header("link"));
    assert!(get.header("link").is_some());
}

#[test]
fn a_link_carries_no_header_of_the_client() {
    let server = server_with_offline_workers(&["a"]);
    for _ in 0..2 {
        server.submit("a", "p");
    }
    for query in [
        "worker=a%0d%0ax-evil:%201",
        "worker=a&x=%0d%0ax-evil:%201",
        "state=pending&y=%3E;%20rel=%22evil%22",
        "worker=a&limit=1&limit=1%0d%0a",
    ] {
        let answer = server.get(&format!("/tasks?limit=1&{query}"));
        assert!(answer.header("x-evil").is_none());
        let link = answer.header("link").unwrap_or_default();
        assert!(!link.contains("evil"), "{link}");
    }
}
