//! Which attribute comes from where in a payload, as a table that each sender's file has.

use super::pick::Picked;
use crate::event::{Attribute, Attributes};

/// What is made of the value at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A text as it is.
    Text,
    /// The first line of a text, as a commit's message has its title there.
    FirstLine,
    /// A text or the digits of a number, as a text.
    Word,
    /// What stands behind `refs/heads/`; a text that begins otherwise names no branch.
    Branch,
    /// The last of several texts: the newest commit of a push.
    Last,
    /// The first line of the last of several texts.
    LastFirstLine,
    /// A whole number.
    Integer,
    /// True or false.
    Flag,
    /// A list of names.
    Names,
}

/// Name of an attribute, form, and the paths of which the first that leads somewhere counts. Of
/// several lines for one attribute the first that finds something counts.
pub(super) type Line = (&'static str, Form, &'static [&'static str]);

/// Every path of `table`.
pub(super) fn paths(table: &'static [Line]) -> impl Iterator<Item = &'static str> {
    table.iter().flat_map(|(_, _, paths)| paths.iter().copied())
}

/// The attributes that `table` finds.
pub(super) fn attributes(table: &[Line], picked: &Picked<'_, '_>) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, form, paths) in table {
        if attributes.contains_key(*name) {
            continue;
        }
        let found = paths.iter().find_map(|path| value(*form, path, picked));
        if let Some(value) = found {
            attributes.insert((*name).to_owned(), value);
        }
    }
    attributes
}

fn value(form: Form, path: &str, picked: &Picked<'_, '_>) -> Option<Attribute> {
    Some(match form {
        Form::Text => Attribute::Text(picked.text(path)?),
        Form::FirstLine => Attribute::Text(first_line(&picked.text(path)?)),
        Form::Word => Attribute::Text(picked.word(path)?),
        Form::Branch => Attribute::from(picked.text(path)?.strip_prefix("refs/heads/")?),
        Form::Last => Attribute::Text(picked.last_text(path)?),
        Form::LastFirstLine => Attribute::Text(first_line(&picked.last_text(path)?)),
        Form::Integer => Attribute::Integer(picked.integer(path)?),
        Form::Flag => Attribute::Flag(picked.flag(path)?),
        Form::Names => Attribute::Names(picked.names(path)?),
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Adds a text that another part of the delivery tells, where there is one.
pub(super) fn put(attributes: &mut Attributes, name: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        attributes.insert(name.to_owned(), Attribute::from(text));
    }
}

/// Adds owner and name of a repository that is called `owner/name`.
pub(super) fn put_repository(attributes: &mut Attributes, full_name: Option<&str>) {
    let split = full_name.and_then(|full_name| full_name.rsplit_once('/'));
    let (owner, name) = split.unzip();
    for (attribute, half) in [("repo_owner", owner), ("repo_name", name)] {
        if !attributes.contains_key(attribute) {
            put(attributes, attribute, half);
        }
    }
}

/// The repository that the attributes name, as `owner/name`.
pub(super) fn repository(attributes: &Attributes) -> Option<String> {
    match (attributes.get("repo_owner"), attributes.get("repo_name")) {
        (Some(Attribute::Text(owner)), Some(Attribute::Text(name))) => {
            Some(format!("{owner}/{name}"))
        }
        _ => None,
    }
}
