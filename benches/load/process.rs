//! A child process that does not outlive the bench.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;
use rustix::process::{Pid, Signal, kill_process};

use crate::memory;

/// How long a process may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A process counts as quiet when it used no processor time for so long.
const QUIET_TIME: Duration = Duration::from_millis(200);

/// A process that does not become quiet is not waited for any longer.
const QUIET_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether a program has ended.
const OUTPUT_LOOK: Duration = Duration::from_millis(10);

/// The bytes that a process had in memory at most.
const PEAK: &str = "VmHWM:";

/// How much, or how little, a process has done.
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    /// How often its threads have left a processor.
    pub(crate) switches: u32,
    /// Their time on processors.
    pub(crate) busy: Duration,
}

impl Rest {
    /// What was done after `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            switches: self.switches.saturating_sub(earlier.switches),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }
}

/// A child process. Dropped, it is killed.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        Ok(Self { name, child })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes in memory now.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        memory::of(self.id(), memory::NOW)
    }

    /// Bytes in memory at most since it started.
    pub(crate) fn memory_peak(&self) -> io::Result<u64> {
        memory::of(self.id(), PEAK)
    }

    /// Bytes that it had the kernel write to disk since it started; see `proc_pid_io(5)`. A process
    /// that is not dumpable shows them to root alone.
    pub(crate) fn written(&self) -> io::Result<u64> {
        let path = format!("/proc/{}/io", self.id());
        let text = fs::read_to_string(&path)?;
        let bytes = |line: &str| line.strip_prefix("write_bytes: ")?.parse().ok();
        let bytes = text.lines().find_map(bytes);
        bytes.ok_or_else(|| io::Error::other(format!("{path} has no write_bytes")))
    }

    /// What its threads have done so far.
    pub(crate) fn rest(&self) -> io::Result<Rest> {
        let mut rest = Rest {
            switches: 0,
            busy: Duration::ZERO,
        };
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let thread = thread?.path();
            let status = fs::read_to_string(thread.join("status"))?;
            let counts = status.lines().filter_map(|line| {
                let (name, count) = line.split_once(':')?;
                let is_one = name.ends_with("voluntary_ctxt_switches");
                is_one.then(|| count.trim().parse::<u32>().ok())?
            });
            rest.switches = rest.switches.saturating_add(counts.sum());
            // Nanoseconds on a processor, those in line for one, and turns.
            let times = fs::read_to_string(thread.join("schedstat"))?;
            let busy = times.split(' ').next().and_then(|time| time.parse().ok());
            let busy = busy.ok_or_else(|| io::Error::other("schedstat has no time"))?;
            rest.busy = rest.busy.saturating_add(Duration::from_nanos(busy));
        }
        Ok(rest)
    }

    /// Waits until it does nothing, so that it does not disturb the next measurement.
    pub(crate) async fn quiet(&self) -> io::Result<()> {
        let began = monotonic();
        let mut used = self.processor_ticks()?;
        while monotonic().duration_since(began) < QUIET_PATIENCE {
            Timer::after(QUIET_TIME).await;
            let before = std::mem::replace(&mut used, self.processor_ticks()?);
            if before == used {
                break;
            }
        }
        Ok(())
    }

    /// Ends it with SIGTERM and waits for its end.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        let name = self.name;
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = monotonic();
        while monotonic().duration_since(began) < STOP_PATIENCE {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(io::Error::other(format!("{name} ended with {status}")));
                }
                None => Timer::after(Duration::from_millis(1)).await,
            };
        }
        Err(io::Error::other(format!(
            "{name} did not end after SIGTERM"
        )))
    }

    /// Ends it with SIGQUIT, and waits for its end for so long. That it does not end then is for who
    /// drops it.
    pub(crate) fn quit(&mut self, patience: Duration) {
        let began = monotonic();
        if kill_process(Pid::from_child(&self.child), Signal::QUIT).is_err() {
            return;
        }
        while monotonic().duration_since(began) < patience && matches!(self.ended(), Ok(None)) {
            thread::sleep(OUTPUT_LOOK);
        }
    }

    /// `utime` and `stime` of /proc/PID/stat, see `proc_pid_stat(5)`.
    pub(crate) fn processor_ticks(&self) -> io::Result<u64> {
        let path = format!("/proc/{}/stat", self.id());
        let stat = fs::read_to_string(&path)?;
        // The name in parentheses may have blanks; the state behind it is field 3.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = rest.split_ascii_whitespace().skip(11).take(2);
        let ticks: Option<Vec<u64>> = ticks.map(|field| field.parse().ok()).collect();
        match ticks.as_deref() {
            Some([user, system]) => Ok(user.saturating_add(*system)),
            _ => Err(io::Error::other(format!("{path} has no times"))),
        }
    }
}

/// Runs `command` to its end, which must be a success, and gives what it printed. That is kept in
/// `file` meanwhile.
pub(crate) async fn output(
    name: &'static str,
    command: &mut Command,
    file: &Path,
    patience: Duration,
) -> io::Result<String> {
    command
        .stdin(Stdio::null())
        .stdout(File::create(file)?)
        .stderr(Stdio::inherit());
    let mut process = Process::start(name, command)?;
    let began = monotonic();
    while monotonic().duration_since(began) < patience {
        match process.ended()? {
            Some(status) if status.success() => return fs::read_to_string(file),
            Some(status) => return Err(io::Error::other(format!("{name} ended with {status}"))),
            None => Timer::after(OUTPUT_LOOK).await,
        };
    }
    Err(io::Error::other(format!("{name} does not end")))
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to be done.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
