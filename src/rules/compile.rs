//! Compiles the `when` and the `prompt` of a rule, once, for as long as the rule is.
//!
//! BOUND: the length of a tag and the number of tags.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::{Environment, Error, ErrorKind, Expression, Value};

use super::environment::{BYTES_MAX, LENIENT, MARK, STRICT};
use super::template::{MESSAGE_BYTES_MAX, cut};
use super::{CompileError, Part};

/// Bytes of an expression or of what stands between the marks of a tag, at most. A parser calls
/// itself for each operator, so these bound its stack: `1+1+1` is a level for each two bytes.
const TAG_BYTES_MAX: usize = 2_048;

/// Tags of a template at most: each may put what the one before made one level deeper.
const TAGS_MAX: usize = 1_000;

/// What the prompt's template is called.
pub(super) const PROMPT: &str = "prompt";

/// The texts of a rule, compiled. Clones share them.
#[derive(Clone)]
pub(super) struct Texts {
    pub(super) when: Option<Arc<When>>,
    pub(super) prompt: Arc<Prompt>,
    /// Whether they name the payload.
    pub(super) name_payload: bool,
}

/// An expression that must be true.
pub(super) struct When {
    pub(super) text: String,
    pub(super) compiled: Expression<'static, 'static>,
    pub(super) names: Names,
}

/// The template of a prompt, which is the only one of an environment.
pub(super) struct Prompt {
    pub(super) environment: Environment<'static>,
    pub(super) names: Names,
}

/// Every name that a text can ask for, and perhaps other words of it, each once: nothing in an environment finds a name that is
/// not written out.
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Of `text`, in which the engine has found these. It misses those of `{% set title = title %}` and of `title[:9]`, so
    /// where a text has such, every word counts.
    fn of(text: &str, has_slice: bool, mut found: HashSet<String>) -> Self {
        let from = if has_slice { Some(0) } else { text.find("{%") };
        if let Some(rest) = from.and_then(|from| text.get(from..)) {
            let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            found.extend(words.map(str::to_owned));
        }
        Self(found.into_iter().collect())
    }

    /// Whether `name` is among them.
    fn have(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Whether a tag of a template may have a slice: a bracket with a colon behind it, in brackets or before the tag ends.
fn has_slice(template: &str) -> bool {
    template.match_indices('[').any(|(at, _)| {
        let rest = template.get(at..).unwrap_or_default();
        let first = |marks: &[&str]| marks.iter().filter_map(|mark| rest.find(mark)).min();
        let open = first(&["{{", "{%", "{#"]).unwrap_or(rest.len());
        let end_of_tag = first(&["}}", "%}"]).filter(|close| *close < open);
        let ends = [rest.find(']'), end_of_tag].into_iter().flatten();
        let mut within = ends.filter_map(|end| rest.get(..end));
        within.any(|within| within.contains(':'))
    })
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts")
            .field("name_payload", &self.name_payload)
            .finish_non_exhaustive()
    }
}

/// Compiles `when` and `prompt`. The error is what is wrong with them, whatever the event.
pub(super) fn compile(when: Option<&str>, prompt: &str) -> Result<Texts, CompileError> {
    check(when, prompt)?;
    let refused = |part, text, error: Error| refusal(part, text, &error);
    let when = when.map(|text| {
        let compiled = STRICT
            .compile_expression_owned(text.to_owned())
            .map_err(|error| refused(Part::When, text, error))?;
        Ok(Arc::new(When {
            text: text.to_owned(),
            names: Names::of(
                text,
                text.contains('['),
                compiled.undeclared_variables(false),
            ),
            compiled,
        }))
    });
    let when = when.transpose()?;
    let mut environment = STRICT.clone();
    environment
        .add_template_owned(PROMPT, prompt.to_owned())
        .map_err(|error| refused(Part::Prompt, prompt, error))?;
    let found = environment
        .get_template(PROMPT)
        .map_err(|error| refused(Part::Prompt, prompt, error))?
        .undeclared_variables(false);
    let names = Names::of(prompt, has_slice(prompt), found);
    let is_in_when = when.as_ref().is_some_and(|when| when.names.have("payload"));
    Ok(Texts {
        name_payload: is_in_when || names.have("payload"),
        when,
        prompt: Arc::new(Prompt { environment, names }),
    })
}

/// What is wrong with the texts, if anything is.
fn check(when: Option<&str>, prompt: &str) -> Result<(), CompileError> {
    let names = Value::from_pairs([
        (MARK, Value::from("")),
        (BYTES_MAX, Value::from(MESSAGE_BYTES_MAX)),
    ]);
    if let Some(when) = when {
        if when.len() > TAG_BYTES_MAX {
            return Err(CompileError {
                part: Part::When,
                line: 1,
                message: format!("an expression has at most {TAG_BYTES_MAX} bytes"),
            });
        }
        let refused = |error| refusal(Part::When, when, &error);
        let compiled = LENIENT.compile_expression(when).map_err(refused)?;
        refuse_unknown(Part::When, when, compiled.eval(names.clone()).map(drop))?;
    }
    bound_tags(prompt)?;
    let compiled = LENIENT
        .template_from_named_str(PROMPT, prompt)
        .map_err(|error| refusal(Part::Prompt, prompt, &error))?;
    let rendered = compiled.render_captured_to(names, io::sink()).map(drop);
    refuse_unknown(Part::Prompt, prompt, rendered)
}

/// Refuses tags that are too long or too many.
fn bound_tags(prompt: &str) -> Result<(), CompileError> {
    let refused = |at: usize, message: String| {
        let before = prompt.get(..at).unwrap_or_default();
        Err(CompileError {
            part: Part::Prompt,
            line: before.matches('\n').count() + 1,
            message,
        })
    };
    let mut rest = prompt;
    let mut count = 0;
    while let Some((open, close)) = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .filter_map(|(open, close)| rest.find(open).map(|at| (at, close)))
        .min()
    {
        let tag = rest.get(open..).unwrap_or_default();
        let length = tag.find(close).unwrap_or(tag.len());
        let at = prompt.len() - tag.len();
        count += 1;
        if count > TAGS_MAX {
            return refused(at, format!("a template has at most {TAGS_MAX} tags"));
        }
        if length > TAG_BYTES_MAX && close != "#}" {
            return refused(at, format!("a tag has at most {TAG_BYTES_MAX} bytes"));
        }
        rest = tag.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// A run without an event fails for many reasons; that a filter does not exist is one whatever
/// the event.
fn refuse_unknown(part: Part, text: &str, run: Result<(), Error>) -> Result<(), CompileError> {
    match run {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest
            ) =>
        {
            Err(refusal(part, text, &error))
        }
        _ => Ok(()),
    }
}

fn refusal(part: Part, text: &str, error: &Error) -> CompileError {
    // An error without a line is about the end.
    let end = text.lines().count().max(1);
    CompileError {
        part,
        line: error.line().unwrap_or(end),
        message: match error.detail() {
            Some(detail) => cut(detail, MESSAGE_BYTES_MAX).into_owned(),
            None => error.kind().to_string(),
        },
    }
}
