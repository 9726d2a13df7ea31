//! Configurations as a whole.

mod json;
mod mistakes;
mod precedence;
mod rules;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::source::{Algorithm, Encoding, HmacSettings, Kind, Settings};
use crate::worker::{Endpoint, Rate, Target};

/// A directory with a configuration file in it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn with(content: impl AsRef<[u8]>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mecha.toml"), content).unwrap();
        let place = Self { directory };
        place.set_mode(0o600);
        place
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("mecha.toml")
    }

    fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, Error> {
        let args = Args {
            config: Some(self.file()),
            ..Args::default()
        };
        load_with(&args, environment)
    }

    /// The problems as `LINE: text`, 0 for those without a line.
    fn problems(&self, environment: &[(&str, &str)]) -> Vec<(usize, String)> {
        let error = self.load(environment).unwrap_err();
        let file = self.file().display().to_string();
        error
            .problems()
            .iter()
            .map(|problem| {
                let text = problem.to_string();
                assert!(!text.contains('\n'), "{text}");
                let line = problem.line().unwrap_or(0);
                let place = if line == 0 {
                    format!("{file}: ")
                } else {
                    format!("{file}:{line}: ")
                };
                let text = text
                    .strip_prefix(&place)
                    .map_or(text.clone(), str::to_owned);
                (line, text)
            })
            .collect()
    }
}

fn load_with(args: &Args, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let environment = [
        &[("HOME", "/home/ann"), ("PATH", "/usr/bin:/bin")],
        environment,
    ]
    .concat();
    load::load(args, &Environment::of(&environment))
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = load_with(&Args::default(), &[]).unwrap();
    assert_eq!(
        config,
        Config {
            addr: "127.0.0.1:21212".parse().unwrap(),
            api_keys: Vec::new(),
            allow_anonymous: false,
            data: PathBuf::from("/home/ann/.mecha/data"),
            log: LogFormat::Text,
            drain: Duration::from_secs(30),
            limits: Limits {
                task_body: 8_388_608,
                webhook_body: None,
                memory: 67_108_864,
                connections: 1_024,
                queue: 100_000,
                retention: Duration::from_secs(2_592_000),
                disk_reserve: 268_435_456,
            },
            workers: Vec::new(),
            rules: Rulebook::default(),
            sources: Vec::new(),
            secret_variables: vec!["MECHA_API_KEY".to_owned()],
            warnings: Vec::new(),
        }
    );
}

/// A file with every key in it, none with its default.
const WHOLE: &str = r#"
addr = "[::1]:0"
api_key = ["env:KEY_A", "literal"]
data = "~/tasks"
drain = "0s"
[limits]
task_body = "64B"
webhook_body = "1KiB"
memory = "1MiB"
connections = 1
queue = 2
retention = "1m"
disk_reserve = "0B"
[[worker]]
name = "reviewer"
endpoint = "http://127.0.0.1:9000/"
token = "env:TOKEN"
timeout = "1h"
concurrency = 3
rate = "2/s"
max_attempts = 5
backoff = "10ms"
[[worker]]
name = "echo"
command = ["cat", "-"]
env = { EMPTY = "", AGENT_KEY = "env:AGENT_KEY" }
cwd = "/"
[[source]]
name = "github"
kind = "github"
secret = ["env:HOOK", "literal"]
ignore_actors = "*[bot]"
[[source]]
name = "own"
kind = "hmac"
secret = "literal"
ignore_actors = ["a", "b?"]
header = "X-Signature"
prefix = "v1="
encoding = "base64"
algorithm = "sha512"
type_header = "X-Type"
type_field = "event.type"
id_header = "X-Id"
id_field = "id"
"#;

#[test]
fn a_whole_file_is_read() {
    let place = Place::with(WHOLE);
    let config = place
        .load(&[
            ("KEY_A", "a"),
            ("TOKEN", "t"),
            ("AGENT_KEY", "k"),
            ("HOOK", "h"),
            ("MECHA_KEY", "unused"),
        ])
        .unwrap();
    assert_eq!(config.addr.to_string(), "[::1]:0");
    assert_eq!(config.api_keys, [Secret::new("a"), Secret::new("literal")]);
    assert_eq!(config.data, PathBuf::from("/home/ann/tasks"));
    assert_eq!(config.drain, Duration::ZERO);
    assert_eq!(
        config.limits,
        Limits {
            task_body: 64,
            webhook_body: Some(1_024),
            memory: 1_048_576,
            connections: 1,
            queue: 2,
            retention: Duration::from_secs(60),
            disk_reserve: 0,
        }
    );
    assert_eq!(
        config.secret_variables,
        ["AGENT_KEY", "HOOK", "KEY_A", "MECHA_API_KEY", "TOKEN"]
    );
    assert_eq!(config.warnings, [] as [&str; 0]);
}

#[test]
fn every_field_of_a_worker_is_read() {
    let config = Place::with(WHOLE)
        .load(&[
            ("KEY_A", "a"),
            ("TOKEN", "t"),
            ("AGENT_KEY", "k"),
            ("HOOK", "h"),
        ])
        .unwrap();
    let [reviewer, echo] = config.workers.as_slice() else {
        panic!("{:?}", config.workers);
    };
    assert_eq!(
        *reviewer,
        Worker {
            name: "reviewer".parse().unwrap(),
            target: Target::Endpoint {
                endpoint: Endpoint {
                    host: "127.0.0.1".to_owned(),
                    port: 9_000,
                    path: String::new(),
                },
                token: Some(Secret::new("t")),
            },
            timeout: Duration::from_secs(3_600),
            concurrency: 3,
            rate: Some(Rate {
                count: 2,
                per: Duration::from_secs(1),
            }),
            max_attempts: 5,
            backoff: Duration::from_millis(10),
        }
    );
    assert_eq!(
        *echo,
        Worker {
            name: "echo".parse().unwrap(),
            target: Target::Command {
                argv: vec!["cat".to_owned(), "-".to_owned()],
                env: vec![
                    ("EMPTY".to_owned(), Secret::new("")),
                    ("AGENT_KEY".to_owned(), Secret::new("k")),
                ],
                cwd: Some(PathBuf::from("/")),
            },
            timeout: Duration::from_secs(600),
            concurrency: 1,
            rate: None,
            max_attempts: 4,
            backoff: Duration::from_secs(30),
        }
    );
}

#[test]
fn every_field_of_a_source_is_read() {
    let config = Place::with(WHOLE)
        .load(&[
            ("KEY_A", "a"),
            ("TOKEN", "t"),
            ("AGENT_KEY", "k"),
            ("HOOK", "h"),
        ])
        .unwrap();
    let [github, own] = config.sources.as_slice() else {
        panic!("{:?}", config.sources);
    };
    assert_eq!(
        *github.settings(),
        Settings {
            name: "github".to_owned(),
            kind: Kind::Github,
            secrets: vec![Secret::new("h"), Secret::new("literal")],
            ignore_actors: vec!["*[bot]".to_owned()],
            hmac: None,
        }
    );
    assert_eq!(
        *own.settings(),
        Settings {
            name: "own".to_owned(),
            kind: Kind::Hmac,
            secrets: vec![Secret::new("literal")],
            ignore_actors: vec!["a".to_owned(), "b?".to_owned()],
            hmac: Some(HmacSettings {
                header: "x-signature".to_owned(),
                prefix: "v1=".to_owned(),
                encoding: Encoding::Base64,
                algorithm: Algorithm::Sha512,
                type_header: Some("x-type".to_owned()),
                type_field: Some("event.type".to_owned()),
                id_header: Some("x-id".to_owned()),
                id_field: Some("id".to_owned()),
            }),
        }
    );
}
