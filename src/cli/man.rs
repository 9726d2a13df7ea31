//! The manual page, in the macros of `man(7)`.

use std::fmt::Write as _;

use super::help;
use super::manual::{Block, Group, HELP, Item, PROGRAM, Page};
use super::topic::Topic;

/// Bytes of a line of running text at most.
const LINE_MAX: usize = 79;

/// The page of the program and of every command.
pub(super) fn page() -> String {
    let mut roff = String::new();
    let version = help::VERSION;
    let revised = PROGRAM.revised;
    let _ = writeln!(
        roff,
        ".TH MECHA 1 {revised} \"{version}\" \"User Commands\""
    );
    section(&mut roff, "NAME");
    let _ = writeln!(roff, "mecha \\- {}", escaped(PROGRAM.summary));
    section(&mut roff, "SYNOPSIS");
    for (at, topic) in Topic::ALL.into_iter().enumerate() {
        let page = topic.page();
        let front = if at == 0 { "" } else { ".br\n" };
        let usage = line(page.usage);
        let _ = write!(roff, "{front}.B mecha {}\n{usage}", escaped(page.name));
        if !usage.is_empty() {
            roff.push('\n');
        }
    }
    section(&mut roff, "DESCRIPTION");
    let _ = writeln!(roff, "{}", filled(PROGRAM.about));
    block(&mut roff, &PROGRAM.start);
    for group in Group::ALL {
        section(
            &mut roff,
            &format!("{} COMMANDS", group.title().to_uppercase()),
        );
        for topic in Topic::ALL {
            let page = topic.page();
            if page.group == group {
                command(&mut roff, page);
            }
        }
    }
    section(&mut roff, "ENVIRONMENT");
    terms(&mut roff, PROGRAM.variables);
    section(&mut roff, "EXIT STATUS");
    terms(&mut roff, PROGRAM.exit_codes);
    roff
}

fn command(roff: &mut String, page: &Page) {
    let _ = writeln!(roff, ".SS \"mecha {}\"", escaped(page.name));
    let _ = writeln!(roff, "{}.", line(&help::capitalized(page.summary)));
    for piece in page.about {
        block(roff, piece);
    }
    for item in page.operands {
        let _ = writeln!(
            roff,
            ".TP\n.I {}\n{}",
            escaped(item.name),
            filled(item.about)
        );
    }
    if !page.options_note.is_empty() {
        let note = help::capitalized(page.options_note);
        let _ = writeln!(roff, ".PP\n{}.", filled(&note));
    }
    for item in page.options.iter().chain([&HELP]) {
        option(roff, item);
    }
    for piece in page.more {
        block(roff, piece);
    }
}

fn option(roff: &mut String, item: &Item) {
    let short = if item.name == HELP.name {
        "\\fB\\-h\\fR, "
    } else {
        ""
    };
    let value = item.value.map(escaped);
    let value = value.map_or_else(String::new, |value| format!(" \\fI{value}\\fR"));
    let name = escaped(item.name);
    let _ = writeln!(
        roff,
        ".TP\n{short}\\fB{name}\\fR{value}\n{}",
        filled(item.about)
    );
}

fn section(roff: &mut String, title: &str) {
    let _ = writeln!(roff, ".SH {title}");
}

fn block(roff: &mut String, block: &Block) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(roff, ".PP\n{}", filled(text));
        }
        Block::Lines(title, lines) => {
            let _ = writeln!(roff, ".PP\n{}\n.PP\n.RS 4\n.nf", filled(title));
            for text in *lines {
                let _ = writeln!(roff, "{}", line(text));
            }
            roff.push_str(".fi\n.RE\n");
        }
        Block::Terms(title, list) => {
            let _ = writeln!(roff, ".PP\n{}:", line(title));
            terms(roff, list);
        }
    }
}

fn terms(roff: &mut String, list: &[(&str, &str)]) {
    for (term, about) in list {
        let _ = writeln!(roff, ".TP\n.B {}\n{}", escaped(term), filled(about));
    }
}

/// A paragraph, in lines of the source that are no longer than a terminal is wide.
fn filled(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let escaped = escaped(word);
        if length > 0 && length + 1 + escaped.len() > LINE_MAX {
            lines.push('\n');
            length = 0;
        }
        let word = if length > 0 {
            format!(" {escaped}")
        } else {
            line(word)
        };
        length += word.len();
        lines.push_str(&word);
    }
    lines
}

/// A text that begins a line, where roff takes a dot or an apostrophe for an order.
fn line(text: &str) -> String {
    let front = if text.starts_with(['.', '\'', ' ']) {
        "\\&"
    } else {
        ""
    };
    format!("{front}{}", escaped(text))
}

/// A text in which roff finds no orders and makes no typography: what is to be typed can be
/// copied.
fn escaped(text: &str) -> String {
    let mut roff = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => roff.push_str("\\e"),
            '-' => roff.push_str("\\-"),
            '\'' => roff.push_str("\\(aq"),
            '`' => roff.push_str("\\(ga"),
            '^' => roff.push_str("\\(ha"),
            '~' => roff.push_str("\\(ti"),
            '"' => roff.push_str("\\(dq"),
            c => roff.push(c),
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_and_option_and_no_stray_orders() {
        let page = page();
        for topic in Topic::ALL {
            let entry = topic.page();
            assert!(page.contains(&format!(".SS \"mecha {}\"\n", entry.name)));
            for item in entry.options {
                assert!(page.contains(&format!("\\fB{}\\fR", escaped(item.name))));
            }
        }
        for line in page.lines() {
            let word = line.split(' ').next().unwrap_or_default();
            let is_order = line.starts_with(['.', '\'']);
            let known = [
                ".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".RS", ".RE", ".nf", ".fi", ".br",
            ];
            assert!(!is_order || known.contains(&word), "{line}");
        }
    }

    #[test]
    fn what_roff_would_obey_is_escaped() {
        assert_eq!(line(".x"), "\\&.x");
        assert!(filled(&format!("{} .x", "a".repeat(78))).ends_with("\n\\&.x"));
        assert_eq!(line("'x' a-b \\"), "\\&\\(aqx\\(aq a\\-b \\e");
    }
}
