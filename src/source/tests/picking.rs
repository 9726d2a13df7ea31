//! What is picked out of a text, beside a tree of the same text.

use fastrand::Rng;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::found::ELEMENTS_MAX;
use super::super::paths::Paths;
use super::super::pick::{check, pick};

const SEEDS: u64 = 4_000;

/// Keys, as they are and as they may be written.
const KEYS: [(&str, &[&str]); 5] = [
    ("a", &["a", "\\u0061"]),
    ("b", &["b", "\\u0062"]),
    ("c\"\u{e4}", &["c\\\"\u{e4}", "\\u0063\\\"\\u00e4"]),
    ("long key", &["long key", "long\\u0020key"]),
    ("other", &["other"]),
];

const STRINGS: [(&str, &[&str]); 5] = [
    ("", &[""]),
    ("plain", &["plain", "pl\\u0061in"]),
    (
        "\u{1f600}\n/\\",
        &["\u{1f600}\\n/\\\\", "\\ud83d\\ude00\\u000a\\/\\\\"],
    ),
    ("{\"a\": [1, 2", &["{\\\"a\\\": [1, 2"]),
    (
        "x, much longer than eight bytes",
        &["x, much longer than eight bytes"],
    ),
];

/// Steps of the paths; the last two lead through arrays.
const STEPS: [&str; 6] = ["a", "b", "c\"\u{e4}", "long key", "[]", "[].a"];

struct Writer {
    rng: Rng,
    text: String,
}

impl Writer {
    fn space(&mut self) {
        const SPACES: [&str; 8] = ["", "", "", "", " ", "\n", "\t\r", "          "];
        self.text.push_str(SPACES[self.rng.usize(..SPACES.len())]);
    }

    fn string(&mut self, of: &[(&str, &[&str])]) {
        let (_, written) = of[self.rng.usize(..of.len())];
        let written = written[self.rng.usize(..written.len())];
        self.text.push('"');
        self.text.push_str(written);
        self.text.push('"');
    }

    fn value(&mut self, depth: usize) {
        const PLAIN: [&str; 9] = [
            "null", "true", "false", "0", "-7", "12345678", "1.5e3", "-0.25E-1", "{}",
        ];
        match self.rng.usize(..if depth == 0 { 2 } else { 6 }) {
            0 => self.text.push_str(PLAIN[self.rng.usize(..PLAIN.len())]),
            1 => self.string(&STRINGS),
            2 | 3 => self.listed(depth, ['[', ']'], |writer| writer.value(depth - 1)),
            _ => self.listed(depth, ['{', '}'], |writer| {
                writer.string(&KEYS);
                writer.space();
                writer.text.push(':');
                writer.space();
                writer.value(depth - 1);
            }),
        }
    }

    fn listed(&mut self, depth: usize, [open, close]: [char; 2], each: impl Fn(&mut Self)) {
        let is_long = depth <= 2 && self.rng.u8(..16) == 0;
        let count = if is_long { 150 } else { self.rng.usize(..6) };
        self.text.push(open);
        self.space();
        for at in 0..count {
            if at > 0 {
                self.text.push(',');
                self.space();
            }
            each(self);
            self.space();
        }
        self.text.push(close);
    }
}

fn text(rng: Rng, depth: usize) -> String {
    let mut writer = Writer {
        rng,
        text: String::new(),
    };
    writer.space();
    writer.value(depth);
    writer.space();
    writer.text
}

fn paths(rng: &mut Rng) -> Vec<String> {
    let mut paths: Vec<String> = (0..8)
        .map(|_| {
            let steps: Vec<&str> = (0..rng.usize(1..4))
                .map(|_| STEPS[rng.usize(..STEPS.len())])
                .collect();
            steps.join(".").replace(".[]", "[]")
        })
        .collect();
    paths.push("a".to_owned());
    paths
}

/// What `path` leads to in a tree: values, and whether it is through an array.
fn follow<'v>(value: &'v Value, path: &str, all: &mut Option<Vec<&'v Value>>) {
    if path.is_empty() {
        if !value.is_null() {
            all.get_or_insert_default().push(value);
        }
    } else if let Some(behind) = path.strip_prefix("[]") {
        if let Value::Array(elements) = value {
            all.get_or_insert_default();
            for element in elements.iter().take(ELEMENTS_MAX) {
                follow(element, behind.strip_prefix('.').unwrap_or(behind), all);
            }
        }
    } else {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (key, behind) = path.split_at(end);
        if let Some(member) = value.as_object().and_then(|object| object.get(key)) {
            follow(member, behind.strip_prefix('.').unwrap_or(behind), all);
        }
    }
}

#[test]
fn what_is_picked_is_what_a_tree_has() {
    let mut found = [0_u64; 3];
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let depth = rng.usize(1..6);
        let text = text(rng.fork(), depth);
        let tree: Value = serde_json::from_str(&text).unwrap();
        let texts = paths(&mut rng);
        let paths = Paths::new(texts.iter().map(String::as_str));
        let picked = pick(&text, &paths).unwrap();
        for path in &texts {
            let mut all = None;
            follow(&tree, path, &mut all);
            let told = format!("seed {seed}, {path} in {text}");
            let at = picked.at(path);
            let first = all.as_ref().and_then(|all| all.first().copied());
            let raw = at.first().map(|raw| serde_json::from_str(raw).unwrap());
            assert_eq!(raw.as_ref(), first, "{told}");
            assert_eq!(
                at.text().as_deref(),
                first.and_then(Value::as_str),
                "{told}"
            );
            assert_eq!(at.integer(), first.and_then(Value::as_i64), "{told}");
            assert_eq!(at.flag(), first.and_then(Value::as_bool), "{told}");
            found[0] += u64::from(first.is_some());
            if path.contains("[]") {
                let names = all.as_ref().map(|all| {
                    let capped = all.iter().take(ELEMENTS_MAX);
                    let names = capped.filter_map(|value| value.as_str());
                    names.map(str::to_owned).collect::<Vec<_>>()
                });
                found[1] += u64::from(names.as_ref().is_some_and(|names| names.len() > 1));
                found[2] += u64::from(all.as_ref().is_some_and(|all| all.len() > ELEMENTS_MAX / 2));
                assert_eq!(at.names(), names, "{told}");
                let last = all
                    .as_ref()
                    .and_then(|all| all.iter().take(ELEMENTS_MAX).next_back());
                let last = last.and_then(|value| value.as_str());
                assert_eq!(at.last_text().as_deref(), last, "{told}");
            }
        }
    }
    assert!(found.iter().all(|count| *count > 10), "{found:?}");
}

#[test]
fn what_is_taken_for_json_is_what_another_reader_takes() {
    // Bytes that change the meaning of what stands around them.
    const BYTES: &[u8] = b"\"\\{}[]:, 0-1.eEtfnu+/\n\x01\x7f";
    let paths = Paths::new(["a", "a.b", "b[].a", "long key.a.b"]);
    let mut taken = [0_u64; 2];
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = text(rng.fork(), 4).into_bytes();
        for _ in 0..rng.usize(1..3) {
            let at = rng.usize(..bytes.len());
            let byte = BYTES[rng.usize(..BYTES.len())];
            match rng.u8(..4) {
                0 => _ = bytes.remove(at),
                1 => bytes.insert(at, byte),
                2 => bytes[at] = byte,
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let other = serde_json::from_str::<IgnoredAny>(&text);
        let place = other
            .as_ref()
            .err()
            .map(|error| (error.line(), error.column()));
        let told = format!("seed {seed}, {text}");
        for read in [check(&text), pick(&text, &paths).map(drop)] {
            let refused = read.err().map(|error| (error.line, error.column));
            assert_eq!(refused, place, "{told}");
        }
        taken[usize::from(other.is_ok())] += 1;
    }
    assert!(taken.iter().all(|count| *count > 100), "{taken:?}");
}
