//! Drives a real queue core over a real store and a model of it side by side.
//!
//! What comes next is decided by a function, so that the same driver serves seeds and a fuzzer.

#[path = "events.rs"]
mod events;
#[path = "told.rs"]
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::Events;
use mecha::clock::{Clock, Timestamp, duration_millis};
use mecha::id::Id;
use mecha::queue::command::{Attempt, Command, Outcome};
use mecha::queue::core::Core;
use mecha::queue::{Error, PutBack, RetryPolicy, Settings};
use mecha::store::keys::Text;
use mecha::store::{self, ATTEMPTS_MAX, Ending, Listing, Store};
use mecha::task::{Idempotency, NewTask, State, TaskId};
use mecha::worker::WorkerName;
use told::Told;

const QUEUE_MAX: u64 = 12;
/// What may pass while the process is down, as far as the store believes: a tenth of the retention.
const UNSEEN_MS_MAX: u64 = 360_000;
const RETENTION: Duration = Duration::from_secs(3_600);
const WORKERS: [&str; 3] = ["alpha", "beta", "gamma"];
const BACKOFF: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 3;
const BROKEN_OFF_MAX: u32 = 10;

#[derive(Clone, Debug)]
struct ModelTask {
    worker: usize,
    prompt: String,
    state: State,
    attempts: u32,
    numbered: u32,
    failures: u32,
    broken_off: u32,
    /// When it may be claimed again after a failure.
    due: Option<u64>,
    ended: Option<u64>,
    /// When it ended by the store's own time.
    kept_since: Option<u64>,
    /// The run that numbered its last attempt.
    run: u64,
    key: Option<u32>,
    result: Option<String>,
    /// A former run left an attempt under way, and nothing has been written of that yet.
    was_left: bool,
    /// Every attempt that ended otherwise than by completing it.
    ended_attempts: Vec<(u32, Ending)>,
}

impl ModelTask {
    fn new(worker: &WorkerName, prompt: &str, run: u64) -> Self {
        Self {
            worker: number(worker),
            prompt: prompt.to_owned(),
            state: State::Pending,
            attempts: 0,
            numbered: 0,
            failures: 0,
            broken_off: 0,
            due: None,
            ended: None,
            kept_since: None,
            run,
            key: None,
            result: None,
            was_left: false,
            ended_attempts: Vec::new(),
        }
    }

    /// The attempt under way, or the one that a former run left, has ended.
    fn note_attempt(&mut self, ending: Ending) {
        self.was_left = false;
        let ended = (self.attempts, ending);
        // However often in a row it is refused, that is one.
        if ending != Ending::Refused || self.ended_attempts.last() != Some(&ended) {
            self.ended_attempts.push(ended);
        }
    }
}

/// What may go wrong in a group of commands, where a test lets it.
pub(crate) trait Trouble {
    /// A group begins. Says whether something of it may fail.
    fn begin(&mut self, store: &Store) -> bool;

    /// Nothing fails from now on. Says whether something did, and whether the group's changes are
    /// on disk all the same.
    fn end(&mut self) -> Option<bool>;
}

/// Nothing goes wrong.
impl Trouble for () {
    fn begin(&mut self, _: &Store) -> bool {
        false
    }

    fn end(&mut self) -> Option<bool> {
        None
    }
}

/// What the model knows of the queue.
#[derive(Clone, Default)]
struct Model {
    tasks: BTreeMap<TaskId, ModelTask>,
    keys: BTreeMap<u32, (TaskId, [u8; 32])>,
    demands: BTreeMap<usize, (u64, u32)>,
    /// Every attempt number that was ever granted.
    shown: BTreeSet<(TaskId, u32)>,
    refused: BTreeSet<(TaskId, u32)>,
    /// The store's own time.
    steady: u64,
    /// That time as it is on disk, and the latest that the wall clock ever said then.
    saved: Option<(u64, u64)>,
    highest: Option<Id>,
    events: Events,
}

/// The queue and its model.
pub(crate) struct Driver<C> {
    choose: C,
    dir: tempfile::TempDir,
    clock: Clock,
    store: Option<Store>,
    core: Option<Core>,
    model: Model,
    /// What was told of since the last start.
    told: Told,
    last_ticket: u64,
}

impl<C: FnMut(u32) -> u32> Driver<C> {
    /// A driver over an empty store; `choose(n)` gives a number below `n`.
    pub(crate) fn new(choose: C) -> Self {
        // Memory where there is some: what a sync is worth is tested elsewhere.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let dir = dir.unwrap();
        let mut driver = Self {
            choose,
            dir,
            clock: Clock::by_hand(Timestamp::from_millis(1_774_872_000_000)),
            store: None,
            core: None,
            model: Model::default(),
            told: Told::default(),
            last_ticket: 0,
        };
        driver.open();
        driver
    }

    /// Carries out `groups` groups of commands and compares after each. Where something goes wrong
    /// on the way the process dies of it, and what it wrote or did not write is compared after the
    /// next start.
    pub(crate) fn run(self, groups: u32, trouble: &mut impl Trouble) {
        let mut left = groups;
        let goes_on = || {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            goes_on
        };
        self.run_while(goes_on, trouble);
    }

    /// The same for as long as `goes_on` says so.
    pub(crate) fn run_while(
        mut self,
        mut goes_on: impl FnMut() -> bool,
        trouble: &mut impl Trouble,
    ) {
        while goes_on() {
            match self.choose(40) {
                0 => self.reopen(),
                1..=9 => self.move_clock(),
                _ => {}
            }
            self.group(trouble);
        }
        self.reopen();
        self.compare_all();
    }

    fn choose(&mut self, below: u32) -> u32 {
        (self.choose)(below)
    }

    fn open(&mut self) {
        let settings = Settings {
            queue: QUEUE_MAX,
            retention: RETENTION,
            disk_reserve: 0,
        };
        let store = Store::open(self.dir.path()).unwrap();
        let seed = u64::from(self.choose(1 << 16));
        let random = fastrand::Rng::with_seed(seed);
        self.core = Some(Core::open(store.clone(), self.clock.clone(), settings, random).unwrap());
        self.store = Some(store);
        let wall = self.clock.now().as_millis();
        self.model.steady = match self.model.saved {
            Some((steady, known)) => steady + wall.saturating_sub(known).min(UNSEEN_MS_MAX),
            None => wall,
        };
    }

    /// The process dies and is started again.
    fn reopen(&mut self) {
        self.core = None;
        self.store = None;
        self.open();
        self.model.demands.clear();
        for task in self.model.tasks.values_mut() {
            // The attempt is broken off; that is counted when the next one starts.
            if task.state == State::Dispatched {
                task.state = State::Pending;
                task.broken_off += 1;
                task.was_left = true;
            }
        }
        self.begin_to_listen();
        self.compare_all();
    }

    /// Time passes, or somebody sets the clock, which changes no delay and keeps nothing longer or
    /// shorter.
    fn move_clock(&mut self) {
        const YEAR: u64 = 365 * 86_400_000;
        let now = self.clock.now().as_millis();
        let jump = match self.choose(12) {
            0 => Some(now.saturating_sub(7_200_000)),
            1 => Some(now + 7_200_000),
            2 => Some(now.saturating_sub(10 * YEAR)),
            3 => Some((now + 10 * YEAR).min(9_000 * YEAR)),
            4 => Some(0),
            5 => Some(1_774_872_000_000),
            _ => None,
        };
        if let Some(to) = jump {
            self.clock.set(Timestamp::from_millis(to));
        }
        let passed = match self.choose(8) {
            1 => 1_800_000,
            2 => 4_000_000,
            _ => u64::from(self.choose(60_000)),
        };
        self.clock.pass(Duration::from_millis(passed));
        self.model.steady += passed;
    }

    fn group(&mut self, trouble: &mut impl Trouble) {
        let store = self.store.clone().unwrap();
        let before = trouble.begin(&store).then(|| self.model.clone());
        let ended = panic::catch_unwind(AssertUnwindSafe(|| self.carry_out(&store)));
        drop(store);
        let failed = match (trouble.end(), ended) {
            (None, Ok(Ok(()))) => false,
            (None, Ok(Err(failure))) => panic!("{failure}"),
            (None, Err(panic)) => panic::resume_unwind(panic),
            (Some(_), Ok(Ok(()))) => panic!("a failure is not told"),
            (Some(true), _) => true,
            (Some(false), _) => {
                self.model = before.unwrap();
                self.reopen();
                return;
            }
        };
        self.learn_effects();
        if failed {
            self.reopen();
            return;
        }
        for worker in self.model.demands.keys().copied().collect::<Vec<_>>() {
            self.fail_broken_off(worker);
            assert_eq!(
                self.next_claimable(worker),
                None,
                "a demand of {worker} is not met"
            );
        }
        self.compare_told();
        self.compare_some();
    }

    /// What the writer does with a group, all answers compared.
    fn carry_out(&mut self, store: &Store) -> Result<(), store::Error> {
        let count = 1 + self.choose(5);
        let mut batch = store.batch();
        for _ in 0..count {
            let command = self.command();
            let expected = self.predict(&command);
            let core = self.core.as_mut().unwrap();
            let answer = core.apply(command.clone(), &mut batch)?;
            if let Ok(outcome) = &answer {
                self.learn_event(&command, outcome, &batch);
            }
            self.learn(command, &answer, &expected);
        }
        self.core.as_mut().unwrap().settle(&mut batch)?;
        let (steady, saved) = (self.model.steady, self.model.saved);
        let is_old = |age: u64| saved.is_none_or(|(saved, _)| steady - saved >= age);
        if !batch.is_empty() && is_old(1_000) {
            let known = saved.map_or(0, |(_, known)| known);
            self.model.saved = Some((steady, known.max(self.clock.now().as_millis())));
        }
        batch.commit()?;
        store.rotate().map(drop)
    }

    /// Takes over what the core did by itself at the end of the group.
    fn learn_effects(&mut self) {
        let effects = self.core.as_mut().unwrap().take_effects();
        self.listen(effects.changes);
        self.learn_dues();
        for (ticket, granted) in effects.grants {
            let worker = *self
                .model
                .demands
                .iter()
                .find(|(_, demand)| demand.0 == ticket)
                .unwrap()
                .0;
            let (_, count) = self.model.demands.remove(&worker).unwrap();
            assert!(!granted.is_empty() && granted.len() <= count as usize);
            for granted in granted {
                self.grant(worker, granted.attempt);
            }
        }
        self.sweep();
    }

    fn command(&mut self) -> Command {
        let worker = self.choose(3) as usize;
        match self.choose(24) {
            16.. => self.event_command(),
            0..=4 => self.submit(worker),
            5..=8 => {
                self.last_ticket += 1;
                // Of many at once the records are read otherwise than of few.
                let count = [1, 2, 3, 10][self.choose(4) as usize];
                Command::Demand {
                    worker: name(worker),
                    ticket: self.last_ticket,
                    count,
                }
            }
            9 => Command::Withdraw {
                worker: name(worker),
                ticket: self.model.demands.get(&worker).map_or(0, |demand| demand.0),
            },
            10..=12 => match self.some_task(|task| task.state == State::Dispatched) {
                Some((task, number)) => self.finish(Attempt { task, number }),
                None => self.submit(worker),
            },
            13 => Command::Cancel(self.some_task(|_| true).map_or(TaskId(Id::FIRST), |t| t.0)),
            14 => {
                let failed = self.some_task(|task| task.state == State::Failed);
                let any = failed.or_else(|| self.some_task(|_| true));
                Command::Retry(any.map_or(TaskId(Id::FIRST), |t| t.0))
            }
            _ => Command::ForgetWorker(name(worker)),
        }
    }

    fn submit(&mut self, worker: usize) -> Command {
        let prompt = "x".repeat(1 + self.choose(300) as usize);
        let idempotency = (self.choose(3) == 0).then(|| {
            let body = u8::try_from(self.choose(2)).unwrap();
            Idempotency {
                key: self.choose(6).to_string(),
                body_hash: [body; 32],
            }
        });
        let context = (self.choose(4) == 0).then(|| "{\"a\": 1}".to_owned());
        Command::Submit(Arc::new(NewTask {
            worker: name(worker),
            prompt,
            context,
            idempotency,
        }))
    }

    fn finish(&mut self, attempt: Attempt) -> Command {
        let policy = RetryPolicy {
            max_attempts: MAX_ATTEMPTS,
            backoff: BACKOFF,
        };
        match self.choose(6) {
            0 | 1 => Command::Complete {
                attempt,
                result: format!("{{\"n\":{}}}", attempt.number),
            },
            2 => Command::Fail {
                attempt,
                error: "no".to_owned(),
                policy: Some(policy),
            },
            3 => Command::Fail {
                attempt,
                error: "never".to_owned(),
                policy: None,
            },
            4 => Command::PutBack {
                attempt,
                how: match self.choose(2) {
                    0 => PutBack::NotStarted,
                    _ => PutBack::Refused {
                        reason: "not now".to_owned(),
                    },
                },
            },
            _ => Command::PutBack {
                attempt,
                how: PutBack::BrokenOff {
                    reason: "drain".to_owned(),
                },
            },
        }
    }

    fn some_task(&mut self, wanted: impl Fn(&ModelTask) -> bool) -> Option<(TaskId, u32)> {
        let found: Vec<_> = self
            .model
            .tasks
            .iter()
            .filter(|(_, task)| wanted(task))
            .map(|(id, task)| (*id, task.attempts))
            .collect();
        if found.is_empty() {
            return None;
        }
        let place = self.choose(u32::try_from(found.len()).unwrap()) as usize;
        Some(found[place])
    }

    /// What the core must answer, as far as it can be known.
    fn predict(&self, command: &Command) -> Result<(), Error> {
        match command {
            Command::Submit(new) => {
                if let Some(idempotency) = &new.idempotency
                    && let Some((task, body)) =
                        self.model.keys.get(&idempotency.key.parse().unwrap())
                {
                    return if *body == idempotency.body_hash {
                        Ok(())
                    } else {
                        Err(Error::IdempotencyMismatch { task: *task })
                    };
                }
                self.check_room()
            }
            Command::Cancel(id) => match self.model.tasks.get(id) {
                None => Err(Error::UnknownTask(*id)),
                Some(task) if task.state.is_ended() => Err(Error::AlreadyEnded {
                    task: *id,
                    state: task.state,
                }),
                Some(_) => Ok(()),
            },
            Command::Retry(id) => match self.model.tasks.get(id) {
                None => Err(Error::UnknownTask(*id)),
                Some(task) if task.state != State::Failed => Err(Error::NotFailed {
                    task: *id,
                    state: task.state,
                }),
                Some(_) => Ok(()),
            },
            Command::ForgetWorker(worker) => {
                let waiting = self
                    .model
                    .tasks
                    .values()
                    .filter(|task| name(task.worker) == *worker && !task.state.is_ended())
                    .count() as u64;
                if waiting > 0 {
                    return Err(Error::WorkerHasTasks {
                        worker: worker.clone(),
                        waiting,
                    });
                }
                Ok(())
            }
            other => self.predict_event(other),
        }
    }

    fn learn(
        &mut self,
        command: Command,
        answer: &Result<Outcome, Error>,
        expected: &Result<(), Error>,
    ) {
        assert_eq!(answer.clone().map(drop), *expected, "{command:?}");
        if expected.is_err() {
            return;
        }
        match command {
            Command::Submit(new) => self.learn_submit(&new, answer),
            Command::Demand {
                worker,
                ticket,
                count,
            } => {
                self.model.demands.insert(number(&worker), (ticket, count));
            }
            Command::Withdraw { worker, ticket } => {
                let number = number(&worker);
                self.model
                    .demands
                    .retain(|other, demand| *other != number || demand.0 != ticket);
            }
            Command::Complete { attempt, result } => {
                let task = self.model.tasks.get_mut(&attempt.task).unwrap();
                task.result = Some(result);
                task.broken_off = 0;
                self.end(attempt.task, State::Completed);
            }
            Command::Fail {
                attempt, policy, ..
            } => {
                let task = self.model.tasks.get_mut(&attempt.task).unwrap();
                task.broken_off = 0;
                task.failures += 1;
                task.note_attempt(Ending::Failed);
                if policy.is_some_and(|policy| task.failures < policy.max_attempts) {
                    task.state = State::Pending;
                    // Jitter decides; the row tells, within these bounds.
                    task.due = Some(0);
                } else {
                    self.end(attempt.task, State::Failed);
                }
            }
            Command::PutBack { attempt, how } => {
                let task = self.model.tasks.get_mut(&attempt.task).unwrap();
                task.state = State::Pending;
                match &how {
                    PutBack::NotStarted => {}
                    PutBack::Refused { .. } => task.note_attempt(Ending::Refused),
                    PutBack::BrokenOff { .. } => task.note_attempt(Ending::BrokenOff),
                }
                match how {
                    PutBack::Refused { .. } | PutBack::NotStarted => {
                        task.attempts -= 1;
                        self.model.refused.insert((attempt.task, attempt.number));
                    }
                    PutBack::BrokenOff { .. } => {
                        task.broken_off += 1;
                        if task.broken_off >= BROKEN_OFF_MAX {
                            self.end(attempt.task, State::Failed);
                        }
                    }
                }
            }
            Command::Cancel(id) => {
                let task = self.model.tasks.get_mut(&id).unwrap();
                if task.state == State::Dispatched {
                    task.note_attempt(Ending::Cancelled);
                } else if task.was_left {
                    task.note_attempt(Ending::BrokenOff);
                }
                self.end(id, State::Failed);
            }
            Command::Retry(id) => {
                let steady = self.model.steady;
                let task = self.model.tasks.get_mut(&id).unwrap();
                task.state = State::Pending;
                task.failures = 0;
                task.broken_off = 0;
                task.ended = None;
                task.kept_since = None;
                task.due = Some(steady);
                let now = self.clock.now().as_millis();
                self.model.events.follow(id, State::Pending, (now, steady));
            }
            _ => {}
        }
    }

    fn learn_submit(&mut self, new: &NewTask, answer: &Result<Outcome, Error>) {
        let known = new.idempotency.as_ref().and_then(|idempotency| {
            self.model
                .keys
                .get(&idempotency.key.parse::<u32>().unwrap())
                .map(|known| known.0)
        });
        match (answer, known) {
            (Ok(Outcome::Replayed(id)), Some(known)) => assert_eq!(*id, known),
            (Ok(Outcome::Stored((id, created_at))), None) => {
                assert_eq!(*created_at, self.clock.now());
                self.has_risen_to(id.0);
                let key = new.idempotency.as_ref().map(|i| i.key.parse().unwrap());
                if let (Some(key), Some(idempotency)) = (key, &new.idempotency) {
                    self.model.keys.insert(key, (*id, idempotency.body_hash));
                }
                let run = self.store.as_ref().unwrap().run();
                let task = ModelTask {
                    key,
                    ..ModelTask::new(&new.worker, &new.prompt, run)
                };
                self.model.tasks.insert(*id, task);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes over the times that jitter decided.
    fn learn_dues(&mut self) {
        let snapshot = self.store.as_ref().unwrap().snapshot();
        for (id, task) in &mut self.model.tasks {
            if task.due == Some(0) {
                let Some(due) = snapshot.task(*id).unwrap().unwrap().due_ms else {
                    assert!(task.state != State::Pending);
                    continue;
                };
                let least = duration_millis(BACKOFF) * (1 << (task.failures - 1));
                let waits = due - self.model.steady;
                assert!(
                    waits >= least && waits <= least + least / 4 + 1,
                    "{waits} {least}"
                );
                task.due = Some(due);
            }
        }
    }

    fn end(&mut self, id: TaskId, state: State) {
        let now = self.clock.now().as_millis();
        let steady = self.model.steady;
        let task = self.model.tasks.get_mut(&id).unwrap();
        task.state = state;
        task.due = None;
        task.ended = Some(now);
        task.kept_since = Some(steady);
        self.model.events.follow(id, state, (now, steady));
    }

    /// Ids rise, those of tasks and of events together.
    fn has_risen_to(&mut self, id: Id) {
        assert!(
            self.model.highest.is_none_or(|highest| highest < id),
            "ids rise"
        );
        self.model.highest = Some(id);
    }

    fn grant(&mut self, worker: usize, attempt: Attempt) {
        self.fail_broken_off(worker);
        let next = self.next_claimable(worker);
        assert_eq!(Some(attempt.task), next, "it is another task's turn");
        let run = self.store.as_ref().unwrap().run();
        let task = self.model.tasks.get_mut(&attempt.task).unwrap();
        if task.was_left {
            task.note_attempt(Ending::BrokenOff);
        }
        let last = if task.run == run {
            task.attempts
        } else {
            task.attempts.max(task.numbered)
        };
        task.attempts = last + 1;
        task.numbered = task.numbered.max(task.attempts);
        task.run = run;
        task.state = State::Dispatched;
        assert_eq!(attempt.number, task.attempts);
        let is_new = self.model.shown.insert((attempt.task, attempt.number));
        let was_refused = self.model.refused.remove(&(attempt.task, attempt.number));
        assert!(
            is_new || was_refused,
            "attempt {attempt:?} was shown before"
        );
    }

    /// A claimable task whose attempts were all broken off fails when its turn comes.
    fn fail_broken_off(&mut self, worker: usize) {
        while let Some(id) = self.next_claimable(worker) {
            if self.model.tasks[&id].broken_off < BROKEN_OFF_MAX {
                return;
            }
            let task = self.model.tasks.get_mut(&id).unwrap();
            if task.was_left {
                task.note_attempt(Ending::BrokenOff);
            }
            self.end(id, State::Failed);
        }
    }

    fn next_claimable(&self, worker: usize) -> Option<TaskId> {
        let pending = || {
            self.model
                .tasks
                .iter()
                .filter(|(_, task)| task.worker == worker && task.state == State::Pending)
        };
        let due = pending()
            .filter_map(|(id, task)| task.due.map(|due| (due, *id)))
            .filter(|(due, _)| {
                *due <= self.model.steady || *due > self.model.steady + 2 * 86_400_000
            })
            .min();
        let fresh = pending().find(|(_, task)| task.due.is_none());
        due.map(|(_, id)| id).or(fresh.map(|(id, _)| *id))
    }

    fn sweep(&mut self) {
        let kept_from = (self.model.steady).saturating_sub(duration_millis(RETENTION));
        let old: Vec<_> = self
            .model
            .tasks
            .iter()
            .filter(|(_, task)| task.kept_since.is_some_and(|since| since <= kept_from))
            .map(|(id, task)| (*id, task.key))
            .collect();
        for (id, key) in old {
            self.model.tasks.remove(&id);
            if let Some(key) = key {
                self.model.keys.remove(&key);
            }
        }
        self.model.events.sweep(kept_from);
    }

    fn compare_some(&mut self) {
        for _ in 0..3 {
            if let Some((id, _)) = self.some_task(|_| true) {
                self.compare(id);
            }
        }
    }

    fn compare(&self, id: TaskId) {
        let store = self.store.as_ref().unwrap();
        let snapshot = store.snapshot();
        let task = &self.model.tasks[&id];
        let record = snapshot
            .task(id)
            .unwrap()
            .unwrap_or_else(|| panic!("{id} is lost"));
        assert_eq!(record.state(store.run()), task.state, "{id}");
        assert_eq!(record.attempts, task.attempts, "{id}");
        assert_eq!(record.failures, task.failures, "{id}");
        assert_eq!(record.ended_ms, task.ended, "{id}");
        assert_eq!(
            snapshot.text(id, Text::Prompt, &record).unwrap().as_ref(),
            Some(&task.prompt)
        );
        assert_eq!(
            snapshot.text(id, Text::Result, &record).unwrap(),
            task.result
        );
        let ended = snapshot.ended_attempts(id, &record).unwrap();
        let ended: Vec<_> = ended.iter().map(|a| (a.number, a.ending)).collect();
        let gone = task.ended_attempts.len().saturating_sub(ATTEMPTS_MAX);
        assert_eq!(ended, task.ended_attempts[gone..], "{id}");
        let has_error = snapshot.text(id, Text::Error, &record).unwrap().is_some();
        assert_eq!(has_error, record.error_bytes.is_some());
    }

    fn compare_all(&mut self) {
        self.compare_events();
        for id in self.model.tasks.keys() {
            self.compare(*id);
        }
        let core = self.core.as_ref().unwrap();
        let lanes: Vec<_> = core.lanes().map(|(_, number, _)| number).collect();
        for (worker, _, pending) in core.lanes() {
            let expected = self
                .model
                .tasks
                .values()
                .filter(|task| name(task.worker) == *worker && task.state == State::Pending)
                .count();
            assert_eq!(pending, expected as u64, "pending of {worker}");
        }
        let running: Vec<_> = self
            .model
            .tasks
            .iter()
            .filter(|(_, task)| task.state == State::Dispatched)
            .map(|(id, _)| *id)
            .collect();
        let snapshot = self.store.as_ref().unwrap().snapshot();
        for state in State::ALL.map(Some).into_iter().chain([None]) {
            let listing = Listing {
                lanes: None,
                state,
                before: Id::LAST,
                limit: 1_000,
            };
            let listed = snapshot.list(&listing, &lanes, &running).unwrap();
            let found: Vec<_> = listed.tasks.iter().map(|(id, _)| *id).collect();
            let expected: Vec<_> = self
                .model
                .tasks
                .iter()
                .rev()
                .filter(|(_, task)| state.is_none_or(|state| task.state == state))
                .map(|(id, _)| *id)
                .collect();
            assert_eq!(found, expected, "{state:?}");
        }
    }
}

fn name(worker: usize) -> WorkerName {
    WORKERS[worker].parse().unwrap()
}

fn number(worker: &WorkerName) -> usize {
    WORKERS
        .iter()
        .position(|name| *name == worker.as_str())
        .unwrap()
}
