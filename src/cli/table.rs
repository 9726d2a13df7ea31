//! Rows for people: columns as wide as what is in them, and all of them as wide as the terminal.
//!
//! What stands in a cell came from outside: control characters are escaped, because a terminal
//! would obey them. Where the columns do not fit, long texts are cut; where they would become too
//! short, times lose their year and seconds; where that is not enough, columns leave.

use super::width;
use crate::terminal::on_one_line;

/// Columns that a text has at most where there is no terminal that sets the measure.
const TEXT_MAX: usize = 48;

/// Below this a text is not cut as long as something else can give way.
const TEXT_MIN: usize = 16;

/// Below this nothing is cut; a terminal that is narrower still breaks the lines.
const TEXT_FLOOR: usize = 4;

/// Characters of a cell that are looked at.
const CELL_MAX: usize = 512;

/// Spaces between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    kind: Kind,
    /// Where the terminal is too narrow, the column with the highest rank leaves first; one with 0
    /// stays.
    rank: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An id, a state, a number: never cut.
    Whole,
    /// An RFC 3339 time.
    Time,
    /// May be cut.
    Text,
}

impl Column {
    const fn new(title: &'static str, kind: Kind) -> Self {
        Self {
            title,
            kind,
            rank: 0,
        }
    }

    /// A column that is never cut.
    pub(super) const fn whole(title: &'static str) -> Self {
        Self::new(title, Kind::Whole)
    }

    /// A column of times.
    pub(super) const fn time(title: &'static str) -> Self {
        Self::new(title, Kind::Time)
    }

    /// A column of texts that may be cut.
    pub(super) const fn text(title: &'static str) -> Self {
        Self::new(title, Kind::Text)
    }

    /// The same as one that may leave, the highest rank first.
    pub(super) const fn leaving(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A cell's text as a row keeps it: what can be shown of it, and no more.
pub(super) fn cell(text: &str) -> String {
    let end = text.char_indices().nth(CELL_MAX);
    end.and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
        .to_owned()
}

/// `rows` below the titles of `columns` as lines of text, for a terminal of `terminal` columns if
/// there is one. The last column is not filled up. Columns in which nothing stands are left out.
pub(super) fn render(columns: &[Column], rows: &[Vec<String>], terminal: Option<usize>) -> String {
    let mut fitted: Vec<Fitted> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| Fitted::new(*column, rows.iter().map(|row| row.get(at))))
        .filter(|column| rows.is_empty() || !column.is_empty())
        .collect();
    match terminal {
        Some(terminal) => fit(&mut fitted, terminal),
        None => {
            for column in &mut fitted {
                if column.column.kind == Kind::Text {
                    column.width = column.width.min(TEXT_MAX);
                }
            }
        }
    }
    let mut text = String::new();
    for line in 0..=rows.len() {
        let mut rendered = String::new();
        for column in &fitted {
            let cell = column.cells.get(line).map_or("", String::as_str);
            let cell = width::cut(cell, column.width);
            let padding = column.width.saturating_sub(width::of(&cell));
            rendered.push_str(&cell);
            rendered.extend(std::iter::repeat_n(' ', padding + GAP));
        }
        text.push_str(rendered.trim_end());
        text.push('\n');
    }
    text
}

/// A column with its title and cells as they are shown.
struct Fitted {
    column: Column,
    cells: Vec<String>,
    width: usize,
}

impl Fitted {
    fn new<'a>(column: Column, cells: impl Iterator<Item = Option<&'a String>>) -> Self {
        let shown = cells.map(|text| {
            let text = text.map_or("", String::as_str);
            if column.kind == Kind::Time {
                // To the second.
                return on_one_line(&first(text, 19).replace('T', " "));
            }
            on_one_line(&cell(text))
        });
        let mut fitted = Self {
            column,
            cells: std::iter::once(column.title.to_owned())
                .chain(shown)
                .collect(),
            width: 0,
        };
        fitted.measure();
        fitted
    }

    fn is_empty(&self) -> bool {
        self.cells.iter().skip(1).all(String::is_empty)
    }

    fn measure(&mut self) {
        let widths = self.cells.iter().map(|cell| width::of(cell));
        self.width = widths.max().unwrap_or(0);
    }

    /// Month, day and minute of times.
    fn shorten_times(&mut self) {
        if self.column.kind == Kind::Time {
            for cell in self.cells.iter_mut().skip(1) {
                let short: String = cell.chars().skip(5).take(11).collect();
                *cell = short;
            }
            self.measure();
        }
    }

    fn least(&self) -> usize {
        match self.column.kind {
            Kind::Text => self.width.min(TEXT_MIN),
            Kind::Whole | Kind::Time => self.width,
        }
    }
}

/// Makes `columns` fit `terminal`, as far as they can.
fn fit(columns: &mut Vec<Fitted>, terminal: usize) {
    if total(columns, Fitted::least) > terminal {
        columns.iter_mut().for_each(Fitted::shorten_times);
    }
    while total(columns, Fitted::least) > terminal {
        let ranks = columns.iter().map(|column| column.column.rank);
        let highest = ranks.max().unwrap_or(0);
        if highest == 0 {
            break;
        }
        columns.retain(|column| column.column.rank < highest);
    }
    // The widest texts give first.
    while total(columns, |column| column.width) > terminal {
        let is_text = |column: &&mut Fitted| column.column.kind == Kind::Text;
        let widest = columns
            .iter_mut()
            .filter(is_text)
            .max_by_key(|column| column.width);
        let Some(widest) = widest.filter(|column| column.width > TEXT_FLOOR) else {
            break;
        };
        widest.width -= 1;
    }
}

fn total(columns: &[Fitted], width: impl Fn(&Fitted) -> usize) -> usize {
    let gaps = columns.len().saturating_sub(1) * GAP;
    columns.iter().map(width).sum::<usize>() + gaps
}

/// A text on one line, without control characters, and short.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => on_one_line(text.get(..end).unwrap_or_default()) + "…",
        None => on_one_line(text),
    }
}

fn first(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 5] = [
        Column::whole("ID"),
        Column::time("CREATED UTC"),
        Column::text("WORKER").leaving(1),
        Column::whole("TRIES").leaving(2),
        Column::text("PROMPT"),
    ];

    fn row(cells: [&str; 5]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    fn lines(rows: &[Vec<String>], terminal: Option<usize>) -> Vec<String> {
        let table = render(&COLUMNS, rows, terminal);
        table.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let columns = ["ID", "NAME", "X"].map(Column::text);
        let rows = [
            vec!["a".to_owned(), "long name".to_owned(), String::new()],
            vec!["ä\u{1b}[2J".to_owned(), "b".to_owned(), "日本".to_owned()],
        ];
        assert_eq!(
            render(&columns, &rows, None),
            "ID          NAME       X\na           long name\nä\\u{1b}[2J  b          日本\n"
        );
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(shown(&"ä".repeat(100)), format!("{}…", "ä".repeat(48)));
        let rows = [row(["a", "", "", "", &"ä".repeat(100)])];
        let prompt = format!("{}…", "ä".repeat(47));
        assert_eq!(lines(&rows, None), ["ID  PROMPT", &format!("a   {prompt}")]);
    }

    #[test]
    fn what_does_not_fit_becomes_shorter_and_then_leaves() {
        let time = "2026-03-30T12:00:01.234Z";
        let long = "x".repeat(300);
        let rows = [row(["0123", time, "some-worker", "12", &long])];
        let line = |time: &str, rest: &str, width: usize| {
            let front = format!("0123  {time}{rest}  ");
            let left = width - front.len() - 1;
            format!("{front}{}…", "x".repeat(left))
        };
        for (terminal, line) in [
            (
                100,
                line("2026-03-30 12:00:01", "  some-worker  12   ", 100),
            ),
            (60, line("03-30 12:00", "  some-worker  12   ", 60)),
            (50, line("03-30 12:00", "  some-worker", 50)),
            (40, line("03-30 12:00", "", 40)),
            (30, line("03-30 12:00", "", 30)),
            (20, line("03-30 12:00", "", 23)),
        ] {
            assert_eq!(
                lines(&rows, Some(terminal)).last(),
                Some(&line),
                "{terminal}"
            );
        }
        let rows = [row(["0123", time, "w", "1", "short"])];
        assert_eq!(
            lines(&rows, Some(80)),
            [
                "ID    CREATED UTC          WORKER  TRIES  PROMPT",
                "0123  2026-03-30 12:00:01  w       1      short"
            ]
        );
        for width in 20..130 {
            let rows = [row(["0123", time, &long, "12", &long])];
            for line in lines(&rows, Some(width)) {
                assert!(width::of(&line) <= width.max(23), "{width}: {line}");
            }
        }
    }

    #[test]
    fn empty_columns_are_left_out() {
        assert_eq!(
            lines(&[row(["a", "", "", "", "b"])], None),
            ["ID  PROMPT", "a   b"]
        );
        assert_eq!(lines(&[], None).len(), 1);
    }
}
