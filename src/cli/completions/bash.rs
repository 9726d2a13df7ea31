//! The script for bash 3.2 and later.

use std::fmt::Write as _;

use super::{First, firsts, second};
use crate::cli::manual::{HELP, Item, Values};
use crate::cli::topic::Topic;

const FRONT: &str = r#"# Completes the command line of mecha; made by 'mecha completions bash'.

_mecha_paths() {
    local path is_old=
    # Bash 3 has no compopt, so what is special to it is quoted here.
    compopt -o filenames 2>/dev/null || is_old=1
    while IFS= read -r path; do
        if [[ $is_old ]]; then
            printf -v path %q "$path"
        fi
        COMPREPLY[${#COMPREPLY[@]}]=$path
    done < <(compgen "$1" -- "$2")
}

_mecha() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} words= place=$COMP_CWORD
    COMPREPLY=()
    # To bash, --option=value is three words.
    if [[ $word == '=' ]]; then
        word=
    elif [[ $previous == '=' ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
"#;

const BACK: &str = r#"    COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -F _mecha mecha
"#;

pub(super) fn script() -> String {
    let mut text = FRONT.to_owned();
    let firsts = firsts();
    let groups = firsts.iter().filter(|first| !first.below.is_empty());
    for First { word, .. } in groups {
        let _ = writeln!(
            text,
            "    if [[ $command == {word} ]] && (( place > 2 )); then\n        \
                 command=\"{word} ${{COMP_WORDS[2]}}\"\n    fi"
        );
    }
    text.push_str(
        "    if (( place == 1 )); then\n        command=\n    fi\n    case $command in\n",
    );
    let words: Vec<_> = firsts.iter().map(|first| first.word).collect();
    let words = words.join(" ");
    let _ = writeln!(text, "    '') words='{words} --help --version' ;;");
    let _ = writeln!(text, "    help) words='{words}' ;;");
    for First { word, below, .. } in firsts.iter().filter(|first| !first.below.is_empty()) {
        let seconds: Vec<_> = below.iter().map(|topic| second(*topic)).collect();
        let _ = writeln!(text, "    {word}) words='{} --help' ;;", seconds.join(" "));
    }
    for topic in Topic::ALL {
        command(&mut text, topic);
    }
    text.push_str("    esac\n");
    text.push_str(BACK);
    text
}

fn command(text: &mut String, topic: Topic) {
    let page = topic.page();
    let _ = writeln!(text, "    '{}')\n        case $previous in", page.name);
    for item in page.options.iter().filter(|item| item.value.is_some()) {
        let action = match item.values {
            Values::Any => "return".to_owned(),
            Values::Words(words) => format!("words='{}'", words.join(" ")),
            Values::File => "_mecha_paths -f \"$word\"; return".to_owned(),
            Values::Directory => "_mecha_paths -d \"$word\"; return".to_owned(),
        };
        let _ = writeln!(text, "        {}) {action} ;;", item.name);
    }
    let options = page.options.iter().chain([&HELP]).map(|item| item.name);
    let mut words: Vec<&str> = options.collect();
    let mut paths = "";
    for operand in page.operands {
        let Item { values, .. } = operand;
        match values {
            Values::Any => {}
            Values::Words(more) => words.extend(more.iter()),
            Values::File => paths = "-f",
            Values::Directory => paths = "-d",
        }
    }
    text.push_str("        *)\n");
    if !paths.is_empty() {
        let _ = writeln!(
            text,
            "            if [[ $word != -* ]]; then _mecha_paths {paths} \"$word\"; return; fi"
        );
    }
    let _ = writeln!(
        text,
        "            words='{}' ;;\n        esac ;;",
        words.join(" ")
    );
}
