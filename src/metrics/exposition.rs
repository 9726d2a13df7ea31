//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::Histogram;

/// What `/metrics` says that it is.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises, until the server starts anew.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Buckets, their sum and their count.
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A text in the making.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// Samples of one name, which follow each other.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins the family `name`. Each name is begun once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        escape(&mut self.text, help, false);
        self.text.push_str("\n# TYPE ");
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(kind.as_str());
        self.text.push('\n');
        Family {
            text: &mut self.text,
            name,
        }
    }

    /// A family with one sample that has no label.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A sample with these labels. `value` is shown as a number that Prometheus reads: an integer or a
    /// float.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The samples of a histogram with these labels.
    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut count = 0;
        for (bound_us, cumulative) in histogram.cumulative() {
            let bound = match bound_us {
                Some(us) => seconds(us).to_string(),
                None => "+Inf".to_owned(),
            };
            self.line("_bucket", labels, Some(&bound), cumulative);
            count = cumulative;
        }
        self.line("_sum", labels, None, seconds(histogram.sum_us()));
        // Not counted once more, so that it agrees with the buckets.
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let all = labels
            .iter()
            .copied()
            .chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (label, value) in all {
            self.text.push(separator);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(self.text, value, true);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, " {value}");
    }
}

/// Microseconds in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float holds microseconds of 285 years exactly"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// Adds `value`, in which a backslash, a line break and, in a label, a quotation mark are escaped.
fn escape(text: &mut String, value: &str, is_label: bool) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if is_label => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn families_are_written_in_the_text_format() {
        let mut exposition = Exposition::default();
        exposition.single("mecha_a", Kind::Gauge, "A \\ \"thing\"\nof ours.", 1.5);
        let mut family = exposition.family("mecha_b_total", Kind::Counter, "B.");
        family.sample(&[("x", "1"), ("y", "2")], 7);
        family.sample(&[("x", "a\"b\\c\nd"), ("y", "ä{}")], u64::MAX);
        let expected = concat!(
            "# HELP mecha_a A \\\\ \"thing\"\\nof ours.\n",
            "# TYPE mecha_a gauge\n",
            "mecha_a 1.5\n",
            "# HELP mecha_b_total B.\n",
            "# TYPE mecha_b_total counter\n",
            "mecha_b_total{x=\"1\",y=\"2\"} 7\n",
            "mecha_b_total{x=\"a\\\"b\\\\c\\nd\",y=\"ä{}\"} 18446744073709551615\n",
        );
        assert_eq!(exposition.into_text(), expected);
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_in_seconds() {
        let histogram = Histogram::new(&[500, 1_000_000]);
        for us in [400, 600, 2_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut exposition = Exposition::default();
        let mut family = exposition.family("h_seconds", Kind::Histogram, "H.");
        family.histogram(&[("w", "x")], &histogram);
        family.histogram(&[], &Histogram::new(&[]));
        let expected = concat!(
            "# HELP h_seconds H.\n",
            "# TYPE h_seconds histogram\n",
            "h_seconds_bucket{w=\"x\",le=\"0.0005\"} 1\n",
            "h_seconds_bucket{w=\"x\",le=\"1\"} 2\n",
            "h_seconds_bucket{w=\"x\",le=\"+Inf\"} 3\n",
            "h_seconds_sum{w=\"x\"} 2.001\n",
            "h_seconds_count{w=\"x\"} 3\n",
            "h_seconds_bucket{le=\"+Inf\"} 0\n",
            "h_seconds_sum 0\n",
            "h_seconds_count 0\n",
        );
        assert_eq!(exposition.into_text(), expected);
    }
}
