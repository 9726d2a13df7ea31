//! Scripts by which shells complete the command line, made of the manual's pages.
//!
//! Pages are written by us, and still every text in them is quoted for its shell.

mod bash;
mod fish;
mod zsh;

use super::args::Shell;
use super::topic::Topic;

/// The script for a shell.
pub(super) fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash::script(),
        Shell::Zsh => zsh::script(),
        Shell::Fish => fish::script(),
    }
}

/// A first word of the command line, with what it does and the words that may follow it.
struct First {
    word: &'static str,
    about: String,
    below: Vec<Topic>,
}

/// Every first word, `help` among them, which is no command of its own.
fn firsts() -> Vec<First> {
    let mut firsts: Vec<First> = Vec::new();
    for topic in Topic::ALL {
        let page = topic.page();
        let mut words = page.words();
        let Some(word) = words.next() else { continue };
        let is_group = words.next().is_some();
        match firsts.last_mut() {
            Some(last) if last.word == word => {
                last.about = format!("{}; {}", last.about, page.summary);
                last.below.push(topic);
            }
            _ => firsts.push(First {
                word,
                about: page.summary.to_owned(),
                below: if is_group { vec![topic] } else { Vec::new() },
            }),
        }
    }
    firsts.push(First {
        word: "help",
        about: "describe a command".to_owned(),
        below: Vec::new(),
    });
    firsts
}

/// The second words of a group of commands.
fn second(topic: Topic) -> &'static str {
    topic.page().words().nth(1).unwrap_or_default()
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_every_command_and_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for topic in Topic::ALL {
                let page = topic.page();
                for word in page.words() {
                    assert!(script.contains(word), "{shell:?}: {}", page.name);
                }
                for item in page.options {
                    let name = item.name.trim_start_matches('-');
                    assert!(script.contains(name), "{shell:?}: {}", item.name);
                }
            }
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("it's $x"), "'it'\\''s $x'");
    }

    #[test]
    fn a_group_is_one_first_word() {
        let firsts = firsts();
        let workers: Vec<_> = firsts
            .iter()
            .filter(|first| first.word == "worker")
            .collect();
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].below, [Topic::WorkerAdd, Topic::WorkerRemove]);
        assert!(
            firsts
                .iter()
                .all(|first| first.word != "worker" || first.below.len() == 2)
        );
    }
}
