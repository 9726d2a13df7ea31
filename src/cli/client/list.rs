//! Lists: pages followed by their links, as a table or as one JSON array.
//!
//! BOUND: one page is in memory at once; of what a table shows, as much of each entry as a row can
//! have. Entries are as many as `--limit` allows, pages [`PAGES_MAX`] at most.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{parsed, with_remote};
use crate::cli::args::ListArgs;
use crate::cli::remote::Remote;
use crate::cli::table::{self, Column};
use crate::cli::{Exit, output};
use crate::http::percent_encoded;

/// Entries that the server puts on a page at most.
const PAGE_MAX: u32 = 1_000;

/// Pages at most: with filters, pages may be short or empty.
const PAGES_MAX: u32 = 10_000;

/// What a list is of.
pub(super) struct Kind {
    /// `/tasks`
    pub(super) path: &'static str,
    /// `tasks`
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
}

/// What a row shows of an entry.
pub(super) trait Row: DeserializeOwned {
    /// Its cells, one for each column.
    fn cells(self) -> Vec<String>;
}

/// Lists what `args` choose.
pub(super) fn run<R: Row>(kind: &Kind, args: &ListArgs) -> Exit {
    with_remote(&args.access, |remote| {
        let mut pages = Pages::new(remote, kind, args);
        if !args.json {
            return output::finish(table_of::<R>(kind, &mut pages));
        }
        match print_json(&mut pages) {
            Ok(()) => Exit::Done,
            Err(problem) => {
                output::complain(&problem);
                Exit::Failed
            }
        }
    })
}

/// A list as a table, or that there is nothing.
pub(super) fn table<R: Row>(kind: &Kind, rows: Vec<R>) -> String {
    if rows.is_empty() {
        return format!("no {}", kind.name);
    }
    let rows: Vec<_> = rows.into_iter().map(R::cells).collect();
    table::render(kind.columns, &rows, output::columns())
}

fn table_of<R: Row>(kind: &Kind, pages: &mut Pages<'_>) -> Result<String, String> {
    let mut rows = Vec::new();
    while let Some(page) = pages.next()? {
        for entry in pages.entries::<R>(&page)? {
            rows.push(entry.cells());
        }
    }
    if rows.is_empty() {
        return Ok(format!("no {}", kind.name));
    }
    Ok(table::render(kind.columns, &rows, output::columns()))
}

/// Prints page after page. What fails after the first page leaves an array without its end.
fn print_json(pages: &mut Pages<'_>) -> Result<(), String> {
    let cannot = |error| format!("standard output: {error}");
    let mut front = "[";
    while let Some(page) = pages.next()? {
        let mut json = String::new();
        for entry in pages.entries::<&RawValue>(&page)? {
            json.push_str(front);
            json.push_str(entry.get());
            front = ",";
        }
        if !output::print_json_piece(json).map_err(cannot)? {
            return Ok(());
        }
    }
    let end = if front == "[" { "[]\n" } else { "]\n" };
    output::print_json_piece(end.to_owned()).map_err(cannot)?;
    Ok(())
}

/// The pages of a list, one after the other.
struct Pages<'a> {
    remote: &'a Remote,
    name: &'static str,
    next: Option<String>,
    /// Entries that are still wanted.
    left: u32,
    taken: u32,
}

impl<'a> Pages<'a> {
    fn new(remote: &'a Remote, kind: &Kind, args: &ListArgs) -> Self {
        Self {
            remote,
            name: kind.name,
            next: Some(target(kind.path, args)),
            left: args.limit,
            taken: 0,
        }
    }

    /// The body of the next page, if there is one and anything is wanted of it.
    fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(target) = self.next.take().filter(|_| self.left > 0) else {
            return Ok(None);
        };
        if self.taken >= PAGES_MAX {
            return Err(format!(
                "after {PAGES_MAX} pages there are more {}; choose fewer by --state",
                self.name
            ));
        }
        self.taken += 1;
        let answer = self.remote.get(&target)?;
        self.next = answer.link.as_deref().and_then(next_target);
        answer.accepted().map(Some)
    }

    /// The entries of a page that are wanted.
    fn entries<'p, T: serde::Deserialize<'p>>(&mut self, page: &'p [u8]) -> Result<Vec<T>, String> {
        let mut entries: Vec<T> = parsed(page, &format!("list of {}", self.name))?;
        entries.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(count);
        Ok(entries)
    }
}

fn target(path: &str, args: &ListArgs) -> String {
    let mut target = format!("{path}?limit={}", args.limit.min(PAGE_MAX));
    for (name, value) in &args.filters {
        target.extend(["&", name, "=", &percent_encoded(value)]);
    }
    target
}

/// The target of a link to the next page, which is a path on the same server.
fn next_target(link: &str) -> Option<String> {
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    (target.starts_with('/') && parameters.contains("rel=\"next\"")).then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_a_query() {
        let args = ListArgs {
            filters: vec![("type", "pull_request.opened & x".to_owned())],
            limit: 5_000,
            ..ListArgs::default()
        };
        assert_eq!(
            target("/events", &args),
            "/events?limit=1000&type=pull_request.opened%20%26%20x"
        );
    }

    #[test]
    fn only_a_link_to_the_next_page_is_followed() {
        for (link, target) in [
            ("</tasks?before=x>; rel=\"next\"", Some("/tasks?before=x")),
            ("</tasks>; rel=\"prev\"", None),
            ("<http://elsewhere/tasks>; rel=\"next\"", None),
            ("/tasks; rel=\"next\"", None),
            ("", None),
        ] {
            assert_eq!(next_target(link).as_deref(), target, "{link}");
        }
    }
}
