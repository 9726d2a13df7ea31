//! The pages of what submits, lists and changes tasks.

use super::{ADDR, API_KEY, Block, Group, Item, JSON, LIMIT, Page, Values};

const TASK_STATES: &[&str] = &["pending", "dispatched", "completed", "failed"];

const TASK_ID: Item = Item::operand("ID", Values::Any, "the task's id");

pub(in crate::cli) const TASK: Page = Page {
    name: "task",
    group: Group::Tasks,
    summary: "submit a prompt, and wait for its result if you like",
    usage: "[OPTIONS] PROMPT",
    about: &[
        Block::Text(
            "Prints the id of the new task. With --wait it prints the result instead, and nothing \
             else: its \"output\" where it has one that is text, otherwise its JSON. Where \
             standard output is a terminal, characters that a terminal would obey are shown \
             escaped.",
        ),
        Block::Text(
            "Exit code 0: the task is stored, and with --wait it has completed; 1: it was not, or \
             it failed. A restart of the server while --wait waits is waited for. Where a \
             connection breaks, the request is repeated for 5 minutes; if it cannot be known even \
             then whether the task was stored, the error has the --idempotency-key with which \
             running the command again stores it once.",
        ),
    ],
    operands: &[Item::operand(
        "PROMPT",
        Values::Any,
        "what is to be done; - reads standard input, up to 100 MiB. Behind -- it may begin with a \
         dash",
    )],
    options_note: "",
    options: &[
        Item::option(
            "--worker",
            "NAME",
            Values::Any,
            "who is to do it, default the next worker that is online",
        ),
        Item::option(
            "--context",
            "JSON",
            Values::Any,
            "an object that is handed to the worker with the prompt",
        ),
        Item::option(
            "--idempotency-key",
            "KEY",
            Values::Any,
            "the same key with the same task starts it once, however often it is submitted; \
             default a new one",
        ),
        Item::flag(
            "--wait",
            "wait until the task has ended, as long as it takes",
        ),
        Item::flag("--json", "print the task as JSON"),
        ADDR,
        API_KEY,
    ],
    more: &[Block::Lines(
        "Examples:",
        &[
            "mecha task 'Summarize the README'",
            "git diff | mecha task --worker reviewer --wait -",
            "id=$(mecha task --context '{\"ticket\": 7}' 'Look into it')",
        ],
    )],
};

pub(in crate::cli) const TASKS: Page = Page {
    name: "tasks",
    group: Group::Tasks,
    summary: "list tasks, the newest first",
    usage: "[OPTIONS]",
    about: &[],
    operands: &[],
    options_note: "",
    options: &[
        Item::option(
            "--state",
            "STATE",
            Values::Words(TASK_STATES),
            "only those that are pending, dispatched, completed or failed",
        ),
        Item::option("--worker", "NAME", Values::Any, "only those of a worker"),
        LIMIT,
        Item::flag("--json", "the JSON of GET /tasks"),
        ADDR,
        API_KEY,
    ],
    more: &[Block::Lines(
        "Example, the ids of all that failed:",
        &["mecha tasks --state failed --limit 100000 --json | jq -r '.[].id'"],
    )],
};

pub(in crate::cli) const CANCEL: Page = Page {
    name: "cancel",
    group: Group::Tasks,
    summary: "cancel a task",
    usage: "[OPTIONS] ID",
    about: &[Block::Text(
        "A task that waits fails at once. One that runs is broken off: the connection to its \
         worker is closed, the processes of a command are ended. Exit code 1 if it had ended \
         before.",
    )],
    operands: &[TASK_ID],
    options_note: "",
    options: &[JSON, ADDR, API_KEY],
    more: &[],
};

pub(in crate::cli) const RETRY: Page = Page {
    name: "retry",
    group: Group::Tasks,
    summary: "run a failed task again",
    usage: "[OPTIONS] ID",
    about: &[Block::Text(
        "It keeps its id and has all its attempts to come. Exit code 1 if it has not failed.",
    )],
    operands: &[TASK_ID],
    options_note: "",
    options: &[JSON, ADDR, API_KEY],
    more: &[],
};
