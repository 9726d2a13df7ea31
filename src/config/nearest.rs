//! Guesses what a mistyped word was meant to be.

/// Longer words are not compared: nobody means a keyword of that length, and the work of a
/// comparison grows with it.
const WORD_LENGTH_MAX: usize = 32;

/// The candidate that is one or two slips away from `word`, if there is one.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() > WORD_LENGTH_MAX {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let meant = plain(word);
    candidates
        .iter()
        .map(|candidate| (distance(&meant, &plain(candidate)), *candidate))
        .filter(|(slips, candidate)| *slips <= 2 && slips * 3 <= candidate.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Characters to insert, delete, replace or swap with their neighbour that make `from` into `to`
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous: Option<char> = None;
    for (row, c) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut left = row + 1;
        let mut previous_wanted: Option<char> = None;
        for (column, &wanted) in to.iter().enumerate() {
            let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(0);
            let replaced = cell(&last, column) + usize::from(c != wanted);
            let mut slips = replaced.min(cell(&last, column + 1) + 1).min(left + 1);
            if previous == Some(wanted) && previous_wanted == Some(c) {
                slips = slips.min(cell(&before_last, column.saturating_sub(1)) + 1);
            }
            current.push(slips);
            left = slips;
            previous_wanted = Some(wanted);
        }
        previous = Some(c);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_slips() {
        for (from, to, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("acb", "abc", 1),
            ("abd", "abc", 1),
            ("ab", "abc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), slips, "{from} {to}");
        }
    }

    #[test]
    fn a_slip_is_guessed_and_another_word_is_not() {
        let words = ["name", "endpoint", "timeout", "max_attempts", "cwd"];
        for (word, meant) in [
            ("nmae", Some("name")),
            ("end_point", Some("endpoint")),
            ("Timeout", Some("timeout")),
            ("max-attempt", Some("max_attempts")),
            ("pwd", Some("cwd")),
            ("url", None),
            ("", None),
            (&"a".repeat(1_000_000), None),
        ] {
            assert_eq!(nearest(word, &words), meant);
        }
    }
}
