//! The load of a server in use: tasks, webhooks, looks, cancels, retries, registrations.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::Clock;
use mecha::secret::Secret;
use mecha::source::{Kind, Settings as SourceSettings, Source};
use serde_json::{Value, json};
use smol::{LocalExecutor, Task};

use crate::settings::{SECRET, Settings};
use crate::target::{Client, Target};
use crate::wire::request;

/// Clients that submit, and the time between two tasks of each.
const SUBMITTERS: usize = 6;
const SUBMIT_EVERY: Duration = Duration::from_millis(60);

/// Senders of webhooks, and the time between two deliveries of each.
const SENDERS: usize = 3;
const DELIVER_EVERY: Duration = Duration::from_millis(80);

/// Clients that wait for the end of a task.
const WAITERS: usize = 4;

/// What may be said to a submission. A burst of large bodies sheds others; a queue is full after the
/// worker was away.
const SUBMITTED: &[u16] = &[202, 429, 503];

/// Names of workers that come and go.
const GUESTS: u32 = 20;

/// Starts all clients. They end when the tasks are dropped.
pub(crate) fn start(
    executor: &LocalExecutor<'static>,
    target: &Rc<Target>,
    settings: &Settings,
) -> io::Result<Vec<Task<()>>> {
    let github = Rc::new(github()?);
    let pace = settings.pace;
    let mut tasks = Vec::new();
    for _ in 0..SUBMITTERS {
        let target = Rc::clone(target);
        tasks.push(executor.spawn(async move { submit(&target, pace).await }));
    }
    for _ in 0..SENDERS {
        let (target, github) = (Rc::clone(target), Rc::clone(&github));
        tasks.push(executor.spawn(async move { deliver(&target, &github, pace).await }));
    }
    for _ in 0..WAITERS {
        let target = Rc::clone(target);
        tasks.push(executor.spawn(async move { wait(&target).await }));
    }
    let (looked, changed, guested) = (Rc::clone(target), Rc::clone(target), Rc::clone(target));
    tasks.push(executor.spawn(async move { look(&looked, pace).await }));
    tasks.push(executor.spawn(async move { change(&changed, pace).await }));
    tasks.push(executor.spawn(async move { register(&guested, pace).await }));
    Ok(tasks)
}

fn github() -> io::Result<Source> {
    let settings = SourceSettings {
        name: "github".to_owned(),
        kind: Kind::Github,
        secrets: vec![Secret::new(SECRET)],
        ignore_actors: Vec::new(),
        hmac: None,
    };
    Source::new(settings).map_err(io::Error::other)
}

/// Waits about `every` over the pace.
pub(crate) async fn pause(every: Duration, pace: f64) {
    Timer::after(every.mul_f64((fastrand::f64() + 0.5) / pace)).await;
}

/// A text of random letters: most are short, some long, a few very long.
fn text() -> String {
    let length = match fastrand::u32(0..200) {
        0 => fastrand::usize(200_000..1_000_000),
        1..=20 => fastrand::usize(5_000..40_000),
        _ => fastrand::usize(20..1_500),
    };
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(length)
        .collect()
}

async fn submit(target: &Target, pace: f64) {
    let mut client = Client::new(target);
    loop {
        pause(SUBMIT_EVERY, pace).await;
        let worker = if fastrand::u32(0..25) == 0 {
            "shell"
        } else {
            "endpoint"
        };
        let mut body = json!({ "prompt": text(), "worker": worker });
        if fastrand::u32(0..4) == 0 {
            let context = json!({ "repository": "octo/hello", "number": fastrand::u32(..) });
            body = json!({ "prompt": text(), "worker": worker, "context": context });
        }
        let mut headers = Vec::new();
        if fastrand::bool() {
            let key = format!("{:032x}", fastrand::u128(..));
            headers.push(("Idempotency-Key".to_owned(), key));
        }
        let post = request("POST", "/task", &headers, body.to_string().as_bytes());
        let Some(answer) = client.ask("POST /task", &post, SUBMITTED).await else {
            continue;
        };
        if answer.status != 202 {
            continue;
        }
        let id = id_of(&answer.body);
        if !headers.is_empty() && fastrand::u32(0..5) == 0 {
            let again = client.ask("POST /task again", &post, SUBMITTED).await;
            if let Some(again) = again.filter(|again| again.status == 202)
                && id_of(&again.body) != id
            {
                target.surprise("a key gave a second task".to_owned());
            }
        }
        if let Some(id) = id {
            target.accepted(id);
        }
    }
}

fn id_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    Some(value.get("id")?.as_str()?.to_owned())
}

async fn deliver(target: &Target, github: &Source, pace: f64) {
    let mut client = Client::new(target);
    loop {
        pause(DELIVER_EVERY, pace).await;
        let number = fastrand::u32(1..1_000_000);
        let payload = json!({
            "action": "opened",
            "number": number,
            "pull_request": {
                "number": number, "title": "Add a cache", "body": text(),
                "head": { "ref": "cache" }, "base": { "ref": "main" }, "labels": [],
            },
            "repository": { "name": "hello", "full_name": "octo/hello",
                            "owner": { "login": "octo" } },
            "sender": { "login": "mona" },
        });
        let mut payload = payload.to_string().into_bytes();
        let kind = match fastrand::u32(0..8) {
            0 => "push",
            _ => "pull_request.opened",
        };
        let delivery = format!("{:032x}", fastrand::u128(..));
        let signed = github.sign(kind, &delivery, &payload, Clock::system().now());
        let Ok(headers) = signed else { continue };
        let is_forged = fastrand::u32(0..20) == 0;
        if is_forged {
            payload.push(b' ');
        }
        let post = request("POST", "/webhook/github", &headers, &payload);
        if is_forged {
            client.ask("POST /webhook forged", &post, &[401, 503]).await;
            continue;
        }
        client.ask("POST /webhook", &post, SUBMITTED).await;
        if fastrand::u32(0..5) == 0 {
            client
                .ask("POST /webhook again", &post, &[200, 202, 429, 503])
                .await;
        }
    }
}

async fn wait(target: &Target) {
    let mut client = Client::new(target);
    loop {
        pause(Duration::from_millis(200), 1.0).await;
        let Some(id) = target.last() else { continue };
        let path = format!("/task/{id}?wait=10s");
        // Retention may have been quicker.
        let get = request("GET", &path, &[], b"");
        client.ask("GET /task?wait", &get, &[200, 404, 503]).await;
    }
}

async fn look(target: &Target, pace: f64) {
    let mut client = Client::new(target);
    let lists = [
        "/tasks?limit=50",
        "/tasks?state=failed&limit=20",
        "/tasks?state=pending&worker=endpoint",
        "/events?limit=50",
        "/events?state=skipped&source=github",
        "/workers",
        "/refusals",
        "/health",
    ];
    loop {
        pause(Duration::from_millis(150), pace).await;
        let path = match (fastrand::usize(0..14), target.any_recent()) {
            (8.., Some(id)) => format!("/task/{id}"),
            (index, _) => lists
                .get(index % lists.len())
                .map_or("/health", |path| path)
                .to_owned(),
        };
        let get = request("GET", &path, &[], b"");
        client.ask("GET", &get, &[200, 404, 503]).await;
    }
}

async fn change(target: &Target, pace: f64) {
    let mut client = Client::new(target);
    loop {
        pause(Duration::from_millis(700), pace).await;
        let Some(id) = target.any_recent() else {
            continue;
        };
        if fastrand::bool() {
            let cancel = request("DELETE", &format!("/task/{id}"), &[], b"");
            client
                .ask("DELETE /task", &cancel, &[200, 404, 409, 503])
                .await;
        } else {
            let retry = request("POST", &format!("/task/{id}/retry"), &[], b"");
            let right = [202, 404, 409, 429, 503];
            client.ask("POST /task/retry", &retry, &right).await;
        }
    }
}

/// Workers that are registered over the API, and removed again.
async fn register(target: &Target, pace: f64) {
    let mut client = Client::new(target);
    loop {
        pause(Duration::from_secs(3), pace).await;
        let path = format!("/worker/guest-{}", fastrand::u32(..GUESTS));
        let body = br#"{"endpoint": "http://127.0.0.1:1"}"#;
        let put = request("PUT", &path, &[], body);
        client.ask("PUT /worker", &put, &[200, 201, 503]).await;
        pause(Duration::from_secs(1), pace).await;
        let remove = request("DELETE", &path, &[], b"");
        client
            .ask("DELETE /worker", &remove, &[204, 404, 503])
            .await;
    }
}
