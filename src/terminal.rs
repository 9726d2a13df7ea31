//! Text from outside, made so that a terminal shows it and does not obey it.
//!
//! A terminal takes control characters for orders, the C1 set (U+0080 to U+009F) among them, and
//! marks of direction let a line read other than it is. Whatever a peer wrote goes through here
//! on its way to a log or a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal does something else with `c` than show it where it stands.
pub(crate) fn is_obeyed(c: char) -> bool {
    c.is_control() || turns_text(c)
}

/// Line and paragraph separators and the marks that change the direction of text.
fn turns_text(c: char) -> bool {
    matches!(
        c,
        '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{61c}'
    )
}

/// `text` on one line, without orders: `\n`, `\u{1b}`.
pub(crate) fn on_one_line(text: &str) -> String {
    escaped(text, is_obeyed).into_owned()
}

/// `text` with its lines and tabs as they are, without other orders.
pub(crate) fn in_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_order: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_order) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_order(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// The same JSON without orders. Where JSON has such a character as it is, other than white space,
/// it is within a string, where an escape means the same.
pub(crate) fn in_json(json: String) -> String {
    let is_order = |c: char| is_obeyed(c) && !matches!(c, '\n' | '\t');
    if !json.contains(is_order) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\r' => text.push(' '),
            // All of them have 16 bits. Writing to a text cannot fail.
            c if is_order(c) => _ = write!(text, "\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders of every kind.
    const ORDERS: &str = "\0\u{7}\u{8}\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\
                          \u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";

    #[test]
    fn no_order_is_left_on_a_line() {
        let line = on_one_line(&format!("a{ORDERS}b"));
        assert!(!line.chars().any(is_obeyed), "{line:?}");
        assert_eq!(on_one_line("a\n\u{1b}[2J\u{9b}b"), "a\\n\\u{1b}[2J\\u{9b}b");
        assert_eq!(on_one_line("käse 日本 🦀"), "käse 日本 🦀");
    }

    #[test]
    fn lines_stay_lines() {
        let text = in_lines("a\nb\n");
        assert!(matches!(text, Cow::Borrowed("a\nb\n")));
        assert_eq!(in_lines("a\r\n\t\u{202e}b\n"), "a\\r\n\t\\u{202e}b\n");
    }

    #[test]
    fn json_means_the_same_without_orders() {
        let value = serde_json::json!({"text": ORDERS, "käse": ["🦀", 1]});
        let plain = in_json(value.to_string());
        assert!(!plain.chars().any(is_obeyed), "{plain:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&plain).unwrap(),
            value
        );
        let spaced = in_json("{\r\n\t\"a\": \"\u{9b}\"\r\n}".to_owned());
        assert_eq!(spaced, "{ \n\t\"a\": \"\\u009b\" \n}");
        assert_eq!(in_json("{\"a\": 1}\n".to_owned()), "{\"a\": 1}\n");
    }
}
