//! Takes single values out of a JSON text, without building a tree of it.
//!
//! The whole text is checked to be JSON (RFC 8259) in one pass, which also finds what [`Paths`]
//! lead to; that is kept as the piece of text that it is, until it is asked for. `null` is as good as
//! absent. Where a key stands twice, the last counts.
//!
//! BOUND: it descends along the paths alone, however deep the text is nested.

use super::found::{Found, NAME_MAX};
use super::paths::Paths;
use super::scan::Scan;
use super::text::cut;

/// A text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson {
    /// Counted from 1.
    pub(super) line: usize,
    /// Counted from 1; 0 where the line has nothing.
    pub(super) column: usize,
}

impl NotJson {
    /// Where `scan` has failed.
    fn of(scan: &Scan<'_>) -> Self {
        let read = scan.failed_behind();
        let last = read.rsplit(|byte| *byte == b'\n').next();
        Self {
            line: read.split(|byte| *byte == b'\n').count(),
            column: last.map_or(0, <[u8]>::len),
        }
    }
}

/// The values at some paths.
#[derive(Debug)]
pub(super) struct Picked<'t, 'p> {
    paths: &'p Paths,
    /// For each node of the paths, the value there.
    found: Vec<Option<&'t str>>,
}

/// The values at `paths` in `text`.
pub(super) fn pick<'t, 'p>(text: &'t str, paths: &'p Paths) -> Result<Picked<'t, 'p>, NotJson> {
    let mut found = vec![None; paths.nodes()];
    let mut scan = Scan::new(text);
    scan.space();
    let walked = descend(&mut scan, paths, Paths::ROOT, &mut found);
    match walked.and_then(|()| scan.end()) {
        Some(()) => Ok(Picked { paths, found }),
        None => Err(NotJson::of(&scan)),
    }
}

/// Checks that `text` is JSON.
pub(super) fn check(text: &str) -> Result<(), NotJson> {
    let mut scan = Scan::new(text);
    scan.space();
    let walked = scan.value().and_then(|()| scan.end());
    walked.ok_or_else(|| NotJson::of(&scan))
}

/// The first member of the object `text` whose key is not `other`: its key, at most [`NAME_MAX`]
/// bytes of it, and its value.
pub(super) fn first_member_but<'t>(text: &'t str, other: &str) -> Option<(String, &'t str)> {
    let mut scan = Scan::new(text);
    scan.space();
    if scan.peek() != Some(b'{') {
        return None;
    }
    let mut first = None;
    scan.members(|scan, key| {
        let place = scan.place();
        scan.value()?;
        if first.is_none() {
            let key = key.read(|key| (key != other).then(|| cut(key, NAME_MAX).to_owned()));
            first = key.zip(scan.since(place));
        }
        Some(())
    })?;
    first
}

/// Walks over the value that begins here, to which `node` leads, and notes in `found` what is
/// there and below.
fn descend<'t>(
    scan: &mut Scan<'t>,
    paths: &Paths,
    node: usize,
    found: &mut [Option<&'t str>],
) -> Option<()> {
    let place = scan.place();
    if scan.peek() == Some(b'{') && !paths.members(node).is_empty() {
        scan.members(|scan, key| match key.read(|key| paths.member(node, key)) {
            Some(below) => {
                forget(paths, below, found);
                descend(scan, paths, below, found)
            }
            None => scan.value(),
        })?;
    } else {
        scan.value()?;
    }
    let value = scan.since(place)?;
    if let Some(slot) = found.get_mut(node) {
        *slot = Some(value).filter(|value| *value != "null");
    }
    Some(())
}

/// Forgets what an earlier member with the same key had.
fn forget(paths: &Paths, node: usize, found: &mut [Option<&str>]) {
    let known = found.get_mut(node).and_then(Option::take);
    if known.is_some() {
        for (_, below) in paths.members(node) {
            forget(paths, *below, found);
        }
    }
}

impl<'t, 'p> Picked<'t, 'p> {
    /// What is at `path`.
    pub(super) fn at(&self, path: &str) -> Found<'t, 'p> {
        let number = self.paths.number(path);
        debug_assert!(number.is_some(), "{path} was not picked");
        number.map_or(Found::NOTHING, |number| self.numbered(number))
    }

    /// What is at the path of that number.
    #[inline]
    pub(super) fn numbered(&self, number: usize) -> Found<'t, 'p> {
        let Some((node, behind)) = self.paths.path(number) else {
            return Found::NOTHING;
        };
        let value = self.found.get(node).copied().flatten();
        Found::new(value, behind)
    }

    /// Whether there is anything but `null` at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).first().is_some()
    }

    /// See [`Found::text`].
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.at(path).text()
    }

    /// See [`Found::word`].
    pub(super) fn word(&self, path: &str) -> Option<String> {
        self.at(path).word()
    }

    /// The first of the words at `paths`.
    pub(super) fn first_word(&self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.word(path))
    }

    /// See [`Found::flag`].
    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        self.at(path).flag()
    }
}

#[cfg(test)]
mod tests {
    use super::super::found::{ELEMENTS_MAX, TEXT_MAX};
    use super::*;
    const TEXT: &str = r#" {"a": {"b": "x", "n": -7, "f": true, "z": null, "l": [{"n": "p"}, {"n": 2}, 3, {"n": "q"}]},
        "a.b": "dotted", "list": ["one", 2, "three"], "empty": [], "esc\u0061pe": "\u00e4\n\ud83d\ude00\ud83d!",
        "twice": {"x": 1, "y": 2}, "twice": {"x": 3}, "big": 99999999999999999999, "e": 1e2, "blank": ""} "#;

    #[test]
    fn values_are_found_by_their_paths() {
        let paths = [
            "a",
            "a.b",
            "a.b.c",
            "a.n",
            "a.f",
            "a.z",
            "a.l[].n",
            "a.l.n",
            "list[]",
            "list",
            "empty[]",
            "escape",
            "twice.x",
            "twice.y",
            "big",
            "e",
            "blank",
            "absent.x",
            "a.absent[]",
        ];
        let paths = Paths::new(paths);
        let picked = pick(TEXT, &paths).unwrap();
        assert_eq!(picked.text("a.b").as_deref(), Some("x"));
        assert_eq!(picked.at("a.n").integer(), Some(-7));
        assert_eq!(picked.flag("a.f"), Some(true));
        assert_eq!(picked.at("a.l[].n").names().unwrap(), ["p", "q"]);
        assert_eq!(picked.at("a.l[].n").last_text().as_deref(), Some("q"));
        assert_eq!(picked.at("list[]").names().unwrap(), ["one", "three"]);
        assert_eq!(picked.at("empty[]").names().unwrap(), [] as [&str; 0]);
        assert_eq!(picked.at("a.absent[]").names(), None);
        assert_eq!(picked.text("escape").unwrap(), "\u{e4}\n\u{1f600}\u{fffd}!");
        assert_eq!(picked.at("twice.x").integer(), Some(3));
        assert_eq!(picked.word("a.n").as_deref(), Some("-7"));
        assert_eq!(picked.word("big").as_deref(), Some("99999999999999999999"));
        assert_eq!(picked.word("blank"), None);
        assert_eq!(picked.text("blank").as_deref(), Some(""));
        assert_eq!(
            picked.first_word(&["a", "e", "a.z", "a.b"]).as_deref(),
            Some("x")
        );
        assert!(picked.has("a") && picked.has("list") && !picked.has("a.z"));
        for path in ["a.b.c", "a.z", "a.l.n", "twice.y", "absent.x", "a", "list"] {
            assert_eq!(picked.text(path), None, "{path}");
            assert_eq!(picked.at(path).integer(), None, "{path}");
            assert_eq!(picked.flag(path), None, "{path}");
            assert_eq!(picked.word(path), None, "{path}");
        }
        assert_eq!(
            picked.at("big").integer().or(picked.at("e").integer()),
            None
        );
    }

    #[test]
    fn the_first_member_but_one_is_found() {
        let text = r#"{"update_id": 1, "m\u0065ssage": {"a": 1}, "more": 2}"#;
        let found = first_member_but(text, "update_id");
        assert_eq!(found, Some(("message".to_owned(), r#"{"a": 1}"#)));
        assert_eq!(first_member_but(r#"{"update_id": 1}"#, "update_id"), None);
        assert_eq!(first_member_but("[]", "update_id"), None);
        for letter in ["k", "\\u006b"] {
            let long = format!(r#"{{"{}": 1}}"#, letter.repeat(1_000));
            let (key, value) = first_member_but(&long, "update_id").unwrap();
            assert_eq!((&*key, value), (&*"k".repeat(NAME_MAX), "1"));
        }
    }

    #[test]
    fn json_of_any_shape_is_taken_and_nothing_else() {
        let deep =
            |open: &str, close: &str| format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
        let (arrays, objects) = (deep("[", "]"), deep("{\"a\":", "}"));
        let nested = format!("{{\"a\": {{\"b\": {arrays}, \"l\": {objects}}}}}");
        let paths = Paths::new(["a.b", "a.l[].x", "a"]);
        for (text, is_json) in [
            ("{}", true),
            ("[]", true),
            ("null", true),
            (" 1e999 ", true),
            ("\"\\ud800\"", true),
            ("{\"\\ud800\": 1, \"a\": \"\\udfff\"}", true),
            ("{\"a\": 1e999, \"b\": {\"a\": -0}}", true),
            ("[{\"a\": {\"l\": {}}}]", true),
            (&arrays, true),
            (&objects, true),
            (&nested, true),
            ("", false),
            (" ", false),
            ("{", false),
            ("{} x", false),
            ("{}{}", false),
            ("[1,]", false),
            ("{\"a\": {\"b\": tru}}", false),
            ("{\"a\": {\"b\": \"\n\"}}", false),
            ("{\"a\n\": 1}", false),
            ("{\"a\": \"\\x\"}", false),
            ("{\"a\": 01}", false),
            ("{a: 1}", false),
            ("{1: 1}", false),
            ("\u{feff}{}", false),
            ("\u{b}{}", false),
            ("nul", false),
        ] {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(pick(text, &paths).is_ok(), is_json, "{shown}");
        }
        assert_eq!(
            pick("{\n \"a\": x}", &paths).unwrap_err(),
            NotJson { line: 2, column: 7 }
        );
        // As many levels are open as the text has bytes.
        assert_eq!(
            check(&"[".repeat(1 << 20)).unwrap_err(),
            NotJson {
                line: 1,
                column: 1 << 20
            }
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let texts = "\u{e4}".repeat(TEXT_MAX);
        let escapes = "\\u00e4".repeat(TEXT_MAX);
        let name = format!("\"{}\"", "n".repeat(300));
        let names = vec![name; 1_000].join(",");
        let long = format!(r#"{{"t": "{texts}", "e": "a{escapes}", "l": [{names}]}}"#);
        let paths = Paths::new(["t", "e", "l[]"]);
        let picked = pick(&long, &paths).unwrap();
        assert_eq!(picked.text("t").unwrap().len(), TEXT_MAX);
        assert_eq!(picked.text("e").unwrap().len(), TEXT_MAX - 1);
        let names = picked.at("l[]").names().unwrap();
        assert_eq!((names.len(), names[0].len()), (ELEMENTS_MAX, NAME_MAX));
    }
}
