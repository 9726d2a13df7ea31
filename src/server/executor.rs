//! The threads that run connections and attempts, and the open files they may have.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use log::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::channel::{Sender, bounded};
use smol::{Executor, future};

use crate::footprint::Footprint;
use crate::queue::Queue;
use crate::relief::Relief;

/// More threads than this win nothing.
const THREADS_MAX: usize = 4;

/// Threads that run an executor.
pub(super) struct Threads {
    /// Dropped to stop them.
    running: Option<Sender<()>>,
    handles: Vec<JoinHandle<()>>,
    relief: Option<Relief>,
}

impl Threads {
    /// Starts one thread for each core but one, four at most, and one on a small host. What takes long has threads of
    /// its own.
    pub(super) fn start(
        executor: &Arc<Executor<'static>>,
        footprint: Footprint,
    ) -> io::Result<Self> {
        blocking::set_max_blocking_threads(footprint.blocking_threads);
        let (running, stopped) = bounded::<()>(1);
        // One core is for the writer and the matcher. Two threads on two cores wake each other with
        // every request and take turns with the writer.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let most = if footprint.is_small { 1 } else { THREADS_MAX };
        let count = cores.saturating_sub(1).clamp(1, most);
        let mut handles = Vec::with_capacity(count);
        for number in 0..count {
            let (executor, stopped) = (Arc::clone(executor), stopped.clone());
            let run = move || {
                let work = executor.run(stopped.recv());
                // One thread waits for sockets and timers, the others for work alone: several
                // that do both hand the wait to each other with every request. It ends with an
                // error, when the sender is dropped.
                let _ = if number == 0 {
                    smol::block_on(work)
                } else {
                    future::block_on(work)
                };
            };
            handles.push(
                thread::Builder::new()
                    .name(format!("executor-{number}"))
                    .spawn(run)?,
            );
        }
        let relief = if footprint.is_small {
            None
        } else {
            let relief = Relief::default();
            handles.push(start_relief(executor, relief.clone())?);
            Some(relief)
        };
        Ok(Self {
            running: Some(running),
            handles,
            relief,
        })
    }

    /// Lets whoever asks `queue` alone carry out his command, and relieves him. On a small host nobody does.
    pub(super) fn relieve(&self, queue: &Queue) {
        if let Some(relief) = &self.relief {
            queue.relieve_with(relief.clone());
        }
    }

    /// Stops the threads; tasks that have not ended are dropped with the executor. A thread that blocks is not waited
    /// for: when the store has failed, its commit may never return.
    pub(super) fn stop(mut self) {
        self.running = None;
        if let Some(relief) = &self.relief {
            relief.end();
            if relief.is_needed() {
                return;
            }
        }
        for handle in self.handles.drain(..) {
            // A panic of a task is caught where the task is run.
            let _ = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(relief) = &self.relief {
            relief.end();
        }
    }
}

/// Starts the thread that serves while one of the others blocks.
fn start_relief(executor: &Arc<Executor<'static>>, relief: Relief) -> io::Result<JoinHandle<()>> {
    let executor = Arc::clone(executor);
    let run = move || {
        while let Some(goes_on) = relief.wait() {
            // It ends with an error, when the other one goes on.
            let _ = smol::block_on(executor.run(goes_on.recv()));
        }
    };
    thread::Builder::new().name("relief".to_owned()).spawn(run)
}

/// Files that the store, its background work, attempts and the rest may have open, whatever the
/// connections do. When the engine cannot open a file the store has failed.
const FILES_KEPT: u64 = 256;

/// Raises the limit of open files to what the system allows: each connection is one.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(errno) = setrlimit(Resource::Nofile, raised) {
        warn!(
            "the limit of open files stays at {:?}: {errno}",
            limit.current
        );
    }
}

/// Connections that may be open at once: those that are `wanted`, as far as the limit of open
/// files leaves room for them.
pub(super) fn connections(wanted: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let connections = within(wanted, files);
    if connections < wanted {
        warn!(
            "limits.connections is {wanted}, but {} files may be open: {connections} connections \
             are accepted at once; raise the hard limit of open files (ulimit -Hn)",
            files.unwrap_or_default()
        );
    }
    connections
}

fn within(wanted: usize, files: Option<u64>) -> usize {
    let room = files.map_or(u64::MAX, |files| files - FILES_KEPT.min(files / 2));
    wanted
        .min(usize::try_from(room).unwrap_or(usize::MAX))
        .max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_blocks_is_relieved() {
        let executor = Arc::new(Executor::new());
        let threads = Threads::start(&executor, Footprint::ROOMY).unwrap();
        let relief = threads.relief.clone().unwrap();
        let count = threads.handles.len() - 1;
        let barrier = Arc::new(Barrier::new(count + 1));
        let blocking: Vec<_> = (0..count)
            .map(|number| {
                let (relief, barrier) = (relief.clone(), Arc::clone(&barrier));
                executor.spawn(async move {
                    let _blocked = (number == 0).then(|| relief.block());
                    barrier.wait();
                })
            })
            .collect();
        // All threads are taken: the one that relieves runs this, and the timer.
        let freeing = executor.spawn(async move {
            smol::Timer::after(Duration::from_millis(20)).await;
            barrier.wait();
        });
        future::block_on(async {
            for task in blocking {
                task.await;
            }
            freeing.await;
        });
        threads.stop();
    }

    #[test]
    fn connections_leave_files_for_the_store() {
        for (wanted, files, connections) in [
            (1_024, None, 1_024),
            (1_024, Some(20_000), 1_024),
            (1_024, Some(1_280), 1_024),
            (1_024, Some(1_024), 768),
            (1_024, Some(256), 128),
            (100, Some(1_024), 100),
            (100, Some(0), 1),
        ] {
            assert_eq!(within(wanted, files), connections, "{wanted} of {files:?}");
        }
    }
}
