//! What the server has acknowledged, and whether what it shows and does agrees with that.
//!
//! BOUND: one epoch has at most [`TASKS_MAX`] tasks and [`EVENTS_MAX`] events, each a record of a fixed
//! size; what was sent is not kept but made again from the seed.
//!
//! Nothing here depends on the order in which threads report: an end is compared by the number of
//! attempts that the server itself showed with it.

use super::content::{Content, Subject};
use super::fault::{Fault, Faults};
use super::record::{Change, End, Record, Standing};
use super::view::{EventView, TaskView};
use crate::id::Id;

/// Submissions in one epoch at most. With them a data directory stays below some 500 MB, and the check
/// after a kill below some seconds.
pub(super) const TASKS_MAX: u32 = 24_000;

/// Deliveries in one epoch at most.
pub(super) const EVENTS_MAX: u32 = 8_000;

/// What the server says why a task failed that the worker would have done.
const BROKEN_OFF: &str = "in a row were broken off";

/// Everything that was asked of the server in one epoch.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) content: Content,
    /// What did not hold.
    pub(super) faults: Faults,
    tasks: Vec<Record>,
    events: Vec<Record>,
    /// The number of the walk over the server's lists that goes on.
    walk: u32,
    /// Tasks and events, each counted once when it is acknowledged.
    pub(super) acknowledged: (u64, u64),
}

impl Oracle {
    /// Nothing has been asked yet.
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            faults: Faults::default(),
            tasks: Vec::new(),
            events: Vec::new(),
            walk: 0,
            acknowledged: (0, 0),
        }
    }

    /// Starts over with an empty data directory; what did not hold stays.
    pub(super) fn begin_anew(&mut self, content: Content) {
        self.content = content;
        self.tasks.clear();
        self.events.clear();
    }

    /// Whether the epoch has all its tasks or all its events.
    pub(super) fn is_full(&self) -> bool {
        self.next_task().is_none() || self.next_event().is_none()
    }

    /// A new task is about to be submitted: its number, if there is room.
    pub(super) fn submit(&mut self) -> Option<u32> {
        let number = self.next_task()?;
        self.tasks.push(Record::default());
        Some(number)
    }

    /// A new event is about to be delivered: its number, if there is room.
    pub(super) fn deliver(&mut self) -> Option<u32> {
        let number = self.next_event()?;
        self.events.push(Record::default());
        Some(number)
    }

    /// The server answered 2xx and named this id; `kept` is what it says that it was asked.
    pub(super) fn acknowledge(&mut self, subject: Subject, id: Id) {
        let Some(record) = self.record(subject) else {
            return;
        };
        let known = record.id.replace(id);
        let is_new = record.standing != Standing::Acknowledged;
        record.standing = Standing::Acknowledged;
        if let Some(known) = known.filter(|known| *known != id) {
            record.id = Some(known);
            let text = format!("{} was acknowledged as {known} and as {id}", name(subject));
            self.faults.add(Fault::Doubled, text);
        }
        if is_new {
            match subject {
                Subject::Task(_) => self.acknowledged.0 += 1,
                Subject::Event(_) => self.acknowledged.1 += 1,
            }
        }
    }

    /// No answer came: it is stored or it is not.
    pub(super) fn doubt(&mut self, subject: Subject) {
        if let Some(record) = self.record(subject)
            && record.standing == Standing::Asked
        {
            record.standing = Standing::InDoubt;
        }
    }

    /// The server said that it did not take it.
    pub(super) fn refuse(&mut self, subject: Subject) {
        if let Some(record) = self.record(subject)
            && record.standing == Standing::Asked
        {
            record.standing = Standing::Refused;
        }
    }

    /// What is in doubt and can be asked again without harm: tasks with a key, and events.
    pub(super) fn repeatable(&self) -> Vec<Subject> {
        let in_doubt = |records: &[Record]| -> Vec<u32> {
            (0..)
                .zip(records)
                .filter(|(_, record)| record.standing == Standing::InDoubt)
                .map(|(number, _)| number)
                .collect()
        };
        let tasks = in_doubt(&self.tasks).into_iter().filter(|n| has_key(*n));
        let events = in_doubt(&self.events).into_iter();
        tasks
            .map(Subject::Task)
            .chain(events.map(Subject::Event))
            .collect()
    }

    /// The worker was given an attempt. Called before it answers; not for one that it refuses.
    pub(super) fn attempt(&mut self, prompt: &str, id: Id, number: u64) {
        let subject = Content::subject(prompt);
        let Some(subject) = subject.filter(|subject| self.content.prompt(*subject) == prompt)
        else {
            let text = format!("the worker got task {id} with a prompt that nobody sent");
            self.faults.add(Fault::Changed, text);
            return;
        };
        let Some(record) = self.record(subject) else {
            return;
        };
        // Only so many can be told apart; a task that needs more would have failed long before.
        let bit = 1_u128.checked_shl(u32::try_from(number).unwrap_or(u32::MAX));
        let is_again = bit.is_some_and(|bit| record.attempts & bit != 0);
        record.attempts |= bit.unwrap_or(0);
        let ended = record.ended;
        let is_changing = record.change == Change::Unsure;
        if is_again {
            let text = format!(
                "attempt {number} of task {id} ({}) came twice",
                name(subject)
            );
            self.faults.add(Fault::AttemptTwice, text);
        }
        if let Some((end, last)) = ended
            && number > last
            && (end == End::Completed || !is_changing)
        {
            let text = format!(
                "task {id} ({}) had {end} after {last} attempts and got attempt {number}",
                name(subject)
            );
            self.faults.add(Fault::RanAgain, text);
        }
    }

    /// A watching client saw this task. It may have been overtaken by others, so that only the end
    /// that nothing follows is learnt.
    pub(super) fn watch(&mut self, task: &TaskView) {
        if task.state == "completed"
            && let Some(subject) = Content::subject(&task.prompt)
        {
            self.complete(subject, task);
        }
    }

    fn complete(&mut self, subject: Subject, task: &TaskView) {
        let Some(record) = self.record(subject) else {
            return;
        };
        let is_new = record.ended.is_none_or(|(end, _)| end != End::Completed);
        record.ended = Some((End::Completed, task.attempts));
        let last = u64::from(record.last_attempt());
        let was_run = record.attempts != 0;
        if is_new && last > task.attempts {
            let text = format!(
                "task {} ({}) shows {} attempts, and the worker got attempt {last}",
                task.id,
                name(subject),
                task.attempts
            );
            self.faults.add(Fault::RanAgain, text);
        }
        if is_new && !was_run {
            let text = format!("task {} completed and was never run", task.id);
            self.faults.add(Fault::Changed, text);
        }
    }

    /// Which acknowledged task could be cancelled or retried: the one with this number, if nothing
    /// speaks against it. It is unsure from then on, until [`Oracle::changed`].
    pub(super) fn change(&mut self, number: u32) -> Option<(Id, Change)> {
        let subject = Subject::Task(number);
        if self.content.is_rejected(subject) {
            return None;
        }
        let record = self.record(subject)?;
        if record.standing != Standing::Acknowledged || record.change == Change::Unsure {
            return None;
        }
        let before = std::mem::replace(&mut record.change, Change::Unsure);
        Some((record.id?, before))
    }

    /// What became of a change. `ended` is what the server showed with a cancel.
    pub(super) fn changed(&mut self, number: u32, change: Change, ended: Option<u64>) {
        let Some(record) = self.record(Subject::Task(number)) else {
            return;
        };
        let is_completed = matches!(record.ended, Some((End::Completed, _)));
        record.change = change;
        match ended {
            Some(_) if is_completed => {
                let text = format!("task {number} was completed, and could be cancelled");
                self.faults.add(Fault::Changed, text);
            }
            Some(attempts) => record.ended = Some((End::Failed, attempts)),
            None if change == Change::None && !is_completed => record.ended = None,
            None => {}
        }
    }

    /// How many tasks have been submitted.
    pub(super) fn submitted(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// A walk over the server's lists begins. No client asks for anything until its end; the worker may
    /// go on.
    pub(super) fn begin_walk(&mut self) {
        self.walk = self.walk.wrapping_add(1);
        for record in self.tasks.iter_mut().chain(&mut self.events) {
            record.is_listed = false;
            record.is_task_listed = false;
        }
    }

    /// The walk came upon a task.
    pub(super) fn walk_task(&mut self, task: &TaskView) {
        let subject = Content::subject(&task.prompt);
        let Some(subject) = subject.filter(|s| self.content.prompt(*s) == task.prompt) else {
            let text = format!("task {} has a prompt that nobody sent", task.id);
            self.faults.add(Fault::Changed, text);
            return;
        };
        let Some(record) = self.record(subject) else {
            let text = format!("task {} ({}) was never asked for", task.id, name(subject));
            self.faults.add(Fault::Doubled, text);
            return;
        };
        let (known, is_again, owner) = match subject {
            Subject::Task(_) => (
                record.id.replace(task.id),
                std::mem::replace(&mut record.is_listed, true),
                None,
            ),
            Subject::Event(_) => (
                record.task.replace(task.id),
                std::mem::replace(&mut record.is_task_listed, true),
                record.id,
            ),
        };
        let is_refused = record.standing == Standing::Refused;
        if let Some(known) = known.filter(|known| *known != task.id) {
            let text = format!("{} has two tasks, {known} and {}", name(subject), task.id);
            self.faults.add(Fault::Doubled, text);
        } else if is_again {
            let text = format!("task {} is listed twice", task.id);
            self.faults.add(Fault::Doubled, text);
        }
        if is_refused {
            let text = format!(
                "{} was refused, and is stored as {}",
                name(subject),
                task.id
            );
            self.faults.add(Fault::Doubled, text);
        }
        if owner.is_some() && task.event_id != owner {
            let text = format!("task {} ({}) is of another event", task.id, name(subject));
            self.faults.add(Fault::Changed, text);
        }
        self.judge_state(subject, task);
    }

    /// Compares the state that a task is shown in with what it was before.
    fn judge_state(&mut self, subject: Subject, task: &TaskView) {
        let is_rejected = self.content.is_rejected(subject);
        let Some(record) = self.record(subject) else {
            return;
        };
        let (ended, change) = (record.ended, record.change);
        if let Some((end, _)) = ended
            && end.as_str() != task.state
            && (end == End::Completed || change != Change::Unsure)
        {
            let text = format!(
                "task {} ({}) had {end} and is {}",
                task.id,
                name(subject),
                task.state
            );
            self.faults.add(Fault::RanAgain, text);
            return;
        }
        if task.state == "completed" {
            self.complete(subject, task);
            if task.result.as_deref() != Some(Content::result(subject).as_str()) || is_rejected {
                let text = format!("task {} has another result than its worker's", task.id);
                self.faults.add(Fault::Changed, text);
            }
        } else if task.state == "failed" {
            if change == Change::None {
                record.ended = Some((End::Failed, task.attempts));
            }
            let error = task.error.as_deref().unwrap_or_default();
            let is_right = is_rejected || change != Change::None || error.contains(BROKEN_OFF);
            if !is_right {
                let text = format!("task {} failed without a reason: {error}", task.id);
                self.faults.add(Fault::Changed, text);
            }
        }
    }

    /// The walk came upon an event.
    pub(super) fn walk_event(&mut self, event: &EventView) {
        let number = event.delivery_id.parse().ok();
        let subject = number.map(Subject::Event);
        let Some((subject, record)) = subject.and_then(|s| Some((s, self.record(s)?))) else {
            let text = format!("event {} is of no delivery that was made", event.id);
            self.faults.add(Fault::Changed, text);
            return;
        };
        let known = record.id.replace(event.id);
        let is_again = std::mem::replace(&mut record.is_listed, true);
        let is_refused = record.standing == Standing::Refused;
        let task = match (record.task, event.task_id) {
            (None, task) => {
                record.task = task;
                None
            }
            (Some(known), Some(task)) => (known != task).then_some((known, task)),
            // Events are listed behind tasks: it had its task already.
            (Some(known), None) => Some((known, known)),
        };
        if known.is_some_and(|known| known != event.id) || is_again || is_refused {
            let text = format!("{} has a second event, {}", name(subject), event.id);
            self.faults.add(Fault::Doubled, text);
        }
        if let Some((known, task)) = task {
            let text = if known == task {
                format!("event {} has lost its task {known}", event.id)
            } else {
                format!("event {} has two tasks, {known} and {task}", event.id)
            };
            self.faults.add(Fault::Doubled, text);
        }
        if matches!(event.state.as_str(), "skipped") {
            let text = format!("event {} is skipped, and its rule matches all", event.id);
            self.faults.add(Fault::Changed, text);
        }
    }

    /// The walk is over: what was acknowledged and not met is lost. `is_settled` says that nothing
    /// waited any more when it began. Gives how many records were compared.
    pub(super) fn end_walk(&mut self, is_settled: bool) -> u64 {
        let mut compared = 0;
        let mut found = Vec::new();
        let tasks = (0..).zip(&self.tasks).map(|(n, r)| (Subject::Task(n), r));
        let events = (0..).zip(&self.events).map(|(n, r)| (Subject::Event(n), r));
        for (subject, record) in tasks.chain(events) {
            if record.standing != Standing::Acknowledged {
                continue;
            }
            compared += 1;
            let id = record.id.map(|id| id.to_string()).unwrap_or_default();
            if !record.is_listed {
                let text = format!("{}, acknowledged as {id}, is gone", name(subject));
                found.push((Fault::Lost, text));
            } else if is_settled && matches!(subject, Subject::Event(_)) && !record.is_task_listed {
                let text = format!("event {id} has no task");
                found.push((Fault::Lost, text));
            } else if is_settled && record.ended.is_none() && record.change == Change::None {
                let text = format!("{}, acknowledged as {id}, never ended", name(subject));
                found.push((Fault::Lost, text));
            }
        }
        for (fault, text) in found {
            self.faults.add(fault, text);
        }
        compared
    }

    fn record(&mut self, subject: Subject) -> Option<&mut Record> {
        let (records, number) = match subject {
            Subject::Task(number) => (&mut self.tasks, number),
            Subject::Event(number) => (&mut self.events, number),
        };
        records.get_mut(usize::try_from(number).ok()?)
    }

    fn next_task(&self) -> Option<u32> {
        Some(self.submitted()).filter(|number| *number < TASKS_MAX)
    }

    fn next_event(&self) -> Option<u32> {
        let number = u32::try_from(self.events.len()).ok()?;
        Some(number).filter(|number| *number < EVENTS_MAX)
    }
}

/// Whether the task with this number is submitted with an `Idempotency-Key`.
pub(super) fn has_key(number: u32) -> bool {
    number.is_multiple_of(2)
}

fn name(subject: Subject) -> String {
    match subject {
        Subject::Task(number) => format!("submission {number}"),
        Subject::Event(number) => format!("delivery {number}"),
    }
}

#[cfg(test)]
mod tests;
