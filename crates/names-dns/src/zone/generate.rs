//! `$GENERATE`: records that differ in a number, as BIND has them.

/// What is wrong with a `$GENERATE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The range is none.
    #[error("a range as `1-254` or `0-255/2` expected")]
    Range,
    /// The range has more numbers than the limit allows.
    #[error("a range of {0} numbers: at most {1} expected")]
    TooMany(u64, u32),
    /// A modifier that is none.
    #[error("`{{offset,width,base}}` expected, with a base of d, o, x, X, n or N")]
    Modifier,
    /// An offset that takes a number below 0.
    #[error("a number below 0")]
    Negative,
    /// What was made is not one record.
    #[error("what is made is not one entry")]
    Words,
}

/// `start-stop/step`.
#[derive(Debug, Clone)]
pub(super) struct Range {
    next: Option<u32>,
    stop: u32,
    step: u32,
}

impl Range {
    pub(super) fn parse(text: &[u8], most: u32) -> Result<Self, GenerateError> {
        let number = |text: &str| {
            text.bytes()
                .all(|octet| octet.is_ascii_digit())
                .then(|| text.parse::<u32>().ok())
                .flatten()
                .filter(|&number| number <= 1 << 31)
        };
        let parsed = std::str::from_utf8(text).ok().and_then(|text| {
            let (range, step) = text.split_once('/').unwrap_or((text, "1"));
            let (start, stop) = range.split_once('-')?;
            Some((number(start)?, number(stop)?, number(step)?))
        });
        let Some((start, stop, step @ 1..)) = parsed.filter(|(start, stop, _)| start <= stop)
        else {
            return Err(GenerateError::Range);
        };
        let count = u64::from(stop - start) / u64::from(step) + 1;
        if count > u64::from(most) {
            return Err(GenerateError::TooMany(count, most));
        }
        Ok(Self {
            next: Some(start),
            stop,
            step,
        })
    }
}

impl Iterator for Range {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let value = self.next?;
        self.next = value
            .checked_add(self.step)
            .filter(|&next| next <= self.stop);
        Some(value)
    }
}

/// A text with places for the number.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    Number { offset: i64, width: usize, base: u8 },
}

impl Template {
    pub(super) fn parse(text: &[u8]) -> Result<Self, GenerateError> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let [octet, behind @ ..] = rest {
            rest = behind;
            match (octet, rest) {
                (b'\\', [escaped, behind @ ..]) => {
                    plain.extend([b'\\', *escaped]);
                    rest = behind;
                }
                (b'$', [b'$', behind @ ..]) => {
                    plain.push(b'$');
                    rest = behind;
                }
                (b'$', _) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    let (mut offset, mut width, mut base) = (0, 0, b'd');
                    if let [b'{', behind @ ..] = rest {
                        let end = memchr::memchr(b'}', behind).ok_or(GenerateError::Modifier)?;
                        (offset, width, base) =
                            modifier(&behind[..end]).ok_or(GenerateError::Modifier)?;
                        rest = &behind[end + 1..];
                    }
                    pieces.push(Piece::Number {
                        offset,
                        width,
                        base,
                    });
                }
                (octet, _) => plain.push(*octet),
            }
        }
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    pub(super) fn write(&self, value: u32, out: &mut Vec<u8>) -> Result<(), GenerateError> {
        for piece in &self.0 {
            match *piece {
                Piece::Text(ref text) => out.extend_from_slice(text),
                Piece::Number {
                    offset,
                    width,
                    base,
                } => {
                    let number = u64::try_from(i64::from(value) + offset)
                        .map_err(|_| GenerateError::Negative)?;
                    let text = match base {
                        b'o' => format!("{number:0width$o}"),
                        b'x' => format!("{number:0width$x}"),
                        b'X' => format!("{number:0width$X}"),
                        b'n' => nibbles(&format!("{number:x}"), width),
                        b'N' => nibbles(&format!("{number:X}"), width),
                        _ => format!("{number:0width$}"),
                    };
                    out.extend(text.into_bytes());
                }
            }
        }
        Ok(())
    }
}

/// Digits from the last to the first with dots between, zeros up to `width` octets, dots counted.
fn nibbles(digits: &str, width: usize) -> String {
    let mut digits = digits.bytes().rev();
    let mut text = String::new();
    loop {
        let digit = digits.next();
        if digit.is_none() && text.len() >= width {
            return text;
        }
        if !text.is_empty() {
            text.push('.');
            // A width that ends with a dot is BIND's too.
            if digit.is_none() && text.len() >= width {
                return text;
            }
        }
        text.push(digit.map_or('0', char::from));
    }
}

/// `offset,width,base`, of which the last ones may be missing.
fn modifier(text: &[u8]) -> Option<(i64, usize, u8)> {
    let mut parts = std::str::from_utf8(text).ok()?.split(',');
    let offset: i32 = parts.next()?.parse().ok()?;
    let width = match parts.next() {
        // A label has 63 octets, an address of IPv6 in nibbles 63 too.
        Some(width) => width.parse().ok().filter(|&width| width <= 64)?,
        None => 0,
    };
    let base = match parts.next().map(str::as_bytes) {
        Some(&[base @ (b'd' | b'o' | b'x' | b'X' | b'n' | b'N')]) => base,
        Some(_) => return None,
        None => b'd',
    };
    parts
        .next()
        .is_none()
        .then_some((i64::from(offset), width, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(range: &str, template: &str) -> Vec<String> {
        let template = Template::parse(template.as_bytes()).unwrap();
        Range::parse(range.as_bytes(), 100)
            .unwrap()
            .map(|value| {
                let mut out = Vec::new();
                template.write(value, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            })
            .collect()
    }

    #[test]
    fn numbers_stand_where_the_dollar_is() {
        assert_eq!(all("1-3", "a$b$$\\$"), ["a1b$\\$", "a2b$\\$", "a3b$\\$"]);
        assert_eq!(all("8-12/2", "${-8,3,d}"), ["000", "002", "004"]);
        assert_eq!(
            all("10-10", "${0,4,x}.${0,0,X}.${0,0,o}.${5}"),
            ["000a.A.12.15"]
        );
        assert_eq!(
            all("18-18", "${0,0,n} ${0,5,N} ${0,8,n}"),
            ["2.1 2.1.0 2.1.0.0."]
        );
        assert_eq!(all("2147483647-2147483647", "$"), ["2147483647"]);
    }

    #[test]
    fn ranges_are_bounded() {
        for text in [
            "",
            "1",
            "2-1",
            "1-2/0",
            "-1-2",
            "1-2-3",
            "a-b",
            "0-4294967296",
            "1-2/x",
        ] {
            assert_eq!(
                Range::parse(text.as_bytes(), 100).unwrap_err(),
                GenerateError::Range,
                "{text}"
            );
        }
        assert_eq!(
            Range::parse(b"0-2147483648", 65_536).unwrap_err(),
            GenerateError::TooMany(2_147_483_649, 65_536),
        );
        assert!(Range::parse(b"0-99", 100).is_ok());
        for text in ["${", "${x}", "${0,1,q}", "${0,65}", "${0,1,d,}", "${0,-1}"] {
            assert_eq!(
                Template::parse(text.as_bytes()).unwrap_err(),
                GenerateError::Modifier
            );
        }
        let below = Template::parse(b"${-5}").unwrap();
        assert_eq!(
            below.write(4, &mut Vec::new()),
            Err(GenerateError::Negative)
        );
    }
}
