//! Patterns for names: globs of actors, and the types that a rule takes.

/// Whether `text` is as `pattern` says: `*` stands for any characters, `?` for one, everything
/// else for itself. BOUND: the steps are at most the product of both lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    let mut text_rest = text.chars();
    // Behind the last star, and behind what that star has taken so far. Only the last star needs
    // a second try: whatever an earlier one could take, a later one can take, too.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = text_rest.clone();
        match (pattern_rest.next(), text_rest.next()) {
            (Some('*'), _) => {
                text_rest = before.clone();
                retry = Some((pattern_rest.clone(), before));
            }
            (None, None) => return true,
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (_, _) => {
                let Some((behind_star, taken)) = &mut retry else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                pattern_rest = behind_star.clone();
                text_rest = taken.clone();
            }
        }
    }
}

/// Whether an entry of `on` takes `event_type`: exactly, or its beginning where the entry ends in
/// a star.
pub(super) fn takes(entry: &str, event_type: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => event_type.starts_with(beginning),
        None => event_type == entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_know_stars_and_question_marks_alone() {
        for (pattern, text, is_match) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "A", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "ä", true),
            ("?", "ab", false),
            ("*[bot]", "dependabot[bot]", true),
            ("*[bot]", "bot", false),
            ("*[bot]", "o", false),
            ("a*c", "abbbc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("*b*d*", "abcde", true),
            ("*b*d*", "adcb", false),
            ("a**b", "ab", true),
            ("a*?b", "ab", false),
            ("a*?b", "axxb", true),
            ("a\\*", "a*", false),
            ("*aab", "aaaab", true),
            ("ü*", "übung", true),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(50) + "b";
        assert!(!matches(&pattern, &"a".repeat(20_000)));
        assert!(matches(&pattern, &("a".repeat(20_000) + "b")));
    }

    #[test]
    fn entries_take_a_type_or_any_rest() {
        for (entry, event_type, takes_it) in [
            ("push", "push", true),
            ("push", "push.x", false),
            ("push", "pus", false),
            ("pull_request.*", "pull_request.opened", true),
            ("pull_request.*", "pull_request", false),
            ("pull_request.*", "pull_request.", true),
            ("pull_request*", "pull_request_review.submitted", true),
            ("*", "anything", true),
            ("*", "", true),
        ] {
            assert_eq!(takes(entry, event_type), takes_it, "{entry} {event_type}");
        }
    }
}
