//! The script for fish 3.0 and later.

use std::fmt::Write as _;

use super::{First, firsts, second};
use crate::cli::manual::{HELP, Item, Values};
use crate::cli::topic::Topic;

/// The command stands in front of its options, so the first words tell which it is.
const FRONT: &str = r#"# Completes the command line of mecha; made by 'mecha completions fish'.

function __mecha_at
    set -l words (commandline -opc)
    set -e words[1]
    test "$words" = "$argv"
end

function __mecha_in
    set -l words (commandline -opc)
    set -e words[1]
    set -l length (count $argv)
    test (count $words) -ge $length; and test "$words[1..$length]" = "$argv"
end

complete -c mecha -f
"#;

pub(super) fn script() -> String {
    let mut text = FRONT.to_owned();
    let firsts = firsts();
    for First { word, about, below } in &firsts {
        for place in ["__mecha_at", "__mecha_at help"] {
            let about = quoted(about);
            let _ = writeln!(text, "complete -c mecha -n '{place}' -a {word} -d {about}");
        }
        for topic in below {
            let about = quoted(topic.page().summary);
            let second = second(*topic);
            let _ = writeln!(
                text,
                "complete -c mecha -n '__mecha_at {word}' -a {second} -d {about}"
            );
        }
    }
    for (options, about) in [
        ("-s h -l help", HELP.about),
        ("-s V -l version", "print the version"),
    ] {
        let _ = writeln!(
            text,
            "complete -c mecha -n '__mecha_at' {options} -d {}",
            quoted(about)
        );
    }
    for topic in Topic::ALL {
        command(&mut text, topic);
    }
    text
}

fn command(text: &mut String, topic: Topic) {
    let page = topic.page();
    let place = format!("complete -c mecha -n '__mecha_in {}'", page.name);
    for item in page.options {
        option(text, &place, item);
    }
    let help = quoted(HELP.about);
    let _ = writeln!(text, "{place} -s h -l help -d {help}");
    for item in page.operands {
        match item.values {
            Values::Any => {}
            Values::Words(words) => {
                let _ = writeln!(text, "{place} -a '{}'", words.join(" "));
            }
            Values::File => {
                let _ = writeln!(text, "{place} -F");
            }
            Values::Directory => {
                let _ = writeln!(text, "{place} -a '(__fish_complete_directories)'");
            }
        }
    }
}

fn option(text: &mut String, place: &str, item: &Item) {
    let values = match (item.value, item.values) {
        (None, _) => String::new(),
        (Some(_), Values::Any) => " -x".to_owned(),
        (Some(_), Values::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
        (Some(_), Values::File) => " -r -F".to_owned(),
        (Some(_), Values::Directory) => " -x -a '(__fish_complete_directories)'".to_owned(),
    };
    let name = item.name.trim_start_matches('-');
    let about = quoted(item.brief());
    let _ = writeln!(text, "{place} -l {name}{values} -d {about}");
}

/// In fish a quotation mark within quotation marks is escaped.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
