//! The web page: one document, put together of its sources, and the policy under which it runs.
//!
//! The document holds no data: its script asks the API for everything, with the key that its
//! reader enters. The policy names the hashes of the one script and the one style, so that no text
//! that the page shows can ever run, and lets the script reach its own server alone.

use std::sync::LazyLock;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use sha2::{Digest, Sha256};

use crate::packed::Packed;

const SKELETON: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/index.html")));
const STYLE: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/style.css")));
const SCRIPT: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/script.js")));

/// Where the skeleton has room for the style and the script.
const STYLE_MARK: &str = "/*style*/";
const SCRIPT_MARK: &str = "/*script*/";

/// The page as it is served.
#[derive(Debug)]
pub struct Page {
    /// The HTML document.
    pub document: String,
    /// The value of `content-security-policy`.
    pub policy: String,
    /// The entity tag (RFC 9110, 8.8.3), with its quotation marks.
    pub tag: String,
}

/// The page, made when it is asked for first.
pub fn page() -> &'static Page {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let (style, script) = (condensed(&STYLE.unpack()), condensed(&SCRIPT.unpack()));
        let document =
            SKELETON
                .unpack()
                .replacen(STYLE_MARK, &style, 1)
                .replacen(SCRIPT_MARK, &script, 1);
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            BASE64.encode(&Sha256::digest(&script)),
            BASE64.encode(&Sha256::digest(&style)),
        );
        // 96 bits tell the documents of two versions apart.
        let digest = Sha256::digest(&document);
        let start = digest.get(..12).unwrap_or_default();
        let tag = format!("\"{}\"", BASE64URL_NOPAD.encode(start));
        Page {
            document,
            policy,
            tag,
        }
    });
    &PAGE
}

/// A source without indentation and without the lines that are comments. No text in the sources
/// goes over a line's end, and no comment ends in front of code.
fn condensed(source: &str) -> String {
    let mut condensed = String::with_capacity(source.len());
    let mut is_comment = false;
    for line in source.lines().map(str::trim_start) {
        is_comment |= line.starts_with("/*");
        if is_comment {
            is_comment = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            condensed.push_str(line);
            condensed.push('\n');
        }
    }
    condensed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between the first `open` and the `close` behind it.
    fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
        let (_, rest) = text.split_once(open).unwrap();
        rest.split_once(close).unwrap().0
    }

    #[test]
    fn the_hashes_are_those_of_what_a_browser_reads() {
        let Page {
            document, policy, ..
        } = page();
        // A browser would read a lone carriage return as a line feed, and hash that.
        assert!(!document.contains('\r'));
        let script = between(document, "<script type=\"module\">", "</script");
        let style = between(document, "<style>", "</style");
        assert_eq!(script, condensed(&SCRIPT.unpack()));
        assert_eq!(style, condensed(&STYLE.unpack()));
        for (directive, text) in [("script-src", script), ("style-src", style)] {
            let hash = BASE64.encode(&Sha256::digest(text));
            assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")));
        }
        assert_eq!(document.matches("</script").count(), 1);
        assert_eq!(document.matches("</style").count(), 1);
        assert!(!SCRIPT.unpack().contains("<!--"));
    }

    #[test]
    fn no_text_of_the_sources_goes_over_the_end_of_a_line() {
        for line in SCRIPT.unpack().lines() {
            assert!(line.matches('`').count().is_multiple_of(2), "{line}");
        }
        assert_eq!(
            condensed("/** a\n * b\n */\n  c();\n\n // d\n/* e */\n* f\n"),
            "c();\n* f\n"
        );
    }

    #[test]
    fn the_page_is_light_and_asks_nobody_else() {
        let document = &page().document;
        assert!(document.len() < 90_000, "{} bytes", document.len());
        for word in [
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
            " style=\"",
        ] {
            let text = document.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(word), "{word}");
        }
    }
}
