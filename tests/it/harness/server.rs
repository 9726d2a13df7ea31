//! `mecha serve` under test: started on port 0 with a data directory that outlives it.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use tempfile::TempDir;

use super::api::Api;
use super::connection::Connection;
use super::endpoint_worker::unused_address;
use super::program::{Outcome, Program};
use super::request::Request;
use super::time::wait_for;

/// How a server is to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    home: TempDir,
    addr: String,
    log: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    has_config: bool,
    key: Option<String>,
    prelude: Option<String>,
    is_unprivileged: bool,
}

/// A server that is to be started without a configuration file.
pub(crate) fn server() -> Launch {
    Launch {
        home: tempfile::tempdir().unwrap(),
        addr: "127.0.0.1:0".to_owned(),
        log: "json".to_owned(),
        args: Vec::new(),
        env: Vec::new(),
        has_config: false,
        key: None,
        prelude: None,
        is_unprivileged: false,
    }
}

/// A user that nothing belongs to, for tests that root runs.
const NOBODY: u32 = 65_532;

impl Launch {
    /// With this configuration file.
    pub(crate) fn config(mut self, text: impl AsRef<str>) -> Self {
        self.write_config(text);
        self.has_config = true;
        self
    }

    /// On this address.
    pub(crate) fn addr(mut self, addr: &str) -> Self {
        addr.clone_into(&mut self.addr);
        self
    }

    /// With `--log FORMAT`.
    pub(crate) fn log(mut self, format: &str) -> Self {
        format.clone_into(&mut self.log);
        self
    }

    /// With one more argument.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With a variable in its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// By a shell that runs `commands` first and then becomes the server.
    pub(crate) fn prelude(mut self, commands: &str) -> Self {
        self.prelude = Some(commands.to_owned());
        self
    }

    /// As a user without special rights: the tests' own, or, where that is root, one that has its
    /// home and a copy of the program there.
    pub(crate) fn unprivileged(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            let program = self.home().join("mecha");
            std::fs::copy(env!("CARGO_BIN_EXE_mecha"), &program).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&program, mode).unwrap();
            chown(self.home(), Some(NOBODY), Some(NOBODY)).unwrap();
            self.is_unprivileged = true;
        }
        self
    }

    /// The key that the test's own requests carry.
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn write_config(&self, text: impl AsRef<str>) {
        std::fs::write(self.home.path().join("mecha.toml"), text.as_ref()).unwrap();
    }

    fn spawn(&self) -> Program {
        let mut command = match &self.prelude {
            None if self.is_unprivileged => Program::command_as(NOBODY, self.home()),
            None => Program::command(self.home()),
            Some(commands) => Program::command_behind(self.home(), commands),
        };
        command.arg("serve").args(["--addr", &self.addr]);
        command.arg("--data").arg(self.data());
        command.args(["--log", &self.log]);
        if self.has_config {
            command.args(["--config", "mecha.toml"]);
        }
        command.args(&self.args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Program::start(command)
    }

    /// Starts the server and waits until it answers.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let mut program = self.spawn();
        let addr = wait_for("the server names its address", || {
            let log = program.stderr();
            let addr = log.lines().find_map(bound_address);
            assert!(
                addr.is_some() || program.is_running(),
                "the server ended:\n{log}"
            );
            addr
        });
        let api = Api {
            addr,
            key: self.key.clone(),
        };
        wait_for("the server is healthy", || {
            let mut connection = Connection::try_open(addr).ok()?;
            let is_healthy = connection.ask(&Request::get("/health")).status == 200;
            is_healthy.then_some(())
        });
        Server {
            api,
            program,
            launch: self,
        }
    }

    /// Starts the server where it must refuse, and gives its end.
    #[track_caller]
    pub(crate) fn refused(&self) -> Outcome {
        self.spawn().ended()
    }
}

/// The address in the log line `listening on http://HOST:PORT`; a wildcard is reached by
/// loopback.
fn bound_address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    let is_address = |c: char| c.is_ascii_hexdigit() || ".:[]".contains(c);
    let end = rest.find(|c| !is_address(c)).unwrap_or(rest.len());
    let mut addr: SocketAddr = rest.get(..end)?.parse().ok()?;
    if addr.ip().is_unspecified() {
        addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Some(addr)
}

/// A running server; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    api: Api,
    program: Program,
    launch: Launch,
}

impl Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Server {
    /// A server with this configuration file.
    #[track_caller]
    pub(crate) fn with(config: impl AsRef<str>) -> Self {
        server().config(config).start()
    }

    /// A client for another thread.
    pub(crate) fn api(&self) -> Api {
        self.api.clone()
    }

    pub(crate) fn home(&self) -> &Path {
        self.launch.home()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.launch.data()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// Runs `mecha` with `args` as a client of this server to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Program::start(self.client(args)).ended()
    }

    /// The command line of such a client.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        let mut command = Program::command(self.home());
        command.args(args);
        command.env("MECHA_ADDR", self.addr.to_string());
        command
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.program.stderr()
    }

    /// Waits until the log holds `text`, whatever the case of its letters.
    #[track_caller]
    pub(crate) fn logs(&self, text: &str) {
        let text = text.to_lowercase();
        wait_for(&format!("the log says {text:?}"), || {
            self.log().to_lowercase().contains(&text).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Allows the running server `most` of `resource` from now on.
    pub(crate) fn allow(&self, resource: Resource, most: u64) {
        let pid = Pid::from_raw(self.pid().cast_signed());
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        prlimit(pid, resource, limit).unwrap();
    }

    /// Whether the kernel shows the files that it has open: the server hides itself from all but
    /// root.
    pub(crate) fn shows_open_files(&self) -> bool {
        let is_shown = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).is_ok();
        if !is_shown {
            let _ = std::io::stderr().write_all(b"skipped: root alone can count open files\n");
        }
        is_shown
    }

    /// How many files, sockets and pipes it has open.
    pub(crate) fn open_files(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(directory).unwrap().count()
    }

    /// The number that the next file gets which it opens: the lowest that is free.
    pub(crate) fn next_file(&self) -> u64 {
        let is_free = |number: &u64| {
            let path = format!("/proc/{}/fd/{number}", self.pid());
            std::fs::symlink_metadata(path).is_err()
        };
        (0..1_000_000).find(is_free).unwrap()
    }

    /// Processor time that it has used, in hundredths of a second: `utime` and `stime` of
    /// `proc_pid_stat(5)`.
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name in parentheses may have blanks; the state behind it is field 3.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_ascii_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Kilobytes of memory that are its own now.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let digits: String = line.unwrap().chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// Writes another configuration file and asks the server to read it.
    pub(crate) fn reload(&self, config: impl AsRef<str>) {
        self.launch.write_config(config);
        self.signal(Signal::HUP);
    }

    /// `kill -9`.
    #[track_caller]
    pub(crate) fn kill(self) -> Stopped {
        self.signal(Signal::KILL);
        self.ended()
    }

    /// Asks it to stop, and expects the exit code 0.
    #[track_caller]
    pub(crate) fn stop(self) -> Stopped {
        self.signal(Signal::TERM);
        let stopped = self.ended();
        assert_eq!(stopped.outcome.code, Some(0), "{:#?}", stopped.outcome);
        stopped
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(self) -> Stopped {
        Stopped {
            outcome: self.program.ended(),
            launch: self.launch,
        }
    }
}

/// A server that has ended; its data directory is still there.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) outcome: Outcome,
    launch: Launch,
}

impl Stopped {
    /// Starts it again on the same data directory, on another port.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        self.launch.start()
    }

    /// Starts it again where it must refuse, and gives its end.
    #[track_caller]
    pub(crate) fn refused(&self) -> Outcome {
        self.launch.refused()
    }

    /// With another configuration file from now on.
    pub(crate) fn config(mut self, text: impl AsRef<str>) -> Self {
        self.launch = self.launch.config(text);
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.launch.data()
    }
}

/// A `[[worker]]` table of an endpoint worker.
pub(crate) fn endpoint_worker(name: &str, endpoint: &str, settings: &str) -> String {
    format!("[[worker]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\n{settings}\n")
}

/// A `[[worker]]` table of a worker that is never online: its tasks stay pending.
pub(crate) fn offline_worker(name: &str) -> String {
    endpoint_worker(name, &format!("http://{}", unused_address()), "")
}

/// A `[[worker]]` table of a command worker.
pub(crate) fn command_worker(name: &str, command: &[&str], settings: &str) -> String {
    // A JSON array of strings is a TOML array of strings.
    let command = serde_json::json!(command);
    format!("[[worker]]\nname = \"{name}\"\ncommand = {command}\n{settings}\n")
}

#[test]
fn the_address_is_found_in_text_and_json_lines() {
    for line in [
        "2026-03-30T12:00:00.000Z info listening on http://127.0.0.1:4711",
        r#"{"level":"info","message":"listening on http://127.0.0.1:4711, no key"}"#,
        r#"{"message":"listening on http://0.0.0.0:4711"}"#,
    ] {
        assert_eq!(bound_address(line), "127.0.0.1:4711".parse().ok(), "{line}");
    }
    assert_eq!(bound_address("listening on nothing"), None);
}
