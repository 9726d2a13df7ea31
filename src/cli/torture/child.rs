//! The server under torture: this same program as a child process, which can be killed.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::remote::Remote;
use crate::clock::monotonic;
use crate::secret::Secret;
use crate::terminal::on_one_line;

/// How long a start may take, and an end in order.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks at a process that is to end.
const PAUSE: Duration = Duration::from_millis(5);

/// What the log says in front of the address, and when a torn batch was cut.
const LISTENING: &str = "listening on http://";
const CUT: &str = "cut a batch that was never acknowledged";

/// Bytes of a life's log that are kept, and of one line.
const LOG_MAX: u64 = 32 << 20;
const LINE_MAX: u64 = 64 << 10;

/// How the server is started.
pub(super) struct Launch {
    pub(super) executable: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) key: Secret,
    /// How often a torn batch was cut, in all lives.
    pub(super) cut: Arc<AtomicU64>,
}

impl Launch {
    /// Where the server keeps its data.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Its log; the one of the life before has `.1` behind its name.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("serve.log")
    }

    /// Lets `mecha check --data` read the whole directory, whose server has ended.
    pub(super) fn check(&self) -> Result<(), String> {
        let output = Command::new(&self.executable)
            .args(["check", "--data"])
            .arg(self.data())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", self.executable.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = on_one_line(&String::from_utf8_lossy(&said));
        Err(format!("mecha check --data: {}: {said}", output.status))
    }

    /// Starts the server without waiting for it.
    pub(super) fn begin(&self) -> Result<Starting, String> {
        let log = self.log();
        if log.exists() {
            let _ = fs::rename(&log, log.with_extension("log.1"));
        }
        let file = File::create(&log)
            .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut command = Command::new(&self.executable);
        command
            .args([
                "serve",
                "--addr",
                "127.0.0.1:0",
                "--log",
                "text",
                "--config",
            ])
            .arg(self.dir.join("mecha.toml"))
            .arg("--data")
            .arg(self.data())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the torturer, who ends the server then.
            .process_group(0);
        let begun = monotonic();
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.executable.display()))?;
        let (sender, addr) = sync_channel(1);
        let cut = Arc::clone(&self.cut);
        let reader = child.stderr.take().map(|stderr| {
            thread::spawn(move || {
                read_log(stderr, file, &cut, |addr| {
                    let _ = sender.try_send(addr);
                });
            })
        });
        Ok(Starting {
            process: Process { child, reader },
            addr,
            begun,
            key: self.key.clone(),
        })
    }
}

/// Keeps the log, and looks for the lines that matter.
fn read_log(stderr: ChildStderr, mut file: File, cut: &AtomicU64, listens: impl Fn(SocketAddr)) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut left = LOG_MAX;
    loop {
        line.clear();
        match lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(read) if read > 0 => {}
            _ => return,
        }
        left = left.saturating_sub(line.len() as u64);
        if left > 0 {
            let _ = file.write_all(&line);
        }
        let text = String::from_utf8_lossy(&line);
        if text.contains(CUT) {
            cut.fetch_add(1, Ordering::Relaxed);
        } else if let Some((_, addr)) = text.split_once(LISTENING)
            && let Ok(addr) = addr.trim_end().parse()
        {
            listens(addr);
        }
    }
}

/// A child process; dropped, it is killed.
struct Process {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A server that was started and may not answer yet. Dropped, it is killed.
pub(super) struct Starting {
    process: Process,
    addr: Receiver<SocketAddr>,
    begun: Instant,
    key: Secret,
}

impl Starting {
    /// Waits until the server answers. The error says how it ended instead.
    pub(super) fn answers(mut self) -> Result<Server, String> {
        let addr = loop {
            match self.addr.recv_timeout(Duration::from_millis(50)) {
                Ok(addr) => break addr,
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.process.child.wait();
                    let status = status.map_err(|error| error.to_string())?;
                    return Err(format!("the server does not start: {status}"));
                }
                Err(RecvTimeoutError::Timeout)
                    if monotonic().duration_since(self.begun) > PATIENCE =>
                {
                    let seconds = PATIENCE.as_secs();
                    return Err(format!("the server does not start within {seconds} s"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        let remote = Remote::with_key(addr, self.key.clone());
        let answer = remote.get("/health")?;
        if answer.status != 200 {
            return Err(format!("GET /health answers {}", answer.status));
        }
        Ok(Server {
            remote,
            started_in: monotonic().duration_since(self.begun),
            process: self.process,
        })
    }
}

/// A server that answers. Dropped, it is killed.
pub(super) struct Server {
    pub(super) remote: Remote,
    /// From its start to its first answer.
    pub(super) started_in: Duration,
    process: Process,
}

impl Server {
    /// SIGKILL. When this returns the process is gone.
    pub(super) fn kill(self) {
        drop(self);
    }

    /// SIGTERM, and the end that must follow.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let child = &mut self.process.child;
        kill_process(Pid::from_child(child), Signal::TERM).map_err(|error| error.to_string())?;
        let begun = monotonic();
        loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("SIGTERM ended the server with {status}")),
                None if monotonic().duration_since(begun) > PATIENCE => {
                    let seconds = PATIENCE.as_secs();
                    return Err(format!("the server goes on {seconds} s after SIGTERM"));
                }
                None => thread::sleep(PAUSE),
            }
        }
    }
}
