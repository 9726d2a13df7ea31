//! The documents as text: their blocks, links, anchors and commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A document.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path from the project's directory on.
    pub(super) name: String,
    pub(super) path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `dir` whose names end so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every document for those who use and run the program.
pub(super) fn all() -> Vec<Page> {
    let mut paths = files(&root().join("docs"), ".md");
    for name in ["README.md", "API.md", "DESIGN.md", "CHANGELOG.md"] {
        paths.push(root().join(name));
    }
    paths.iter().map(|path| Page::read(path)).collect()
}

/// All that the sources write, with `…` where a value stands, and line ends joined as the compiler does it.
pub(super) fn texts_of_the_program() -> String {
    let mut texts = String::new();
    for path in files(&root().join("src"), ".rs") {
        let source = fs::read_to_string(path).unwrap();
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            match line.strip_suffix('\\') {
                Some(line) => texts.push_str(line),
                None => texts.extend([line, "\n"]),
            }
            if line.ends_with('\\') {
                let rest = lines.next().unwrap_or_default().trim_start();
                texts.push_str(rest.strip_suffix('\\').unwrap_or(rest));
                if !rest.ends_with('\\') {
                    texts.push('\n');
                }
            }
        }
    }
    texts.replace("\\\"", "\"")
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let name = path.strip_prefix(root()).unwrap_or(path);
        Self {
            name: name.display().to_string(),
            path: path.to_owned(),
            text: fs::read_to_string(path).unwrap(),
        }
    }

    /// Every part between fences, with the word behind the opening one.
    fn fenced(&self) -> Vec<(String, String)> {
        let mut blocks = Vec::new();
        let mut open: Option<(String, String)> = None;
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(word)) => open = Some((word.to_owned(), String::new())),
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some((_, block)), _) => block.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name);
        blocks
    }

    /// The blocks with this word behind their fence.
    pub(super) fn blocks(&self, word: &str) -> Vec<String> {
        let blocks = self.fenced().into_iter();
        let named = blocks.filter(|(of, _)| of == word);
        named.map(|(_, block)| block).collect()
    }

    /// The text without blocks, between fences or indented.
    fn prose(&self) -> String {
        let mut prose = String::new();
        let mut is_fenced = false;
        for line in self.text.lines() {
            if line.starts_with("```") {
                is_fenced = !is_fenced;
            } else if !is_fenced && !line.starts_with("    ") {
                prose.extend([line, "\n"]);
            }
        }
        prose
    }

    /// Where its links lead.
    pub(super) fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let behind = prose.split("](").skip(1);
        let targets = behind.filter_map(|text| text.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }

    /// The names of its headings, as GitHub makes them.
    pub(super) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        let anchor = |line: &str| -> String {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    /// Words of each command line of the program: in blocks of a shell, in indented blocks and in the text.
    pub(super) fn commands(&self) -> Vec<Vec<String>> {
        let mut lines: Vec<String> = self
            .blocks("sh")
            .concat()
            .lines()
            .map(str::to_owned)
            .collect();
        let indented = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("    "));
        lines.extend(indented.map(|line| line.trim_start_matches("$ ").to_owned()));
        let prose = self.prose();
        let spans = prose.split('`').skip(1).step_by(2);
        // What stands between brackets in the text may be left out.
        lines.extend(spans.map(|span| span.replace(['[', ']'], "").replace('\n', " ")));
        let segments = lines
            .iter()
            .flat_map(|line| line.split(['|', ';', '&', '(', '>']));
        let words = segments.map(|segment| segment.split_whitespace().map(str::to_owned));
        words
            .map(Iterator::collect::<Vec<String>>)
            .filter(|words| words.first().is_some_and(|word| word == "mecha") && words.len() > 1)
            .map(|words| words[1..].to_vec())
            .collect()
    }
}

#[test]
fn a_page_is_taken_apart() {
    let page = Page {
        name: "page".to_owned(),
        path: PathBuf::new(),
        text: "# A `b` (c)\n[x](y.md#z)\n\n```sh\na | mecha task --wait x && b\n```\n\n    [no](link)\n\
               \nText, `mecha why EVENT`.\n"
            .to_owned(),
    };
    assert_eq!(page.links(), ["y.md#z"]);
    assert_eq!(page.anchors(), BTreeSet::from(["a-b-c".to_owned()]));
    assert_eq!(
        page.commands(),
        [vec!["task", "--wait", "x"], vec!["why", "EVENT"]]
    );
    assert_eq!(page.blocks("sh"), ["a | mecha task --wait x && b\n"]);
    assert!(page.blocks("toml").is_empty());
}
