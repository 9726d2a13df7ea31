//! Endpoint workers: a few lines of HTTP on the other side of a real connection.

use std::collections::VecDeque;

use smol::future;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Mutex as AsyncMutex;
use smol::net::{TcpListener, TcpStream};

use super::*;
use crate::secret::Secret;
use crate::worker::Endpoint;

const ONLINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A worker that gives the answers it is told, the last one again and again.
struct Fake {
    listener: TcpListener,
    health: AsyncMutex<VecDeque<String>>,
    answers: AsyncMutex<VecDeque<String>>,
    /// Requests for `POST /task`, with the time of each.
    requests: AsyncMutex<Vec<(std::time::Instant, String)>>,
}

impl Fake {
    async fn new(answers: &[&str]) -> Self {
        Self::with_health(&[ONLINE], answers).await
    }

    async fn with_health(health: &[&str], answers: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            health: AsyncMutex::new(owned(health)),
            answers: AsyncMutex::new(owned(answers)),
            requests: AsyncMutex::new(vec![]),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: "127.0.0.1".to_owned(),
            port: self.listener.local_addr().unwrap().port(),
            path: "/agent".to_owned(),
        }
    }

    fn worker(&self, scene: &Scene) -> Worker {
        let mut worker = scene.worker("a", "");
        worker.target = Target::Endpoint {
            endpoint: self.endpoint(),
            token: Some(Secret::new("hunter2")),
        };
        worker
    }

    /// Serves while `test` runs.
    async fn serve(&self, test: impl Future<Output = ()>) {
        let executor = smol::LocalExecutor::new();
        let accept = async {
            loop {
                let (stream, _) = self.listener.accept().await.unwrap();
                executor.spawn(self.answer(stream)).detach();
            }
        };
        executor.run(test.or(accept)).await;
    }

    async fn answer(&self, mut stream: TcpStream) {
        let Some(request) = read_request(&mut stream).await else {
            return;
        };
        let answers = if request.starts_with("GET /agent/health ") {
            &self.health
        } else {
            self.requests.lock().await.push((monotonic(), request));
            &self.answers
        };
        let mut answers = answers.lock().await;
        let answer = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers[0].clone()
        };
        drop(answers);
        if answer == "silence" {
            future::pending::<()>().await;
        }
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.close().await;
    }

    async fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().await;
        requests
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut chunk = [0; 4_096];
    loop {
        let read = stream.read(&mut chunk).await.ok()?;
        text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        if read == 0 {
            return None;
        }
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_worker_is_asked_for_its_health_and_given_the_task() {
    Scene::play(async |scene| {
        let fake = Fake::new(&[&ok(" {\"output\": \"ü\"}\n")]).await;
        fake.serve(async {
            scene.put(fake.worker(scene));
            let task = NewTask {
                worker: "a".parse().unwrap(),
                prompt: "say \"hi\"".to_owned(),
                context: Some("{\"pr\": 1.0}".to_owned()),
                idempotency: None,
            };
            let nothing = Budget::new(0).empty();
            let (Submitted::Stored(task), _) = scene.queue.submit(task, nothing).await.unwrap()
            else {
                panic!("it is no repetition");
            };
            let task = scene.ended(task.id).await;
            assert_eq!(task.state, State::Completed, "{task:?}");
            assert_eq!(task.result.as_deref(), Some(" {\"output\": \"ü\"}\n"));
            let requests = fake.requests().await;
            let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
            let head = head.to_ascii_lowercase();
            assert!(head.starts_with("post /agent/task http/1.1\r\n"), "{head}");
            assert!(head.contains("authorization: bearer hunter2"), "{head}");
            assert!(head.contains("content-type: application/json"), "{head}");
            let id = task.id;
            let expected = format!(
                r#"{{"id":"{id}","prompt":"say \"hi\"","context":{{"pr": 1.0}},"attempt":1}}"#
            );
            assert_eq!(body, expected);
        })
        .await;
    });
}

#[test]
fn every_bad_answer_costs_its_attempt_and_nothing_else() {
    Scene::play(async |scene| {
        let fake = Fake::new(&[
            "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nboom",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            &ok("{}"),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
            "SSH-2.0-OpenSSH_9.9\r\n",
            &ok("[1]"),
            &ok("{}"),
        ])
        .await;
        fake.serve(async {
            scene.put(fake.worker(scene));
            let at = fake.endpoint();
            // Failed, failed, completed: all of the first task.
            let task = scene.ended(scene.submit("a", "x").await).await;
            assert_eq!((task.state, task.attempts), (State::Completed, 3));
            for error in [
                format!("{at} answered 404: no"),
                format!("{at} answered no HTTP: "),
                format!("{at} answered 200 with no JSON object: "),
            ] {
                let task = scene.ended(scene.submit("a", "x").await).await;
                assert_eq!((task.state, task.attempts), (State::Failed, 1));
                let found = task.error.unwrap();
                assert!(found.starts_with(&error), "{found}");
            }
            let task = scene.ended(scene.submit("a", "x").await).await;
            assert_eq!(task.state, State::Completed);
        })
        .await;
    });
}

#[test]
fn a_refusal_does_not_count_and_its_pause_is_kept() {
    Scene::play(async |scene| {
        let fake = Fake::new(&[
            "HTTP/1.1 429 Slow Down\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n",
            &ok("{}"),
        ])
        .await;
        fake.serve(async {
            let mut worker = fake.worker(scene);
            worker.max_attempts = 1;
            worker.concurrency = 3;
            scene.put(worker);
            let id = scene.submit("a", "x").await;
            until_async(async || !fake.requests().await.is_empty()).await;
            let entry = scene.roster.find(&"a".parse().unwrap()).unwrap();
            until(|| entry.availability() == Availability::Busy).await;
            let task = scene.ended(id).await;
            assert_eq!((task.state, task.attempts), (State::Completed, 1));
            let requests = fake.requests.lock().await;
            let pauses: Vec<_> = requests.windows(2).map(|two| two[1].0 - two[0].0).collect();
            assert!(pauses[0] >= Duration::from_secs(2), "{pauses:?}");
            assert!(pauses[1] >= Duration::from_secs(1), "{pauses:?}");
            assert!(
                pauses.iter().all(|pause| *pause < Duration::from_secs(4)),
                "{pauses:?}"
            );
        })
        .await;
    });
}

#[test]
fn a_worker_that_does_not_answer_in_time_has_failed_the_attempt() {
    Scene::play(async |scene| {
        let fake = Fake::new(&["silence"]).await;
        fake.serve(async {
            let mut worker = fake.worker(scene);
            worker.timeout = Duration::from_millis(100);
            worker.max_attempts = 2;
            scene.put(worker);
            let task = scene.ended(scene.submit("a", "x").await).await;
            assert_eq!((task.state, task.attempts), (State::Failed, 2));
            let error = format!("{} gave no answer within 100ms", fake.endpoint());
            assert_eq!(task.error, Some(error));
        })
        .await;
    });
}

#[test]
fn no_attempt_starts_while_a_worker_is_offline_or_busy() {
    Scene::play(async |scene| {
        let fake = Fake::with_health(
            &[
                "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
                ONLINE,
            ],
            &[&ok("{}")],
        )
        .await;
        fake.serve(async {
            scene.put(fake.worker(scene));
            let id = scene.submit("a", "x").await;
            let entry = scene.roster.find(&"a".parse().unwrap()).unwrap();
            for (availability, status) in [(Availability::Offline, 500), (Availability::Busy, 503)]
            {
                until(|| {
                    let condition = entry.condition();
                    condition.checked_at.is_some() && condition.availability == availability
                })
                .await;
                let error = format!("GET {}/health answered {status}", fake.endpoint());
                assert_eq!(entry.condition().last_error, Some(error));
                assert_eq!(fake.requests().await.len(), 0);
            }
            assert_eq!(scene.ended(id).await.state, State::Completed);
        })
        .await;
    });
}

#[test]
fn a_refused_connection_is_an_attempt_and_the_worker_is_looked_at_at_once() {
    Scene::play(async |scene| {
        let fake = Fake::new(&["silence"]).await;
        let mut worker = fake.worker(scene);
        worker.max_attempts = 2;
        let entry = {
            let mut served = Box::pin(fake.serve(async {
                scene.put(worker.clone());
                let entry = scene.roster.find(&worker.name).unwrap();
                until(|| entry.availability() == Availability::Online).await;
            }));
            served.as_mut().await;
            scene.roster.find(&worker.name).unwrap()
        };
        let at = fake.endpoint();
        drop(fake);
        let id = scene.submit("a", "x").await;
        until(|| entry.availability() == Availability::Offline).await;
        let refused = format!("connection to {at} refused");
        assert_eq!(entry.condition().last_error.as_ref(), Some(&refused));
        until(|| scene.dispatcher.running() == 0).await;
        let task = scene.task(id).await;
        assert_eq!((task.state, task.attempts), (State::Pending, 1));
        assert_eq!(task.error, Some(refused));
    });
}

#[test]
fn cancel_and_drain_close_the_connection() {
    Scene::play(async |scene| {
        let fake = Fake::new(&["silence"]).await;
        fake.serve(async {
            let mut worker = fake.worker(scene);
            worker.concurrency = 2;
            scene.put(worker);
            let first = scene.submit("a", "x").await;
            let second = scene.submit("a", "x").await;
            until_async(async || fake.requests().await.len() == 2).await;
            scene.queue.cancel(first).await.unwrap();
            until(|| scene.dispatcher.running() == 1).await;
            let drained = scene.dispatcher.drain(Duration::from_millis(20)).await;
            assert_eq!((drained.finished, drained.put_back), (0, 1));
            let task = scene.task(second).await;
            assert_eq!((task.state, task.attempts), (State::Pending, 1));
        })
        .await;
    });
}

#[test]
fn a_worker_that_moved_gets_its_tasks_where_it_is_now() {
    Scene::play(async |scene| {
        let gone = Fake::with_health(&["HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"], &["x"]);
        let (gone, fake) = (gone.await, Fake::new(&[&ok("{}")]).await);
        gone.serve(Box::pin(fake.serve(async {
            scene.put(gone.worker(scene));
            let id = scene.submit("a", "x").await;
            let entry = scene.roster.find(&"a".parse().unwrap()).unwrap();
            until(|| entry.condition().checked_at.is_some()).await;
            let begin = monotonic();
            scene.put(fake.worker(scene));
            assert_eq!(scene.ended(id).await.state, State::Completed);
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "it was looked at at once"
            );
            assert_eq!(gone.requests().await.len(), 0);
        })))
        .await;
    });
}
