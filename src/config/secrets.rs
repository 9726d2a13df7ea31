//! Where secrets come from: a literal, a variable (`env:NAME`) or a file (`file:/path`).
//!
//! No message of this module holds a secret, nor a part of one. BOUND: a secret file is read to
//! 64 KiB at most, and only a regular file is opened, since a pipe could be waited for forever.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::environment::Environment;
use crate::secret::Secret;

/// Bytes of a secret at most.
const SECRET_LENGTH_MAX: usize = 64 * 1_024;

/// Characters of a secret that is sent in a header at most.
const HEADER_SECRET_LENGTH_MAX: usize = 4_096;

/// Reads secrets and remembers what they referred to.
pub(super) struct Secrets<'a> {
    environment: &'a Environment,
    variables: BTreeSet<String>,
    has_literal: bool,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            variables: BTreeSet::new(),
            has_literal: false,
        }
    }

    /// The secret that `written` is or refers to. An empty one is an error.
    pub(super) fn read(&mut self, written: &str) -> Result<Secret, String> {
        let secret = match Reference::parse(written)? {
            Reference::Literal => {
                self.has_literal = true;
                written.to_owned()
            }
            Reference::Variable(name) => {
                self.variables.insert(name.to_owned());
                self.environment
                    .text(name)?
                    .map(str::to_owned)
                    .ok_or_else(|| {
                        format!("the variable {name} is not set; set it before mecha starts")
                    })?
            }
            Reference::File(path) => read_file(path)?,
        };
        if secret.is_empty() {
            return Err(format!("an empty secret; {REFERENCE_FORMS}"));
        }
        Ok(Secret::new(secret))
    }

    /// Checks the form of a reference that is not used, and remembers its variable.
    pub(super) fn note(&mut self, written: &str) -> Result<(), String> {
        if let Reference::Variable(name) = Reference::parse(written)? {
            self.variables.insert(name.to_owned());
        }
        Ok(())
    }

    /// Names of the variables that hold secrets.
    pub(super) fn variables(&self) -> Vec<String> {
        self.variables.iter().cloned().collect()
    }

    /// Whether a secret stands in the configuration itself.
    pub(super) fn has_literal(&self) -> bool {
        self.has_literal
    }

    pub(super) fn environment(&self) -> &'a Environment {
        self.environment
    }
}

/// How a secret may be written, for messages.
pub(super) const REFERENCE_FORMS: &str = "write the secret itself, env:NAME or file:/path";

/// What a written secret refers to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference<'a> {
    Literal,
    Variable(&'a str),
    File(&'a Path),
}

impl<'a> Reference<'a> {
    pub(super) fn parse(written: &'a str) -> Result<Self, String> {
        if let Some(name) = written.strip_prefix("env:") {
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if is_name {
                Ok(Self::Variable(name))
            } else {
                Err("behind env: stands the name of a variable, of [A-Za-z0-9_], as in env:MECHA_KEY"
                    .to_owned())
            };
        }
        if let Some(path) = written.strip_prefix("file:") {
            let path = Path::new(path);
            return if path.is_absolute() {
                Ok(Self::File(path))
            } else {
                Err("behind file: stands an absolute path, as in file:/run/secrets/key".to_owned())
            };
        }
        Ok(Self::Literal)
    }
}

/// Checks that `secret` can stand in a header behind `Bearer`: visible ASCII, of bounded length.
pub(super) fn check_header_secret(secret: Secret) -> Result<Secret, String> {
    let text = secret.reveal();
    if text.len() <= HEADER_SECRET_LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(secret);
    }
    Err(format!(
        "the secret cannot be sent in a header; it is 1 to {HEADER_SECRET_LENGTH_MAX} visible ASCII characters without white space"
    ))
}

/// Whether a variable of this name holds a secret, as far as its name tells.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD"]
        .iter()
        .any(|word| name.contains(word))
}

/// The text of a file without its last newline.
fn read_file(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, SECRET_LENGTH_MAX)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(text)
}

/// The bytes of a regular file; an error where there are more than `max`.
pub(super) fn read_bounded(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::other(format!("larger than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_from_where_they_stand() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            format!("file:{}", path.display())
        };
        let environment = Environment::of(&[("KEY", "from variable")]);
        let mut secrets = Secrets::new(&environment);
        for (written, secret) in [
            ("literal", "literal"),
            (" env:KEY", " env:KEY"),
            ("env:KEY", "from variable"),
            (&file("a", b"one\n"), "one"),
            (&file("b", b"one\r\n"), "one"),
            (&file("c", b"one\n\n"), "one\n"),
            (&file("d", b"one"), "one"),
        ] {
            let read = secrets.read(written).unwrap();
            assert_eq!(read.reveal(), secret, "{written}");
        }
        assert_eq!(secrets.variables(), ["KEY"]);
    }

    #[test]
    fn secrets_that_are_not_there_are_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("file:{}", directory.path().join(name).display());
        fs::write(directory.path().join("empty"), "\n").unwrap();
        fs::write(directory.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(
            directory.path().join("large"),
            vec![b'a'; SECRET_LENGTH_MAX + 1],
        )
        .unwrap();
        let environment = Environment::of(&[("EMPTY", "")]);
        let mut secrets = Secrets::new(&environment);
        for (written, reason) in [
            ("", "empty secret"),
            ("env:", "name of a variable"),
            ("env:s3cr3t-value", "name of a variable"),
            ("env:1A", "name of a variable"),
            ("env:ABSENT", "ABSENT is not set"),
            ("env:EMPTY", "EMPTY is set and empty"),
            ("file:", "absolute path"),
            ("file:key", "absolute path"),
            ("file:~/key", "absolute path"),
            (&at("absent"), "cannot be read: No such file"),
            (&at("empty"), "is empty"),
            (&at("binary"), "not UTF-8"),
            (&at("large"), "larger than 65536 bytes"),
            (&at(""), "not a regular file"),
            ("file:/dev/zero", "not a regular file"),
        ] {
            let error = secrets.read(written).unwrap_err();
            assert!(error.contains(reason), "{written}: {error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_secret_for_a_header_is_visible_ascii() {
        for (text, fits) in [
            ("sk-a_b/c+d==", true),
            (&"a".repeat(4_096), true),
            (&"a".repeat(4_097), false),
            ("a b", false),
            ("a\r\nx: y", false),
            ("ä", false),
        ] {
            assert_eq!(check_header_secret(Secret::new(text)).is_ok(), fits);
        }
    }
}
