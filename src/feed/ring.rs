//! The last changes in the order of their numbers.

use std::collections::VecDeque;

use super::{CHANGES_MAX, Change, LEFT_BYTES_MAX};

/// The last changes of tasks and events, and the number of the last one of a worker.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// INVARIANT: numbers rise, and all are above `lost`.
    changes: VecDeque<(u64, Change)>,
    /// The number of the last change of all.
    newest: u64,
    /// The number of the last change that has left the ring.
    lost: u64,
    /// The number of the last change of a worker.
    worker: u64,
    /// Bytes of the workers that left, among the changes.
    left_bytes: usize,
}

/// Changes behind a position.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The changes with their numbers, lowest first.
    pub changes: Vec<(u64, Change)>,
    /// Every change of the ring up to this number is among them.
    pub to: u64,
    /// Whether no change follows.
    pub is_last: bool,
    /// Whether a worker has changed behind the position.
    pub has_workers: bool,
}

impl Ring {
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn push(&mut self, change: Change) {
        let bytes = left_bytes(&change);
        while self.changes.len() >= CHANGES_MAX
            || (bytes > 0 && self.left_bytes.saturating_add(bytes) > LEFT_BYTES_MAX)
        {
            let Some((number, gone)) = self.changes.pop_front() else {
                break;
            };
            self.lost = number;
            self.left_bytes = self.left_bytes.saturating_sub(left_bytes(&gone));
        }
        self.left_bytes = self.left_bytes.saturating_add(bytes);
        self.newest = self.newest.saturating_add(1);
        self.changes.push_back((self.newest, change));
    }

    /// The number of a worker's change, which is made now.
    pub(super) fn stamp_worker(&mut self) -> u64 {
        self.newest = self.newest.saturating_add(1);
        self.worker = self.newest;
        self.newest
    }

    /// The changes behind the one of number `at`, `most` at most; `None` where some of them are gone.
    pub(super) fn behind(&self, at: u64, most: usize) -> Option<Batch> {
        if at < self.lost {
            return None;
        }
        let start = self.changes.partition_point(|(number, _)| *number <= at);
        let following = self.changes.range(start..);
        let is_last = following.len() <= most;
        let changes: Vec<_> = following.take(most).cloned().collect();
        let to = match changes.last() {
            Some((last, _)) if !is_last => *last,
            _ => self.newest,
        };
        Some(Batch {
            changes,
            to,
            is_last,
            has_workers: self.worker > at,
        })
    }
}

/// What a change takes beside its place in the ring. Names of workers are shared with the queue.
fn left_bytes(change: &Change) -> usize {
    match change {
        Change::WorkerLeft(worker) => worker.bytes(),
        Change::Task(_) | Change::Event(_) => 0,
    }
}
