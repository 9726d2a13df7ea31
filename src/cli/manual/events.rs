//! The pages of what lists, explains and changes events.

use super::{ADDR, API_KEY, Block, Group, Item, JSON, LIMIT, Page, Values};

const EVENT_STATES: &[&str] = &[
    "received",
    "matched",
    "dispatched",
    "completed",
    "failed",
    "skipped",
];

const EVENT_ID: Item = Item::operand("EVENT", Values::Any, "the event's id");

pub(in crate::cli) const EVENTS: Page = Page {
    name: "events",
    group: Group::Events,
    summary: "list events, the newest first",
    usage: "[OPTIONS]",
    about: &[],
    operands: &[],
    options_note: "",
    options: &[
        Item::option(
            "--state",
            "STATE",
            Values::Words(EVENT_STATES),
            "only those that are received, matched, dispatched, completed, failed or skipped",
        ),
        Item::option("--source", "NAME", Values::Any, "only those of a source"),
        Item::option(
            "--type",
            "TYPE",
            Values::Any,
            "only those of a type, like pull_request.opened",
        ),
        LIMIT,
        Item::flag("--json", "the JSON of GET /events"),
        ADDR,
        API_KEY,
    ],
    more: &[Block::Lines(
        "Why an event started no task:",
        &["mecha why EVENT"],
    )],
};

pub(in crate::cli) const WHY: Page = Page {
    name: "why",
    group: Group::Events,
    summary: "show what each rule says about an event",
    usage: "[OPTIONS] EVENT",
    about: &[Block::Text(
        "Each rule of the event's source with all that it checks, what it wants and what it \
         found, and the prompt, where one is made. The rules are those of now, which may differ \
         from what became of the event; 'mecha replay' makes it so.",
    )],
    operands: &[EVENT_ID],
    options_note: "",
    options: &[JSON, ADDR, API_KEY],
    more: &[],
};

pub(in crate::cli) const REPLAY: Page = Page {
    name: "replay",
    group: Group::Events,
    summary: "let an ended event go through today's rules again",
    usage: "[OPTIONS] EVENT",
    about: &[Block::Text(
        "For when a rule was corrected or a worker mended. Exit code 1 if the event has not \
         ended.",
    )],
    operands: &[EVENT_ID],
    options_note: "",
    options: &[JSON, ADDR, API_KEY],
    more: &[],
};

pub(in crate::cli) const APPROVE: Page = Page {
    name: "approve",
    group: Group::Events,
    summary: "start the task of an event that waits for it",
    usage: "[OPTIONS] EVENT",
    about: &[Block::Text(
        "For rules with auto = false. 'mecha why' shows the prompt that will be sent. Exit code 1 \
         if the event does not wait.",
    )],
    operands: &[EVENT_ID],
    options_note: "",
    options: &[JSON, ADDR, API_KEY],
    more: &[],
};

pub(in crate::cli) const WEBHOOK: Page = Page {
    name: "webhook",
    group: Group::Events,
    summary: "sign a file as its sender would and post it, to try a rule out",
    usage: "--source NAME --event TYPE [OPTIONS] FILE",
    about: &[Block::Text(
        "The secret and the scheme are those of the source in the configuration file. Prints what \
         became of the event.",
    )],
    operands: &[Item::operand(
        "FILE",
        Values::File,
        "the payload; - reads standard input",
    )],
    options_note: "",
    options: &[
        Item::option("--source", "NAME", Values::Any, "name of a [[source]]"),
        Item::option(
            "--event",
            "TYPE",
            Values::Any,
            "what happened, like pull_request.opened; the sender's headers are made of it",
        ),
        Item::option(
            "--config",
            "FILE",
            Values::File,
            "configuration with the source, or MECHA_CONFIG",
        ),
        ADDR,
        Item::option(
            "--api-key",
            "KEY",
            Values::Any,
            "the server's key, for asking what became of the event; the delivery itself needs \
             none. The key itself, which shows in the list of processes, or env:NAME or \
             file:/path; or MECHA_API_KEY",
        ),
    ],
    more: &[Block::Lines(
        "Example:",
        &[
            "mecha webhook --config mecha.toml --source github \\",
            "      --event pull_request.opened opened.json",
        ],
    )],
};
