//! LOC (RFC 1876): where something is, in degrees and metres.

use super::RdataError;
use super::parse::Words;

/// The equator and the prime meridian, in thousandths of a second of arc.
const ORIGIN: u32 = 1 << 31;

/// The reference of altitudes: 100,000 m below the ellipsoid, in centimetres.
const BELOW: i64 = 10_000_000;

/// Appends the 16 octets that the words say.
pub(super) fn parse(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let latitude = angle(words, 90, "N", "S", "a latitude as `52 22 23.000 N`")?;
    let longitude = angle(words, 180, "E", "W", "a longitude as `4 53 32.000 E`")?;
    let altitude = words.must("an altitude from -100000.00 to 42849672.95 m", |text| {
        let centimetres = match text.strip_prefix('-') {
            Some(text) => -hundredths(text)?,
            None => hundredths(text.strip_prefix('+').unwrap_or(text))?,
        };
        u32::try_from(centimetres + BELOW).ok()
    })?;
    // RFC 1876, section 3: 1 m, 10 km, 10 m.
    let mut precisions = [0x12, 0x16, 0x13];
    for precision in &mut precisions {
        if words.has_more() {
            *precision = words.must("a size up to 90000000.00 m", |text| {
                let mut mantissa = hundredths(text).filter(|&size| size <= 9_000_000_000)?;
                let mut exponent = 0;
                while mantissa > 9 {
                    mantissa /= 10;
                    exponent += 1;
                }
                u8::try_from(mantissa << 4 | exponent).ok()
            })?;
        }
    }
    out.push(0);
    out.extend(precisions);
    out.extend(latitude.to_be_bytes());
    out.extend(longitude.to_be_bytes());
    out.extend(altitude.to_be_bytes());
    Ok(())
}

/// Degrees, minutes and seconds up to a letter; the last two may be missing.
fn angle(
    words: &mut Words<'_>,
    most: u32,
    positive: &str,
    negative: &str,
    expected: &'static str,
) -> Result<u32, RdataError> {
    let number = |text: &str, most: u32| {
        let plain = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|&number: &u32| plain && number <= most)
    };
    let degrees = words.must(expected, |text| number(text, most))?;
    let minutes = words.take_if(|text| number(text, 59)).unwrap_or(0);
    let seconds = words
        .take_if(|text| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let plain = (1..=3).contains(&fraction.len());
            let fraction = number(&format!("{fraction:0<3}"), 999).filter(|_| plain)?;
            Some(number(whole, 59)? * 1_000 + fraction)
        })
        .unwrap_or(0);
    let thousandths = (degrees * 60 + minutes) * 60_000 + seconds;
    words.must(expected, |text| {
        if thousandths > most * 3_600_000 {
            None
        } else if text.eq_ignore_ascii_case(positive) {
            Some(ORIGIN + thousandths)
        } else if text.eq_ignore_ascii_case(negative) {
            Some(ORIGIN - thousandths)
        } else {
            None
        }
    })
}

/// Metres with up to two digits behind the point, and perhaps an `m`, in centimetres.
fn hundredths(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['m', 'M']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 10
        || fraction.len() > 2
        || !plain(whole)
        || !plain(fraction)
    {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<2}").parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 100 + fraction)
}

/// The words of 16 octets that were checked, or nothing where they are beyond a pole.
pub(super) fn text(rdata: &[u8]) -> Option<String> {
    let &[0, size, horizontal, vertical, ref numbers @ ..] = rdata else {
        return None;
    };
    let numbers: &[u8; 12] = numbers.try_into().ok()?;
    let number = |at: usize| {
        u32::from_be_bytes([
            numbers[at],
            numbers[at + 1],
            numbers[at + 2],
            numbers[at + 3],
        ])
    };
    let angle = |value: u32, most: u32, positive: char, negative: char| {
        let thousandths = value.abs_diff(ORIGIN);
        let letter = if value >= ORIGIN { positive } else { negative };
        (thousandths <= most * 3_600_000).then(|| {
            format!(
                "{} {} {}.{:03} {letter}",
                thousandths / 3_600_000,
                thousandths / 60_000 % 60,
                thousandths / 1_000 % 60,
                thousandths % 1_000,
            )
        })
    };
    let metres = |centimetres: i64| {
        let sign = if centimetres < 0 { "-" } else { "" };
        let centimetres = centimetres.abs();
        format!("{sign}{}.{:02}m", centimetres / 100, centimetres % 100)
    };
    let precision = |octet: u8| metres(i64::from(octet >> 4) * 10_i64.pow(u32::from(octet & 15)));
    Some(format!(
        "{} {} {} {} {} {}",
        angle(number(0), 90, 'N', 'S')?,
        angle(number(4), 180, 'E', 'W')?,
        metres(i64::from(number(8)) - BELOW),
        precision(size),
        precision(horizontal),
        precision(vertical),
    ))
}
