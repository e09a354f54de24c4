//! Points in time as `time` tags and `CHATHISTORY` write them:
//! `2026-11-22T20:00:00.000Z`
//! (<https://ircv3.net/specs/extensions/server-time>).

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A point in time, in whole milliseconds since 1970, UTC, up to the end of the
/// year 9999.
///
/// ```
/// use ropewalk_words_irc::proto::timestamp::Timestamp;
///
/// let time: Timestamp = "2026-11-22T20:00:00.123Z".parse()?;
/// assert_eq!(time.millis(), 1_795_377_600_123);
/// assert_eq!(time.to_string(), "2026-11-22T20:00:00.123Z");
/// # Ok::<(), ropewalk_words_irc::proto::timestamp::NoTimestamp>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The text is no point in time. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 2026-11-22T20:00:00.000Z")]
pub struct NoTimestamp;

impl Timestamp {
    /// 1970.
    pub const FIRST: Self = Self(0);

    /// The last millisecond of the year 9999, behind which the format has no
    /// room.
    pub const LAST: Self = Self(253_402_300_799_999);

    /// Of milliseconds since 1970; what is behind [`LAST`](Self::LAST) is that.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::LAST.0 {
            Self::LAST
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, as numerics have them.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(duration)))
    }

    /// So much earlier, or 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is before 1970 is 1970.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_millis(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl FromStr for Timestamp {
    type Err = NoTimestamp;

    /// Reads the format, with or without a fraction of one to nine digits, of
    /// which what is beyond milliseconds is cut off. A leap second is the second
    /// before it.
    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        let (whole, fraction) = text
            .strip_suffix(['Z', 'z'])
            .and_then(|rest| rest.split_at_checked(19))
            .ok_or(NoTimestamp)?;
        let shape = b"0000-00-00T00:00:00";
        let fits = |(c, wanted): (u8, &u8)| match wanted {
            b'0' => c.is_ascii_digit(),
            b'T' => matches!(c, b'T' | b't'),
            _ => c == *wanted,
        };
        if !whole.bytes().zip(shape).all(fits) {
            return Err(NoTimestamp);
        }
        let number = |range| -> Result<u64, NoTimestamp> {
            let digits: &str = whole
                .get::<std::ops::Range<usize>>(range)
                .ok_or(NoTimestamp)?;
            digits.parse().map_err(|_| NoTimestamp)
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return Err(NoTimestamp);
        }
        if hour > 23 || minute > 59 || second > 60 {
            return Err(NoTimestamp);
        }
        let thousandths = match fraction.strip_prefix('.') {
            None if fraction.is_empty() => 0,
            Some(digits)
                if (1..=9).contains(&digits.len())
                    && digits.bytes().all(|c| c.is_ascii_digit()) =>
            {
                let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(3);
                padded.fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
            }
            _ => return Err(NoTimestamp),
        };
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second.min(59);
        Ok(Self(seconds * 1000 + thousandths))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970. Years are counted from March, so that a leap day is the
/// last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - DAYS_BEFORE_1970
}

/// Year, month and day of so many days after the first of January 1970.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (era * 400 + year, month + 3)
    } else {
        (era * 400 + year + 1, month - 9)
    };
    (year, month, day)
}

/// From the first of March of the year 0.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_themselves_again() {
        let mut last = None;
        let deep = std::env::var_os("ROPEWALK_DEEP").is_some();
        // Without the depth, all days of the first century and some of the others.
        let far =
            (36_525..Timestamp::LAST.millis() / 86_400_000).step_by(if deep { 1 } else { 97 });
        for day in (0..36_525).chain(far) {
            let time = Timestamp::from_millis(day * 86_400_000 + 45_296_789);
            let text = time.to_string();
            assert_eq!(text.parse(), Ok(time), "{text}");
            assert!(Some(&text) > last.as_ref());
            last = Some(text);
        }
        assert_eq!(Timestamp::LAST.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::LAST);
    }

    #[test]
    fn known_times() {
        let known = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            ("2026-11-22t20:00:00.123456789z", 1_795_377_600_123),
        ];
        for (text, millis) in known {
            assert_eq!(text.parse(), Ok(Timestamp(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "Z",
            "2026-11-22T20:00:00.000",
            "2026-11-22 20:00:00Z",
            "2026-02-29T20:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.0000000000Z",
            "2026-01-01T00:00:00,5Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:0é0Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NoTimestamp), "{text}");
        }
    }
}
