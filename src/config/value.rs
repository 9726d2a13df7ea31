//! How durations, sizes and rates are written: `30s`, `64KiB`, `2/s`.
//!
//! A number is whole and decimal, without sign or separators, and its unit follows without a
//! space. What is read here is written back in the same form.

use std::fmt;
use std::time::Duration;

use crate::clock::duration_millis;
use crate::worker::Rate;

/// Units of a duration with their milliseconds, the longest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of a size with their bytes, the largest first.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Units of a rate with their seconds.
const RATE_UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3_600)];

/// Attempts in the span of a rate at most.
const RATE_COUNT_MAX: u32 = 1_000_000;

/// The text is not of the form; displayed as what the form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAValue {
    /// Not a duration.
    Duration,
    /// Not a size.
    Size,
    /// Not a rate.
    Rate,
}

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration => f.write_str(
                "not a duration; write a whole number with ms, s, m, h or d behind it, like \"30s\" or \"10m\"",
            ),
            Self::Size => f.write_str(
                "not a size; write a whole number with B, KiB, MiB or GiB behind it, like \"64KiB\" or \"8MiB\"",
            ),
            Self::Rate => write!(
                f,
                "not a rate; write 1 to {RATE_COUNT_MAX} starts per s, m or h, like \"2/s\" or \"30/m\""
            ),
        }
    }
}

impl std::error::Error for NotAValue {}

/// Reads `200ms`, `30s`, `10m`, `6h` or `30d`.
pub fn parse_duration(text: &str) -> Result<Duration, NotAValue> {
    parse(text, &DURATION_UNITS)
        .map(Duration::from_millis)
        .ok_or(NotAValue::Duration)
}

/// Reads `512B`, `64KiB`, `8MiB` or `2GiB`, in bytes.
pub fn parse_size(text: &str) -> Result<u64, NotAValue> {
    parse(text, &SIZE_UNITS).ok_or(NotAValue::Size)
}

/// Reads `2/s`, `30/m` or `100/h`.
pub fn parse_rate(text: &str) -> Result<Rate, NotAValue> {
    let rate = || {
        let (number, unit) = text.split_once('/')?;
        let count = u32::try_from(parse_number(number)?).ok()?;
        let per = Duration::from_secs(factor(unit, &RATE_UNITS)?);
        (1..=RATE_COUNT_MAX)
            .contains(&count)
            .then_some(Rate { count, per })
    };
    rate().ok_or(NotAValue::Rate)
}

/// Writes a duration in the largest unit that divides it; what is below a millisecond is dropped.
pub fn duration_text(duration: Duration) -> String {
    match duration_millis(duration) {
        0 => "0s".to_owned(),
        millis => text(millis, &DURATION_UNITS),
    }
}

/// Writes a size in the largest unit that divides it.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0 => "0B".to_owned(),
        bytes => text(bytes, &SIZE_UNITS),
    }
}

/// Writes a rate as it is read.
pub fn rate_text(rate: Rate) -> String {
    let unit = RATE_UNITS
        .iter()
        .find(|(_, seconds)| *seconds == rate.per.as_secs());
    match unit {
        Some((unit, _)) => format!("{}/{unit}", rate.count),
        None => format!("{} in {}", rate.count, duration_text(rate.per)),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    parse_number(number)?.checked_mul(factor(unit, units)?)
}

/// `str::parse` takes a plus sign, which no form here has.
fn parse_number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

fn factor(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
}

fn text(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor))
        .map_or_else(
            || amount.to_string(),
            |(unit, factor)| format!("{}{unit}", amount / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (written, millis) in [
            ("0s", 0),
            ("200ms", 200),
            ("30s", 30_000),
            ("10m", 600_000),
            ("6h", 21_600_000),
            ("30d", 2_592_000_000),
            ("1500ms", 1_500),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(written), Ok(duration));
            assert_eq!(duration_text(duration), written);
        }
        assert_eq!(parse_duration("0090s"), parse_duration("90s"));
        assert_eq!(duration_text(Duration::from_secs(120)), "2m");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "30 s",
            " 30s",
            "30s ",
            "30S",
            "1.5h",
            "-1s",
            "+1s",
            "1h30m",
            "1_000s",
            "30sec",
            "10min",
            "٣s",
            "18446744073709551616ms",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text), Err(NotAValue::Duration), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_back() {
        for (written, bytes) in [
            ("0B", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("8MiB", 8_388_608),
            ("2GiB", 2_147_483_648),
            ("1025B", 1_025),
        ] {
            assert_eq!(parse_size(written), Ok(bytes));
            assert_eq!(size_text(bytes), written);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "8",
            "MiB",
            "8MB",
            "8mib",
            "8M",
            "8 MiB",
            "1.5GiB",
            "-1B",
            "+1B",
            "1TiB",
            "18446744073709551615GiB",
            "0x10B",
        ] {
            assert_eq!(parse_size(text), Err(NotAValue::Size), "{text}");
        }
    }

    #[test]
    fn rates_are_read_and_written_back() {
        for (written, count, seconds) in [
            ("2/s", 2, 1),
            ("30/m", 30, 60),
            ("100/h", 100, 3_600),
            ("1000000/s", 1_000_000, 1),
        ] {
            let rate = Rate {
                count,
                per: Duration::from_secs(seconds),
            };
            assert_eq!(parse_rate(written), Ok(rate));
            assert_eq!(rate_text(rate), written);
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "2",
            "/s",
            "2/",
            "0/s",
            "2/d",
            "2 /s",
            "2/ s",
            "-2/s",
            "+2/s",
            "2/s/s",
            "2.5/s",
            "1000001/s",
            "4294967297/s",
        ] {
            assert_eq!(parse_rate(text), Err(NotAValue::Rate), "{text}");
        }
    }
}
