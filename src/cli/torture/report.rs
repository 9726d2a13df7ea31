//! What was done and what held: a line for each kill, and the report at the end.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::Faults;
use crate::cli::output;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Kills, and how many of them while the server started.
    pub(super) kills: u64,
    pub(super) kills_at_start: u64,
    /// Data directories that were filled and checked to their end.
    pub(super) epochs: u64,
    /// How long each start after a kill took. BOUND: one for each kill, of which there are a few a
    /// second.
    pub(super) recoveries: Vec<Duration>,
    /// Records compared, each as often as it was.
    pub(super) compared: u64,
    /// How long there was load.
    pub(super) load: Duration,
    /// Bytes of the data directory at most.
    pub(super) disk_bytes: u64,
}

/// Everything that the report says.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) tally: &'a Tally,
    pub(super) faults: &'a Faults,
    pub(super) seed: u64,
    /// Tasks and events acknowledged.
    pub(super) acknowledged: (u64, u64),
    /// POSTs answered 2xx.
    pub(super) posted: u64,
    pub(super) torn_tails: u64,
    pub(super) time: Duration,
    pub(super) is_interrupted: bool,
}

impl Report<'_> {
    /// Whether everything held, and there was something to hold.
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty() && self.acknowledged.0 > 0
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let tally = self.tally;
        let mut lines = vec![String::new()];
        let mut line = |name: &str, value: String| lines.push(format!("{name:<26}{value}"));
        line("time", format!("{} s", self.time.as_secs()));
        line(
            "kills",
            format!(
                "{}, {} of them while it started",
                grouped(tally.kills),
                grouped(tally.kills_at_start)
            ),
        );
        let (tasks, events) = self.acknowledged;
        line(
            "acknowledged",
            format!("{} tasks, {} events", grouped(tasks), grouped(events)),
        );
        line(
            "checked after restarts",
            format!("{} records", grouped(tally.compared)),
        );
        for (fault, count) in self.faults.counts() {
            line(fault.name(), grouped(count));
        }
        if let Some((min, median, max)) = self.recovery() {
            line(
                "start after a kill",
                format!(
                    "{} ms to {} ms, median {} ms",
                    min.as_millis(),
                    max.as_millis(),
                    median.as_millis()
                ),
            );
        }
        line("torn batches cut off", grouped(self.torn_tails));
        line(
            "synced POSTs",
            format!("{} per second under load", grouped(self.rate())),
        );
        line(
            "disk",
            format!("{} MiB at most", grouped(tally.disk_bytes >> 20)),
        );
        lines.push(String::new());
        lines.extend(self.faults.texts().iter().map(|text| format!("! {text}")));
        lines.push(self.verdict());
        lines.join("\n")
    }

    /// For programs, on one line.
    pub(super) fn json(&self) -> String {
        let tally = self.tally;
        let mut object = Map::new();
        let mut add = |name: &str, value: Value| {
            object.insert(name.to_owned(), value);
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        add("held", self.is_good().into());
        add("interrupted", self.is_interrupted.into());
        add("seed", self.seed.into());
        add("seconds", self.time.as_secs().into());
        add("kills", tally.kills.into());
        add("kills_at_start", tally.kills_at_start.into());
        add("acknowledged_tasks", self.acknowledged.0.into());
        add("acknowledged_events", self.acknowledged.1.into());
        add("checked", tally.compared.into());
        for (fault, count) in self.faults.counts() {
            add(fault.key(), count.into());
        }
        if let Some((min, median, max)) = self.recovery() {
            add("recovery_ms_min", millis(min).into());
            add("recovery_ms_median", millis(median).into());
            add("recovery_ms_max", millis(max).into());
        }
        add("torn_batches_cut", self.torn_tails.into());
        add("posts_per_second", self.rate().into());
        add("disk_bytes_max", tally.disk_bytes.into());
        add("faults", self.faults.texts().into());
        Value::Object(object).to_string()
    }

    fn verdict(&self) -> String {
        let interrupted = if self.is_interrupted {
            " It was interrupted: what waited was not brought to its end."
        } else {
            ""
        };
        let verdict = match (self.faults.is_empty(), self.acknowledged.0) {
            (true, 0) => "Nothing was acknowledged, so nothing was tried.",
            (true, _) => "All of it held.",
            (false, _) => "Not all of it held.",
        };
        format!("{verdict}{interrupted}")
    }

    /// The shortest, the median and the longest start.
    fn recovery(&self) -> Option<(Duration, Duration, Duration)> {
        let mut sorted = self.tally.recoveries.clone();
        sorted.sort_unstable();
        let median = *sorted.get(sorted.len() / 2)?;
        Some((*sorted.first()?, median, *sorted.last()?))
    }

    fn rate(&self) -> u64 {
        let millis = self.tally.load.as_millis().max(1);
        let rate = u128::from(self.posted).saturating_mul(1_000) / millis;
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// The line behind a kill. It fits a terminal of 80 columns.
pub(super) fn progress(time: Duration, tally: &Tally, records: u64, faults: u64) -> String {
    let recovery = tally.recoveries.last().copied().unwrap_or_default();
    let held = match faults {
        0 => "all there".to_owned(),
        1 => "1 FAULT".to_owned(),
        faults => format!("{faults} FAULTS"),
    };
    format!(
        "{:>5} s  kill {:>4}  back in {:>5} ms  {:>7} records checked, {held}",
        time.as_secs(),
        tally.kills,
        recovery.as_millis(),
        grouped(records)
    )
}

/// Prints a line that is not what was asked for.
pub(super) fn note(line: &str, is_json: bool) {
    if is_json {
        output::report(line);
    } else {
        output::print(line);
    }
}

/// Digits with their thousands set off.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    fn report<'a>(tally: &'a Tally, faults: &'a Faults) -> Report<'a> {
        Report {
            tally,
            faults,
            seed: 7,
            acknowledged: (1_234, 56),
            posted: 3_000,
            torn_tails: 2,
            time: Duration::from_secs(60),
            is_interrupted: false,
        }
    }

    #[test]
    fn the_report_fits_a_terminal_and_says_what_did_not_hold() {
        let tally = Tally {
            kills: 3,
            recoveries: [30, 10, 20].map(Duration::from_millis).to_vec(),
            load: Duration::from_millis(1_500),
            ..Tally::default()
        };
        let mut faults = Faults::default();
        let good = report(&tally, &faults);
        assert!(good.is_good());
        let text = good.text();
        assert!(text.ends_with("All of it held."), "{text}");
        assert!(text.contains("10 ms to 30 ms, median 20 ms"), "{text}");
        assert!(text.contains("2,000 per second"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        faults.add(Fault::Lost, "submission 7 is gone".to_owned());
        let bad = report(&tally, &faults);
        assert!(!bad.is_good());
        assert!(
            bad.text()
                .contains("! submission 7 is gone\nNot all of it held.")
        );
        let json: Value = serde_json::from_str(&bad.json()).unwrap();
        assert_eq!((&json["held"], &json["lost"]), (&false.into(), &1.into()));
        assert_eq!(json["recovery_ms_median"], 20);
    }

    #[test]
    fn a_run_that_tried_nothing_is_no_success() {
        let (tally, faults) = (Tally::default(), Faults::default());
        let empty = Report {
            acknowledged: (0, 0),
            ..report(&tally, &faults)
        };
        assert!(!empty.is_good());
        assert!(empty.text().contains("Nothing was acknowledged"));
    }

    #[test]
    fn progress_fits_a_terminal() {
        let tally = Tally {
            kills: 9_999,
            recoveries: vec![Duration::from_secs(60)],
            ..Tally::default()
        };
        let line = progress(Duration::from_secs(86_400), &tally, 32_000, 12);
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
