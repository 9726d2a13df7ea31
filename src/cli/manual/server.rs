//! The pages of what runs, prepares and tries out a server.

use super::{API_KEY, Block, Group, Item, Page, Values};

const SERVE_ADDR: Item = Item::option(
    "--addr",
    "HOST:PORT",
    Values::Any,
    "where to listen; port 0 picks a free one, which the log names. MECHA_ADDR, default \
     127.0.0.1:21212",
);

const SERVE_API_KEY: Item = Item::option(
    "--api-key",
    "KEY",
    Values::Any,
    "what a request must bring: the key itself, env:NAME or file:/path. MECHA_API_KEY, default \
     none",
);

const SERVE_LOG: Item = Item::option(
    "--log",
    "text|json",
    Values::Words(&["text", "json"]),
    "form of the log on standard error. MECHA_LOG, default text",
);

const SERVE_ALLOW_ANONYMOUS: Item = Item::flag(
    "--allow-anonymous",
    "listen beyond this machine without a key. MECHA_ALLOW_ANONYMOUS=1, default off",
);

pub(in crate::cli) const SERVE: Page = Page {
    name: "serve",
    group: Group::Server,
    summary: "run the server",
    usage: "[OPTIONS]",
    about: &[],
    operands: &[],
    options_note: "an option beats the variable, a variable beats the file; the file has neither \
                   log nor allow-anonymous",
    options: &[
        SERVE_ADDR,
        SERVE_API_KEY,
        Item::option(
            "--config",
            "FILE",
            Values::File,
            "configuration with workers and limits; 'mecha init' writes one. MECHA_CONFIG, \
             default none",
        ),
        Item::option(
            "--data",
            "DIR",
            Values::Directory,
            "where tasks are kept. MECHA_DATA, default ~/.mecha/data",
        ),
        SERVE_LOG,
        SERVE_ALLOW_ANONYMOUS,
    ],
    more: &[
        Block::Terms(
            "Signals",
            &[
                (
                    "TERM, INT",
                    "stop: running attempts may finish for 30 s; a second one ends at once",
                ),
                (
                    "HUP",
                    "read the configuration again; a bad one changes nothing",
                ),
            ],
        ),
        Block::Lines(
            "Examples:",
            &[
                "mecha serve",
                "mecha serve --config /etc/mecha.toml --data /var/lib/mecha --log json",
                "MECHA_API_KEY=file:/run/secrets/key mecha serve --addr 0.0.0.0:21212",
            ],
        ),
        Block::Lines(
            "While it runs, register a worker, give it a task, and read the result:",
            &[
                "mecha worker add mine --endpoint http://127.0.0.1:9000",
                "mecha task --wait 'Review the last commit'",
            ],
        ),
    ],
};

pub(in crate::cli) const DEMO: Page = Page {
    name: "demo",
    group: Group::Server,
    summary: "see the whole way of a task in one command",
    usage: "[OPTIONS]",
    about: &[Block::Text(
        "Starts a real server on loopback with a throw-away data directory and a worker, submits \
         a task over HTTP, prints each step and the result, then goes on serving until it is \
         interrupted.",
    )],
    operands: &[],
    options_note: "",
    options: &[
        Item::option(
            "--addr",
            "HOST:PORT",
            Values::Any,
            "loopback address to listen on, default 127.0.0.1:0 (a free port, which is printed)",
        ),
        Item::flag(
            "--exit",
            "stop after the result; exit code 0 only if it completed",
        ),
    ],
    more: &[],
};

pub(in crate::cli) const INIT: Page = Page {
    name: "init",
    group: Group::Server,
    summary: "write a commented configuration file",
    usage: "[FILE]",
    about: &[Block::Text(
        "Every key is in it with its meaning and default. A file that exists is left as it is. \
         The new one is readable by you alone.",
    )],
    operands: &[Item::operand(
        "FILE",
        Values::File,
        "file to write, default mecha.toml",
    )],
    options_note: "",
    options: &[],
    more: &[Block::Lines(
        "Then:",
        &[
            "mecha check --config mecha.toml",
            "mecha serve --config mecha.toml",
        ],
    )],
};

pub(in crate::cli) const CHECK: Page = Page {
    name: "check",
    group: Group::Server,
    summary: "find mistakes in a configuration, damage to a data directory",
    usage: "[--config FILE] [--data DIR] [OPTIONS]",
    about: &[
        Block::Text(
            "With --config, or MECHA_CONFIG: prints each problem with file, line and what is \
             allowed (exit code 2), or what 'mecha serve' with the same options would run with \
             (exit code 0). Variables and files that hold secrets must be there, as they must for \
             the server.",
        ),
        Block::Text(
            "With --data: reads every file and every record of a data directory that no server \
             has open, and changes nothing of it. Prints what is in it and what a start would do \
             (exit code 0), or each problem with what to do (exit code 3). The directory for \
             temporary files (TMPDIR) needs room for the journals, some 64 MiB.",
        ),
    ],
    operands: &[],
    options_note: "all but the first two are those of 'mecha serve', if the server will have \
                   them, too",
    options: &[
        Item::option(
            "--config",
            "FILE",
            Values::File,
            "file to check, or MECHA_CONFIG",
        ),
        Item::option(
            "--data",
            "DIR",
            Values::Directory,
            "data directory to check; without a file, it alone",
        ),
        SERVE_ADDR,
        SERVE_API_KEY,
        SERVE_LOG,
        SERVE_ALLOW_ANONYMOUS,
    ],
    more: &[],
};

pub(in crate::cli) const HEALTH: Page = Page {
    name: "health",
    group: Group::Server,
    summary: "ask whether a server is well",
    usage: "[OPTIONS]",
    about: &[Block::Text(
        "Exit code 0 when GET /health answers 200, else 1 with the reason; made for containers \
         that have no shell and no curl.",
    )],
    operands: &[],
    options_note: "",
    options: &[Item::option(
        "--addr",
        "HOST:PORT",
        Values::Any,
        "server to ask, or MECHA_ADDR, default 127.0.0.1:21212; 0.0.0.0 and [::] mean this machine",
    )],
    more: &[Block::Lines(
        "Example, in a Dockerfile:",
        &["HEALTHCHECK CMD [\"mecha\", \"health\"]"],
    )],
};

pub(in crate::cli) const BACKUP: Page = Page {
    name: "backup",
    group: Group::Server,
    summary: "copy a running server's data",
    usage: "[OPTIONS] DIR",
    about: &[Block::Text(
        "The copy is the data as it was at one moment: every task, event, registered worker and \
         idempotency key that was acknowledged before the command began. It is made while the \
         server goes on serving, read back, and is a data directory like the server's own. DIR is \
         there when it is whole, and not before.",
    )],
    operands: &[Item::operand(
        "DIR",
        Values::Directory,
        "directory to make; it must not exist, or be empty",
    )],
    options_note: "",
    options: &[super::ADDR, API_KEY],
    more: &[
        Block::Text(
            "The copy holds prompts, results and the tokens of workers that were registered over \
             the API. Only you can read it; keep it so. The configuration file and the secrets it \
             names are not in it.",
        ),
        Block::Lines(
            "To restore, stop the server, move its data directory out of the way, and start it on \
             a copy of the backup:",
            &[
                "mecha backup /backups/today",
                "cp -a /backups/today /var/lib/mecha",
                "mecha serve --data /var/lib/mecha",
            ],
        ),
        Block::Text("Tasks that ran at that moment run again, as after a crash."),
        Block::Text(
            "Exit codes: 0 done, 1 no backup came or DIR exists, 2 command line wrong, 3 the disk \
             failed or is full.",
        ),
    ],
};

pub(in crate::cli) const TORTURE: Page = Page {
    name: "torture",
    group: Group::Server,
    summary: "kill a server under load again and again, to try a disk out",
    usage: "--data DIR [OPTIONS]",
    about: &[Block::Text(
        "Starts a server of its own on loopback with its data in DIR, submits tasks, delivers \
         signed webhooks, cancels and retries, ends the server with SIGKILL at random moments, \
         also while it starts, and looks each time whether everything that was acknowledged is \
         there, as it was sent, once, and whether anything runs again after its end. Says at the \
         end what held.",
    )],
    operands: &[],
    options_note: "",
    options: &[
        Item::option(
            "--data",
            "DIR",
            Values::Directory,
            "a directory that is empty or does not exist, on the disk to be tried; it takes up to \
             about 500 MB",
        ),
        Item::option(
            "--seconds",
            "N",
            Values::Any,
            "how long, 1 to 86400, default 60; a check that is due is finished",
        ),
        Item::option(
            "--seed",
            "N",
            Values::Any,
            "repeats the requests and the lengths of the lives of an earlier run; no two runs are \
             killed at the same instant",
        ),
        Item::flag(
            "--keep",
            "leave DIR where it is; without it DIR is removed, unless something did not hold",
        ),
        Item::flag(
            "--json",
            "the report as JSON; progress then goes to standard error",
        ),
    ],
    more: &[
        Block::Text(
            "Ctrl-C ends it with a report. Exit code 0: all held; 1: not all held, and DIR is \
             kept.",
        ),
        Block::Text(
            "What it does not prove: SIGKILL ends the process, and the kernel still writes what \
             the process has written. That a sync reaches the disk shows only when the power is \
             cut.",
        ),
    ],
};
