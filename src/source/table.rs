//! Which attribute comes from where in a payload, as a table that each sender's file has.

use std::borrow::Cow;

use super::found::Found;
use super::paths::Paths;
use super::pick::{NotJson, Picked, pick};
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

/// The lines of a sender, and the tree of all the paths that it asks for.
#[derive(Debug)]
pub(super) struct Table {
    /// Name, form, and the numbers of the paths, in the order of the names.
    lines: Vec<(&'static str, Form, Vec<usize>)>,
    paths: Paths,
}

impl Table {
    /// A table of `lines`; `facts` are the paths that are asked for beside the attributes.
    pub(super) fn new(lines: &[Line], facts: impl IntoIterator<Item = &'static str>) -> Self {
        let of_lines = lines.iter().flat_map(|(_, _, paths)| paths.iter().copied());
        let paths = Paths::new(of_lines.chain(facts));
        let numbers = |texts: &[&str]| texts.iter().filter_map(|text| paths.number(text)).collect();
        let mut lines: Vec<_> = lines
            .iter()
            .map(|(name, form, texts)| (*name, *form, numbers(texts)))
            .collect();
        // Those of one name keep their order.
        lines.sort_by_key(|(name, _, _)| *name);
        Self { lines, paths }
    }

    /// What `payload` has at the table's paths.
    pub(super) fn pick<'t>(&self, payload: &'t str) -> Result<Picked<'t, '_>, NotJson> {
        pick(payload, &self.paths)
    }

    /// The attributes that the table's lines find in what was picked with it.
    pub(super) fn attributes(&self, picked: &Picked<'_, '_>) -> Attributes {
        let mut attributes: Vec<(Cow<'static, str>, Attribute)> =
            Vec::with_capacity(self.lines.len());
        for (name, form, paths) in &self.lines {
            if attributes.last().is_some_and(|(known, _)| known == name) {
                continue;
            }
            let mut paths = paths.iter();
            let found = paths.find_map(|path| value(*form, picked.numbered(*path)));
            attributes.extend(found.map(|value| (Cow::Borrowed(*name), value)));
        }
        // In order, so that none has to look for its place.
        attributes.into_iter().collect()
    }
}

fn value(form: Form, found: Found<'_, '_>) -> Option<Attribute> {
    Some(match form {
        Form::Text => Attribute::Text(found.text()?),
        Form::FirstLine => Attribute::Text(first_line(&found.text()?)),
        Form::Word => Attribute::Text(found.word()?),
        Form::Branch => Attribute::from(found.text()?.strip_prefix("refs/heads/")?),
        Form::Last => Attribute::Text(found.last_text()?),
        Form::LastFirstLine => Attribute::Text(first_line(&found.last_text()?)),
        Form::Integer => Attribute::Integer(found.integer()?),
        Form::Flag => Attribute::Flag(found.flag()?),
        Form::Names => Attribute::Names(found.names()?),
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Adds a text that another part of the delivery tells, where there is one.
pub(super) fn put(attributes: &mut Attributes, name: &'static str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        attributes.insert(Cow::Borrowed(name), Attribute::from(text));
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
