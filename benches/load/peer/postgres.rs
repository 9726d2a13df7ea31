//! PostgreSQL with synced commits, asked for the same by its own generator, `pgbench`: to insert a
//! task and return its id.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use super::{LOOK, Peer, START_PATIENCE, directories, unused_addr, user};
use crate::http::TASK;
use crate::process::{Process, output};
use crate::report;

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What is needed of them.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pgbench"];

/// Users that PostgreSQL may run as where the bench is run by root, as whom it refuses to run.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// How long it may take to end at once.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

/// Connections that are certainly made in a second.
const CONNECTED_IN_A_SECOND: usize = 64;

/// How long `pgbench` may take beyond its time.
const PGBENCH_PATIENCE: Duration = Duration::from_secs(30);

/// A PostgreSQL that answers, and what drives it.
pub(crate) struct Postgres {
    /// The server.
    pub(crate) peer: Peer,
    driver: Driver,
}

/// `pgbench` and its script.
#[derive(Clone)]
pub(crate) struct Driver {
    program: PathBuf,
    dir: PathBuf,
    port: u16,
}

/// The program of this name, of the newest version that has all that is needed.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .chain(directories())
        .find(|directory| PROGRAMS.iter().all(|name| directory.join(name).is_file()))
        .map(|directory| directory.join(name))
}

impl Postgres {
    /// Starts it on a new cluster in `dir`.
    pub(crate) async fn start(dir: &Path) -> io::Result<Option<Self>> {
        let (Some(initdb), Some(postgres), Some(psql), Some(pgbench)) = (
            program("initdb"),
            program("postgres"),
            program("psql"),
            program("pgbench"),
        ) else {
            report::line("PostgreSQL: skipped: it is not installed, or pgbench is not")?;
            return Ok(None);
        };
        let Some(owner) = owner()? else {
            report::line("PostgreSQL: skipped: there is no user for it, and it refuses root")?;
            return Ok(None);
        };
        if let Some((user, group)) = owner {
            chown(dir, Some(user), Some(group))?;
        }
        let data = dir.join("data");
        let mut command = as_user(owner, &initdb);
        command
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync"])
            .current_dir("/");
        let failed = match command.stdin(Stdio::null()).output() {
            Ok(made) if made.status.success() => None,
            Ok(made) => Some(String::from_utf8_lossy(&made.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = failed {
            report::line(&format!("PostgreSQL: skipped: initdb: {why}"))?;
            return Ok(None);
        }
        let addr = unused_addr()?;
        let log = File::create(dir.join("log"))?;
        let mut command = as_user(owner, &postgres);
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &addr.port().to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=300"])
            .args(["-c", "fsync=on", "-c", "synchronous_commit=on"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::start("postgres", &mut command)?;
        let driver = Driver {
            program: pgbench,
            dir: dir.to_owned(),
            port: addr.port(),
        };
        let mut peer = Peer { process, addr };
        driver.make_table(&psql, &mut peer.process).await?;
        fs::write(
            driver.script(),
            format!("INSERT INTO task (body) VALUES ('{TASK}') RETURNING id;\n"),
        )?;
        Ok(Some(Self { peer, driver }))
    }

    /// What drives it.
    pub(crate) fn driver(&self) -> Driver {
        self.driver.clone()
    }

    /// Bytes in memory of all its processes, what they share counted once.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let main = self.peer.process.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        let children = children.split_ascii_whitespace().map(str::to_owned);
        let kib = children
            .chain([main.to_string()])
            // A child may have ended meanwhile.
            .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
            .filter_map(|text| proportional_kib(&text));
        Ok(kib.sum::<u64>() << 10)
    }
}

/// Killed, it would leave a segment of shared memory behind.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.peer.process.quit(QUIT_PATIENCE);
    }
}

impl Driver {
    /// Makes the table, which is also how it is known that the server answers.
    async fn make_table(&self, psql: &Path, server: &mut Process) -> io::Result<()> {
        let began = monotonic();
        loop {
            let output = Command::new(psql)
                .args(self.connection())
                .args(["-X", "-q", "-c"])
                .arg("CREATE TABLE task (id bigserial PRIMARY KEY, body text NOT NULL)")
                .arg("postgres")
                .stdin(Stdio::null())
                .output()?;
            if output.status.success() {
                return Ok(());
            }
            let ended = server.ended()?;
            if ended.is_some() || monotonic().duration_since(began) > START_PATIENCE {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(io::Error::other(format!(
                    "PostgreSQL does not answer: {said}"
                )));
            }
            Timer::after(LOOK).await;
        }
    }

    /// Inserts on so many connections, one statement in flight on each, from one thread, and gives
    /// how many were answered in a second. The time is rounded to seconds, and longer for many
    /// connections: `pgbench` counts it from before they are made, each of which starts a process.
    pub(crate) async fn rate(&self, connections: usize, time: Duration) -> io::Result<f64> {
        let connecting = connections.div_ceil(CONNECTED_IN_A_SECOND);
        let seconds = time.as_secs().max(1).saturating_add(connecting as u64);
        let mut command = Command::new(&self.program);
        command
            .args(self.connection())
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
            .args(["-c", &connections.to_string(), "-T", &seconds.to_string()])
            .arg("-f")
            .arg(self.script())
            .arg("postgres");
        let said = self.dir.join("pgbench.out");
        let patience = Duration::from_secs(seconds).saturating_add(PGBENCH_PATIENCE);
        let text = output("pgbench", &mut command, &said, patience).await?;
        let rate = text.lines().find_map(|line| {
            let (number, _) = line.strip_prefix("tps = ")?.split_once(' ')?;
            number.parse().ok()
        });
        rate.ok_or_else(|| io::Error::other(format!("pgbench said {text:?}")))
    }

    fn connection(&self) -> [String; 6] {
        let [host, port, user] = ["-h", "-p", "-U"].map(str::to_owned);
        let own = [
            "127.0.0.1".to_owned(),
            self.port.to_string(),
            "postgres".to_owned(),
        ];
        let [own_host, own_port, own_user] = own;
        [host, own_host, port, own_port, user, own_user]
    }

    fn script(&self) -> PathBuf {
        self.dir.join("insert.sql")
    }
}

/// Whom it is to run as, where it is not who runs the bench; `None` if there is nobody.
#[expect(clippy::option_option, reason = "nobody to be found, nobody needed")]
fn owner() -> io::Result<Option<Option<(u32, u32)>>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some(None));
    }
    for name in USERS {
        if let Some(found) = user(name)? {
            return Ok(Some(Some(found)));
        }
    }
    Ok(None)
}

/// A command that runs as this user. `setpriv` becomes the program, so the process is the same.
fn as_user(owner: Option<(u32, u32)>, program: &Path) -> Command {
    let mut command = match owner {
        None => Command::new(program),
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command
                .args([format!("--reuid={user}"), format!("--regid={group}")])
                .arg("--clear-groups")
                .arg("--")
                .arg(program);
            command
        }
    };
    // What is configured for somebody else's cluster must not reach this one.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command
}

/// The KiB of a process that are its own, and its part of what it shares.
fn proportional_kib(rollup: &str) -> Option<u64> {
    let kib = |line: &str| {
        line.strip_prefix("Pss:")?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    };
    rollup.lines().find_map(kib)
}
