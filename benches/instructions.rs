//! The instructions that single steps take, counted by valgrind's callgrind. Unlike time they do not
//! depend on what else the machine does, so they are held against a list:
//!
//! ```text
//! cargo bench --bench instructions             # count, compare with benches/instructions.txt
//! cargo bench --bench instructions -- --write  # count, and write that list anew
//! ```
//!
//! A step that takes more than [`TOLERANCE`] over its line fails; where a compiler of another
//! version has built it, [`TOLERANCE_ELSEWHERE`]. What takes that much less is told, too, so that the
//! list is written anew. Without valgrind, and on another architecture, all is skipped, and that is
//! said.
//!
//! Each step is taken [`FEW`] and [`MANY`] times in a process of its own; the difference leaves out
//! start and preparation. callgrind sees no instruction of the kernel and emulates a processor without
//! instructions for SHA-2, and the steps have the C library's allocator in place of the executable's, so the figures are for
//! comparison with themselves alone.

#[path = "support/directory.rs"]
mod directory;
#[path = "support/operations.rs"]
mod operations;
#[path = "support/payload.rs"]
mod payload;
#[path = "support/queue.rs"]
mod queue;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Steps in the two processes.
const FEW: u32 = 20;
const MANY: u32 = 320;

/// A step may take so much more than it did.
const TOLERANCE: f64 = 0.05;

/// The same where another compiler has built it.
const TOLERANCE_ELSEWHERE: f64 = 0.20;

/// The argument that makes this program take a step so many times.
const TAKE: &str = "--take";

/// What begins the line of the list that says what it was made with.
const MADE_WITH: &str = "# with ";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<bool> {
    // Cargo gives an argument of its own, `--bench`.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|text| text != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [TAKE, name, count] => take(name, count.parse().map_err(io::Error::other)?).map(|()| true),
        [] => compare(),
        ["--write"] => write_list().map(|()| true),
        other => Err(io::Error::other(format!(
            "{other:?} is unknown; there is --write"
        ))),
    }
}

/// Takes the step `name` so many times.
fn take(name: &str, count: u32) -> io::Result<()> {
    let operation = operations::ALL
        .iter()
        .find(|operation| operation.name == name)
        .ok_or_else(|| io::Error::other(format!("no step is called {name:?}")))?;
    let mut step = (operation.ready)()?;
    for _ in 0..count {
        step();
    }
    Ok(())
}

/// Counts and compares with the list; whether nothing takes too many.
fn compare() -> io::Result<bool> {
    let Some(tools) = tools()? else {
        return say("skipped: valgrind is not installed").map(|()| true);
    };
    let text = fs::read_to_string(list())?;
    let listed_tools = text.lines().find_map(|line| line.strip_prefix(MADE_WITH));
    let listed_tools = listed_tools.unwrap_or_default();
    if !listed_tools.ends_with(env::consts::ARCH) {
        say(&format!(
            "skipped: the list is of {listed_tools}, this is {tools}"
        ))?;
        return Ok(true);
    }
    let is_same = listed_tools == tools;
    let tolerance = if is_same {
        TOLERANCE
    } else {
        TOLERANCE_ELSEWHERE
    };
    if !is_same {
        say(&format!(
            "The list was made with {listed_tools}, this is {tools}: {:.0} % more are let pass.\n",
            tolerance * 100.0
        ))?;
    }
    let listed: BTreeMap<&str, f64> = text.lines().filter_map(entry).collect();
    say("| step | instructions | listed | change | |\n| --- | --- | --- | --- | --- |")?;
    let mut is_kept = true;
    for operation in operations::ALL {
        let name = operation.name;
        let count = count(name)?;
        let Some(before) = listed.get(name) else {
            is_kept = false;
            say(&format!("| {name} | {count:.0} | | | **not listed** |"))?;
            continue;
        };
        let change = count / before - 1.0;
        let verdict = if change > tolerance {
            is_kept = false;
            "**more**"
        } else if change < -tolerance {
            "fewer: write the list anew"
        } else {
            ""
        };
        let change = change * 100.0;
        say(&format!(
            "| {name} | {count:.0} | {before:.0} | {change:+.1} % | {verdict} |"
        ))?;
    }
    if !is_kept {
        say("\nWhere the change is meant: cargo bench --bench instructions -- --write")?;
    }
    Ok(is_kept)
}

/// Counts and writes the list.
fn write_list() -> io::Result<()> {
    let tools = tools()?.ok_or_else(|| io::Error::other("valgrind is not installed"))?;
    let mut text = String::from(
        "# Instructions of single steps, written by `cargo bench --bench instructions -- --write`.\n",
    );
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{MADE_WITH}{tools}");
    for operation in operations::ALL {
        let count = count(operation.name)?;
        let _ = writeln!(text, "{} {count:.0}", operation.name);
        say(&format!("{} {count:.0}", operation.name))?;
    }
    fs::write(list(), text)
}

/// A line of the list: a name and a number.
fn entry(line: &str) -> Option<(&str, f64)> {
    let (name, number) = line.split_once(' ')?;
    Some((name, number.parse().ok()?))
}

/// Instructions of one step.
fn count(name: &str) -> io::Result<f64> {
    let (few, many) = (collected(name, FEW)?, collected(name, MANY)?);
    Ok((many - few) / f64::from(MANY - FEW))
}

/// Instructions of a process that takes the step so many times.
fn collected(name: &str, count: u32) -> io::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args([TAKE, name, &count.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // "==7== Collected : 1234567"
    let number = said
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match number {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(io::Error::other(format!(
            "{name} under callgrind ended with {}: {said}",
            output.status
        ))),
    }
}

/// What the figures depend on: compiler, valgrind, architecture. `None` without valgrind.
fn tools() -> io::Result<Option<String>> {
    let said = |command: &mut Command| -> io::Result<String> {
        let output = command.output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let valgrind = match said(Command::new("valgrind").arg("--version")) {
        Ok(version) => version,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = said(Command::new(rustc).arg("--version"))?;
    Ok(Some(format!("{rustc}, {valgrind}, {}", env::consts::ARCH)))
}

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
