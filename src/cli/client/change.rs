//! `mecha cancel`, `retry`, `replay` and `approve`: what is to become of a task or an event.

use super::shown::{EventShown, TaskShown};
use super::{json, parsed, with_remote};
use crate::cli::args::{Change, OneArgs};
use crate::cli::remote::Answer;
use crate::cli::{Exit, output};
use crate::http::percent_encoded;

/// Changes a task or an event, and says what it is now.
pub(in crate::cli) fn run(change: Change, args: &OneArgs) -> Exit {
    with_remote(&args.access, |remote| {
        let id = percent_encoded(&args.id);
        let post = |path: String| remote.post(&path, &[], Vec::new());
        let answer = match change {
            Change::Cancel => remote.delete(&format!("/task/{id}")),
            Change::Retry => post(format!("/task/{id}/retry")),
            Change::Replay => post(format!("/event/{id}/replay")),
            Change::Approve => post(format!("/event/{id}/approve")),
        };
        let told = answer.and_then(Answer::accepted).and_then(|body| {
            if args.json {
                return json(body);
            }
            match change {
                Change::Cancel | Change::Retry => {
                    parsed::<TaskShown>(&body, "task").map(|task| task.line())
                }
                Change::Replay | Change::Approve => {
                    parsed::<EventShown>(&body, "event").map(|event| event.line())
                }
            }
        });
        output::finish(told)
    })
}
