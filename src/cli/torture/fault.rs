//! What did not hold.

/// Texts that are kept; the others are counted.
const TEXTS_MAX: usize = 20;

/// How a promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It was acknowledged and is gone.
    Lost,
    /// It is not what it was.
    Changed,
    /// It ran after its end.
    RanAgain,
    /// An attempt's number was used for two.
    AttemptTwice,
    /// There is more than one for a key or a delivery.
    Doubled,
    /// The server did not start, did not answer, or ended by itself.
    Server,
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::Lost,
        Self::Changed,
        Self::RanAgain,
        Self::AttemptTwice,
        Self::Doubled,
        Self::Server,
    ];

    /// Its line in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::RanAgain => "run again after its end",
            Self::AttemptTwice => "attempt number used twice",
            Self::Doubled => "doubled",
            Self::Server => "server failed",
        }
    }

    /// Its name in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::RanAgain => "run_again",
            Self::AttemptTwice => "attempt_twice",
            Self::Doubled => "doubled",
            Self::Server => "server_failed",
        }
    }
}

/// All faults: counted, and the first of them in words.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    counts: [u64; Fault::ALL.len()],
    texts: Vec<String>,
}

impl Faults {
    /// Something did not hold.
    pub(super) fn add(&mut self, fault: Fault, text: String) {
        for (known, count) in Fault::ALL.into_iter().zip(&mut self.counts) {
            if known == fault {
                *count = count.saturating_add(1);
            }
        }
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(text);
        }
    }

    /// Whether all held.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// How many there were of each.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.counts)
    }

    /// The first of them.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }
}
