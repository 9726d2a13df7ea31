//! The documents held to the program: what they tell a reader to write, type, follow or look for is what there is.

mod pages;
mod peer;
mod recipes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use self::pages::{Page, all};
use crate::harness::Program;

/// What a configuration names outside of itself, made to be there: variables, and files in `home`.
fn with_secrets(home: &Path, text: &str) -> (String, Vec<(String, String)>) {
    let secret = home.join("secret");
    fs::write(&secret, "made-up\n").unwrap();
    let mut here = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\"file:/") {
        let (before, behind) = rest.split_at(start + 1);
        let (_, after) = behind.split_once('"').unwrap();
        here.push_str(before);
        here.extend(["file:", &secret.display().to_string(), "\""]);
        rest = after;
    }
    here.push_str(rest);
    let names = text.split("\"env:").skip(1);
    let names = names.map(|behind| behind.split_once('"').unwrap().0.to_owned());
    (
        here,
        names.map(|name| (name, "made-up".to_owned())).collect(),
    )
}

#[test]
fn every_configuration_of_the_documents_is_valid() {
    let mut checked = 0;
    for page in all() {
        for block in page.blocks("toml") {
            let home = tempfile::tempdir().unwrap();
            let (text, variables) = with_secrets(home.path(), &block);
            fs::write(home.path().join("mecha.toml"), text).unwrap();
            let variables: Vec<_> = variables.iter().map(|(n, v)| (&**n, &**v)).collect();
            let args = ["check", "--config", "mecha.toml"];
            let outcome = Program::run_with(home.path(), &args, &variables);
            assert_eq!(
                outcome.code,
                Some(0),
                "{}: {outcome:#?}\n{block}",
                page.name
            );
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut followed = 0;
    for page in all() {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: there is no {link}", page.name);
            if !anchor.is_empty() {
                let anchors = Page::read(&target).anchors();
                assert!(
                    anchors.contains(anchor),
                    "{}: {link}: {anchors:?}",
                    page.name
                );
            }
            followed += 1;
        }
    }
    assert!(followed >= 50, "{followed}");
}

#[test]
fn every_command_of_the_documents_is_one() {
    let home = tempfile::tempdir().unwrap();
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for page in all() {
        for command in page.commands() {
            let mut words = command.iter().map(String::as_str);
            let first = words.next().unwrap_or_default();
            // 'mecha COMMAND --help' and 'mecha --help' are about all of them.
            if first.starts_with('-') || first.chars().all(|c| c.is_ascii_uppercase()) {
                continue;
            }
            let name = match (first, command.get(1)) {
                ("worker", Some(second)) => format!("worker {second}"),
                _ => first.to_owned(),
            };
            let help = helps.entry(name.clone()).or_insert_with(|| {
                let args: Vec<&str> = name.split(' ').chain(["--help"]).collect();
                let outcome = Program::run(home.path(), &args);
                assert_eq!(
                    outcome.code,
                    Some(0),
                    "{}: mecha {name}: {outcome:#?}",
                    page.name
                );
                outcome.stdout
            });
            for flag in words.filter(|word| word.starts_with("--") && word.len() > 2) {
                let flag = flag.split('=').next().unwrap();
                let is_known = flag == "--help" || help.split_whitespace().any(|word| word == flag);
                assert!(is_known, "{}: mecha {name} has no {flag}", page.name);
            }
            seen.insert(name);
        }
    }
    for name in [
        "serve",
        "check",
        "task",
        "webhook",
        "backup",
        "worker add",
        "why",
    ] {
        assert!(seen.contains(name), "{name} is in no document: {seen:?}");
    }
}

#[test]
fn lines_that_are_to_be_looked_for_are_written_by_the_program() {
    let texts = pages::texts_of_the_program();
    let page = all()
        .into_iter()
        .find(|page| page.name == "docs/troubleshooting.md");
    let page = page.unwrap();
    let mut compared = 0;
    for line in page.blocks("log").iter().flat_map(|block| block.lines()) {
        // What differs, and what one text takes over from another, ends a piece.
        let pieces = line.split('…').flat_map(|piece| piece.split(": "));
        for piece in pieces.map(|piece| piece.trim_matches([' ', ':'])) {
            // "(os error 98)" and what stands in front of it are the system's.
            if piece.len() < 3 || piece.starts_with("Address already in use") {
                continue;
            }
            assert!(
                texts.contains(piece),
                "nothing of the program writes {piece:?}: {line}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 30, "{compared}");
}
