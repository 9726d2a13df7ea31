//! A table of the configuration being read: its known keys one by one, and what is left over.

use super::nearest::nearest;
use super::problem::Problems;
use super::tree::{Entry, Value, quoted};

/// A kind of table: the keys it has and how messages call it.
#[derive(Debug)]
pub(super) struct Section {
    /// `[limits]`, `[[worker]]`; absent for the top of the file.
    header: Option<&'static str>,
    pub(super) keys: &'static [&'static str],
}

/// The keys above the first table header.
pub(super) const TOP: Section = Section {
    header: None,
    keys: &[
        "addr", "api_key", "data", "drain", "limits", "worker", "source",
    ],
};

/// `[limits]`.
pub(super) const LIMITS: Section = Section {
    header: Some("[limits]"),
    keys: &[
        "task_body",
        "webhook_body",
        "memory",
        "connections",
        "queue",
        "retention",
        "disk_reserve",
    ],
};

/// `[[worker]]`.
pub(super) const WORKER: Section = Section {
    header: Some("[[worker]]"),
    keys: &[
        "name",
        "endpoint",
        "command",
        "token",
        "timeout",
        "concurrency",
        "rate",
        "max_attempts",
        "backoff",
        "env",
        "cwd",
        "events",
    ],
};

/// `[[worker.events]]`.
pub(super) const EVENTS: Section = Section {
    header: Some("[[worker.events]]"),
    keys: &["source", "on", "filter", "when", "prompt", "auto"],
};

/// `[[source]]`.
pub(super) const SOURCE: Section = Section {
    header: Some("[[source]]"),
    keys: &[
        "name",
        "kind",
        "secret",
        "ignore_actors",
        "header",
        "prefix",
        "encoding",
        "algorithm",
        "type_header",
        "type_field",
        "id_header",
        "id_field",
    ],
};

/// Keys of a worker that only a file may have.
pub(super) const OF_FILE_ALONE: [&str; 4] = ["command", "env", "cwd", "events"];

/// What looks like a key and is set another way.
const ELSEWHERE: [(&str, &str); 3] = [
    ("log", "it is set by --log or MECHA_LOG"),
    (
        "allow_anonymous",
        "it is set by --allow-anonymous or MECHA_ALLOW_ANONYMOUS=1",
    ),
    ("config", "it is set by --config or MECHA_CONFIG"),
];

/// A table being read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    section: &'static Section,
    /// What stands in front of a key in messages: `limits.`.
    prefix: &'static str,
    entries: &'a [Entry],
    /// Line of its header, 0 where it has none.
    line: usize,
    is_json: bool,
}

impl<'a> Table<'a> {
    /// A table of a file.
    pub(super) fn of_file(
        section: &'static Section,
        prefix: &'static str,
        entries: &'a [Entry],
        line: usize,
    ) -> Self {
        Self {
            section,
            prefix,
            entries,
            line,
            is_json: false,
        }
    }

    /// A JSON object with the keys of `section`.
    pub(super) fn of_json(section: &'static Section, entries: &'a [Entry]) -> Self {
        Self {
            is_json: true,
            ..Self::of_file(section, "", entries, 0)
        }
    }

    /// The entry of `key`; `null` is as good as absent.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        debug_assert!(self.section.keys.contains(&key), "{key}");
        self.entries
            .iter()
            .find(|entry| entry.key == key && !matches!(entry.node.value, Value::Null))
    }

    /// The value of `key` as `parse` reads it. An error of `parse` becomes a problem and the
    /// value counts as absent.
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = &self.entry(key)?.node.value;
        match parse(value) {
            Ok(read) => Some(read),
            Err(text) => {
                self.refuse(key, Some(&value.shown()), problems, &text);
                None
            }
        }
    }

    /// Like [`Table::read`] for a value that no message may show.
    pub(super) fn read_hidden<T>(
        &self,
        key: &'static str,
        problems: &mut Problems,
        parse: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.entry(key)?.node.value) {
            Ok(read) => Some(read),
            Err(text) => {
                self.refuse(key, Some("***"), problems, &text);
                None
            }
        }
    }

    /// Adds the problem `text` about `key`, which stands in the table.
    pub(super) fn refuse(
        &self,
        key: &'static str,
        shown: Option<&str>,
        problems: &mut Problems,
        text: &str,
    ) {
        let line = self.entry(key).map_or(self.line, |entry| entry.line);
        self.refuse_at(line, key, shown, problems, text);
    }

    /// The same for a line of the value itself.
    pub(super) fn refuse_at(
        &self,
        line: usize,
        key: &str,
        shown: Option<&str>,
        problems: &mut Problems,
        text: &str,
    ) {
        let prefix = self.prefix;
        problems.add(
            line,
            match shown {
                Some(shown) => format!("{prefix}{key} = {shown}: {text}"),
                None => format!("{prefix}{key}: {text}"),
            },
        );
    }

    /// Adds the problem that `key` does not stand in the table.
    pub(super) fn miss(&self, key: &'static str, problems: &mut Problems, text: &str) {
        problems.add_absence(self.line, format!("{}{key}: {text}", self.prefix));
    }

    /// Adds a problem for each key that the section has not, and for each that stands twice.
    pub(super) fn refuse_unknown(&self, problems: &mut Problems) {
        for (at, entry) in self.entries.iter().enumerate() {
            let prefix = self.prefix;
            let key = key_shown(&entry.key);
            if !self.section.keys.contains(&entry.key.as_str()) {
                let advice = self.advice(&entry.key);
                problems.add(entry.line, format!("{prefix}{key}: unknown key; {advice}"));
            } else if self
                .entries
                .iter()
                .take(at)
                .any(|first| first.key == entry.key)
            {
                problems.add(entry.line, format!("{prefix}{key}: stands twice; keep one"));
            }
        }
    }

    fn advice(&self, key: &str) -> String {
        if let Some(meant) = nearest(key, self.section.keys) {
            return format!("did you mean {meant}?");
        }
        if self.is_json {
            let mut fields = self.section.keys.to_vec();
            fields.retain(|field| !OF_FILE_ALONE.contains(field));
            return format!("the fields are {}", fields.join(", "));
        }
        if let Some((_, advice)) = ELSEWHERE.iter().find(|(name, _)| *name == key) {
            return (*advice).to_owned();
        }
        let owner = [&TOP, &LIMITS, &WORKER, &EVENTS, &SOURCE]
            .into_iter()
            .find(|section| section.keys.contains(&key));
        match owner.map(|section| section.header) {
            Some(Some(header)) => return format!("{key} belongs to {header}"),
            Some(None) => {
                return format!("{key} belongs to the top of the file, above the first [table]");
            }
            None => {}
        }
        let keys = self.section.keys.join(", ");
        match self.section.header {
            Some(header) => format!("{header} has {keys}"),
            None => format!("the top of the file has {keys}"),
        }
    }
}

/// A key as TOML writes it.
fn key_shown(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.len() <= 60
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { quoted(key) }
}
