//! Help, as text that fits a terminal of 80 columns.

use std::fmt::Write as _;

use super::manual::{Block, Group, HELP, Item, PROGRAM, Page};
use super::topic::Topic;

/// What `--version` prints.
pub(super) const VERSION: &str = concat!("mecha ", env!("CARGO_PKG_VERSION"));

/// Columns of the text.
const COLUMNS: usize = 80;

/// Help on the program.
pub(super) fn of_program() -> String {
    let mut text = format!("mecha: {}\n\n", PROGRAM.summary);
    wrap(&mut text, "", "", PROGRAM.about);
    text.push_str("\nUsage: mecha COMMAND [OPTIONS]\n");
    let width = Topic::ALL.map(|topic| topic.name().len());
    let width = width.into_iter().max().unwrap_or(0);
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}:", group.title());
        let pages = Topic::ALL.map(Topic::page);
        for page in pages.into_iter().filter(|page| page.group == group) {
            let front = format!("  {:<width$}  ", page.name);
            wrap(&mut text, &front, &" ".repeat(front.len()), page.summary);
        }
    }
    text.push('\n');
    block(&mut text, &PROGRAM.start);
    text.push_str("\nOptions:\n");
    let options = [
        (
            "-h, --help",
            "this text; 'mecha COMMAND --help' describes a command",
        ),
        ("-V, --version", "print the version"),
    ];
    terms(&mut text, &options);
    text.push_str("\nVariables, where an option does not say it:\n");
    terms(&mut text, PROGRAM.variables);
    text.push_str("\nExit codes:\n");
    terms(&mut text, PROGRAM.exit_codes);
    text
}

/// Help on a command.
pub(super) fn of(topic: Topic) -> String {
    let page = topic.page();
    let mut text = format!("{}\n\n", capitalized(page.summary));
    for piece in page.about {
        block(&mut text, piece);
        text.push('\n');
    }
    text.push_str("Usage: ");
    text.push_str(usage(page).trim_end());
    text.push('\n');
    if !page.operands.is_empty() {
        text.push('\n');
        items(&mut text, page.operands);
    }
    if page.options_note.is_empty() {
        text.push_str("\nOptions:\n");
    } else {
        text.push('\n');
        wrap(
            &mut text,
            "",
            "",
            &format!("Options ({}):", page.options_note),
        );
    }
    items(&mut text, &[page.options, &[HELP]].concat());
    for piece in page.more {
        text.push('\n');
        block(&mut text, piece);
    }
    text
}

/// Help on several commands.
pub(super) fn of_all(topics: &[Topic]) -> String {
    let texts: Vec<String> = topics.iter().map(|topic| of(*topic)).collect();
    texts.join("\n")
}

/// How a command is called.
pub(super) fn usage(page: &Page) -> String {
    format!("mecha {} {}", page.name, page.usage)
}

/// How an option or operand is written.
pub(super) fn written(item: &Item) -> String {
    let short = if item.name == HELP.name { "-h, " } else { "" };
    let value = item
        .value
        .map_or_else(String::new, |value| format!(" {value}"));
    format!("{short}{}{value}", item.name)
}

/// `text` with a capital at its front.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn block(text: &mut String, block: &Block) {
    match block {
        Block::Text(paragraph) => wrap(text, "", "", paragraph),
        Block::Lines(title, lines) => {
            wrap(text, "", "", title);
            for line in *lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        Block::Terms(title, list) => {
            let _ = writeln!(text, "{title}:");
            terms(text, list);
        }
    }
}

fn items(text: &mut String, items: &[Item]) {
    let written: Vec<(String, &str)> = items
        .iter()
        .map(|item| (written(item), item.about))
        .collect();
    let list: Vec<(&str, &str)> = written
        .iter()
        .map(|(name, about)| (name.as_str(), *about))
        .collect();
    terms(text, &list);
}

/// Words, and beside them what they mean.
fn terms(text: &mut String, list: &[(&str, &str)]) {
    let width = list.iter().map(|(term, _)| term.len()).max().unwrap_or(0);
    for (term, about) in list {
        let first = format!("  {term:<width$}    ");
        wrap(text, &first, &" ".repeat(first.len()), about);
    }
}

/// Adds a paragraph whose first line begins with `first` and every other one with `rest`.
fn wrap(text: &mut String, first: &str, rest: &str, paragraph: &str) {
    let mut line = first.to_owned();
    let mut is_begun = false;
    for word in paragraph.split(' ') {
        if is_begun && line.len() + 1 + word.len() > COLUMNS {
            text.push_str(line.trim_end());
            text.push('\n');
            rest.clone_into(&mut line);
            is_begun = false;
        }
        if is_begun {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<String> {
        let mut texts = vec![of_program()];
        texts.extend(Topic::ALL.map(of));
        texts
    }

    #[test]
    fn help_names_every_command_and_option() {
        let program = of_program();
        for topic in Topic::ALL {
            let page = topic.page();
            let text = of(topic);
            for item in page.options.iter().chain(page.operands).chain([&HELP]) {
                assert!(text.contains(item.name), "{} of {}", item.name, page.name);
            }
            assert!(text.contains(&format!("Usage: mecha {}", page.name)));
            assert!(
                program.contains(&format!("\n  {} ", page.name)),
                "{}",
                page.name
            );
            assert_eq!(Topic::named(page.name), Some(topic));
        }
    }

    #[test]
    fn help_fits_a_terminal_and_names_only_what_there_is() {
        let known: Vec<&str> = Topic::ALL
            .iter()
            .flat_map(|topic| topic.page().options.iter().map(|item| item.name))
            .chain(["--help", "--version", "--"])
            .collect();
        for text in all() {
            for line in text.lines() {
                assert!(line.len() <= COLUMNS && line.is_ascii(), "{line}");
                assert!(!line.ends_with(' '), "{line}");
            }
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                assert!(!word.starts_with("--") || known.contains(&word), "{word}");
            }
        }
    }

    #[test]
    fn paragraphs_are_wrapped_between_words() {
        let mut text = String::new();
        let word = "x".repeat(30);
        wrap(
            &mut text,
            "  a  ",
            "     ",
            &format!("{word} {word} {word}"),
        );
        assert_eq!(text, format!("  a  {word} {word}\n     {word}\n"));
    }
}
