//! Identifiers: 16 characters of `[0-9a-z]` that sort by creation.
//!
//! An id is a number in base 36: milliseconds since the epoch times 36⁷, plus a random part
//! below 36⁷. [`IdSource`] never gives a number that is not above the last one, so ids sort by
//! creation within a millisecond, and while the clock stands still or steps back.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;

/// Characters in an id.
pub const LENGTH: usize = 16;

/// 36⁷: the values that share one millisecond. Nine characters are left for the milliseconds,
/// enough until the year 5188.
const PER_MILLISECOND: u128 = 36_u128.pow(7);

/// 36¹⁶ − 1, the last id there is.
const LAST: u128 = 36_u128.pow(16) - 1;

/// 36⁸: the values of half an id's characters.
const PER_HALF: u128 = 36_u128.pow(8);

/// The random step between two ids of one millisecond is 1 to this.
const STEP_MAX: u128 = 1 << 20;

/// Half of all ids, which last until the year 3579. A clock that says more is wrong, and must not
/// use up the ids: it counts as one that stands still.
const START_MAX: u128 = LAST / 2;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// 16 characters of `[0-9a-z]`, stored as ASCII so that byte order is creation order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; LENGTH]);

impl Id {
    /// The id before all others.
    pub const FIRST: Self = Self([b'0'; LENGTH]);
    /// The id after all others.
    pub const LAST: Self = Self([b'z'; LENGTH]);

    /// The characters as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The id that `bytes` spell, or `None` when they are not 16 characters of `[0-9a-z]`.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; LENGTH] = bytes.try_into().ok()?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z');
        bytes.iter().all(is_digit).then_some(Self(bytes))
    }

    /// When it was given out, as far as the clock was right and no id was above it.
    pub fn created_at(self) -> Timestamp {
        let millis = self.number() / PER_MILLISECOND;
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The id that follows directly, for a range that starts behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self::from_number(self.number().saturating_add(1))
    }

    fn number(self) -> u128 {
        self.0.iter().fold(0, |number, digit| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                _ => digit - b'a' + 10,
            };
            number * 36 + u128::from(value)
        })
    }

    fn from_number(number: u128) -> Self {
        // In two halves: dividing 128 bits for each digit takes ten times as long.
        let number = number.min(LAST);
        let mut bytes = [b'0'; LENGTH];
        let (high, low) = bytes.split_at_mut(LENGTH / 2);
        for (half, rest) in [(high, number / PER_HALF), (low, number % PER_HALF)] {
            let mut rest = u64::try_from(rest).unwrap_or(0);
            for byte in half.iter_mut().rev() {
                let digit = usize::try_from(rest % 36).unwrap_or(0);
                *byte = DIGITS.get(digit).copied().unwrap_or(b'0');
                rest /= 36;
            }
        }
        Self(bytes)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_ref())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is 16 characters of [0-9a-z]")
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Self::from_bytes(text.as_bytes()).ok_or(NotAnId)
    }
}

/// Gives out ids, each above the one before.
#[derive(Debug)]
pub struct IdSource {
    last: u128,
    random: fastrand::Rng,
}

impl IdSource {
    /// A source whose ids are all above `floor`, the highest id that was ever given out.
    pub fn above(floor: Id, random: fastrand::Rng) -> Self {
        Self {
            last: floor.number(),
            random,
        }
    }

    /// The id that was given out last.
    pub fn last(&self) -> Id {
        Id::from_number(self.last)
    }

    /// The next id, for something created `now`.
    pub fn next(&mut self, now: Timestamp) -> Id {
        let start = u128::from(now.as_millis()) * PER_MILLISECOND
            + self.random.u128(0..PER_MILLISECOND / 2);
        let start = if start > START_MAX { 0 } else { start };
        let step = self.random.u128(1..=STEP_MAX);
        self.last = start.max(self.last.saturating_add(step)).min(LAST);
        Id::from_number(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_whatever_the_clock_does() {
        let mut source = IdSource::above(Id::FIRST, fastrand::Rng::with_seed(1));
        let mut last = Id::FIRST;
        for now in [
            5_000,
            5_000,
            5_000,
            5_001,
            4_000,
            0,
            1_774_872_000_000,
            3,
            u64::MAX,
            1_774_872_000_000,
        ] {
            for _ in 0..2_000 {
                let id = source.next(Timestamp::from_millis(now));
                assert!(id > last, "{id} after {last} at {now}");
                last = id;
            }
        }
    }

    #[test]
    fn a_new_source_continues_above_the_floor() {
        let now = Timestamp::from_millis(1_774_872_000_000);
        let floor = IdSource::above(Id::FIRST, fastrand::Rng::with_seed(1)).next(now);
        let earlier = Timestamp::from_millis(1_000);
        let id = IdSource::above(floor, fastrand::Rng::with_seed(1)).next(earlier);
        assert!(id > floor);
        assert_eq!(floor.created_at(), now);
    }

    #[test]
    fn text_and_number_are_the_same_id() {
        for text in ["0000000000000000", "zzzzzzzzzzzzzzzz", "0k3v00000000000a"] {
            let id: Id = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(Id::from_number(id.number()), id);
        }
        assert_eq!(Id::LAST.next(), Id::LAST);
        assert_eq!(Id::FIRST.next().to_string(), "0000000000000001");
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "0k3v",
            "0K3V00000000000A",
            "0k3v00000000000_",
            "0k3v00000000000aa",
            "äääääääÄ",
        ] {
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text}");
        }
    }
}
