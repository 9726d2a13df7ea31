//! Rows for people: columns as wide as what is in them.
//!
//! What stands in a cell came from outside: control characters are escaped, because a terminal
//! would obey them.

use crate::terminal::on_one_line;

/// Characters of a cell at most.
const CELL_MAX: usize = 48;

/// Adds `rows` under `header` as lines of text. The last column is not filled up.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|cell| shown(cell)).collect())
        .collect();
    let mut widths = vec![0; header.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut rendered = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let padding = width.saturating_sub(cell.chars().count());
            rendered.push_str(cell);
            rendered.extend(std::iter::repeat_n(' ', padding + 2));
        }
        text.push_str(rendered.trim_end());
        text.push('\n');
    }
    text
}

/// A cell on one line, without control characters, and short.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(CELL_MAX) {
        Some((end, _)) => on_one_line(text.get(..end).unwrap_or_default()) + "…",
        None => on_one_line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            vec!["a".to_owned(), "long name".to_owned(), String::new()],
            vec!["ä\u{1b}[2J".to_owned(), "b".to_owned(), "c".to_owned()],
        ];
        assert_eq!(
            render(&["ID", "NAME", "X"], &rows),
            "ID          NAME       X\na           long name\nä\\u{1b}[2J  b          c\n"
        );
    }

    #[test]
    fn a_long_cell_is_cut() {
        let cell = shown(&"ä".repeat(100));
        assert_eq!(cell, format!("{}…", "ä".repeat(CELL_MAX)));
    }
}
