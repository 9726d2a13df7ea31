//! Faults at the store's edge, for tests alone: the n-th operation of a kind fails.
//!
//! Nothing of this is in the program: the module and the calls of it are built for the unit tests
//! only.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::Error;

/// What the store does at its edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A batch is committed.
    Commit,
    /// A row, or the rows of a range, are read.
    Read,
    /// Memtables are looked at, and written out if they are large.
    Rotate,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It fails before it does anything.
    Before,
    /// It is done, and fails all the same: whoever asked does not know.
    After,
    /// It panics before it does anything.
    Panic,
}

/// One fault that is to come; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    next: Option<(Operation, Failure)>,
    /// Operations of that kind that go well before.
    left: u64,
    was_met: bool,
}

impl Faults {
    /// Lets the `number`-th `operation` from now on fail, 1 being the next. A later call replaces
    /// an earlier one.
    pub(crate) fn arm(&self, operation: Operation, failure: Failure, number: u64) {
        *self.plan() = Plan {
            next: Some((operation, failure)),
            left: number.saturating_sub(1),
            was_met: false,
        };
    }

    /// Lets nothing fail any more. Gives the number that is left of what did not fail, `None` when
    /// it did.
    pub(crate) fn disarm(&self) -> Option<u64> {
        let mut plan = self.plan();
        plan.next = None;
        (!plan.was_met).then_some(plan.left.saturating_add(1))
    }

    /// The start of an operation. Gives what its end is to be, if it is to fail then.
    ///
    /// # Panics
    ///
    /// Where it is to panic.
    pub(super) fn meet(&self, operation: Operation) -> Result<Option<Error>, Error> {
        let mut plan = self.plan();
        let Some((planned, failure)) = plan.next else {
            return Ok(None);
        };
        if planned != operation {
            return Ok(None);
        }
        if plan.left > 0 {
            plan.left -= 1;
            return Ok(None);
        }
        plan.next = None;
        plan.was_met = true;
        drop(plan);
        let error = Error::Io {
            action: format!("do what the test lets fail ({operation:?})"),
            source: io::Error::other("injected"),
        };
        match failure {
            Failure::Before => Err(error),
            Failure::After => Ok(Some(error)),
            // The panic hook would print a line for each of them.
            Failure::Panic => std::panic::resume_unwind(Box::new("injected")),
        }
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
