//! What is sent and what the worker says to it: a pure function of the seed, so that nothing of it has
//! to be kept to be compared.

use fastrand::Rng;

/// Characters of prompts: among them those that JSON escapes.
const CHARACTERS: &[u8; 64] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345 .\"\\\n/";

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A task that was submitted, by its number.
    Task(u32),
    /// A task that a rule made of an event, by the number of its delivery.
    Event(u32),
}

/// What the worker says to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The result, at once or after so many milliseconds.
    Done { after_ms: u64 },
    /// 500: try again.
    Broken,
    /// 503: not now, and the attempt does not count.
    Refused,
    /// 400: never.
    Rejected,
}

/// All that is sent in one epoch.
#[derive(Clone, Debug)]
pub(super) struct Content {
    seed: u64,
}

impl Content {
    /// The content of the epoch that has this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The prompt of a subject.
    pub(super) fn prompt(&self, subject: Subject) -> String {
        match subject {
            Subject::Task(number) => {
                let mut random = self.random(1, number);
                let length = match random.u32(..100) {
                    0 | 1 => random.usize(30_000..120_000),
                    2..=11 => random.usize(2_000..16_000),
                    _ => random.usize(10..600),
                };
                format!("task {number} ä→{}", filler(&mut random, length))
            }
            Subject::Event(number) => format!("event {number} {}", self.title(number)),
        }
    }

    /// What GitHub would tell, with the number and the title that the prompt is made of.
    pub(super) fn payload(&self, number: u32) -> String {
        let mut random = self.random(3, number);
        let length = match random.u32(..20) {
            0 => random.usize(10_000..60_000),
            _ => random.usize(100..2_000),
        };
        serde_json::json!({
            "action": "opened",
            "number": number,
            "pull_request": { "number": number, "title": self.title(number) },
            "repository": { "name": "hello", "full_name": "octo/hello" },
            "sender": { "login": "mona" },
            "more": filler(&mut random, length),
        })
        .to_string()
    }

    /// The subject of a prompt, if it is one of these.
    pub(super) fn subject(prompt: &str) -> Option<Subject> {
        let (kind, rest) = prompt.split_once(' ')?;
        let (number, _) = rest.split_once(' ')?;
        let number = number.parse().ok()?;
        match kind {
            "task" => Some(Subject::Task(number)),
            "event" => Some(Subject::Event(number)),
            _ => None,
        }
    }

    /// Whether the worker will have none of it.
    pub(super) fn is_rejected(&self, subject: Subject) -> bool {
        match subject {
            Subject::Task(number) => self.random(4, number).u32(..50) == 0,
            Subject::Event(_) => false,
        }
    }

    /// What the worker says to an attempt.
    pub(super) fn said(&self, subject: Subject, attempt: u64) -> Said {
        if self.is_rejected(subject) {
            return Said::Rejected;
        }
        let (Subject::Task(number) | Subject::Event(number)) = subject;
        let mut random = self.random(attempt.wrapping_add(16), number);
        match random.u32(..3_000) {
            0 => Said::Refused,
            1..=150 => Said::Broken,
            // So that every kill finds attempts that run.
            151..=1_000 => Said::Done {
                after_ms: random.u64(1..30),
            },
            _ => Said::Done { after_ms: 0 },
        }
    }

    /// The result of a subject.
    pub(super) fn result(subject: Subject) -> String {
        match subject {
            Subject::Task(number) => format!("{{\"output\":\"task {number} done\"}}"),
            Subject::Event(number) => format!("{{\"output\":\"event {number} done\"}}"),
        }
    }

    fn title(&self, number: u32) -> String {
        let mut random = self.random(2, number);
        let length = random.usize(5..200);
        filler(&mut random, length)
    }

    fn random(&self, purpose: u64, number: u32) -> Rng {
        // 2^64 over the golden ratio: neighbouring numbers get distant seeds.
        let spread = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Rng::with_seed(self.seed ^ spread ^ purpose.rotate_right(8))
    }
}

fn filler(random: &mut Rng, length: usize) -> String {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
        .into_iter()
        .filter_map(|byte| CHARACTERS.get(usize::from(byte % 64)))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_tells_its_subject_and_is_the_same_each_time() {
        let content = Content::new(7);
        for subject in (0..500).flat_map(|n| [Subject::Task(n), Subject::Event(n)]) {
            let prompt = content.prompt(subject);
            assert_eq!(Content::subject(&prompt), Some(subject));
            assert_eq!(prompt, content.prompt(subject));
            assert_ne!(prompt, Content::new(8).prompt(subject));
        }
        for prompt in ["", "task", "task 1", "task x y", "job 1 x"] {
            assert_eq!(Content::subject(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn the_worker_says_everything_that_it_can_say() {
        let content = Content::new(7);
        let said: Vec<Said> = (0..20_000)
            .map(|number| content.said(Subject::Task(number), 1))
            .collect();
        for wanted in [
            Said::Broken,
            Said::Refused,
            Said::Rejected,
            Said::Done { after_ms: 0 },
            Said::Done { after_ms: 7 },
        ] {
            assert!(said.contains(&wanted), "{wanted:?}");
        }
    }
}
