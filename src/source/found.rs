//! What a path leads to in a text that was checked to be JSON, and what can be made of it.
//!
//! A value of another type than is asked for is as good as absent. An array that a path goes through
//! is walked over when it is asked for.
//!
//! BOUND: at most [`ELEMENTS_MAX`] elements for each path.

use super::paths::Step;
use super::scan::Scan;
use super::text::text_of;

/// Elements of a list that are kept at most.
pub(super) const ELEMENTS_MAX: usize = 100;

/// Bytes of a text at most; the rest is cut off.
pub(super) const TEXT_MAX: usize = 1 << 20;

/// Bytes of a name in a list at most.
pub(super) const NAME_MAX: usize = 255;

/// What a path leads to: a value, or the elements of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t, 'p> {
    value: Option<&'t str>,
    /// The way on from there; empty unless it goes through an array.
    behind: &'p [Step],
}

impl<'t, 'p> Found<'t, 'p> {
    /// What a path that leads nowhere has.
    pub(super) const NOTHING: Self = Self {
        value: None,
        behind: &[],
    };

    /// What lies `behind` a value of a text that was checked.
    #[inline]
    pub(super) fn new(value: Option<&'t str>, behind: &'p [Step]) -> Self {
        Self { value, behind }
    }

    /// The value, or the first of the elements, as a piece of the text that was given.
    #[inline]
    pub(super) fn first(self) -> Option<&'t str> {
        if self.behind.is_empty() {
            return self.value;
        }
        self.all()?.first().copied()
    }

    /// The text.
    pub(super) fn text(self) -> Option<String> {
        text_of(self.first()?, TEXT_MAX)
    }

    /// The text, or the digits of a whole number, as senders write ids; not an empty one.
    pub(super) fn word(self) -> Option<String> {
        let raw = self.first()?;
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.len() <= NAME_MAX && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(raw.to_owned());
        }
        text_of(raw, TEXT_MAX).filter(|word| !word.is_empty())
    }

    /// The whole number.
    pub(super) fn integer(self) -> Option<i64> {
        self.first()?.parse().ok()
    }

    /// The true or false.
    pub(super) fn flag(self) -> Option<bool> {
        self.first()?.parse().ok()
    }

    /// The last of the texts, where the path goes through an array.
    pub(super) fn last_text(self) -> Option<String> {
        text_of(self.all()?.last()?, TEXT_MAX)
    }

    /// The texts, where the path goes through an array; none where there is no array.
    pub(super) fn names(self) -> Option<Vec<String>> {
        let all = self.all()?;
        let names = all.iter().filter_map(|raw| text_of(raw, NAME_MAX));
        Some(names.collect())
    }

    fn all(self) -> Option<Vec<&'t str>> {
        let mut all = None;
        follow(self.value?, self.behind, &mut all);
        all
    }
}

/// Adds what `steps` lead to in `text`, which is JSON. An array that they go through makes a list
/// of it, even an empty one.
fn follow<'t>(text: &'t str, steps: &[Step], all: &mut Option<Vec<&'t str>>) {
    let mut scan = Scan::new(text);
    match (steps.split_first(), scan.peek()) {
        (None, _) if text != "null" => {
            let all = all.get_or_insert_default();
            if all.len() < ELEMENTS_MAX {
                all.push(text);
            }
        }
        (Some((Step::Member(wanted), behind)), Some(b'{')) => {
            let mut last = None;
            scan.members(|scan, key| {
                let place = scan.place();
                scan.value()?;
                if key.read(|key| key == wanted) {
                    last = scan.since(place);
                }
                Some(())
            });
            if let Some(member) = last {
                follow(member, behind, all);
            }
        }
        (Some((Step::Elements, behind)), Some(b'[')) => {
            all.get_or_insert_default();
            scan.elements(ELEMENTS_MAX, |scan| {
                let place = scan.place();
                scan.value()?;
                follow(scan.since(place)?, behind, all);
                Some(())
            });
        }
        _ => {}
    }
}
