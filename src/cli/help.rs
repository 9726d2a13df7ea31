//! The help texts.

use super::topic::Topic;

/// What `--version` prints.
pub(super) const VERSION: &str = concat!("mecha ", env!("CARGO_PKG_VERSION"));

/// Help on a command, or on the program.
pub(super) fn of(topic: Option<Topic>) -> &'static str {
    match topic {
        None => PROGRAM,
        Some(Topic::Serve) => SERVE,
        Some(Topic::Demo) => DEMO,
        Some(Topic::Init) => INIT,
        Some(Topic::Check) => CHECK,
        Some(Topic::Health) => HEALTH,
        Some(Topic::Events) => EVENTS,
        Some(Topic::Webhook) => WEBHOOK,
        Some(Topic::Backup) => BACKUP,
        Some(Topic::Torture) => TORTURE,
    }
}

const PROGRAM: &str = "\
mecha: a durable task server for LLM agents and other workers

It takes prompts over HTTP and makes prompts of signed webhooks, keeps them on
disk, hands each to a worker (an HTTP server or any program), retries what
fails, and keeps the result. What it has accepted survives crashes and power
loss. It needs no database beside it.

Usage: mecha COMMAND [OPTIONS]

Commands:
  serve    run the server
  demo     see the whole way of a task in one command
  init     write a commented configuration file
  check    find mistakes in a configuration file, damage to a data directory
  health   ask whether a server is well
  events   list the last events of a running server
  webhook  sign a file as its sender would and post it, to try a rule out
  backup   copy a running server's data
  torture  kill a server under load again and again, to try a disk out

Start here:
  mecha demo                       see it work; nothing is left behind
  mecha init                       write mecha.toml, to declare a worker in it
  mecha serve --config mecha.toml  run it

Options:
  -h, --help       this text; 'mecha COMMAND --help' describes a command
  -V, --version    print the version

Exit codes: 0 done, 1 failed while running, 2 command line or configuration
wrong, 3 data directory not usable.
";

const SERVE: &str = "\
Run the server

Usage: mecha serve [OPTIONS]

Options (an option beats the variable, a variable beats the file; the file has
neither log nor allow-anonymous):
  --addr HOST:PORT     where to listen; port 0 picks a free one, which the log
                       names. MECHA_ADDR, default 127.0.0.1:21212
  --api-key KEY        what a request must bring: the key itself, env:NAME or
                       file:/path. MECHA_API_KEY, default none
  --config FILE        configuration with workers and limits; 'mecha init'
                       writes one. MECHA_CONFIG, default none
  --data DIR           where tasks are kept. MECHA_DATA, default ~/.mecha/data
  --log text|json      form of the log on standard error. MECHA_LOG, default
                       text
  --allow-anonymous    listen beyond this machine without a key.
                       MECHA_ALLOW_ANONYMOUS=1, default off
  -h, --help           this text

Signals:
  TERM, INT    stop: running attempts may finish for 30 s; a second one ends at
               once
  HUP          read the configuration again; a bad one changes nothing

Examples:
  mecha serve
  mecha serve --config /etc/mecha.toml --data /var/lib/mecha --log json
  MECHA_API_KEY=file:/run/secrets/key mecha serve --addr 0.0.0.0:21212

While it runs, register a worker, give it a task, and read the result:
  curl -X PUT http://127.0.0.1:21212/worker/mine \\
       -d '{\"endpoint\": \"http://127.0.0.1:9000\"}'
  curl http://127.0.0.1:21212/task -d '{\"prompt\": \"Review the last commit\"}'
  curl 'http://127.0.0.1:21212/task/ID?wait=30s'
";

const DEMO: &str = "\
See the whole way of a task in one command

Starts a real server on loopback with a throw-away data directory and a worker,
submits a task over HTTP, prints each step and the result, then goes on serving
until it is interrupted.

Usage: mecha demo [OPTIONS]

Options:
  --addr HOST:PORT    loopback address to listen on, default 127.0.0.1:0 (a free
                      port, which is printed)
  --exit              stop after the result; exit code 0 only if it completed
  -h, --help          this text
";

const INIT: &str = "\
Write a commented configuration file

Every key is in it with its meaning and default. A file that exists is left as
it is. The new one is readable by you alone.

Usage: mecha init [FILE]

  FILE          file to write, default mecha.toml

Options:
  -h, --help    this text

Then:
  mecha check --config mecha.toml
  mecha serve --config mecha.toml
";

const CHECK: &str = "\
Find every mistake in a configuration file, and all damage to a data directory

With --config, or MECHA_CONFIG: prints each problem with file, line and what is
allowed (exit code 2), or what 'mecha serve' with the same options would run
with (exit code 0). Variables and files that hold secrets must be there, as
they must for the server.

With --data: reads every file and every record of a data directory that no
server has open, and changes nothing of it. Prints what is in it and what a
start would do (exit code 0), or each problem with what to do (exit code 3).
The directory for temporary files (TMPDIR) needs room for the journals, some
64 MiB.

Usage: mecha check [--config FILE] [--data DIR] [OPTIONS]

Options:
  --config FILE        file to check, or MECHA_CONFIG
  --data DIR           data directory to check; without a file, it alone
  --addr, --api-key, --log, --allow-anonymous
                       as for 'mecha serve', if the server will have them, too
  -h, --help           this text
";

const HEALTH: &str = "\
Ask whether a server is well

Exit code 0 when GET /health answers 200, else 1 with the reason; made for
containers that have no shell and no curl.

Usage: mecha health [OPTIONS]

Options:
  --addr HOST:PORT    server to ask, or MECHA_ADDR, default 127.0.0.1:21212;
                      0.0.0.0 and [::] mean this machine
  -h, --help          this text

Example, in a Dockerfile:
  HEALTHCHECK CMD [\"mecha\", \"health\"]
";

const EVENTS: &str = "\
List the last events of a running server

Usage: mecha events [OPTIONS]

Options:
  --state STATE       only those that are received, matched, dispatched,
                      completed, failed or skipped
  --source NAME       only those of a source
  --type TYPE         only those of a type, like pull_request.opened
  --limit N           how many, 1 to 1000, default 100
  --json              the JSON of GET /events
  --addr HOST:PORT    server to ask, or MECHA_ADDR, default 127.0.0.1:21212
  --api-key KEY       its key, env:NAME or file:/path, or MECHA_API_KEY
  -h, --help          this text

Why an event started no task:
  curl http://127.0.0.1:21212/event/ID/why
";

const WEBHOOK: &str = "\
Sign a file as its sender would and post it, to try a rule out

The secret and the scheme are those of the source in the configuration file.
Prints what became of the event.

Usage: mecha webhook --source NAME --event TYPE [OPTIONS] FILE

  FILE                the payload; - reads standard input

Options:
  --source NAME       name of a [[source]]
  --event TYPE        what happened, like pull_request.opened; the sender's
                      headers are made of it
  --config FILE       configuration with the source, or MECHA_CONFIG
  --addr HOST:PORT    server to post to, or MECHA_ADDR, default 127.0.0.1:21212
  --api-key KEY       its key, env:NAME or file:/path, or MECHA_API_KEY; only
                      for telling what became of the event
  -h, --help          this text

Example:
  mecha webhook --config mecha.toml --source github \\
        --event pull_request.opened opened.json
";

const BACKUP: &str = "\
Copy a running server's data

The copy is the data as it was at one moment: every task, event, registered
worker and idempotency key that was acknowledged before the command began. It is
made while the server goes on serving, read back, and is a data directory like
the server's own. DIR is there when it is whole, and not before.

Usage: mecha backup [OPTIONS] DIR

  DIR                 directory to make; it must not exist, or be empty

Options:
  --addr HOST:PORT    server to ask, or MECHA_ADDR, default 127.0.0.1:21212
  --api-key KEY       its key, env:NAME or file:/path, or MECHA_API_KEY
  -h, --help          this text

The copy holds prompts, results and the tokens of workers that were registered
over the API. Only you can read it; keep it so. The configuration file and the
secrets it names are not in it.

To restore, stop the server, move its data directory out of the way, and start
it on a copy of the backup:
  mecha backup /backups/today
  cp -a /backups/today /var/lib/mecha
  mecha serve --data /var/lib/mecha
Tasks that ran at that moment run again, as after a crash.

Exit codes: 0 done, 1 no backup came or DIR exists, 2 command line wrong, 3 the
disk failed or is full.
";

const TORTURE: &str = "\
Kill a server under load again and again, to try a disk and a machine out

Starts a server of its own on loopback with its data in DIR, submits tasks,
delivers signed webhooks, cancels and retries, ends the server with SIGKILL at
random moments, also while it starts, and looks each time whether everything
that was acknowledged is there, as it was sent, once, and whether anything runs
again after its end. Says at the end what held.

Usage: mecha torture --data DIR [OPTIONS]

Options:
  --data DIR     a directory that is empty or does not exist, on the disk to be
                 tried; it takes up to about 500 MB
  --seconds N    how long, 1 to 86400, default 60; a check that is due is
                 finished
  --seed N       repeats the requests and the lengths of the lives of an
                 earlier run; no two runs are killed at the same instant
  --keep         leave DIR where it is; without it DIR is removed, unless
                 something did not hold
  --json         the report as JSON; progress then goes to standard error
  -h, --help     this text

Ctrl-C ends it with a report. Exit code 0: all held; 1: not all held, and DIR is
kept.

What it does not prove: SIGKILL ends the process, and the kernel still writes
what the process has written. That a sync reaches the disk shows only when the
power is cut.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_help_of_its_command() {
        for topic in Topic::ALL {
            let text = of(Some(topic));
            for option in [topic.options(), topic.flags(), &["--help"]].concat() {
                assert!(text.contains(option), "{option} of {}", topic.name());
            }
            assert!(text.contains(&format!("Usage: mecha {}", topic.name())));
            let line = format!("\n  {:<8} ", topic.name());
            assert!(PROGRAM.contains(&line), "{}", topic.name());
        }
    }

    #[test]
    fn help_fits_a_terminal_and_names_only_what_there_is() {
        for text in [
            PROGRAM, SERVE, DEMO, INIT, CHECK, HEALTH, EVENTS, WEBHOOK, BACKUP, TORTURE,
        ] {
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
                assert!(!line.ends_with(' '), "{line}");
            }
        }
        let known: Vec<&str> = Topic::ALL
            .into_iter()
            .flat_map(|topic| [topic.options(), topic.flags()].concat())
            .chain(["--help", "--version"])
            .collect();
        for word in [
            PROGRAM, SERVE, DEMO, INIT, CHECK, HEALTH, EVENTS, WEBHOOK, BACKUP, TORTURE,
        ]
        .concat()
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        {
            assert!(!word.starts_with("--") || known.contains(&word), "{word}");
        }
    }
}
