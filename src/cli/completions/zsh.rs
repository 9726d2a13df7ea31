//! The script for zsh: a file for `$fpath`, or to be sourced behind `compinit`.

use std::fmt::Write as _;

use super::{First, firsts, quoted, second};
use crate::cli::manual::{HELP, Item, Values};
use crate::cli::topic::Topic;

const FRONT: &str = r"#compdef mecha
# Completes the command line of mecha; made by 'mecha completions zsh'.

";

const BACK: &str = r#"
if [[ "$funcstack[1]" = "_mecha" ]]; then
    _mecha "$@"
else
    compdef _mecha mecha
fi
"#;

pub(super) fn script() -> String {
    let mut text = FRONT.to_owned();
    let firsts = firsts();
    for First { word, below, .. } in firsts.iter().filter(|first| !first.below.is_empty()) {
        let words: Vec<_> = below
            .iter()
            .map(|topic| (second(*topic), topic.page().summary.to_owned()))
            .collect();
        let _ = writeln!(text, "_mecha_{word}() {{");
        choice(&mut text, &words, "");
        for topic in below {
            command(&mut text, second(*topic), *topic);
        }
        text.push_str("        esac ;;\n    esac\n}\n\n");
    }
    text.push_str("_mecha() {\n");
    let words: Vec<_> = firsts
        .iter()
        .map(|first| (first.word, first.about.clone()))
        .collect();
    choice(
        &mut text,
        &words,
        "\n        '(- *)'{-V,--version}'[print the version]' \\",
    );
    for First { word, below, .. } in &firsts {
        if !below.is_empty() {
            let _ = writeln!(text, "        {word}) _mecha_{word} ;;");
        }
    }
    let names: Vec<_> = firsts.iter().map(|first| first.word).collect();
    let _ = writeln!(
        text,
        "        help) _arguments '1:COMMAND:({})' ;;",
        names.join(" ")
    );
    for topic in Topic::ALL {
        if topic.page().words().count() == 1 {
            command(&mut text, topic.name(), topic);
        }
    }
    text.push_str("        esac ;;\n    esac\n}\n");
    text.push_str(BACK);
    text
}

/// The beginning of a function that lets one of `words` be chosen and then goes on with it.
fn choice(text: &mut String, words: &[(&str, String)], options: &str) {
    let _ = writeln!(
        text,
        "    local curcontext=\"$curcontext\" state line\n    \
             local -a commands\n    \
             _arguments -C \\\n        \
             '(- *)'{{-h,--help}}'[this text]' \\{options}\n        \
             '1: :->command' \\\n        \
             '*:: :->arguments'\n    \
             case $state in\n    \
             command)\n        \
             commands=("
    );
    for (word, about) in words {
        let _ = writeln!(text, "            {}", quoted(&format!("{word}:{about}")));
    }
    text.push_str(
        "        )\n        _describe -t commands command commands ;;\n    arguments)\n        \
         case $words[1] in\n",
    );
}

/// The case of a command, whose words before its options are gone.
fn command(text: &mut String, word: &str, topic: Topic) {
    let page = topic.page();
    let _ = writeln!(text, "        {word})\n            _arguments -s \\");
    for item in page.options {
        let _ = writeln!(text, "                {} \\", quoted(&option(item)));
    }
    for (at, item) in page.operands.iter().enumerate() {
        let operand = format!("{}:{}:{}", at + 1, plain(item.name), action(item.values));
        let _ = writeln!(text, "                {} \\", quoted(&operand));
    }
    let help = bracketed(HELP.about);
    let _ = writeln!(text, "                '(- *)'{{-h,--help}}'[{help}]' ;;");
}

fn option(item: &Item) -> String {
    let about = bracketed(item.brief());
    match item.value {
        None => format!("{}[{about}]", item.name),
        Some(value) => format!(
            "{}=[{about}]:{}:{}",
            item.name,
            plain(value),
            action(item.values)
        ),
    }
}

/// How values are found.
fn action(values: Values) -> String {
    match values {
        Values::Any => " ".to_owned(),
        Values::Words(words) => format!("({})", words.join(" ")),
        Values::File => "_files".to_owned(),
        Values::Directory => "_files -/".to_owned(),
    }
}

/// A text in the brackets of a description.
fn bracketed(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('[', "\\[")
        .replace(']', "\\]")
}

/// A text between two colons.
fn plain(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}
