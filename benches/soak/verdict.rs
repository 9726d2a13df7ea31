//! Whether what the server held stayed flat, and the tables that show it.
//!
//! Flat means: the median of the last quarter lies no further above that of the first quarter than its
//! band. Medians, because single looks find a burst of large bodies, a table being compacted, or the
//! thread of a large webhook. The first fifth is left out: caches fill, and nothing is old enough to be deleted.
//!
//! - memory: 8 MiB. The allocator gives back whole pages alone; `limits.memory` is 8 MiB here, and
//!   a quarter may have found it full where the other found it empty.
//! - open files: 12; only root can count them, since the server hides them. The store opens a file for each table, and compaction changes how many there are;
//!   clients come and go.
//! - threads: 3. One for each large webhook, and those that read the output of commands.
//! - disk: 160 MiB. A journal is up to 64 MiB; the one being written and one whose rows are not in
//!   tables yet come and go, and tables are rewritten before the old ones are removed. What is stored at
//!   once under this load takes some 150 MiB; without deletion it would grow by 100 MiB a minute.

#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use std::io;
use std::time::Duration;

use crate::report;
use crate::target::Target;
use crate::watch::{Sample, Watch, print};

/// What is looked at, by how much it may grow, whether it is judged over all lives of the process, and
/// whether it may be hidden.
struct Subject {
    name: &'static str,
    value: fn(&Sample) -> Option<f64>,
    decimals: usize,
    band: f64,
    is_lasting: bool,
    is_optional: bool,
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        name: "resident memory, MiB",
        value: |sample| Some(report::mebibytes(sample.memory)),
        decimals: 1,
        band: 8.0,
        is_lasting: false,
        is_optional: false,
    },
    Subject {
        name: "open files",
        value: |sample| sample.files.map(|files| files as f64),
        decimals: 0,
        band: 12.0,
        is_lasting: false,
        is_optional: true,
    },
    Subject {
        name: "threads",
        value: |sample| Some(sample.threads as f64),
        decimals: 0,
        band: 3.0,
        is_lasting: false,
        is_optional: false,
    },
    Subject {
        name: "disk, MiB",
        value: |sample| Some(report::mebibytes(sample.disk)),
        decimals: 1,
        band: 160.0,
        is_lasting: true,
        is_optional: false,
    },
];

/// Prints everything; the error says what was not as it should be.
pub(crate) fn report(
    watch: &Watch,
    target: &Target,
    is_emptied: bool,
    is_sound: bool,
) -> io::Result<()> {
    let last_life = watch.samples.iter().map(|sample| sample.life).max();
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for subject in &SUBJECTS {
        let judged = judged(watch, subject, last_life.unwrap_or(0));
        if judged.is_empty() && subject.is_optional {
            print(&format!("{}: not visible to this user", subject.name))?;
            continue;
        }
        let Some(judgement) = Judgement::of(&judged) else {
            wrong.push(format!("{}: too few looks to judge", subject.name));
            continue;
        };
        let is_flat = judgement.growth() <= subject.band;
        if !is_flat {
            wrong.push(format!("{} grew", subject.name));
        }
        rows.push(judgement.row(subject, is_flat));
    }
    print("")?;
    report::table(
        &[
            "what",
            "start",
            "end",
            "median",
            "max",
            "slope per hour",
            "first quarter",
            "last quarter",
            "band",
            "verdict",
        ],
        &rows,
    )?;
    let answers: Vec<Vec<String>> = target
        .tally()
        .iter()
        .map(|((what, status), count)| {
            vec![(*what).to_owned(), status.to_string(), count.to_string()]
        })
        .collect();
    report::table(&["request", "status", "answers"], &answers)?;
    let slowest = watch.starts.iter().max().copied().unwrap_or_default();
    report::line(&format!(
        "kills: {}; slowest start after one: {} ms; processor time of the server: {:.0} % of one core",
        watch.starts.len(),
        slowest.as_millis(),
        processor_share(watch) * 100.0
    ))?;
    if !is_sound {
        wrong.push("the data directory is damaged".to_owned());
    }
    if !is_emptied {
        wrong.push("what had ended was not deleted after the retention".to_owned());
    }
    let (unexpected, texts) = target.surprises();
    for text in &texts {
        print(&format!("unexpected: {text}"))?;
    }
    if unexpected > 0 {
        wrong.push(format!("{unexpected} unexpected answers"));
    }
    if wrong.is_empty() {
        print("flat")
    } else {
        Err(io::Error::other(wrong.join("; ")))
    }
}

/// What is judged of a subject: time in hours and value.
fn judged(watch: &Watch, subject: &Subject, last_life: u32) -> Vec<(f64, f64)> {
    let counts = |sample: &&Sample| subject.is_lasting || sample.life == last_life;
    let samples: Vec<&Sample> = watch.samples.iter().filter(counts).collect();
    samples
        .iter()
        .skip(samples.len() / 5)
        .filter_map(|sample| Some((sample.at.as_secs_f64() / 3_600.0, (subject.value)(sample)?)))
        .collect()
}

/// A subject over its time.
struct Judgement {
    start: f64,
    end: f64,
    median: f64,
    max: f64,
    slope: f64,
    first: f64,
    last: f64,
}

impl Judgement {
    /// `None` if there are too few values to tell.
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let quarter = values.len() / 4;
        if quarter < 3 {
            return None;
        }
        Some(Self {
            start: *values.first()?,
            end: *values.last()?,
            median: median(&values),
            max: values.iter().copied().fold(f64::MIN, f64::max),
            slope: slope(points),
            first: median(values.get(..quarter)?),
            last: median(values.get(values.len() - quarter..)?),
        })
    }

    fn growth(&self) -> f64 {
        self.last - self.first
    }

    fn row(&self, subject: &Subject, is_flat: bool) -> Vec<String> {
        let decimals = subject.decimals;
        let shown = |value: f64| format!("{value:.decimals$}");
        vec![
            subject.name.to_owned(),
            shown(self.start),
            shown(self.end),
            shown(self.median),
            shown(self.max),
            format!("{:+.1}", self.slope),
            shown(self.first),
            shown(self.last),
            format!("+{}", subject.band),
            if is_flat { "flat" } else { "grew" }.to_owned(),
        ]
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The slope of the line with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut over, mut under) = (0.0, 0.0);
    for point in points {
        over += (point.0 - x) * (point.1 - y);
        under += (point.0 - x).powi(2);
    }
    if under == 0.0 { 0.0 } else { over / under }
}

/// Processor time over time, in the last life.
fn processor_share(watch: &Watch) -> f64 {
    let Some(last) = watch.samples.last() else {
        return 0.0;
    };
    let mut life = watch.samples.iter().filter(|s| s.life == last.life);
    let Some(first) = life.next() else { return 0.0 };
    let ticks = last.ticks.saturating_sub(first.ticks) as f64;
    let time = last.at.saturating_sub(first.at).max(Duration::from_secs(1));
    // A tick is 10 ms wherever Linux runs mecha, see sysconf(3), _SC_CLK_TCK.
    ticks / 100.0 / time.as_secs_f64()
}
