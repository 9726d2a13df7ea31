//! How many columns of a terminal a text takes.
//!
//! The wide ranges of Unicode in the large; a terminal may see single characters otherwise, which
//! costs an alignment and nothing else.

/// Columns of a character.
pub(super) fn of_char(c: char) -> usize {
    match u32::from(c) {
        // Marks that are set on the character before, joiners and selectors of a form.
        0x0300..=0x036f
        | 0x200b..=0x200d
        | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f
        | 0xe0100..=0xe01ef => 0,
        // Hangul, Han, Kana, full-width forms, emoji.
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns of a text on one line.
pub(super) fn of(text: &str) -> usize {
    text.chars().map(of_char).sum()
}

/// As much of `text` as `columns` take, with `…` where something is missing.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if of(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fitting = text.chars().take_while(|c| {
        let width = of_char(*c);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    });
    fitting.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        for (text, columns) in [
            ("", 0),
            ("käse", 4),
            ("ka\u{308}se", 4),
            ("日本", 4),
            ("🦀", 2),
            ("한", 2),
        ] {
            assert_eq!(of(text), columns, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        for (text, columns, fits) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
        ] {
            assert_eq!(cut(text, columns), fits);
            assert!(of(fits) <= columns);
        }
    }
}
