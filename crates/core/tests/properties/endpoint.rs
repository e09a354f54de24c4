//! What holds for every string that someone takes for an endpoint. The fuzz target, the replay of
//! its corpus and the property tests include this file.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ropewalk_core::endpoint::ParseError;
use ropewalk_core::{ClientEndpoint, ServerEndpoint};

/// Both sides parse or refuse it, and neither panics.
pub(crate) fn check(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        let _ = round_trip::<ServerEndpoint>(text);
        let _ = round_trip::<ClientEndpoint>(text);
    }
}

/// If it parses, its canonical form parses to the same. If not, the error is one line and points
/// into the string.
pub(crate) fn round_trip<E>(text: &str) -> Result<E, ParseError>
where
    E: FromStr<Err = ParseError> + Display + Debug + PartialEq,
{
    let parsed = text.parse::<E>();
    match &parsed {
        Ok(endpoint) => {
            let canonical = endpoint.to_string();
            let again = canonical.parse::<E>();
            assert_eq!(again.as_ref(), Ok(endpoint), "{text:?} is {canonical:?}");
            assert_eq!(
                again.map(|again| again.to_string()),
                Ok(canonical),
                "of {text:?}"
            );
        }
        Err(error) => {
            let line = error.to_string();
            assert_eq!(line.lines().count(), 1, "{line:?}");
            assert!(text.is_char_boundary(error.position), "{line:?}");
        }
    }
    parsed
}
