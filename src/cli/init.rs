//! `mecha init`: writes a configuration file that explains every key.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Exit, output};

/// The file that is written: valid as it is, each setting commented out with its default.
pub(super) const TEMPLATE: &str = include_str!("template.toml");

/// Writes the template to `file`, which must not exist.
pub(super) fn run(file: &Path) -> Exit {
    let shown = file.display().to_string().escape_debug().to_string();
    match write_new(file) {
        Ok(()) => {
            output::print(&format!(
                "wrote {shown}\n\nNext: declare a worker in it, then\n  mecha check --config {shown}\n  mecha serve --config {shown}"
            ));
            Exit::Done
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            output::complain(&format!(
                "{shown} exists and is left as it is; name another file: mecha init FILE"
            ));
            Exit::Failed
        }
        Err(error) => {
            output::complain(&format!("{shown} cannot be written: {error}"));
            Exit::Failed
        }
    }
}

/// Readable by its owner alone, since it may come to hold secrets.
fn write_new(file: &Path) -> io::Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    out.write_all(TEMPLATE.as_bytes()).inspect_err(|_| {
        // Half a file would be refused by the next try.
        let _ = fs::remove_file(file);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{
        Args, Config, EVENTS_KEYS, LIMIT_KEYS, Limits, SOURCE_KEYS, TOP_KEYS, WORKER_KEYS,
    };

    fn load(file: &Path) -> Config {
        let args = Args {
            config: Some(file.to_owned()),
            data: Some("/data".into()),
            ..Args::default()
        };
        Config::load(&args).unwrap()
    }

    /// The template with every setting taken in.
    fn without_marks() -> String {
        TEMPLATE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') && !setting.is_empty() => setting,
                _ => line,
            })
            // No test sets these variables.
            .map(|line| line.replace("env:", "") + "\n")
            .collect()
    }

    #[test]
    fn the_file_is_valid_private_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mecha.toml");
        assert_eq!(run(&file), Exit::Done);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load(&file).limits, Limits::default());

        fs::write(&file, "mine").unwrap();
        assert_eq!(run(&file), Exit::Failed);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(
            run(&directory.path().join("absent/mecha.toml")),
            Exit::Failed
        );
    }

    #[test]
    fn every_setting_is_explained_with_its_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mecha.toml");
        fs::write(&file, "").unwrap();
        let defaults = load(&file);
        fs::write(&file, without_marks()).unwrap();
        let written = load(&file);
        let memory = defaults.limits.memory;
        let mut limits = defaults.limits.clone();
        limits.webhook_body = Some(limits.webhook_body(memory));
        assert_eq!(written.limits, limits);
        assert_eq!(written.addr, defaults.addr);
        assert_eq!(written.drain, defaults.drain);
        let [endpoint, command] = written.workers.as_slice() else {
            panic!("{:?}", written.workers);
        };
        // The second worker leaves these settings out.
        assert_eq!(endpoint.timeout, command.timeout);
        assert_eq!(endpoint.concurrency, command.concurrency);
        assert_eq!(endpoint.max_attempts, command.max_attempts);
        assert_eq!(endpoint.backoff, command.backoff);

        let all = without_marks();
        let keys = [TOP_KEYS, LIMIT_KEYS, WORKER_KEYS, EVENTS_KEYS, SOURCE_KEYS];
        for key in keys.concat() {
            let is_there = all.lines().any(|line| {
                line.starts_with(&format!("{key} = "))
                    || line.contains(&format!("[{key}]"))
                    || line.contains(&format!(".{key}]"))
            });
            assert!(is_there, "{key}");
        }
        assert_eq!(written.rules.len(), 1);
        for line in TEMPLATE.lines() {
            assert!(line.len() <= 100, "{line}");
        }
    }
}
