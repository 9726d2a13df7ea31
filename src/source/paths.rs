//! Paths to values of a JSON text, and the tree that they are together.
//!
//! A path names members by their keys, `pull_request.title`; `[]` stands for each element of an
//! array, `labels[].name`. The tree is made once and then leads through every text. Its keys and paths are
//! sorted by [`order`].

use std::cmp::Ordering;

/// Some paths.
#[derive(Debug)]
pub(super) struct Paths {
    /// The tree of what the paths are up to their first `[]`; the first node is the root.
    nodes: Vec<Node>,
    /// Each once.
    paths: Vec<Path>,
}

/// A value that paths lead to or through.
#[derive(Debug, Default)]
struct Node {
    /// The keys and nodes of members.
    members: Vec<(String, usize)>,
}

#[derive(Debug)]
struct Path {
    text: String,
    /// The node that it leads to; `None` for a text that is no path, which leads nowhere.
    node: Option<usize>,
    /// What of it lies behind that node; if anything, it begins with [`Step::Elements`].
    behind: Vec<Step>,
}

/// A part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the member of an object with this key.
    Member(String),
    /// To each element of an array.
    Elements,
}

impl Paths {
    /// The root's node.
    pub(super) const ROOT: usize = 0;

    /// The paths that `texts` are.
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<&str> = texts.into_iter().collect();
        texts.sort_unstable_by(|a, b| order(a, b));
        texts.dedup();
        let mut tree = Self {
            nodes: vec![Node::default()],
            paths: Vec::with_capacity(texts.len()),
        };
        for text in texts {
            let path = tree.grow(text);
            tree.paths.push(path);
        }
        tree
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes below `node`, with their keys.
    pub(super) fn members(&self, node: usize) -> &[(String, usize)] {
        self.nodes
            .get(node)
            .map_or(&[], |node| node.members.as_slice())
    }

    /// The node below `node` with that key.
    pub(super) fn member(&self, node: usize, key: &str) -> Option<usize> {
        let members = self.members(node);
        let at = members.binary_search_by(|(known, _)| order(known, key));
        members.get(at.ok()?).map(|(_, below)| *below)
    }

    /// The number of the path that is written so.
    pub(super) fn number(&self, text: &str) -> Option<usize> {
        let place = self.paths.binary_search_by(|path| order(&path.text, text));
        place.ok()
    }

    /// Where the path of that number leads: a node and what lies behind it.
    pub(super) fn path(&self, number: usize) -> Option<(usize, &[Step])> {
        let path = self.paths.get(number)?;
        Some((path.node?, &path.behind))
    }

    fn grow(&mut self, text: &str) -> Path {
        let mut node = steps(text).map(|_| Self::ROOT);
        let mut behind = Vec::new();
        for step in steps(text).unwrap_or_default() {
            match step {
                Step::Member(key) if behind.is_empty() => {
                    node = node.and_then(|node| self.grow_member(node, key));
                }
                step => behind.push(step),
            }
        }
        Path {
            text: text.to_owned(),
            node,
            behind,
        }
    }

    fn grow_member(&mut self, node: usize, key: String) -> Option<usize> {
        let new = self.nodes.len();
        let members = &mut self.nodes.get_mut(node)?.members;
        match members.binary_search_by(|(known, _)| order(known, &key)) {
            Ok(at) => members.get(at).map(|(_, below)| *below),
            Err(at) => {
                members.insert(at, (key, new));
                self.nodes.push(Node::default());
                Some(new)
            }
        }
    }
}

/// By length and then by text: most are told apart by a number, and many begin alike.
fn order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The steps of a path; `None` where `text` is none.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut ahead = text;
    while !ahead.is_empty() {
        let behind = if let Some(behind) = ahead.strip_prefix("[]") {
            steps.push(Step::Elements);
            behind
        } else {
            let end = ahead.find(['.', '[']).unwrap_or(ahead.len());
            let (key, behind) = ahead.split_at_checked(end)?;
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Member(key.to_owned()));
            behind
        };
        ahead = behind.strip_prefix('.').unwrap_or(behind);
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_steps() {
        let member = |key: &str| Step::Member(key.to_owned());
        for (text, expected) in [
            ("", Some(vec![])),
            ("a", Some(vec![member("a")])),
            ("a.b", Some(vec![member("a"), member("b")])),
            ("a[]", Some(vec![member("a"), Step::Elements])),
            (
                "a[].b",
                Some(vec![member("a"), Step::Elements, member("b")]),
            ),
            ("[][]", Some(vec![Step::Elements, Step::Elements])),
            ("a..b", None),
            (".a", None),
            ("a[0]", None),
        ] {
            assert_eq!(steps(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_share_what_they_have_in_common() {
        let paths = Paths::new(["a.b", "a", "a.c[].d", "a.b", "x..y"]);
        assert_eq!(paths.nodes(), 4);
        let place = |text| paths.path(paths.number(text).unwrap());
        let a = paths.member(Paths::ROOT, "a").unwrap();
        assert_eq!(place("a"), Some((a, &[] as &[Step])));
        assert_eq!(place("a.b").unwrap().0, paths.member(a, "b").unwrap());
        let (node, behind) = place("a.c[].d").unwrap();
        assert_eq!(paths.member(a, "c"), Some(node));
        assert_eq!(behind, [Step::Elements, Step::Member("d".to_owned())]);
        assert_eq!(place("x..y"), None);
        assert_eq!((paths.number("b"), paths.member(a, "d")), (None, None));
    }
}
