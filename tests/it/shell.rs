//! Completions and the manual page, loaded by the programs they are for, where those are installed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::Program;

/// Runs `program` with `args` in `home`: what it printed, and whether it was content. `None` where
/// it is not installed.
fn run(home: &Path, program: &str, args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program)
        .args(args)
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", path())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        let line = format!("skipped: {program} is not installed\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    };
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some((output.status.success(), text))
}

/// The program under test is found first.
fn path() -> String {
    let directory = Path::new(env!("CARGO_BIN_EXE_mecha")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", directory.display())
}

/// The script for a shell, in a file of a home of its own.
fn script(shell: &str, file: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let outcome = Program::run(home.path(), &["completions", shell]).expect(0);
    assert!(outcome.stderr.is_empty(), "{outcome:#?}");
    std::fs::write(home.path().join(file), outcome.stdout).unwrap();
    home
}

#[test]
fn bash_completes_commands_options_and_values() {
    let home = script("bash", "mecha.bash");
    let Some((is_well, text)) = run(home.path(), "bash", &["-n", "mecha.bash"]) else {
        return;
    };
    assert!(is_well && text.is_empty(), "{text}");
    let (is_well, text) = run(
        home.path(),
        "bash",
        &["-c", ". ./mecha.bash; complete -p mecha"],
    )
    .unwrap();
    assert!(is_well && text.contains("-F _mecha mecha"), "{text}");
    for (words, expected) in [
        ("mecha ta", "task tasks "),
        ("mecha worker ''", "add remove --help "),
        ("mecha worker a", "add "),
        ("mecha worker add x --end", "--endpoint "),
        (
            "mecha tasks --state ''",
            "pending dispatched completed failed ",
        ),
        ("mecha tasks --state = f", "failed "),
        ("mecha task --wa", "--wait "),
        ("mecha help wor", "workers worker "),
        ("mecha completions z", "zsh "),
        ("mecha init mecha.b", "mecha.bash "),
        ("mecha serve --config mecha.", "mecha.bash "),
        ("mecha tasks --addr ''", ""),
    ] {
        let line = format!(
            ". ./mecha.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _mecha; for word in \"${{COMPREPLY[@]}}\"; do printf '%s ' \"$word\"; done"
        );
        let (_, text) = run(home.path(), "bash", &["-c", &line]).unwrap();
        assert_eq!(text, expected, "{words}");
    }
}

#[test]
fn bash_completes_files_by_their_names_whatever_they_are() {
    let home = script("bash", "mecha.bash");
    for name in ["a*", "a b", "ab", "$(touch ran).json"] {
        std::fs::write(home.path().join(name), "").unwrap();
    }
    std::fs::create_dir(home.path().join("a dir")).unwrap();
    // Where there is no compopt, as in bash 3, the names come quoted.
    for (prefix, compopt, expected) in [
        ("a", "true", "a dir|a*|a b|ab|"),
        ("'$'", "true", "$(touch ran).json|"),
        ("a", "false", "a\\ dir|a\\*|a\\ b|ab|"),
        ("'$'", "false", "\\$\\(touch\\ ran\\).json|"),
    ] {
        let line = format!(
            ". ./mecha.bash; compopt() {{ {compopt}; }}; COMP_WORDS=(mecha init {prefix}); \
             COMP_CWORD=2; _mecha; printf '%s|' \"${{COMPREPLY[@]}}\""
        );
        let Some((_, text)) = run(home.path(), "bash", &["-c", &line]) else {
            return;
        };
        let sorted = |text: &str| {
            let mut names: Vec<String> = text.split('|').map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(&text), sorted(expected), "{prefix} {compopt}");
    }
    assert!(!home.path().join("ran").exists());
}

#[test]
fn zsh_loads_the_script() {
    let home = script("zsh", "_mecha");
    let Some((is_well, text)) = run(home.path(), "zsh", &["-fn", "_mecha"]) else {
        return;
    };
    assert!(is_well && text.is_empty(), "{text}");
    for line in [
        "fpath=($HOME $fpath); autoload -U compinit; compinit -u -D; print $_comps[mecha]",
        "autoload -U compinit; compinit -u -D; . ./_mecha; print $_comps[mecha]",
    ] {
        let (is_well, text) = run(home.path(), "zsh", &["-fc", line]).unwrap();
        assert!(is_well && text.trim() == "_mecha", "{text}");
    }
}

#[test]
fn fish_completes_commands_options_and_values() {
    let home = script("fish", "mecha.fish");
    let Some((is_well, text)) = run(home.path(), "fish", &["-n", "mecha.fish"]) else {
        return;
    };
    assert!(is_well && text.is_empty(), "{text}");
    for (line, expected) in [
        ("mecha ta", &["task", "tasks"][..]),
        ("mecha worker ", &["add", "remove"]),
        ("mecha worker add x --end", &["--endpoint"]),
        ("mecha tasks --state f", &["failed"]),
        ("mecha help wor", &["worker", "workers"]),
        ("mecha completions z", &["zsh"]),
    ] {
        let command = format!("source mecha.fish; complete -C '{line}'");
        let (_, text) = run(home.path(), "fish", &["-N", "-c", &command]).unwrap();
        let mut found: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{line}: {text}");
    }
}

#[test]
fn the_manual_page_is_sound() {
    let home = tempfile::tempdir().unwrap();
    let outcome = Program::run(home.path(), &["man"]).expect(0);
    for part in [".TH MECHA 1", "mecha worker add", "\\-\\-idempotency\\-key"] {
        assert!(outcome.stdout.contains(part), "{part}");
    }
    std::fs::write(home.path().join("mecha.1"), &outcome.stdout).unwrap();
    if let Some((is_well, text)) = run(home.path(), "mandoc", &["-Tlint", "mecha.1"]) {
        assert!(is_well && text.is_empty(), "{text}");
    }
    let groff = ["-ww", "-man", "-Tutf8", "-z", "mecha.1"];
    if let Some((is_well, text)) = run(home.path(), "groff", &groff) {
        assert!(is_well && text.is_empty(), "{text}");
    }
}
