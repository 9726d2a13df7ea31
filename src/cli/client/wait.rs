//! Waits until a task has ended, over restarts of its server.
//!
//! BOUND: a task may take as long as it likes, but a server that gives no good answer is waited for
//! [`OUTAGE_MAX`] at most, with pauses of [`PAUSE_MAX`] at most between two attempts to reach it.

use std::time::{Duration, Instant};

use async_io::Timer;

use super::parsed;
use super::shown::TaskShown;
use crate::cli::output::Progress;
use crate::cli::remote::{Answer, Failure, Remote, ticking};
use crate::clock::monotonic;

/// How long the server is asked to hold an answer back: as long as it does.
const HELD: Duration = Duration::from_secs(60);

/// A server may finish running attempts for half a minute before it ends, and read its store when
/// it starts.
pub(super) const OUTAGE_MAX: Duration = Duration::from_secs(5 * 60);

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A task that has ended, and its JSON.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) task: TaskShown,
    pub(super) body: Vec<u8>,
}

/// Waits for the end of task `id`.
pub(super) fn for_end(remote: &Remote, id: &str) -> Result<Ended, String> {
    let path = format!("/task/{id}?wait={}s", HELD.as_secs());
    let begun = monotonic();
    let mut progress = Progress::new();
    let mut outage = Outage::new(OUTAGE_MAX);
    let mut what = format!("task {id}");
    loop {
        let asked = monotonic();
        let note = outage.note();
        let tick = || show(&mut progress, &what, begun, note);
        let pause = match judge(remote.ask_held(&path, HELD, tick)) {
            Said::Body(body) => {
                let task: TaskShown = parsed(&body, "task")?;
                if task.has_ended() {
                    return Ok(Ended { task, body });
                }
                what = format!("task {id}, worker {}", task.worker_name);
                outage.end(monotonic().duration_since(asked))
            }
            Said::Later(why) => outage.go_on(&why, monotonic())?,
            Said::Never(why) => return Err(why),
        };
        if !pause.is_zero() {
            let note = outage.note();
            let tick = || show(&mut progress, &what, begun, note);
            smol::block_on(ticking(Timer::after(pause), tick));
        }
    }
}

fn show(progress: &mut Progress, what: &str, begun: Instant, note: &str) {
    let seconds = monotonic().duration_since(begun).as_secs();
    progress.show(&format!("{what}: {}{note}", elapsed(seconds)));
}

/// What an answer is good for.
pub(super) enum Said {
    Body(Vec<u8>),
    /// It may be another one later, for this reason.
    Later(String),
    Never(String),
}

/// Judges an answer to a request that may be repeated.
pub(super) fn judge(answer: Result<Answer, Failure>) -> Said {
    match answer {
        Ok(answer) => {
            let is_passing = is_passing(&answer);
            match answer.accepted() {
                Ok(body) => Said::Body(body),
                Err(why) if is_passing => Said::Later(why),
                Err(why) => Said::Never(why),
            }
        }
        Err(Failure::NotReached(why) | Failure::Broken(why)) => Said::Later(why),
        Err(Failure::NoAnswer(why)) => Said::Never(why),
    }
}

/// Whether a refusal says something of the server's state that goes by, and nothing of the request.
fn is_passing(answer: &Answer) -> bool {
    match answer.status {
        // Those of a proxy whose server is gone.
        502 | 504 => true,
        // Without a code they are a proxy's, too.
        429 | 503 => matches!(
            &*answer.code(),
            "" | "draining" | "overloaded" | "store_failed"
        ),
        _ => false,
    }
}

/// A time during which there is no good answer.
#[derive(Debug)]
pub(super) struct Outage {
    max: Duration,
    since: Option<Instant>,
    pause: Duration,
}

impl Outage {
    /// One that is put up with for `max`.
    pub(super) fn new(max: Duration) -> Self {
        Self {
            max,
            since: None,
            pause: PAUSE_MIN,
        }
    }

    /// There was no good answer, for this reason: how long to pause before the next attempt, or
    /// that it was the last one.
    pub(super) fn go_on(&mut self, why: &str, now: Instant) -> Result<Duration, String> {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) >= self.max {
            let max = elapsed(self.max.as_secs());
            return Err(format!("no good answer for {max}; the last one: {why}"));
        }
        Ok(self.next_pause())
    }

    /// There was a good answer, after `took`: how long to pause before the next request. A server
    /// that drains holds no answer back.
    fn end(&mut self, took: Duration) -> Duration {
        self.since = None;
        if took >= Duration::from_secs(1) {
            self.pause = PAUSE_MIN;
            return Duration::ZERO;
        }
        self.next_pause()
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = self.pause.saturating_mul(2).min(PAUSE_MAX);
        pause
    }

    fn note(&self) -> &'static str {
        match self.since {
            Some(_) => "; no answer, trying again",
            None => "",
        }
    }
}

/// Seconds as people say them: `12 s`, `3 min 5 s`.
fn elapsed(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_waited_for_with_longer_pauses_and_not_forever() {
        let mut outage = Outage::new(OUTAGE_MAX);
        let begun = monotonic();
        let mut waited = Duration::ZERO;
        let mut attempts = 0;
        let last = loop {
            match outage.go_on("refused", begun + waited) {
                Ok(pause) => {
                    assert!((PAUSE_MIN..=PAUSE_MAX).contains(&pause));
                    waited += pause;
                    attempts += 1;
                }
                Err(last) => break last,
            }
        };
        assert!(waited >= OUTAGE_MAX && waited < OUTAGE_MAX + PAUSE_MAX);
        assert!(attempts < 100, "{attempts}");
        assert_eq!(last, "no good answer for 5 min; the last one: refused");
    }

    #[test]
    fn answers_that_come_at_once_are_not_asked_for_without_pause() {
        let mut outage = Outage::new(OUTAGE_MAX);
        let now = monotonic();
        outage.go_on("x", now).unwrap();
        assert!(!outage.note().is_empty());
        assert!(outage.end(Duration::ZERO) >= PAUSE_MIN);
        assert!(outage.note().is_empty());
        assert_eq!(outage.end(HELD), Duration::ZERO);
        // The next outage has its own time.
        assert!(outage.go_on("x", now + OUTAGE_MAX * 2).is_ok());
    }

    #[test]
    fn what_goes_by_is_told_from_what_is_final() {
        let judged = |status, code: &str| {
            let body = format!(r#"{{"error": "e", "code": "{code}"}}"#).into_bytes();
            let link = None;
            let answer = Answer { status, link, body };
            match judge(Ok(answer)) {
                Said::Body(_) => "body",
                Said::Later(_) => "later",
                Said::Never(_) => "never",
            }
        };
        for (status, code, expected) in [
            (202, "", "body"),
            (502, "", "later"),
            (504, "any", "later"),
            (503, "", "later"),
            (503, "draining", "later"),
            (503, "overloaded", "later"),
            (503, "store_failed", "later"),
            (503, "no_online_workers", "never"),
            (429, "", "later"),
            (429, "queue_full", "never"),
            (404, "", "never"),
            (500, "", "never"),
        ] {
            assert_eq!(judged(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn times_are_shown_as_people_say_them() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (125, "2 min 5 s")] {
            assert_eq!(elapsed(seconds), text);
        }
    }
}
