//! Packs the texts that the executable brings along and seldom shows: each becomes a file of its name
//! in `OUT_DIR`, LZ4's block format behind its size, which `src/packed.rs` reads.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use lz4_flex::block::compress_prepend_size;

const DESCRIPTION: &str = "src/api/openapi.json";
const PAGE: &str = "src/page";

/// One module: the files share its scope, and come after what they use at once.
const SCRIPT: [&str; 15] = [
    "dom.js",
    "format.js",
    "text.js",
    "api.js",
    "stream.js",
    "plot.js",
    "actions.js",
    "rows.js",
    "list.js",
    "overview.js",
    "task.js",
    "event.js",
    "refused.js",
    "submit.js",
    "main.js",
];

fn main() -> io::Result<()> {
    for path in ["build.rs", DESCRIPTION, PAGE] {
        writeln!(io::stdout(), "cargo::rerun-if-changed={path}")?;
    }
    let page = Path::new(PAGE);
    pack("openapi.json", &fs::read_to_string(DESCRIPTION)?)?;
    for name in ["index.html", "style.css"] {
        pack(name, &fs::read_to_string(page.join(name))?)?;
    }
    let mut script = String::new();
    for name in SCRIPT {
        script.push_str(&fs::read_to_string(page.join(name))?);
    }
    pack("script.js", &script)
}

fn pack(name: &str, text: &str) -> io::Result<()> {
    let directory = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let packed = compress_prepend_size(text.as_bytes());
    fs::write(Path::new(&directory).join(name), packed)
}
