//! The page of the program itself.

use super::Block;

/// What help on the program says in front of the commands and behind them.
#[derive(Debug)]
pub(in crate::cli) struct Program {
    /// The day on which the pages were last revised, for the man page.
    pub(in crate::cli) revised: &'static str,
    pub(in crate::cli) summary: &'static str,
    pub(in crate::cli) about: &'static str,
    pub(in crate::cli) start: Block,
    pub(in crate::cli) variables: &'static [(&'static str, &'static str)],
    pub(in crate::cli) exit_codes: &'static [(&'static str, &'static str)],
}

/// The program.
pub(in crate::cli) const PROGRAM: Program = Program {
    revised: "2026-11-28",
    summary: "a durable task server for LLM agents and other workers",
    about: "It takes prompts over HTTP and makes prompts of signed webhooks, keeps them on disk, \
            hands each to a worker (an HTTP server or any program), retries what fails, and keeps \
            the result. What it has accepted survives crashes and power loss. It needs no \
            database beside it.",
    start: Block::Lines(
        "Start here:",
        &[
            "mecha demo                       see it work; nothing is left behind",
            "mecha init                       write mecha.toml, to declare a worker in it",
            "mecha serve --config mecha.toml  run it",
            "mecha task --wait 'Say hello'    give it a task and see the result",
        ],
    ),
    variables: &[
        (
            "MECHA_ADDR",
            "where the server listens, and clients find it",
        ),
        (
            "MECHA_API_KEY",
            "what a request must bring, and clients send: the key itself, env:NAME or file:/path",
        ),
        ("MECHA_CONFIG", "the configuration file"),
        ("MECHA_DATA", "the data directory"),
        ("MECHA_LOG", "form of the log: text or json"),
        (
            "MECHA_ALLOW_ANONYMOUS",
            "with 1, the server may listen beyond this machine without a key",
        ),
    ],
    exit_codes: &[
        ("0", "done"),
        ("1", "it failed while running, or the server refused"),
        ("2", "the command line or the configuration is wrong"),
        (
            "3",
            "the data directory cannot be opened, or the store failed",
        ),
    ],
};
