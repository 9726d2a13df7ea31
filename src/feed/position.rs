//! Where a reader stands, as a text that it can come back with.

use std::fmt;
use std::str::FromStr;

/// Hexadecimal digits of an epoch.
const EPOCH_DIGITS: usize = 12;

/// Behind which change a reader stands: `0123456789ab-42`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Tells this run of the server from others: 48 random bits.
    pub(super) epoch: u64,
    /// The number of the change; 0 in front of the first.
    pub(super) number: u64,
}

impl Position {
    pub(super) const EPOCH_MAX: u64 = (1 << (4 * EPOCH_DIGITS)) - 1;
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0EPOCH_DIGITS$x}-{}", self.epoch, self.number)
    }
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPosition;

impl fmt::Display for NotAPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is the id of a message of GET /stream, as in 0123456789ab-42")
    }
}

impl std::error::Error for NotAPosition {}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (epoch, number) = text.split_once('-').ok_or(NotAPosition)?;
        let position = Self {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| NotAPosition)?,
            number: number.parse().map_err(|_| NotAPosition)?,
        };
        // There is one way to write it: no signs, capitals, missing or further zeros.
        if position.to_string() == text {
            Ok(position)
        } else {
            Err(NotAPosition)
        }
    }
}
