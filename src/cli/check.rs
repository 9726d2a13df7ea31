//! `mecha check`: every problem of a configuration, or its summary; and of a data directory.

use std::fmt::Write;
use std::path::Path;

use super::{Exit, output};
use crate::config::{self, Args, Config};
use crate::store::check::{self, Report};

/// Checks the configuration that `mecha serve` with the same arguments would run with, and the data
/// directory, if `--data` names one. A data directory that is named without a configuration file is
/// checked alone.
pub(super) fn run(args: &Args) -> Exit {
    let has_file = config::file_path(args).is_some();
    let Some(dir) = &args.data else {
        return configuration(args);
    };
    if !has_file {
        return data(dir);
    }
    let checked = configuration(args);
    // The server makes a directory that is not there yet.
    let found = if dir.exists() {
        data(dir)
    } else {
        output::print(&format!(
            "data directory {} is not there yet; 'mecha serve' makes it",
            shown(dir)
        ));
        Exit::Done
    };
    if checked == Exit::Done {
        found
    } else {
        checked
    }
}

fn configuration(args: &Args) -> Exit {
    let config = match Config::load(args) {
        Ok(config) => config,
        Err(error) => {
            // File and line stand first, where editors look for them.
            for problem in error.problems() {
                output::report(&problem.to_string());
            }
            return Exit::Usage;
        }
    };
    let Some(file) = config::file_path(args) else {
        let advice = if Path::new("mecha.toml").is_file() {
            "try 'mecha check --config mecha.toml'"
        } else {
            "'mecha init' writes one"
        };
        output::complain(&format!(
            "no file to check: neither --config nor MECHA_CONFIG names one; {advice}"
        ));
        return Exit::Usage;
    };
    for warning in &config.warnings {
        output::report(&format!("warning: {warning}"));
    }
    output::print(&report(&file, &config));
    Exit::Done
}

fn report(file: &Path, config: &Config) -> String {
    let mut text = format!("{} is valid\n", shown(file));
    for (name, value) in config.summary() {
        let _ = writeln!(text, "  {name:<8} {value}");
    }
    text
}

/// Checks a data directory, and changes nothing of it.
fn data(dir: &Path) -> Exit {
    // The engine panics at some kinds of damage; that is a problem like others, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    let report = match check::check(dir) {
        Ok(report) => report,
        Err(failure) => {
            output::complain(&failure.to_string());
            return Exit::Store;
        }
    };
    output::print(&summary(dir, &report));
    for problem in &report.problems.told {
        output::report(&format!("problem: {problem}"));
    }
    if report.problems.is_empty() {
        return Exit::Done;
    }
    let more = match report.problems.more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    output::complain(&format!(
        "data directory {}: problems found: {}{more}",
        shown(dir),
        report.problems.told.len()
    ));
    Exit::Store
}

fn summary(dir: &Path, report: &Report) -> String {
    let mut text = format!("data directory {}\n", shown(dir));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    if let Some(schema) = report.schema {
        line("schema", format!("version {schema}, run {}", report.runs));
        let tasks = &report.tasks;
        let pending = format!(
            "{} pending ({} of them running)",
            tasks.pending, tasks.running
        );
        line(
            "tasks",
            format!(
                "{pending}, {} completed, {} failed",
                tasks.completed, tasks.failed
            ),
        );
        let events = &report.events;
        line(
            "events",
            format!(
                "{} received, {} matched, {} completed, {} failed, {} skipped",
                events.received, events.matched, events.completed, events.failed, events.skipped
            ),
        );
        line(
            "workers",
            format!("{} registered over the API", report.workers),
        );
    } else if report.problems.is_empty() {
        line("rows", "nothing was stored yet".to_owned());
    }
    let counted = |(count, bytes): (u64, u64)| format!("{count}, {bytes} bytes");
    line("journals", counted(report.journals));
    line("tables", counted(report.tables));
    let start = match (&report.torn, report.problems.is_empty()) {
        (_, false) => "would be refused or fail later: see the problems below".to_owned(),
        (None, true) => "goes well: every record can be read, and they agree".to_owned(),
        (Some((path, from)), true) => format!(
            "goes well: it cuts a batch that was never finished off {}, at byte {from}",
            shown(path)
        ),
    };
    line("a start", start);
    text
}

fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
