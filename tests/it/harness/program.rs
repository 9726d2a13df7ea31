//! The program as a process: its output collected, its end waited for, never left behind.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::time::{wait_for, wait_until};

/// How a process ended and what it printed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// Whether a signal ended it and its memory was written to a file.
    pub(crate) dumped_core: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Everything printed, for looking something up wherever it stands.
    pub(crate) fn printed(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// A running process of the program. Dropping it kills it; in a failing test its standard error
/// is printed.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// The executable under test: that of these tests' build, or the one that [`EXECUTABLE`] names.
fn executable() -> OsString {
    std::env::var_os(EXECUTABLE).unwrap_or_else(|| env!("CARGO_BIN_EXE_mecha").into())
}

/// The variable that names a release build to be tested in place of the tests' own build.
const EXECUTABLE: &str = "MECHA_TEST_EXECUTABLE";

impl Program {
    /// Whether it is a release build.
    pub(crate) fn is_release() -> bool {
        !cfg!(debug_assertions) || std::env::var_os(EXECUTABLE).is_some()
    }

    /// A command line of the program in `home`, cut off from the tests' own environment.
    pub(crate) fn command(home: &Path) -> Command {
        Self::prepared(Command::new(executable()), home)
    }

    /// The same of the copy of the program in `home`, run by another user and group.
    pub(crate) fn command_as(user: u32, home: &Path) -> Command {
        use std::os::unix::process::CommandExt as _;

        let mut command = Self::prepared(Command::new(home.join("mecha")), home);
        command.uid(user).gid(user);
        command
    }

    /// The same behind a shell that runs `commands` first.
    pub(crate) fn command_behind(home: &Path, commands: &str) -> Command {
        let mut command = Command::new("sh");
        let script = format!("{commands}; exec \"$0\" \"$@\"");
        command.args(["-c", &script]).arg(executable());
        Self::prepared(command, home)
    }

    fn prepared(mut command: Command, home: &Path) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MECHA_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(home)
            .env("HOME", home)
            .env("TMPDIR", home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{command:?} does not start: {error}"),
        };
        let stdout = Arc::new(Mutex::new(String::new()));
        let stderr = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take(), &stdout),
            collect(child.stderr.take(), &stderr),
        ];
        Self {
            child,
            stdout,
            stderr,
            readers,
        }
    }

    /// Runs `mecha` with `args` in `home` to its end.
    #[track_caller]
    pub(crate) fn run(home: &Path, args: &[&str]) -> Outcome {
        Self::run_with(home, args, &[])
    }

    /// The same with variables in its environment.
    #[track_caller]
    pub(crate) fn run_with(home: &Path, args: &[&str], env: &[(&str, &str)]) -> Outcome {
        let mut command = Self::command(home);
        command.args(args).envs(env.iter().copied());
        Self::start(command).ended()
    }

    /// What it printed to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it printed to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kilobytes of memory that were its own at most; `None` when it has ended.
    pub(crate) fn resident_peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let digits: String = line?.chars().filter(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Outcome {
        let what = "the process ends";
        let status = wait_for(what, || self.child.try_wait().unwrap());
        self.outcome(status)
    }

    fn outcome(&mut self, status: ExitStatus) -> Outcome {
        // A descendant that holds the pipes would keep them open: that is a fault, too.
        wait_until("nobody holds the program's output any more", || {
            self.readers.iter().all(thread::JoinHandle::is_finished)
        });
        Outcome {
            code: status.code(),
            dumped_core: status.core_dumped(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let log = self.stderr.lock().unwrap();
            let _ = writeln!(std::io::stderr(), "standard error of the program:\n{log}");
        }
    }
}

/// Whether a process with that id exists and is no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    let exists = Pid::from_raw(pid.cast_signed()).is_some_and(|pid| test_kill_process(pid).is_ok());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat
        .rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    exists && !is_zombie
}

fn collect(
    pipe: Option<impl Read + Send + 'static>,
    into: &Arc<Mutex<String>>,
) -> thread::JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            into.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}
