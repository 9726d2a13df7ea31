//! What a bench is told by its environment.

use std::env;
use std::fmt::Display;
use std::io;
use std::str::FromStr;
use std::time::Duration;

/// How long and how large a bench is.
pub(crate) struct Settings {
    /// `MECHA_BENCH_ROUNDS`: how often everything is measured, in turn.
    pub(crate) rounds: u32,
    /// `MECHA_BENCH_SECONDS`: how long one measurement takes; fractions are fine.
    pub(crate) time: Duration,
    /// `MECHA_BENCH_PENDING`: tasks in the large store.
    pub(crate) pending: u64,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn read() -> io::Result<Self> {
        let rounds = variable("MECHA_BENCH_ROUNDS", 5, |rounds| {
            (1..=1_000).contains(rounds)
        })?;
        let seconds = variable("MECHA_BENCH_SECONDS", 3.0, |seconds| {
            (0.01..=3_600.0).contains(seconds)
        })?;
        let pending = variable("MECHA_BENCH_PENDING", 1_000_000, |pending| {
            (1_000..=100_000_000).contains(pending)
        })?;
        Ok(Self {
            rounds,
            time: Duration::from_secs_f64(seconds),
            pending,
        })
    }
}

fn variable<T: FromStr + Display>(
    name: &str,
    default: T,
    is_allowed: impl Fn(&T) -> bool,
) -> io::Result<T> {
    let Ok(text) = env::var(name) else {
        return Ok(default);
    };
    text.parse().ok().filter(is_allowed).ok_or_else(|| {
        io::Error::other(format!(
            "{name} is {text:?}; write a number in its range, like {default}"
        ))
    })
}
