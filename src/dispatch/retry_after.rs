//! The `Retry-After` header (RFC 9110, section 10.2.3): seconds, or a date.
//!
//! BOUND: a worker can't have itself left alone for more than an hour at a time.

use std::time::Duration;

use crate::clock::Timestamp;

/// The longest pause that is honoured.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The pause that `value` asks for, at most an hour; zero for a date that has passed. `None` for
/// what is neither a number of seconds nor an IMF-fixdate (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit mean a very long time.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(PAUSE_MAX));
    }
    let then = imf_fixdate(value)?;
    let pause = Duration::from_millis(then.as_millis().saturating_sub(now.as_millis()));
    Some(pause.min(PAUSE_MAX))
}

/// The moment that an IMF-fixdate (RFC 9110, section 5.6.7) names. The name of the day is not
/// held against the date.
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (_, date) = text.split_once(", ")?;
    let mut fields = date.split(' ');
    let day = number(fields.next()?, 2, 1..=31)?;
    let month = fields.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year = number(fields.next()?, 4, 1970..=9999)?;
    let mut time = fields.next()?.split(':');
    let hour = number(time.next()?, 2, 0..=23)?;
    let minute = number(time.next()?, 2, 0..=59)?;
    // 60 is a leap second.
    let second = number(time.next()?, 2, 0..=60)?;
    if time.next().is_some() || fields.next() != Some("GMT") || fields.next().is_some() {
        return None;
    }
    let month = u64::try_from(month).ok()?.checked_add(1)?;
    let days = days_since_epoch(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp::from_millis(seconds * 1_000))
}

/// A number of exactly `digits` digits within `range`.
fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| range.contains(value))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, `year` 1970 or later
/// (Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`).
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_cut_to_an_hour() {
        // Tue, 01 Mar 2022 00:00:00 GMT
        let now = Timestamp::from_millis(1_646_092_800_000);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3601", Some(3_600)),
            ("99999999999999999999999999", Some(3_600)),
            ("Tue, 01 Mar 2022 00:00:30 GMT", Some(30)),
            ("Tue, 01 Mar 2022 00:01:00 GMT", Some(60)),
            ("Tue, 01 Mar 2022 23:59:60 GMT", Some(3_600)),
            ("Mon, 28 Feb 2022 23:59:59 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3_600)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Tue, 01 Mar 1969 00:00:30 GMT", None),
            ("Tue, 01 Foo 2022 00:00:30 GMT", None),
            ("Tue, 1 Mar 2022 00:00:30 GMT", None),
            ("Tue, 01 Mar 2022 00:00:30 CET", None),
            ("Tue, 01 Mar 2022 24:00:30 GMT", None),
            ("Tue, 01 Mar 2022 00:00:30:00 GMT", None),
            ("Tue, 01 Mar 2022 00:00:30 GMT GMT", None),
        ] {
            let pause = parse(value, now).map(|pause| pause.as_secs());
            assert_eq!(pause, seconds, "{value:?}");
        }
    }

    #[test]
    fn a_date_is_the_moment_that_the_clock_shows() {
        for (date, shown) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"),
            ("Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000Z"),
            ("Fri, 01 Jan 2100 00:00:00 GMT", "2100-01-01T00:00:00.000Z"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(imf_fixdate(date).unwrap().to_string(), shown);
        }
    }
}
