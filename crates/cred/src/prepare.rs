//! Names and passwords as they are compared: SASLprep (RFC 4013).
//!
//! RFC 4616 (section 2) and RFC 5802 (section 2.2) ask for it, so that a
//! password typed with composed letters on one machine and decomposed ones on
//! another is one password. RFC 8265 has since taken its place for new
//! protocols; its OpaqueString profile differs by keeping compatibility
//! letters apart (NFC for NFKC), and would make SCRAM keys that other programs
//! have stored useless.

use zeroize::Zeroizing;

use crate::Secret;

/// The longest user name taken, in bytes. Mail addresses end at 254.
pub const LONGEST_NAME: usize = 255;

/// The longest password taken, in bytes: SHA-crypt's cost grows with the
/// length, and nobody types more.
pub const LONGEST_PASSWORD: usize = 1024;

/// A user name as it is compared. `None` if it is empty, too long, has a space
/// at either end (which nobody sees, so that one name looks like another), or has
/// letters that RFC 4013 (section 2.3) forbids, such as control characters.
///
/// ```
/// use ropewalk_cred::prepare_name;
/// assert_eq!(prepare_name("I\u{AD}X").as_deref(), Some("IX"));   // RFC 4013, section 3
/// assert_eq!(prepare_name("\u{2168}").as_deref(), Some("IX"));
/// assert_eq!(prepare_name("\u{7}"), None);
/// assert_eq!(prepare_name("alice\u{3000}"), None);                        // a wide space
/// assert_eq!(prepare_name("Ren\u{65}\u{301}"), prepare_name("Ren\u{e9}"));
/// ```
pub fn prepare_name(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return None;
    }
    let name = stringprep::saslprep(name).ok()?;
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME && name.trim() == name;
    fits.then(|| name.into_owned())
}

/// A password as it is hashed. What is no text, or has letters that SASLprep
/// forbids, is kept as it came: hashes of such passwords exist.
///
/// ```
/// use ropewalk_cred::{Secret, prepare_password};
/// assert_eq!(prepare_password("\u{aa}".as_bytes()), Secret::from("a"));
/// assert_eq!(prepare_password(b"\xff"), Secret::from(&b"\xff"[..]));
/// ```
pub fn prepare_password(password: &[u8]) -> Secret {
    match std::str::from_utf8(password).map(stringprep::saslprep) {
        Ok(Ok(prepared)) => {
            // An owned string is a copy of the password; it is wiped too.
            Zeroizing::new(prepared.into_owned().into_bytes())
                .as_slice()
                .into()
        }
        _ => password.into(),
    }
}
