//! What the documents tell a newcomer to do, done.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::pages::{Page, all};
use super::peer::{Asked, Peer};
use crate::harness::{Server, server, wait_for};

fn page(name: &str) -> Page {
    all().into_iter().find(|page| page.name == name).unwrap()
}

/// The one configuration of the page that has `mark` in it.
fn configuration(page: &Page, mark: &str) -> String {
    let blocks = page.blocks("toml");
    blocks
        .into_iter()
        .find(|block| block.contains(mark))
        .unwrap()
}

/// The server's `PATH` with the scripts of the documents in it.
fn path() -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workers");
    format!("{}:{}", scripts.display(), std::env::var("PATH").unwrap())
}

/// Whether all these programs are installed.
fn are_there(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let shown = Command::new(program).arg("--version").output();
        shown.is_err()
    });
    if let Some(program) = missing {
        let line = format!("skipped: {program} is not installed\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    missing.is_none()
}

/// The file that the guide has a newcomer write between END and END.
fn opened(guide: &Page) -> String {
    let blocks = guide.blocks("sh").concat();
    let (_, behind) = blocks.split_once("<<'END'\n").unwrap();
    behind.split_once("END\n").unwrap().0.to_owned()
}

/// Plays GitHub as the guide says, and gives the task's result once it has completed.
fn play_github(server: &Server) -> Value {
    std::fs::write(
        server.home().join("opened.json"),
        opened(&page("docs/first-review.md")),
    )
    .unwrap();
    let args =
        "webhook --config mecha.toml --source github --event pull_request.opened opened.json";
    let args: Vec<&str> = args.split(' ').collect();
    let mut command = server.client(&args);
    command.env("GITHUB_SECRET", "made-up");
    let sent = command.output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let task = wait_for("the task of the event", || {
        let events = server.get("/events").expect(200).json();
        events[0]["task_id"].as_str().map(str::to_owned)
    });
    let task = server.task_in(&task, "completed");
    serde_json::from_str(task["result"].as_str().unwrap()).unwrap()
}

#[test]
fn the_first_review_works_as_it_is_written() {
    let guide = page("docs/first-review.md");
    let server = server()
        .config(configuration(&guide, "[\"cat\"]"))
        .env("GITHUB_SECRET", "made-up")
        .start();
    let result = play_github(&server);
    let prompt = result["output"].as_str().unwrap();
    assert!(
        prompt.contains("Review pull request #7 of octo/hello:"),
        "{prompt}"
    );
    assert!(prompt.contains("It makes the start faster."), "{prompt}");
}

#[test]
fn the_script_asks_a_server_of_the_protocol_of_openai() {
    if !are_there(&["python3"]) {
        return;
    }
    let peer = Peer::start(|asked, before| {
        if before.is_empty() {
            return (
                404,
                json!({"error": {"message": "no such model"}}).to_string(),
            );
        }
        let question: Value = serde_json::from_str(&asked.body).unwrap();
        let text = question["messages"][0]["content"]
            .as_str()
            .unwrap()
            .to_uppercase();
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let answer =
            json!({"model": question["model"], "choices": [choice], "usage": {"total_tokens": 3}});
        (200, answer.to_string())
    });
    let recipe = configuration(&page("docs/workers/openai-compatible.md"), "11434");
    let recipe = recipe
        .replace("127.0.0.1:11434", &peer.addr.to_string())
        .replace("https://api.openai.com", &format!("http://{}", peer.addr));
    let server = server()
        .config(recipe.replace("timeout = \"5m\"", "timeout = \"25s\"\nmax_attempts = 1"))
        .env("PATH", &path())
        .env("OPENAI_KEY", "a-key")
        .start();
    let refused = server.task_in(&server.submit("llama", "hello"), "failed");
    let error = refused["error"].as_str().unwrap();
    let wanted = format!(
        "exited with 1: http://{}/v1/chat/completions answered 404: ",
        peer.addr
    );
    assert!(error.starts_with(&wanted), "{error}");
    let answered = server.task_in(&server.submit("hosted", "hello"), "completed");
    let result: Value = serde_json::from_str(answered["result"].as_str().unwrap()).unwrap();
    assert_eq!(result["output"], "HELLO");
    assert_eq!(result["metadata"]["usage"]["total_tokens"], 3);
    let asked = peer.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.line == "POST /v1/chat/completions")
    );
    let head = asked[1].head.to_lowercase();
    assert!(head.contains("authorization: bearer a-key"), "{head}");
}

/// Plays GitHub's API of pull requests.
fn github(asked: &Asked, before: &[Asked]) -> (u16, String) {
    match &*asked.line {
        "GET /repos/octo/hello/pulls/7" => (200, "--- a\n+++ b\n+cache\n".to_owned()),
        "GET /repos/octo/hello/issues/7/comments?per_page=100" => {
            let posted = before.iter().filter(|asked| asked.line.starts_with("POST"));
            let bodies: Vec<&str> = posted.map(|asked| &*asked.body).collect();
            (200, format!("[{}]", bodies.join(",")))
        }
        // It keeps the comment and breaks down in front of its answer, the first time.
        "POST /repos/octo/hello/issues/7/comments" => (502, String::new()),
        _ => (404, String::new()),
    }
}

#[test]
fn the_script_posts_a_review_once() {
    if !are_there(&["curl", "jq"]) {
        return;
    }
    let peer = Peer::start(github);
    let recipe = configuration(&page("docs/workers/shell.md"), "review.sh");
    let agent = r#""claude", "--print", "--bare", "--no-session-persistence", "--tools", """#;
    assert!(recipe.contains(agent));
    let api = format!("GITHUB_API = \"http://{}\", GITHUB_TOKEN", peer.addr);
    let recipe = recipe
        .replacen("GITHUB_TOKEN", &api, 1)
        .replace(agent, r#""sh", "-c", "echo token: $GITHUB_TOKEN; cat""#)
        .replace("max_attempts = 2", "max_attempts = 2\nbackoff = \"10ms\"");
    let server = server()
        .config(recipe)
        .env("PATH", &path())
        .env("GITHUB_SECRET", "made-up")
        .env("GITHUB_TOKEN", "a-token")
        .env("CLAUDE_KEY", "made-up")
        .start();
    let result = play_github(&server);
    assert_eq!(result, json!({"status": "was posted before"}));
    let asked = peer.asked();
    let posted: Vec<&Asked> = asked
        .iter()
        .filter(|asked| asked.line.starts_with("POST"))
        .collect();
    let [posted] = posted[..] else {
        panic!("{asked:#?}");
    };
    assert!(
        posted.head.contains("Authorization: Bearer a-token"),
        "{posted:?}"
    );
    let comment: Value = serde_json::from_str(&posted.body).unwrap();
    let comment = comment["body"].as_str().unwrap();
    assert!(
        comment.starts_with("token:\nReview the change below."),
        "{comment}"
    );
    assert!(comment.contains("+cache"), "{comment}");
}
