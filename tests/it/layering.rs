//! The fences of the design: which room may name which crate and which other room.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path below `src/` and its code, without comments and texts.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path: PathBuf = entry.path();
            // Tests of a room may put it together with others.
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source {
                    path: path.strip_prefix(&root).unwrap().display().to_string(),
                    code: code_of(&text),
                });
            }
        }
    }
    assert!(sources.len() > 10);
    sources
}

/// `text` without comments and without what stands in quotation marks.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    for line in lines {
        let line = line.split(" // ").next().unwrap_or_default();
        // Every other piece between quotation marks is a text; marks that are escaped or a
        // character by themselves begin none.
        let line = line.replace("\\\"", "").replace("'\"'", "' '");
        let pieces: Vec<&str> = line.split('"').step_by(2).collect();
        code.push_str(&pieces.join("\"\""));
        code.push('\n');
    }
    code
}

/// Whether `code` has `word` as a whole word.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// The rooms that `code` uses by `crate::room` or `use crate::{room, ...}`.
fn rooms(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = Vec::new();
    for (start, prefix) in code.match_indices("crate::") {
        let rest = &code[start + prefix.len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(word(rest)),
            Some(list) => {
                let mut depth = 1_usize;
                let mut is_start = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => is_start = true,
                        c if is_start && !c.is_whitespace() => {
                            rooms.push(word(&list[at..]));
                            is_start = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    rooms
}

/// The room a file belongs to.
fn room(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

#[test]
fn each_crate_is_named_by_its_room_alone() {
    for (word, owner) in [
        ("fjall", "store"),
        ("lsm_tree", "store"),
        ("postcard", "store"),
        ("async_h1", "http"),
        ("http_types", "http"),
        ("pico_args", "cli"),
        ("toml", "config"),
        ("minijinja", "rules"),
        ("sha1", "source"),
        ("ed25519_compact", "source"),
    ] {
        for source in sources() {
            let names_it = source.code.contains(&format!("{word}::"))
                || names(&source.code, &format!("use {word}"));
            assert!(
                !names_it || room(&source.path) == owner,
                "{} names {word}, which is {owner}'s",
                source.path
            );
        }
    }
}

#[test]
fn only_the_clock_reads_time() {
    for source in sources() {
        for word in ["SystemTime::now", "Instant::now"] {
            assert!(
                !source.code.contains(word) || source.path == "clock.rs",
                "{} reads time by {word}",
                source.path
            );
        }
    }
}

#[test]
fn rooms_call_in_one_direction() {
    let pure = ["clock", "event", "id", "secret", "task", "worker"];
    let upper = [
        "api", "cli", "config", "dispatch", "feed", "http", "queue", "roster", "source", "store",
    ];
    let forbidden: Vec<(&str, Vec<&str>)> = vec![
        ("api", vec!["dispatch", "store", "cli"]),
        ("dispatch", vec!["api", "store", "cli", "config"]),
        (
            "http",
            vec![
                "api", "dispatch", "queue", "store", "server", "cli", "config", "roster",
            ],
        ),
        (
            "queue",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "roster",
            ],
        ),
        (
            "store",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "roster",
            ],
        ),
        (
            "config",
            vec!["api", "dispatch", "http", "server", "cli", "queue", "store"],
        ),
        (
            "roster",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "store",
            ],
        ),
        (
            "rules",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "store", "roster",
                "clock",
            ],
        ),
        (
            "budget",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "store",
            ],
        ),
        (
            "offload",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "store", "budget",
            ],
        ),
        (
            "drain",
            vec![
                "api", "dispatch", "http", "server", "cli", "config", "queue", "store",
            ],
        ),
    ];
    // A pure room: it may use what is named here and nothing else.
    let allowed: Vec<(&str, Vec<&str>)> = vec![
        ("allocator", vec![]),
        ("footprint", vec![]),
        ("relief", vec![]),
        ("packed", vec![]),
        ("page", vec!["packed"]),
        ("source", vec!["clock", "event", "secret"]),
        ("backup", vec![]),
        ("metrics", vec!["clock"]),
        ("feed", vec!["clock", "event", "id", "task", "worker"]),
    ];
    for source in sources() {
        let own = room(&source.path);
        if let Some((_, allowed)) = allowed.iter().find(|(name, _)| *name == own) {
            for used in rooms(&source.code) {
                assert!(
                    allowed.contains(&used.as_str()),
                    "{} uses {used}",
                    source.path
                );
            }
            continue;
        }
        let fence = if pure.contains(&own) {
            Some(&upper[..])
        } else {
            let entry = forbidden.iter().find(|(name, _)| *name == own);
            entry.map(|(_, rooms)| rooms.as_slice())
        };
        for used in rooms(&source.code) {
            assert!(
                !fence.is_some_and(|fence| fence.contains(&used.as_str())),
                "{} uses {used}",
                source.path
            );
        }
    }
}

#[test]
fn nothing_is_unbounded_unsafe_or_unfinished() {
    for source in sources() {
        for word in [
            "unbounded",
            "mpsc::channel()",
            "smol::spawn",
            "todo!",
            "unimplemented!",
            "into_string()\n        .await",
        ] {
            assert!(!source.code.contains(word), "{}: {word}", source.path);
        }
        assert!(!names(&source.code, "unsafe"), "{}: unsafe", source.path);
    }
}

#[test]
fn no_room_is_a_drawer_for_everything() {
    for source in sources() {
        for name in [
            "util", "utils", "common", "helper", "helpers", "misc", "types",
        ] {
            let stands = source
                .path
                .split('/')
                .any(|part| part.trim_end_matches(".rs") == name);
            assert!(!stands, "{}", source.path);
        }
        // The template engine's trait for objects has methods of this name.
        let own = source.code.replace("fn get_value", "fn value");
        assert!(!own.contains("fn get_"), "{}", source.path);
    }
}

#[test]
fn rooms_are_found_in_every_form_of_import() {
    let code = "use crate::a::B;\nuse crate::{b, c::{D, E}, f};\nlet x = crate::g::h();";
    assert_eq!(rooms(code), ["a", "b", "c", "f", "g"]);
    assert!(names("use fjall::X;", "fjall") && !names("fjalls", "fjall"));
    assert_eq!(room("http/client.rs"), "http");
    assert_eq!(room("clock.rs"), "clock");
}
