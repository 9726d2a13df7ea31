//! What a worker is: its name, where its attempts run, and the limits it runs under.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::secret::Secret;

/// Characters in a worker's name at most.
const NAME_LENGTH_MAX: usize = 64;

/// A worker's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(String);

impl WorkerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for WorkerName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a worker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAName;

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a worker's name is 1 to {NAME_LENGTH_MAX} characters of [a-zA-Z0-9_.-] and starts with a letter or digit"
        )
    }
}

impl std::error::Error for NotAName {}

impl FromStr for WorkerName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let goes_on_well = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if starts_well && goes_on_well && text.len() <= NAME_LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName)
        }
    }
}

/// The root of an endpoint worker, `http://host[:port][/path]`.
///
/// INVARIANT: made by the configuration room alone, which checks that host and path are ASCII
/// without white space, user information, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, IPv4 address, or IPv6 address without its brackets.
    pub host: String,
    /// Port; 80 where the URL names none.
    pub port: u16,
    /// Path in front of `/task` and `/health`, without a slash at its end; often empty.
    pub path: String,
}

impl Endpoint {
    /// The value of a `Host` header: an IPv6 address in brackets, the port where it is not 80.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == 80 {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// Where a worker's attempts run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An HTTP server: `POST {endpoint}/task` runs an attempt.
    Endpoint {
        /// Its root.
        endpoint: Endpoint,
        /// Sent as `Authorization: Bearer`.
        token: Option<Secret>,
    },
    /// A program, started once for each attempt, without a shell.
    Command {
        /// Program and arguments; never empty.
        argv: Vec<String>,
        /// Variables that are set beside the server's own.
        env: Vec<(String, Secret)>,
        /// Working directory; the server's own where it is absent.
        cwd: Option<PathBuf>,
    },
}

/// So many attempts may start in a span of time: `2/s`, `30/m`, `100/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Attempts, at least 1.
    pub count: u32,
    /// The span.
    pub per: Duration,
}

/// A worker as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// Where its attempts run.
    pub target: Target,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Attempts at once, at least 1.
    pub concurrency: u32,
    /// How often attempts may start.
    pub rate: Option<Rate>,
    /// Failed attempts that fail the task, at least 1.
    pub max_attempts: u32,
    /// Pause after the first failed attempt; it doubles with each further one.
    pub backoff: Duration,
}

/// Whether a worker takes attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It takes attempts.
    Online,
    /// It is online and takes no attempt at the moment: its slots are taken, or it said so.
    Busy,
    /// It does not answer, or has not been asked yet.
    Offline,
}

impl Availability {
    /// `online`, `busy` or `offline`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for (text, valid) in [
            ("claude-reviewer", true),
            ("a", true),
            ("0_.-", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            ("-a", false),
            (".a", false),
            ("a b", false),
            ("ä", false),
            ("a/b", false),
        ] {
            assert_eq!(text.parse::<WorkerName>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_written_as_its_url() {
        for (host, port, path, url) in [
            ("127.0.0.1", 9000, "", "http://127.0.0.1:9000"),
            ("agents.local", 80, "/v1", "http://agents.local/v1"),
            ("::1", 9000, "", "http://[::1]:9000"),
        ] {
            let endpoint = Endpoint {
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(endpoint.to_string(), url);
        }
    }
}
