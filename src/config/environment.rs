//! The environment a configuration is read in, as a value, so that a test can make one up.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// Variables by name. Holds secrets, so it has no `Debug`.
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// These variables and no others.
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .collect(),
        }
    }

    /// The variable as it is, or `None` where it is not set.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
    }

    /// The variable as text; an error where it is empty or not UTF-8. The error leaves out the
    /// value.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.variable(name).map(OsStr::to_str) {
            None => Ok(None),
            Some(Some("")) => Err(format!(
                "{name} is set and empty; give it a value or unset it"
            )),
            Some(Some(text)) => Ok(Some(text)),
            Some(None) => Err(format!("{name} is not UTF-8")),
        }
    }

    /// The home directory, if `HOME` names one.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.variable("HOME")
            .map(Path::new)
            .filter(|home| home.is_absolute())
    }

    /// `path` with a leading `~` replaced by the home directory, as a shell does it: a path in a
    /// file or behind `--data=` never passes through one.
    pub(crate) fn expand_home(&self, path: &Path) -> Result<PathBuf, String> {
        let Some(Component::Normal(first)) = path.components().next() else {
            return Ok(path.to_owned());
        };
        if first == "~" {
            let home = self
                .home()
                .ok_or("~ stands for the home directory, but HOME is not set")?;
            return Ok(home.join(path.strip_prefix("~").unwrap_or(path)));
        }
        if first.as_encoded_bytes().starts_with(b"~") {
            return Err(
                "~ stands for your own home directory alone; write the whole path".to_owned(),
            );
        }
        Ok(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_the_home_directory() {
        let environment = Environment::of(&[("HOME", "/home/ann")]);
        for (path, expanded) in [
            ("~", Some("/home/ann")),
            ("~/data", Some("/home/ann/data")),
            ("/srv/~/data", Some("/srv/~/data")),
            ("data/~", Some("data/~")),
            ("./~", Some("./~")),
            ("~bob/data", None),
        ] {
            let found = environment.expand_home(Path::new(path)).ok();
            assert_eq!(found.as_deref(), expanded.map(Path::new), "{path}");
        }
        assert!(Environment::of(&[]).expand_home(Path::new("~/x")).is_err());
    }
}
