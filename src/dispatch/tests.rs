//! The whole way of a task through a real queue and real child processes.

mod endpoint;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::clock::monotonic;
use crate::queue::{Settings, Submitted};
use crate::roster::Origin;
use crate::store::Store;
use crate::store::keys::Text;
use crate::task::{NewTask, State, Task as ShownTask, TaskId};
use crate::worker::{Availability, Rate, Target, Worker};

const MINUTE: Duration = Duration::from_secs(60);

/// A dispatcher over an empty store, with its workers' working directory.
struct Scene {
    dir: TempDir,
    roster: Roster,
    store: Store,
    queue: Queue,
    drain: Drain,
    dispatcher: Dispatcher,
}

impl Scene {
    fn play(test: impl AsyncFnOnce(&Scene)) {
        Self::play_with_budget(64 << 20, test);
    }

    fn play_with_budget(bytes: u64, test: impl AsyncFnOnce(&Scene)) {
        let dir = tempfile::tempdir().unwrap();
        let executor = Arc::new(Executor::new());
        let drain = Drain::new();
        let settings = Settings {
            queue: 1_000,
            retention: MINUTE,
            disk_reserve: 0,
        };
        let store = Store::open(&dir.path().join("data")).unwrap();
        let queue = Queue::open(store.clone(), Clock::system(), settings, drain.clone()).unwrap();
        let roster = Roster::new();
        let dispatcher = Dispatcher::start(Parts {
            executor: Arc::clone(&executor),
            roster: roster.clone(),
            queue: queue.clone(),
            budget: Budget::new(bytes),
            clock: Clock::system(),
            drain: drain.clone(),
            secret_variables: vec![],
        })
        .unwrap();
        let scene = Self {
            dir,
            roster,
            store,
            queue,
            drain,
            dispatcher,
        };
        smol::block_on(executor.run(test(&scene)));
        scene.queue.close();
    }

    /// A worker that runs a shell script in the scene's directory.
    fn worker(&self, name: &str, script: &str) -> Worker {
        Worker {
            name: name.parse().unwrap(),
            target: Target::Command {
                argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
                env: vec![],
                cwd: Some(self.dir.path().to_owned()),
            },
            timeout: MINUTE,
            concurrency: 1,
            rate: None,
            max_attempts: 3,
            backoff: Duration::from_millis(10),
        }
    }

    fn put(&self, worker: Worker) {
        self.roster.put(worker, Origin::File).unwrap();
    }

    async fn submit(&self, worker: &str, prompt: &str) -> TaskId {
        let task = NewTask {
            worker: worker.parse().unwrap(),
            prompt: prompt.to_owned(),
            context: None,
            idempotency: None,
        };
        let nothing = Budget::new(0).empty();
        match self.queue.submit(task, nothing).await.unwrap().0 {
            Submitted::Stored(task) => task.id,
            Submitted::Replayed(id) => id,
        }
    }

    async fn ended(&self, id: TaskId) -> ShownTask {
        self.queue.wait(id, MINUTE).await.unwrap();
        self.task(id).await
    }

    async fn task(&self, id: TaskId) -> ShownTask {
        self.queue.find(id).await.unwrap().unwrap()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Waits until a script has written to the file `name`.
    async fn written(&self, name: &str) {
        until(|| !self.file(name).is_empty()).await;
    }
}

#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    until_async(async move || condition())
}

/// Waits until a condition holds; fails the test that waits for it when it does not.
#[track_caller]
fn until_async(condition: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    let deadline = monotonic() + MINUTE;
    async move {
        while !condition().await {
            assert!(monotonic() < deadline, "waited a minute in vain at {place}");
            Timer::after(Duration::from_millis(2)).await;
        }
    }
}

fn is_alive(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    let status = status.unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

#[test]
fn a_task_comes_back_with_its_result() {
    Scene::play(async |scene| {
        scene.put(scene.worker("a", "echo \"$(cat), attempt $MECHA_ATTEMPT\""));
        let id = scene.submit("a", "prompt").await;
        let task = scene.ended(id).await;
        assert_eq!(task.state, State::Completed);
        assert_eq!(
            task.result.as_deref(),
            Some(r#"{"output":"prompt, attempt 1\n"}"#)
        );
        assert_eq!((task.attempts, task.error), (1, None));
    });
}

#[test]
fn a_failed_attempt_is_followed_by_others_until_they_are_used_up() {
    Scene::play(async |scene| {
        scene.put(scene.worker("a", "echo $MECHA_ATTEMPT >&2; test $MECHA_ATTEMPT = 3"));
        scene.put(scene.worker("b", "echo $MECHA_ATTEMPT >&2; exit 7"));
        let (a, b) = (scene.submit("a", "x").await, scene.submit("b", "x").await);
        let task = scene.ended(a).await;
        assert_eq!((task.state, task.attempts), (State::Completed, 3));
        let task = scene.ended(b).await;
        assert_eq!((task.state, task.attempts), (State::Failed, 3));
        assert_eq!(task.error.as_deref(), Some("exited with 7: 3"));
    });
}

#[test]
fn a_task_that_cannot_be_read_for_a_moment_is_tried_again_later() {
    Scene::play(async |scene| {
        let id = scene.submit("a", "prompt").await;
        let mut batch = scene.store.batch();
        batch.spoil_text(id, Text::Prompt);
        batch.commit().unwrap();
        let mut worker = scene.worker("a", "cat");
        worker.backoff = Duration::from_millis(500);
        scene.put(worker);
        let attempts = || scene.store.snapshot().task(id).unwrap().unwrap().failures;
        until(|| attempts() == 1).await;
        let mut batch = scene.store.batch();
        batch.put_text(id, Text::Prompt, "prompt");
        batch.commit().unwrap();
        let task = scene.ended(id).await;
        assert_eq!((task.state, task.attempts), (State::Completed, 2));
    });
}

#[test]
fn tasks_start_in_order_and_no_more_at_once_than_the_worker_takes() {
    Scene::play(async |scene| {
        let script = "read p; echo $p >> order; mkdir running/$p; ls running | wc -l >> counts; \
                      sleep 0.02; rmdir running/$p";
        fs::create_dir(scene.dir.path().join("running")).unwrap();
        let mut worker = scene.worker("a", script);
        let mut tasks = vec![];
        for prompt in 10..30 {
            tasks.push(scene.submit("a", &format!("{prompt}\n")).await);
        }
        scene.put(worker.clone());
        scene.ended(tasks[9]).await;
        let counts = scene.file("counts");
        assert!(counts.lines().all(|count| count.trim() == "1"), "{counts}");
        // The running lane takes the new settings over.
        worker.concurrency = 3;
        scene.put(worker);
        for task in tasks {
            assert_eq!(scene.ended(task).await.state, State::Completed);
        }
        let order: Vec<u32> = scene
            .file("order")
            .lines()
            .map(|p| p.parse().unwrap())
            .collect();
        assert!(order[..9].iter().copied().eq(10..19), "{order:?}");
        assert_eq!(order.len(), 20);
        let counts = scene.file("counts");
        assert!(counts.lines().all(|count| count.trim() <= "3"), "{counts}");
        assert!(counts.lines().any(|count| count.trim() == "3"), "{counts}");
    });
}

#[test]
fn the_rate_spreads_attempts_over_time() {
    Scene::play(async |scene| {
        let mut worker = scene.worker("a", "true");
        worker.concurrency = 10;
        worker.rate = Some(Rate {
            count: 2,
            per: Duration::from_millis(400),
        });
        let mut tasks = vec![];
        for _ in 0..5 {
            tasks.push(scene.submit("a", "x").await);
        }
        let begin = monotonic();
        scene.put(worker);
        scene.ended(tasks[1]).await;
        assert_eq!(scene.task(tasks[2]).await.state, State::Pending);
        scene.ended(tasks[4]).await;
        assert!(begin.elapsed() >= Duration::from_millis(800));
    });
}

#[test]
fn tasks_of_an_offline_worker_wait_for_it() {
    Scene::play(async |scene| {
        let mut worker = scene.worker("a", "");
        let program = scene.dir.path().join("agent");
        worker.target = Target::Command {
            argv: vec![program.display().to_string()],
            env: vec![],
            cwd: None,
        };
        scene.put(worker);
        let id = scene.submit("a", "x").await;
        let entry = scene.roster.find(&"a".parse().unwrap()).unwrap();
        until(|| entry.condition().checked_at.is_some()).await;
        let condition = entry.condition();
        assert_eq!(condition.availability, Availability::Offline);
        let error = condition.last_error.unwrap();
        assert_eq!(
            error,
            format!("program {} does not exist", program.display())
        );
        assert_eq!(scene.task(id).await.attempts, 0);
        std::os::unix::fs::symlink("/bin/cat", &program).unwrap();
        assert_eq!(scene.ended(id).await.state, State::Completed);
        until(|| entry.availability() == Availability::Online).await;
    });
}

#[test]
fn a_cancelled_task_leaves_no_process_and_frees_its_slot() {
    Scene::play(async |scene| {
        scene.put(scene.worker(
            "a",
            "read p; test $p = go && exit; echo $$ > pid; sleep 600",
        ));
        let first = scene.submit("a", "stay\n").await;
        let second = scene.submit("a", "go\n").await;
        scene.written("pid").await;
        let task = scene.queue.cancel(first).await.unwrap();
        assert_eq!(
            (task.state, task.error.as_deref()),
            (State::Failed, Some("cancelled"))
        );
        assert_eq!(scene.ended(second).await.state, State::Completed);
        assert!(!is_alive(&scene.file("pid")));
        assert_eq!(scene.task(first).await, task);
    });
}

#[test]
fn a_drain_lets_attempts_finish_and_starts_none() {
    Scene::play(async |scene| {
        scene.put(scene.worker("a", "echo $$ > pid; sleep 0.3; echo done"));
        let first = scene.submit("a", "x").await;
        let second = scene.submit("a", "x").await;
        scene.written("pid").await;
        let drained = scene.dispatcher.drain(MINUTE).await;
        assert_eq!((drained.finished, drained.put_back), (1, 0));
        assert_eq!(scene.task(first).await.state, State::Completed);
        let task = scene.task(second).await;
        assert_eq!((task.state, task.attempts), (State::Pending, 0));
        assert_eq!(scene.drain.cause(), Some(Cause::Asked));
        assert_eq!(scene.dispatcher.running(), 0);
    });
}

#[test]
fn a_drain_breaks_off_what_takes_too_long() {
    Scene::play(async |scene| {
        scene.put(scene.worker("a", "sleep 600 & echo $! > child; echo $$ > pid; wait"));
        let id = scene.submit("a", "x").await;
        scene.written("pid").await;
        let drained = scene.dispatcher.drain(Duration::from_millis(50)).await;
        assert_eq!((drained.finished, drained.put_back), (0, 1));
        let task = scene.task(id).await;
        assert_eq!((task.state, task.attempts), (State::Pending, 1));
        assert!(!is_alive(&scene.file("pid")));
        until(|| !is_alive(&scene.file("child"))).await;
    });
}

#[test]
fn a_dispatcher_that_is_dropped_leaves_no_process() {
    let mut pid = String::new();
    Scene::play(async |scene| {
        scene.put(scene.worker("a", "echo $$ > pid; sleep 600"));
        scene.submit("a", "x").await;
        scene.written("pid").await;
        pid = scene.file("pid");
        assert!(is_alive(&pid));
    });
    smol::block_on(until(|| !is_alive(&pid)));
}

#[test]
fn a_task_larger_than_the_memory_limit_fails_and_others_take_turns() {
    Scene::play_with_budget(1_000, async |scene| {
        let mut worker = scene.worker("a", "wc -c");
        worker.concurrency = 5;
        scene.put(worker);
        let large = scene.submit("a", &"x".repeat(1_001)).await;
        let mut tasks = vec![];
        for _ in 0..5 {
            tasks.push(scene.submit("a", &"x".repeat(900)).await);
        }
        let task = scene.ended(large).await;
        assert_eq!((task.state, task.attempts), (State::Failed, 1));
        let error = task.error.unwrap();
        assert!(
            error.contains("1001 bytes, more than limits.memory (1000 bytes)"),
            "{error}"
        );
        for task in tasks {
            let task = scene.ended(task).await;
            assert_eq!(task.result.as_deref(), Some(r#"{"output":"900\n"}"#));
        }
    });
}

#[test]
fn workers_come_and_go() {
    Scene::play(async |scene| {
        let id = scene.submit("late", "x").await;
        scene.put(scene.worker("late", "cat"));
        assert_eq!(scene.ended(id).await.state, State::Completed);
        let entry = scene.roster.remove(&"late".parse().unwrap()).unwrap();
        until(|| Arc::strong_count(&entry) <= 2).await;
        let id = scene.submit("late", "x").await;
        scene.put(scene.worker("late", "echo again"));
        let task = scene.ended(id).await;
        assert_eq!(task.result.as_deref(), Some(r#"{"output":"again\n"}"#));
        assert!(entry.is_removed());
    });
}
