//! Texts as JSON writes them, and texts that are cut.

/// The text that `raw` writes, a string of JSON in its quotes, at most `max` bytes of it; `None`
/// where it is no string. Half a surrogate pair, which JSON may hold and text may not, becomes
/// U+FFFD.
pub(super) fn text_of(raw: &str, max: usize) -> Option<String> {
    let mut ahead = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    while text.len() < max {
        let plain = ahead.find('\\').unwrap_or(ahead.len());
        let (front, behind) = ahead.split_at_checked(plain)?;
        let kept = cut(front, max - text.len());
        text.push_str(kept);
        let Some(escaped) = behind
            .strip_prefix('\\')
            .filter(|_| kept.len() == front.len())
        else {
            break;
        };
        let (c, behind) = unescape(escaped)?;
        if text.len() + c.len_utf8() > max {
            break;
        }
        text.push(c);
        ahead = behind;
    }
    Some(text)
}

/// The character that an escape stands for, without its backslash, and what follows it.
fn unescape(escaped: &str) -> Option<(char, &str)> {
    let mut chars = escaped.chars();
    let c = match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unescape_unit(chars.as_str()),
        c => c,
    };
    Some((c, chars.as_str()))
}

fn unescape_unit(digits: &str) -> Option<(char, &str)> {
    let unit = |digits: &str| u32::from_str_radix(digits.get(..4)?, 16).ok();
    let first = unit(digits)?;
    let behind = digits.get(4..)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, behind));
    }
    let second = behind.strip_prefix("\\u").and_then(unit);
    let pair = second
        .filter(|second| first < 0xdc00 && (0xdc00..0xe000).contains(second))
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    match pair {
        Some(c) => Some((c, behind.get(6..)?)),
        None => Some((char::REPLACEMENT_CHARACTER, behind)),
    }
}

/// The start of `text`, at most `max` bytes, whole characters.
#[inline]
pub(super) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let start = (0..=max).rev().find_map(|end| text.get(..end));
    start.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("\u{e4}\u{e4}", 3), "\u{e4}");
        assert_eq!(cut("ab", 2), "ab");
        assert_eq!(cut("\u{e4}", 1), "");
    }

    #[test]
    fn escapes_are_read_and_what_is_no_string_is_none() {
        let raw = r#""\u00e4\n\"\/\ud83d\ude00\ud83d!""#;
        let read = text_of(raw, 100);
        assert_eq!(read.as_deref(), Some("\u{e4}\n\"/\u{1f600}\u{fffd}!"));
        assert_eq!(text_of(raw, 3).as_deref(), Some("\u{e4}\n"));
        for raw in ["1", "null", "{}", "\"", ""] {
            assert_eq!(text_of(raw, 100), None, "{raw}");
        }
    }
}
