//! A worker that has left the roster.

use std::mem::size_of;

use crate::worker::{Target, Worker, WorkerName};

/// What is shown of a worker that is there no longer; neither its secrets nor its program are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLeft {
    /// Its name.
    pub name: WorkerName,
    /// The URL of its root; a command had none.
    pub endpoint: Option<Box<str>>,
    /// Attempts at once.
    pub concurrency: u32,
}

impl WorkerLeft {
    /// What is kept of `worker`.
    pub fn new(worker: &Worker) -> Self {
        let endpoint = match &worker.target {
            Target::Endpoint { endpoint, .. } => Some(endpoint.to_string().into_boxed_str()),
            Target::Command { .. } => None,
        };
        Self {
            name: worker.name.clone(),
            endpoint,
            concurrency: worker.concurrency,
        }
    }

    /// Bytes that it takes where it is shared: itself, its texts and two counts.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.name.as_str().len() + self.endpoint.as_deref().map_or(0, str::len);
        size_of::<[usize; 2]>() + size_of::<Self>() + texts
    }
}
