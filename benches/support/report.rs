//! Figures of several rounds, and the Markdown tables that show them.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

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

    /// `median (lowest to highest)`, or `-` where nothing was measured.
    pub(crate) fn cell(&self, decimals: usize) -> String {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied();
        let last = sorted.len().saturating_sub(1);
        let (Some(low), Some(high)) = (at(0), at(last)) else {
            return "-".to_owned();
        };
        let (Some(below), Some(above)) = (at(last / 2), at(sorted.len() / 2)) else {
            return "-".to_owned();
        };
        let [median, low, high] =
            [f64::midpoint(below, above), low, high].map(|value| number(value, decimals));
        if sorted.len() == 1 {
            median
        } else {
            format!("{median} ({low} to {high})")
        }
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

/// Says on what machine this runs, and how busy it was at the start.
pub(crate) fn machine() -> io::Result<()> {
    let cores = thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or("unknown");
    line(&format!(
        "{cores} cores, Linux {}, load {load} at the start; medians of all rounds (lowest to highest)",
        kernel.trim_end()
    ))
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
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, rest)) => format!("{}.{rest}", grouped(whole)),
        None => grouped(&text),
    }
}
