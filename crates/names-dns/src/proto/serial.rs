//! Serial numbers of zones, which go round (RFC 1982), and the SOA record that
//! they stand in (RFC 1035, section 3.3.13).

use std::{fmt, time::Duration};

use super::name::NameRef;

/// The serial number of a zone's version.
///
/// Serials have no order that a sort could use: behind 4,294,967,295 comes 0,
/// and of two that are half the circle apart neither is newer.
///
/// ```
/// use ropewalk_names_dns::proto::Serial;
///
/// assert!(Serial(2).is_newer_than(Serial(1)));
/// assert!(Serial(0).is_newer_than(Serial(u32::MAX)));
/// let (one, half) = (Serial(1), Serial(1 + (1 << 31)));
/// assert!(!one.is_newer_than(half) && !half.is_newer_than(one));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether this comes after the other (RFC 1982, section 3.2).
    pub fn is_newer_than(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The numbers of an SOA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SoaNumbers {
    /// The version of the zone.
    pub serial: Serial,
    /// How long a secondary waits before it looks for a new version.
    pub refresh: Duration,
    /// How long it waits after it could not.
    pub retry: Duration,
    /// How long it may answer without having looked.
    pub expire: Duration,
    /// How long it is known that a name does not exist (RFC 2308).
    pub minimum: u32,
}

impl SoaNumbers {
    /// Reads the data of an SOA record with its names whole; `None` if it is
    /// none.
    ///
    /// ```
    /// use ropewalk_names_dns::proto::{Serial, SoaNumbers};
    ///
    /// let rdata = b"\0\0\0\0\0\x07\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
    /// assert_eq!(SoaNumbers::read(rdata).unwrap().serial, Serial(7));
    /// ```
    pub fn read(rdata: &[u8]) -> Option<Self> {
        let (_primary, rest) = NameRef::split_from(rdata).ok()?;
        let (_mailbox, numbers) = NameRef::split_from(rest).ok()?;
        let numbers: &[u8; 20] = numbers.try_into().ok()?;
        let number = |at: usize| {
            let bytes = [
                numbers[at],
                numbers[at + 1],
                numbers[at + 2],
                numbers[at + 3],
            ];
            u32::from_be_bytes(bytes)
        };
        let time = |at| Duration::from_secs(number(at).into());
        Some(Self {
            serial: Serial(number(0)),
            refresh: time(4),
            retry: time(8),
            expire: time(12),
            minimum: number(16),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1982, section 5.2, scaled to 32 bits.
    #[test]
    fn serials_go_round() {
        let half = 1 << 31;
        for (newer, older) in [
            (1, 0),
            (44, 0),
            (100, 44),
            (half + 43, 44),
            (0, u32::MAX),
            (100, u32::MAX),
            (half - 1, 0),
            (half, 1),
        ] {
            assert!(
                Serial(newer).is_newer_than(Serial(older)),
                "{newer} {older}"
            );
            assert!(
                !Serial(older).is_newer_than(Serial(newer)),
                "{older} {newer}"
            );
        }
        assert!(!Serial(half).is_newer_than(Serial(0)));
        assert!(!Serial(0).is_newer_than(Serial(half)));
        assert!(!Serial(7).is_newer_than(Serial(7)));
        assert_eq!(Serial(u32::MAX).next(), Serial(0));
    }

    #[test]
    fn an_soa_is_two_names_and_five_numbers() {
        let rdata = b"\x02ns\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        let soa = SoaNumbers::read(rdata).unwrap();
        assert_eq!((soa.serial, soa.minimum), (Serial(1), 5));
        assert_eq!(soa.expire, Duration::from_secs(4));
        for length in 0..rdata.len() {
            assert_eq!(SoaNumbers::read(&rdata[..length]), None);
        }
        assert_eq!(SoaNumbers::read(&[rdata.as_slice(), b"x"].concat()), None);
    }
}
