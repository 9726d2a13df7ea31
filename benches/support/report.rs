//! Figures of several rounds, and the Markdown tables that show them.

use std::fs;
use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use mecha::clock::Clock;

/// One figure, measured once in each round.
#[derive(Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds the figure of a round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// This figure over another, round by round.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The median, if anything was measured.
    pub(crate) fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let last = sorted.len().saturating_sub(1);
        let (below, above) = (sorted.get(last / 2)?, sorted.get(sorted.len() / 2)?);
        Some(f64::midpoint(*below, *above))
    }

    /// `median (lowest to highest)`, or `-` where nothing was measured.
    pub(crate) fn cell(&self, decimals: usize) -> String {
        let sorted = self.sorted();
        let (Some(median), Some(low), Some(high)) = (self.median(), sorted.first(), sorted.last())
        else {
            return "-".to_owned();
        };
        let [median, low, high] = [median, *low, *high].map(|value| number(value, decimals));
        if sorted.len() == 1 {
            median
        } else {
            format!("{median} ({low} to {high})")
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// How often something was done in a second, if `count` times took `time`.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A duration in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Digits with their thousands set off.
pub(crate) fn grouped(digits: &str) -> String {
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Prints a Markdown table and an empty line.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "| {} |", head.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(head.len()))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    writeln!(out)?;
    out.flush()
}

/// Prints one line of text and an empty line.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}\n")?;
    out.flush()
}

/// Says when and on what machine this runs, of which commit, and how busy it was at the start.
pub(crate) fn machine() -> io::Result<()> {
    let cores = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or("unknown");
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line(&format!(
        "{}, commit {}; {cores} cores ({}), Linux {}, load {load} at the start; medians of all rounds \
         (lowest to highest)",
        Clock::system().now(),
        commit().as_deref().unwrap_or("unknown"),
        model.map_or("model unknown", |(_, model)| model),
        kernel.trim_end()
    ))
}

/// The commit that is checked out, and a mark where files differ from it.
fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The exit code of a bench, its error printed.
pub(crate) fn exit(ended: io::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A number with its thousands set off.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, rest)) => format!("{}.{rest}", grouped(whole)),
        None => grouped(&text),
    }
}
