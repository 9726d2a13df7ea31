//! The pages of what helps to use the program.

use super::{Block, Group, Item, Page, Values};

pub(in crate::cli) const COMPLETIONS: Page = Page {
    name: "completions",
    group: Group::Shell,
    summary: "print the script that completes mecha's command line",
    usage: "SHELL",
    about: &[],
    operands: &[Item::operand(
        "SHELL",
        Values::Words(&["bash", "zsh", "fish"]),
        "bash, zsh or fish",
    )],
    options_note: "",
    options: &[],
    more: &[Block::Lines(
        "To have it in each new shell:",
        &[
            "mecha completions bash > ~/.local/share/bash-completion/completions/mecha",
            "mecha completions zsh > /usr/local/share/zsh/site-functions/_mecha",
            "mecha completions fish > ~/.config/fish/completions/mecha.fish",
        ],
    )],
};

pub(in crate::cli) const MAN: Page = Page {
    name: "man",
    group: Group::Shell,
    summary: "print the manual page",
    usage: "",
    about: &[],
    operands: &[],
    options_note: "",
    options: &[],
    more: &[Block::Lines(
        "To read it, and to install it:",
        &[
            "mecha man | man -l -",
            "mecha man > /usr/local/share/man/man1/mecha.1",
        ],
    )],
};
