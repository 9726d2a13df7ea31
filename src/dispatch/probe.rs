//! Looks at a worker: does it take attempts?
//!
//! An endpoint worker is asked `GET {endpoint}/health`: 200 is online, 429 and 503 are busy,
//! all else is offline. A command worker is online when its program can be found and executed
//! and its working directory exists.
//!
//! BOUND: 5 s and 1 MiB for each look.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Access;

use super::outcome::excerpt;
use crate::budget::Budget;
use crate::clock::monotonic;
use crate::http::Method;
use crate::http::client::{self, Kept, Outgoing, Reuse};
use crate::secret::Secret;
use crate::worker::{Availability, Endpoint, Target};

/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer to `GET /health` at most. Only its status matters.
const ANSWER_MAX: u64 = 1 << 20;

/// Where a program without a slash is looked for when `PATH` is not set, as `execvp` does.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) availability: Availability,
    /// Why it is not online.
    pub(super) error: Option<String>,
}

impl Finding {
    /// Nobody has looked yet.
    pub(super) fn unknown() -> Self {
        Self::offline("not looked at yet".to_owned())
    }

    pub(super) fn online() -> Self {
        Self {
            availability: Availability::Online,
            error: None,
        }
    }

    pub(super) fn busy(error: String) -> Self {
        Self {
            availability: Availability::Busy,
            error: Some(error),
        }
    }

    pub(super) fn offline(error: String) -> Self {
        Self {
            availability: Availability::Offline,
            error: Some(error),
        }
    }
}

/// Looks at a worker. `None` when the server itself lacks the memory to.
pub(super) async fn look(target: &Target, kept: &Kept, budget: &Budget) -> Option<Finding> {
    match target {
        Target::Endpoint { endpoint, token } => ask(endpoint, token.as_ref(), kept, budget).await,
        Target::Command { argv, env, cwd } => {
            let program = argv.first().cloned().unwrap_or_default();
            let set = env.iter().find(|(name, _)| name == "PATH");
            let path = set.map_or_else(
                || env::var_os("PATH"),
                |(_, value)| Some(OsString::from(value.reveal())),
            );
            let cwd = cwd.clone();
            let found =
                smol::unblock(move || find(&program, path.as_deref(), cwd.as_deref())).await;
            Some(found.map_or_else(Finding::offline, |_| Finding::online()))
        }
    }
}

async fn ask(
    endpoint: &Endpoint,
    token: Option<&Secret>,
    kept: &Kept,
    budget: &Budget,
) -> Option<Finding> {
    let now = monotonic();
    let request = Outgoing {
        method: Method::Get,
        endpoint,
        token,
        headers: &[],
        body: None,
        reuse: Reuse::Asked(kept),
        path: "/health",
        connect_patience: None,
        deadline: now.checked_add(PATIENCE).unwrap_or(now),
        answer_max: ANSWER_MAX,
    };
    judge(
        client::send(request, budget)
            .await
            .map(|answer| answer.status),
        endpoint,
        token,
    )
}

/// What the status of an answer, or its absence, says about the worker.
fn judge(
    answer: Result<u16, client::Error>,
    endpoint: &Endpoint,
    token: Option<&Secret>,
) -> Option<Finding> {
    let asked = format!("GET {endpoint}/health");
    Some(match answer {
        Ok(200) => Finding::online(),
        Ok(status @ (429 | 503)) => Finding::busy(format!("{asked} answered {status}")),
        Ok(status) => Finding::offline(format!("{asked} answered {status}")),
        Err(client::Error::NoMemory) => return None,
        Err(client::Error::Connect(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused =>
        {
            Finding::offline(format!("connection to {endpoint} refused"))
        }
        Err(client::Error::Connect(error)) => {
            Finding::offline(format!("connection to {endpoint} failed: {error}"))
        }
        Err(client::Error::Timeout) => Finding::offline(format!(
            "{asked} gave no answer within {}s",
            PATIENCE.as_secs()
        )),
        Err(client::Error::Broken(why)) => Finding::offline(format!(
            "connection to {endpoint} broke: {}",
            excerpt(why.as_bytes(), token)
        )),
        Err(client::Error::NotHttp(why)) => Finding::offline(format!(
            "{asked} answered no HTTP: {}",
            excerpt(why.as_bytes(), token)
        )),
        Err(client::Error::TooLarge) => Finding::offline(format!(
            "{asked} answered more than {} MiB",
            ANSWER_MAX >> 20
        )),
    })
}

/// The file that `program` is started from, found as `execvp` does: in the directories of `path`,
/// or, where the name has a slash, from the working directory. The error says what is missing.
fn find(program: &str, path: Option<&OsStr>, cwd: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(cwd) = cwd
        && !cwd.is_dir()
    {
        return Err(format!(
            "working directory {} does not exist",
            cwd.display()
        ));
    }
    let base = cwd.unwrap_or(Path::new(""));
    if program.contains('/') {
        let file = base.join(program);
        return match (is_executable(&file), file.is_file()) {
            (true, _) => Ok(file),
            (false, true) => Err(format!("program {} is not executable", file.display())),
            (false, false) => Err(format!("program {} does not exist", file.display())),
        };
    }
    // An empty entry of PATH means the working directory; joining it gives just that.
    env::split_paths(path.unwrap_or(OsStr::new(PATH_DEFAULT)))
        .map(|directory| base.join(directory).join(program))
        .find(|file| is_executable(file))
        .ok_or_else(|| format!("program {program} not found in PATH"))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_health_answer_decides() {
        use Availability::{Busy, Offline, Online};
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            port: 9_000,
            path: "/v1".to_owned(),
        };
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for (answer, availability, error) in [
            (Ok(200), Online, None),
            (
                Ok(429),
                Busy,
                Some("GET http://127.0.0.1:9000/v1/health answered 429"),
            ),
            (
                Ok(503),
                Busy,
                Some("GET http://127.0.0.1:9000/v1/health answered 503"),
            ),
            (
                Ok(204),
                Offline,
                Some("GET http://127.0.0.1:9000/v1/health answered 204"),
            ),
            (
                Ok(404),
                Offline,
                Some("GET http://127.0.0.1:9000/v1/health answered 404"),
            ),
            (
                Ok(500),
                Offline,
                Some("GET http://127.0.0.1:9000/v1/health answered 500"),
            ),
            (
                Err(client::Error::Connect(refused)),
                Offline,
                Some("connection to http://127.0.0.1:9000/v1 refused"),
            ),
            (
                Err(client::Error::Timeout),
                Offline,
                Some("GET http://127.0.0.1:9000/v1/health gave no answer within 5s"),
            ),
        ] {
            let found = judge(answer, &endpoint, None).unwrap();
            assert_eq!(found.availability, availability);
            assert_eq!(found.error.as_deref(), error);
        }
        assert_eq!(judge(Err(client::Error::NoMemory), &endpoint, None), None);
    }

    #[test]
    fn a_program_is_found_as_the_system_finds_it() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(bin.join("folder")).unwrap();
        for (name, mode) in [("agent", 0o755), ("notes", 0o644)] {
            fs::write(bin.join(name), "").unwrap();
            fs::set_permissions(bin.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let agent = bin.join("agent");
        let nowhere = root.path().join("nowhere");
        let path = env::join_paths([&nowhere, &bin]).unwrap();
        let path = Some(path.as_os_str());
        let cwd = Some(root.path());
        let missing = |text: String| Err(text);
        for (program, path, cwd, expected) in [
            ("agent", path, None, Ok(agent.clone())),
            (
                "notes",
                path,
                None,
                missing("program notes not found in PATH".to_owned()),
            ),
            (
                "folder",
                path,
                None,
                missing("program folder not found in PATH".to_owned()),
            ),
            (
                "",
                path,
                None,
                missing("program  not found in PATH".to_owned()),
            ),
            (agent.to_str().unwrap(), None, None, Ok(agent.clone())),
            ("bin/agent", None, cwd, Ok(agent.clone())),
            ("agent", Some(OsStr::new("bin")), cwd, Ok(agent.clone())),
            ("agent", Some(OsStr::new("")), Some(&bin), Ok(agent.clone())),
            (
                "bin/notes",
                None,
                cwd,
                missing(format!(
                    "program {} is not executable",
                    bin.join("notes").display()
                )),
            ),
            (
                "/no/such/agent",
                path,
                None,
                missing("program /no/such/agent does not exist".to_owned()),
            ),
            (
                "agent",
                path,
                Some(&nowhere),
                missing(format!(
                    "working directory {} does not exist",
                    nowhere.display()
                )),
            ),
        ] {
            assert_eq!(find(program, path, cwd), expected, "{program}");
        }
        assert!(find("sh", None, None).is_ok());
    }
}
