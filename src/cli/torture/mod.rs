//! `mecha torture`: load on a real server, SIGKILL at random moments, and a look after each restart
//! at whether everything that was acknowledged is there.
//!
//! The server is this program itself as a child process. The load comes from threads (`load`), the
//! tasks go to a worker of its own (`worker`), and `oracle` knows what was acknowledged and what ran.
//! All requests and prompts follow from a seed (`content`). When a data directory has grown to the size
//! of an epoch, everything in it is brought to its end and checked, and an empty one begins; so memory,
//! disk and the time of a check are bounded however long it goes on.
//!
//! A kill takes the process and leaves the kernel: what was written and not synced is still there after
//! it. So this proves the recovery and not the sync.

mod check;
mod child;
mod content;
mod fault;
mod load;
mod oracle;
mod place;
mod record;
mod report;
mod view;
mod worker;

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use smol::stream::StreamExt;

use self::child::{Launch, Server, Starting};
use self::content::Content;
use self::fault::Fault;
use self::load::{Clients, Load};
use self::oracle::Oracle;
use self::place::Place;
use self::report::{Report, Tally, note};
use self::worker::Worker;
use super::args::TortureArgs;
use super::{Exit, output};
use crate::clock::monotonic;
use crate::drain::{Cause, Drain};
use crate::secret::Secret;
use crate::source::{Kind, Settings, Source};

/// The longest life under load, and how many of a hundred kills come while the server starts.
const LIFE_MAX: Duration = Duration::from_secs(4);
const KILLS_AT_START: u32 = 20;

/// How long what waits may take to end.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two looks at the time, and at what waits.
const PAUSE: Duration = Duration::from_millis(10);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// The configuration of the server under torture. A task that was broken off or that the worker failed
/// comes again soon.
const SETTINGS: &str = r#"api_key = "KEY"
drain = "2s"

[limits]
disk_reserve = "128MiB"

[[source]]
name = "github"
kind = "github"
secret = "SECRET"

[[worker]]
name = "w"
endpoint = "http://WORKER"
timeout = "20s"
concurrency = 16
max_attempts = 100
backoff = "20ms"

[[worker.events]]
source = "github"
on = "pull_request.opened"
prompt = "event {{ number }} {{ title }}"
"#;

/// Tortures a server with its data in a directory.
pub(super) fn run(args: &TortureArgs) -> Exit {
    let place = match Place::take(&args.data) {
        Ok(place) => place,
        Err(problem) => {
            output::complain(&problem);
            return Exit::Usage;
        }
    };
    match Torture::prepare(args, &place) {
        Ok(torture) => torture.run(args, &place),
        Err(problem) => {
            output::complain(&problem);
            let _ = place.remove(&[place.dir.join("mecha.toml")]);
            Exit::Failed
        }
    }
}

/// Locks, whatever a thread that panicked left behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Torture {
    launch: Launch,
    clients: Arc<Clients>,
    oracle: Arc<Mutex<Oracle>>,
    tally: Tally,
    random: fastrand::Rng,
    /// The order to stop: Ctrl-C.
    stop: Drain,
    begun: Instant,
    deadline: Instant,
    seed: u64,
    is_json: bool,
    _worker: Worker,
}

impl Torture {
    fn prepare(args: &TortureArgs, place: &Place) -> Result<Self, String> {
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
        let mut random = fastrand::Rng::with_seed(seed);
        let content = Content::new(random.u64(..));
        let oracle = Arc::new(Mutex::new(Oracle::new(content)));
        let worker = Worker::start(&oracle).map_err(|error| format!("no worker: {error}"))?;
        let secret = format!("{:032x}", fastrand::u128(..));
        let key = format!("{:032x}", fastrand::u128(..));
        let settings = SETTINGS
            .replace("KEY", &key)
            .replace("SECRET", &secret)
            .replace("WORKER", &worker.addr.to_string());
        let file = place.dir.join("mecha.toml");
        write_private(&file, &settings)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let github = Source::new(Settings {
            name: "github".to_owned(),
            kind: Kind::Github,
            secrets: vec![Secret::new(secret)],
            ignore_actors: Vec::new(),
            hmac: None,
        })?;
        let executable = std::env::current_exe()
            .map_err(|error| format!("this program does not find itself: {error}"))?;
        let stop = Drain::new();
        stop_on_signal(&stop).map_err(|error| format!("no signals: {error}"))?;
        let begun = monotonic();
        Ok(Self {
            launch: Launch {
                executable,
                dir: place.dir.clone(),
                key: Secret::new(key),
                cut: Arc::default(),
            },
            clients: Arc::new(Clients {
                oracle: Arc::clone(&oracle),
                github,
                posted: AtomicU64::new(0),
                refused: AtomicU32::new(0),
            }),
            oracle,
            tally: Tally::default(),
            random,
            stop,
            begun,
            deadline: begun + Duration::from_secs(args.seconds),
            seed,
            is_json: args.json,
            _worker: worker,
        })
    }

    fn run(mut self, args: &TortureArgs, place: &Place) -> Exit {
        note(
            &format!(
                "mecha torture: {} s on {}, seed {}",
                args.seconds,
                place.dir.display(),
                self.seed
            ),
            self.is_json,
        );
        while !self.is_over() {
            if let Err(problem) = self.epoch() {
                lock(&self.oracle).faults.add(Fault::Server, problem);
            }
        }
        let oracle = lock(&self.oracle);
        let report = Report {
            tally: &self.tally,
            faults: &oracle.faults,
            seed: self.seed,
            acknowledged: oracle.acknowledged,
            posted: self.clients.posted.load(Ordering::Relaxed),
            torn_tails: self.launch.cut.load(Ordering::Relaxed),
            time: monotonic().duration_since(self.begun),
            is_interrupted: self.stop.cause().is_some(),
        };
        output::print(&if args.json {
            report.json()
        } else {
            report.text()
        });
        let is_good = report.is_good();
        drop(oracle);
        self.clean_up(place, is_good && !args.keep);
        if is_good { Exit::Done } else { Exit::Failed }
    }

    /// Removes what was made, or says where it is.
    fn clean_up(&self, place: &Place, removes: bool) {
        let log = self.launch.log();
        let made = [
            self.launch.data(),
            place.dir.join("mecha.toml"),
            log.with_extension("log.1"),
            log,
        ];
        if !removes {
            let dir = place.dir.display();
            note(
                &format!("The data and the logs are in {dir}."),
                self.is_json,
            );
        } else if let Err(error) = place.remove(&made) {
            output::complain(&format!("cannot delete {}: {error}", place.dir.display()));
        }
        let refused = self.clients.refused.load(Ordering::Relaxed);
        if refused != 0 {
            note(
                &format!("Some requests were refused, the last with {refused}."),
                self.is_json,
            );
        }
    }

    /// Fills one data directory over many lives, and brings everything in it to its end.
    fn epoch(&mut self) -> Result<(), String> {
        let mut server = self.start()?;
        while !self.is_over() && !lock(&self.oracle).is_full() {
            server = self.life(server)?;
            self.repeat(&server);
            let records = check::check(&server.remote, &self.oracle, false)?;
            self.tally.compared = self.tally.compared.saturating_add(records);
            let bytes = place::disk_bytes(&self.launch.data());
            self.tally.disk_bytes = self.tally.disk_bytes.max(bytes);
            let faults = lock(&self.oracle).faults.counts().map(|(_, n)| n).sum();
            let time = monotonic().duration_since(self.begun);
            let line = report::progress(time, &self.tally, records, faults);
            note(&line, self.is_json);
        }
        if self.stop.cause().is_some() || !lock(&self.oracle).faults.is_empty() {
            return server.stop();
        }
        self.settle(&server)?;
        server.stop()?;
        self.launch.check()?;
        self.tally.epochs = self.tally.epochs.saturating_add(1);
        if !self.is_over() {
            let data = self.launch.data();
            fs::remove_dir_all(&data)
                .map_err(|error| format!("cannot delete {}: {error}", data.display()))?;
            let content = Content::new(self.random.u64(..));
            lock(&self.oracle).begin_anew(content);
        }
        Ok(())
    }

    /// Loads the server for a random time and kills it; gives the one that is started after it.
    fn life(&mut self, server: Server) -> Result<Server, String> {
        let load = Load::start(&self.clients, &server.remote);
        let begun = monotonic();
        // Short lives are as good as long ones: half of them end within a fourth of the longest.
        let part = self.random.f64() * self.random.f64();
        self.pause(LIFE_MAX.mul_f64(part));
        server.kill();
        self.tally.load += monotonic().duration_since(begun);
        load.end();
        self.tally.kills += 1;
        let server = self.start()?;
        self.tally.recoveries.push(server.started_in);
        Ok(server)
    }

    /// Starts the server, sometimes at the second or third attempt.
    fn start(&mut self) -> Result<Server, String> {
        loop {
            let starting = self.launch.begin()?;
            if self.random.u32(..100) >= KILLS_AT_START {
                return starting.answers();
            }
            self.kill_at_start(starting);
        }
    }

    /// Kills a server that has not answered yet, as long after its start as the last one took at most.
    fn kill_at_start(&mut self, starting: Starting) {
        let last = self.tally.recoveries.last().copied();
        let start = last.unwrap_or(Duration::from_millis(20));
        thread::sleep(start.mul_f64(self.random.f64()));
        drop(starting);
        self.tally.kills += 1;
        self.tally.kills_at_start += 1;
    }

    /// Asks again for what got no answer, where that must do no harm.
    fn repeat(&self, server: &Server) {
        let in_doubt = lock(&self.oracle).repeatable();
        for subject in in_doubt {
            self.clients.ask(&server.remote, subject);
        }
    }

    /// Waits until nothing waits any more, and checks everything once more.
    fn settle(&mut self, server: &Server) -> Result<(), String> {
        let begun = monotonic();
        while !check::is_settled(&server.remote)? {
            if monotonic().duration_since(begun) > SETTLE_PATIENCE {
                let seconds = SETTLE_PATIENCE.as_secs();
                let waiting = check::waiting(&server.remote).join("\n  ");
                return Err(format!(
                    "tasks still wait {seconds} s after the load:\n  {waiting}"
                ));
            }
            thread::sleep(SETTLE_PAUSE);
        }
        let records = check::check(&server.remote, &self.oracle, true)?;
        self.tally.compared = self.tally.compared.saturating_add(records);
        Ok(())
    }

    fn is_over(&self) -> bool {
        monotonic() >= self.deadline
            || self.stop.cause().is_some()
            || !lock(&self.oracle).faults.is_empty()
    }

    /// Waits, but no longer than there is something to do.
    fn pause(&self, time: Duration) {
        let until = monotonic() + time;
        while monotonic() < until && !self.is_over() {
            thread::sleep(PAUSE);
        }
    }
}

/// Begins `stop` on Ctrl-C and SIGTERM.
fn stop_on_signal(stop: &Drain) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let stop = stop.clone();
    // It ends with the process.
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            smol::block_on(signals.next());
            stop.begin(Cause::Asked);
        })?;
    Ok(())
}

fn write_private(path: &PathBuf, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}
