//! What is aimed at, and whether it was reached: the last table of a run.

use std::io;

use crate::report::{self, Series, number};

/// What a figure is held against.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// It must not be lower.
    AtLeast(f64),
    /// It must not be higher.
    AtMost(f64),
}

/// What is said of a figure that there is not.
const NOT_MEASURED: &str = "not measured";

/// The rows so far.
#[derive(Default)]
pub(crate) struct Summary(Vec<Vec<String>>);

impl Summary {
    /// Holds the median of `measured` against `target`. Without a figure the row says that there is
    /// none.
    pub(crate) fn judge(
        &mut self,
        name: &str,
        target: Target,
        unit: &str,
        measured: &Series,
        decimals: usize,
    ) {
        let (sign, bound) = match target {
            Target::AtLeast(bound) => ("≥", bound),
            Target::AtMost(bound) => ("≤", bound),
        };
        let verdict = match (measured.median(), target) {
            (None, _) => NOT_MEASURED,
            (Some(median), Target::AtLeast(bound)) if median >= bound => "held",
            (Some(median), Target::AtMost(bound)) if median <= bound => "held",
            (Some(_), _) => "**missed**",
        };
        let unit_measured = if verdict == NOT_MEASURED { "" } else { unit };
        self.0.push(vec![
            name.to_owned(),
            format!("{sign} {}{unit}", number(bound, decimals)),
            format!("{}{unit_measured}", measured.cell(decimals)),
            verdict.to_owned(),
        ]);
    }

    /// Prints the table, if there is anything in it.
    pub(crate) fn show(&self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        report::table(&["row", "target", "measured", ""], &self.0)
    }
}
