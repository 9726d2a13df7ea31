//! The pages of what lists and registers workers.

use super::{ADDR, API_KEY, Block, Group, Item, JSON, Page, Values};

pub(in crate::cli) const WORKERS: Page = Page {
    name: "workers",
    group: Group::Workers,
    summary: "list workers",
    usage: "[OPTIONS]",
    about: &[],
    operands: &[],
    options_note: "",
    options: &[
        Item::flag("--json", "the JSON of GET /workers"),
        ADDR,
        API_KEY,
    ],
    more: &[],
};

pub(in crate::cli) const WORKER_ADD: Page = Page {
    name: "worker add",
    group: Group::Workers,
    summary: "register an endpoint worker, or replace its settings",
    usage: "NAME --endpoint URL [OPTIONS]",
    about: &[Block::Text(
        "The server keeps it over restarts. What is not given has its default, also where a \
         worker is replaced. Workers of the configuration file are changed there alone.",
    )],
    operands: &[Item::operand(
        "NAME",
        Values::Any,
        "the worker's name, up to 64 of [a-zA-Z0-9_.-]",
    )],
    options_note: "",
    options: &[
        Item::option(
            "--endpoint",
            "URL",
            Values::Any,
            "where it listens, like http://127.0.0.1:9000",
        ),
        Item::option(
            "--token",
            "TOKEN",
            Values::Any,
            "bearer token that each request to it carries. The token itself, which shows in the \
             list of processes, or env:NAME or file:/path, which are read here and not by the \
             server",
        ),
        Item::option(
            "--timeout",
            "TIME",
            Values::Any,
            "how long one attempt may take, default 10m",
        ),
        Item::option(
            "--concurrency",
            "N",
            Values::Any,
            "attempts at once, default 1",
        ),
        Item::option(
            "--rate",
            "RATE",
            Values::Any,
            "how often attempts may start, like 2/s, 30/m or 100/h; default no limit",
        ),
        Item::option(
            "--max-attempts",
            "N",
            Values::Any,
            "failed attempts that fail a task, default 4",
        ),
        Item::option(
            "--backoff",
            "TIME",
            Values::Any,
            "pause after the first failed attempt, doubled after each further one, default 30s",
        ),
        JSON,
        ADDR,
        API_KEY,
    ],
    more: &[Block::Lines(
        "Example:",
        &[
            "mecha worker add reviewer --endpoint http://127.0.0.1:9000 \\",
            "      --token env:REVIEWER_TOKEN --concurrency 2",
        ],
    )],
};

pub(in crate::cli) const WORKER_REMOVE: Page = Page {
    name: "worker remove",
    group: Group::Workers,
    summary: "remove a worker that was registered over the API",
    usage: "[OPTIONS] NAME",
    about: &[Block::Text(
        "Its ended tasks stay. Exit code 1 while tasks are pending or running for it.",
    )],
    operands: &[Item::operand("NAME", Values::Any, "the worker's name")],
    options_note: "",
    options: &[ADDR, API_KEY],
    more: &[],
};
