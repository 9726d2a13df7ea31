//! Child processes and their groups: started, seen to exit, ended, reaped.
//!
//! Each child leads a process group of its own, so that what it starts can be ended with it.
//! INVARIANT: a group is signalled only before its leader is reaped. Until then the kernel keeps
//! the leader's number, so a signal can't reach a stranger that was given the number anew.
//!
//! As process 1 of a container the server also inherits every orphan there and reaps it. When
//! the server itself is killed with SIGKILL, its children are not: they live on until they end
//! by themselves or the container does.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_signal::{Signal as CaughtSignal, Signals};
use event_listener::Event;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use smol::stream::StreamExt;

/// All children of the server.
pub(super) struct Children {
    state: Mutex<State>,
    /// Wakes after each SIGCHLD.
    exits: Event,
    signals: Signals,
    /// Whether orphans are the server's to reap.
    is_init: bool,
}

#[derive(Default)]
struct State {
    /// Children that are not reaped yet, each the leader of its group.
    unreaped: HashSet<Pid>,
    /// Killed children that nobody waits for any more.
    abandoned: Vec<Child>,
}

impl Children {
    /// Installs the handler for SIGCHLD.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::default()),
            exits: Event::new(),
            signals: Signals::new([CaughtSignal::Child])?,
            is_init: rustix::process::getpid().is_init(),
        })
    }

    /// Tells the groups that a child exited, and reaps those that nobody waits for. Must run as
    /// long as there are groups; never returns.
    pub(super) async fn watch(&self) {
        loop {
            (&self.signals).next().await;
            let mut state = self.lock();
            let State {
                unreaped,
                abandoned,
            } = &mut *state;
            abandoned.retain_mut(|child| {
                let is_running = matches!(child.try_wait(), Ok(None));
                if !is_running {
                    unreaped.remove(&Pid::from_child(child));
                }
                is_running
            });
            if self.is_init {
                reap_orphans(unreaped);
            }
            drop(state);
            self.exits.notify(usize::MAX);
        }
    }

    /// Starts `command` as the leader of a new process group.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<(Group<'_>, Pipes)> {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
        // Held until the child is known, so that it can't pass for an orphan in between.
        let mut state = self.lock();
        let mut child = command.spawn()?;
        let leader = Pid::from_child(&child);
        state.unreaped.insert(leader);
        drop(state);
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let group = Group {
            children: self,
            leader,
            child: Some(child),
        };
        Ok((group, pipes))
    }

    /// Kills all groups.
    pub(super) fn kill_all(&self) {
        for leader in &self.lock().unreaped {
            let _ = rustix::process::kill_process_group(*leader, Signal::KILL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's ends of a child's standard streams, where they are pipes.
pub(super) struct Pipes {
    pub(super) stdin: Option<std::process::ChildStdin>,
    pub(super) stdout: Option<std::process::ChildStdout>,
    pub(super) stderr: Option<std::process::ChildStderr>,
}

/// A process group whose leader is a child of the server. Dropped before its leader was reaped,
/// it is killed.
pub(super) struct Group<'a> {
    children: &'a Children,
    leader: Pid,
    /// The leader; absent once it is reaped.
    child: Option<Child>,
}

impl Group<'_> {
    /// Waits until the leader has exited. It stays a zombie, which keeps its number, until
    /// [`Group::reap`].
    pub(super) async fn exited(&self) {
        loop {
            let next_exit = self.children.exits.listen();
            if self.has_exited() {
                return;
            }
            next_exit.await;
        }
    }

    /// Sends `signal` to every process of the group; does nothing once the leader is reaped.
    pub(super) fn signal(&self, signal: Signal) {
        if self.child.is_some() {
            // It fails when no process is left, which is what a signal is to bring about.
            let _ = rustix::process::kill_process_group(self.leader, signal);
        }
    }

    /// The exit status of a leader that has exited.
    pub(super) fn reap(mut self) -> io::Result<ExitStatus> {
        let Some(mut child) = self.child.take() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // Locked first, so that the number is not signalled once it is free.
        let mut state = self.children.lock();
        let waited = child.try_wait();
        if let Ok(None) = waited {
            drop(state);
            self.child = Some(child);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.unreaped.remove(&self.leader);
        drop(state);
        waited?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that there is no such child: nothing is left to wait for.
        !matches!(
            rustix::process::waitid(WaitId::Pid(self.leader), options),
            Ok(None)
        )
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let Some(mut child) = self.child.take() else {
            return;
        };
        let mut state = self.children.lock();
        match child.try_wait() {
            Ok(None) => state.abandoned.push(child),
            _ => {
                state.unreaped.remove(&self.leader);
            }
        }
    }
}

/// Reaps zombies that are not in `unreaped`. The kernel hands orphans to the main thread of
/// process 1, whose children `/proc` lists. Without that file orphans stay zombies.
fn reap_orphans(unreaped: &HashSet<Pid>) {
    let children = fs::read_to_string("/proc/1/task/1/children").unwrap_or_default();
    for orphan in orphans(&children, unreaped) {
        let _ = rustix::process::waitpid(Some(orphan), WaitOptions::NOHANG);
    }
}

/// The numbers in `children` that are not in `unreaped`.
fn orphans<'a>(children: &'a str, unreaped: &'a HashSet<Pid>) -> impl Iterator<Item = Pid> + 'a {
    children
        .split_ascii_whitespace()
        .filter_map(|number| Pid::from_raw(i32::try_from(number.parse::<u32>().ok()?).ok()?))
        .filter(|pid| !unreaped.contains(pid))
}

#[cfg(test)]
mod tests {
    use smol::future::FutureExt;

    use super::*;

    fn with_children<T>(test: impl AsyncFnOnce(&Children) -> T) -> T {
        let children = Children::new().unwrap();
        smol::block_on(test(&children).or(async {
            children.watch().await;
            unreachable!("watching never ends")
        }))
    }

    #[test]
    fn an_exit_is_seen_before_it_is_reaped() {
        with_children(async |children| {
            let mut command = Command::new("sh");
            command.args(["-c", "exit 3"]);
            let (group, _) = children.spawn(&mut command).unwrap();
            group.exited().await;
            let leader = group.leader;
            assert!(rustix::process::test_kill_process(leader).is_ok());
            assert_eq!(group.reap().unwrap().code(), Some(3));
            assert!(rustix::process::test_kill_process(leader).is_err());
            assert!(children.lock().unreaped.is_empty());
        });
    }

    #[test]
    fn a_dropped_group_is_killed_and_reaped() {
        with_children(async |children| {
            let (group, _) = children.spawn(Command::new("sleep").arg("600")).unwrap();
            let leader = group.leader;
            drop(group);
            loop {
                let exit = children.exits.listen();
                if children.lock().unreaped.is_empty() {
                    break;
                }
                exit.await;
            }
            assert!(rustix::process::test_kill_process(leader).is_err());
        });
    }

    #[test]
    fn all_groups_can_be_killed_at_once() {
        with_children(async |children| {
            let mut command = Command::new("sleep");
            command.arg("600");
            let (first, _) = children.spawn(&mut command).unwrap();
            let (second, _) = children.spawn(&mut command).unwrap();
            children.kill_all();
            first.exited().await;
            second.exited().await;
        });
    }

    /// `unshare --pid --fork --mount-proc` makes the test binary process 1.
    #[test]
    #[ignore = "must run as process 1"]
    fn process_1_reaps_orphans() {
        with_children(async |children| {
            assert!(children.is_init);
            let mut command = Command::new("sh");
            command.args(["-c", "setsid sleep 0.2 & setsid sleep 0.4 & exit 0"]);
            let (group, _) = children.spawn(&mut command).unwrap();
            let mut others = Command::new("sleep");
            let (other, _) = children.spawn(others.arg("600")).unwrap();
            group.exited().await;
            assert!(group.reap().unwrap().success());
            let adopted = || {
                let numbers = fs::read_to_string("/proc/1/task/1/children").unwrap();
                orphans(&numbers, &children.lock().unreaped).count()
            };
            assert_eq!(adopted(), 2);
            loop {
                let exit = children.exits.listen();
                if adopted() == 0 {
                    break;
                }
                exit.await;
            }
            assert!(!other.has_exited());
        });
    }

    #[test]
    fn orphans_are_the_children_that_were_not_started_here() {
        let unreaped = [7, 9].into_iter().filter_map(Pid::from_raw).collect();
        let found: Vec<_> = orphans("5 7 8 9 x 0 -1 ", &unreaped)
            .map(|pid| pid.as_raw_nonzero().get())
            .collect();
        assert_eq!(found, [5, 8]);
        assert_eq!(orphans("", &unreaped).count(), 0);
    }
}
