//! What there is to say on the command line, as data: every command with its operands and options.
//!
//! The command line is read by these pages, and help, completions and the man page are made of
//! them, so none of the four can name what the others do not know.

mod events;
mod program;
mod server;
mod shell;
mod tasks;
mod workers;

pub(super) use self::program::PROGRAM;
pub(super) use self::{events::*, server::*, shell::*, tasks::*, workers::*};

/// A command.
#[derive(Debug)]
pub(super) struct Page {
    /// One word or two: `serve`, `worker add`.
    pub(super) name: &'static str,
    pub(super) group: Group,
    /// What it does, in half a sentence that begins with a verb.
    pub(super) summary: &'static str,
    /// What stands behind the name.
    pub(super) usage: &'static str,
    /// What one has to know before the options.
    pub(super) about: &'static [Block],
    pub(super) operands: &'static [Item],
    /// What holds for all options, in brackets behind their title.
    pub(super) options_note: &'static str,
    /// Without `--help`, which every command has.
    pub(super) options: &'static [Item],
    /// Examples and what else there is to say behind the options.
    pub(super) more: &'static [Block],
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Server,
    Tasks,
    Events,
    Workers,
    Shell,
}

impl Group {
    pub(super) const ALL: [Self; 5] = [
        Self::Server,
        Self::Tasks,
        Self::Events,
        Self::Workers,
        Self::Shell,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Tasks => "Tasks",
            Self::Events => "Events",
            Self::Workers => "Workers",
            Self::Shell => "Shell",
        }
    }
}

/// A piece of a page.
#[derive(Debug)]
pub(super) enum Block {
    /// A paragraph.
    Text(&'static str),
    /// Lines that stay as they are, to be typed, below what they are for.
    Lines(&'static str, &'static [&'static str]),
    /// Words and what they mean, below a title.
    Terms(&'static str, &'static [(&'static str, &'static str)]),
}

/// An option, or an operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// `--addr`; of an operand its placeholder.
    pub(super) name: &'static str,
    /// Placeholder of the option's value; `None` of one that has none.
    pub(super) value: Option<&'static str>,
    pub(super) values: Values,
    /// What it means. Its first clause, up to a full stop, a semicolon or a colon, says it in
    /// short.
    pub(super) about: &'static str,
}

/// What the value of an option or operand may be, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Any,
    /// One of these words.
    Words(&'static [&'static str]),
    File,
    Directory,
}

impl Item {
    const fn flag(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            value: None,
            values: Values::Any,
            about,
        }
    }

    const fn option(
        name: &'static str,
        value: &'static str,
        values: Values,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            value: Some(value),
            values,
            about,
        }
    }

    const fn operand(name: &'static str, values: Values, about: &'static str) -> Self {
        Self {
            name,
            value: None,
            values,
            about,
        }
    }

    /// The first clause of what it means.
    pub(super) fn brief(&self) -> &'static str {
        let end = [". ", "; ", ": ", " ("]
            .iter()
            .filter_map(|mark| self.about.find(mark))
            .min();
        self.about
            .get(..end.unwrap_or(self.about.len()))
            .unwrap_or_default()
    }
}

/// `--help`, which every command has.
pub(super) const HELP: Item = Item::flag("--help", "this text");

/// How a client finds its server.
const ADDR: Item = Item::option(
    "--addr",
    "HOST:PORT",
    Values::Any,
    "server to ask, or MECHA_ADDR, default 127.0.0.1:21212",
);

/// What opens the server to a client.
const API_KEY: Item = Item::option(
    "--api-key",
    "KEY",
    Values::Any,
    "the server's key. The key itself, which shows in the list of processes, or env:NAME or \
     file:/path; or MECHA_API_KEY",
);

/// Entries of a list, over all its pages.
const LIMIT: Item = Item::option(
    "--limit",
    "N",
    Values::Any,
    "how many, 1 to 100000, default 100",
);

/// For commands whose answer is one thing.
const JSON: Item = Item::flag("--json", "the JSON of the server's answer");

impl Page {
    /// The words of its name.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.name.split(' ')
    }

    /// The names of the options that have a value.
    pub(super) fn valued(&self) -> Vec<&'static str> {
        let valued = self.options.iter().filter(|item| item.value.is_some());
        valued.map(|item| item.name).collect()
    }

    /// The names of the options that have none.
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let flags = self.options.iter().filter(|item| item.value.is_none());
        flags.map(|item| item.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clause_says_it_in_short() {
        for (about, brief) in [
            ("server to ask", "server to ask"),
            ("where to listen; port 0 picks one. More", "where to listen"),
            ("only MECHA_ADDR: x", "only MECHA_ADDR"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(Item::flag("--x", about).brief(), brief);
        }
    }
}
