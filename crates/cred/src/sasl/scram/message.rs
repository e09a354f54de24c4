//! The four messages (RFC 5802, section 7): parsers that take what the grammar
//! allows and nothing else, and what both sides need to write them.

use base64::{Engine, engine::general_purpose::STANDARD};

/// What the client says of channel binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// `n`: it has none.
    None,
    /// `y`: it has, but thinks that the server has not.
    ServerHasNot,
    /// `p=name`: it uses this one.
    Uses(String),
}

/// `client-first-message`.
pub(super) struct ClientFirst<'a> {
    pub(super) flag: Flag,
    /// Authorization identity.
    pub(super) act_as: Option<String>,
    /// The whole `gs2-header`, which comes again in the final message.
    pub(super) header: &'a str,
    /// What follows it, which is signed.
    pub(super) bare: &'a str,
    pub(super) user: String,
    pub(super) nonce: &'a str,
}

/// What is wrong with a message.
type Wrong = &'static str;

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Wrong> {
        let (flag, rest) = text.split_once(',').ok_or("no channel binding flag")?;
        let (act_as, bare) = rest.split_once(',').ok_or("no authorization identity")?;
        let flag = match (flag, flag.strip_prefix("p=")) {
            ("n", _) => Flag::None,
            ("y", _) => Flag::ServerHasNot,
            (_, Some(name)) if !name.is_empty() => Flag::Uses(name.to_owned()),
            _ => return Err("a channel binding flag that is not n, y or p="),
        };
        let act_as = match (act_as, act_as.strip_prefix("a=")) {
            ("", _) => None,
            (_, Some(name)) => Some(decode_name(name)?),
            _ => return Err("an authorization identity without a="),
        };
        let header = &text[..text.len() - bare.len()];
        let mut parts = bare.split(',');
        let user = decode_name(attribute(parts.next(), "n=")?)?;
        let nonce = attribute(parts.next(), "r=")?;
        if !is_nonce(nonce) {
            return Err("a nonce with letters that are not printable");
        }
        extensions(parts)?;
        Ok(Self {
            flag,
            act_as,
            header,
            bare,
            user,
            nonce,
        })
    }
}

/// `server-first-message`.
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Wrong> {
        let mut parts = text.split(',');
        let nonce = attribute(parts.next(), "r=")?;
        if !is_nonce(nonce) {
            return Err("a nonce with letters that are not printable");
        }
        let salt = STANDARD
            .decode(attribute(parts.next(), "s=")?)
            .map_err(|_| "a salt that is not base64")?;
        if salt.is_empty() {
            return Err("an empty salt");
        }
        let count = attribute(parts.next(), "i=")?;
        if count.starts_with('0') || !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err("iterations that are no number");
        }
        // More than a u32 holds is more than any client allows.
        let iterations = count.parse().map_err(|_| "iterations that are no number")?;
        extensions(parts)?;
        Ok(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

/// `client-final-message`.
pub(super) struct ClientFinal<'a> {
    /// Channel binding: the header again, and the data.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
    /// What is signed: all before the proof.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Wrong> {
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or("no proof")?;
        let proof = STANDARD
            .decode(proof)
            .map_err(|_| "a proof that is not base64")?;
        let mut parts = without_proof.split(',');
        let binding = STANDARD
            .decode(attribute(parts.next(), "c=")?)
            .map_err(|_| "channel binding that is not base64")?;
        let nonce = attribute(parts.next(), "r=")?;
        extensions(parts)?;
        Ok(Self {
            binding,
            nonce,
            proof,
            without_proof,
        })
    }
}

/// `server-final-message`.
pub(super) enum ServerFinal<'a> {
    Verifier(Vec<u8>),
    Error(&'a str),
}

impl<'a> ServerFinal<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Wrong> {
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let message = if let Some(error) = first.strip_prefix("e=") {
            Self::Error(error)
        } else {
            let verifier = attribute(Some(first), "v=")?;
            Self::Verifier(
                STANDARD
                    .decode(verifier)
                    .map_err(|_| "a signature that is not base64")?,
            )
        };
        extensions(parts)?;
        Ok(message)
    }
}

/// `saslname`: commas and equals signs written as `=2C` and `=3D`.
pub(in crate::sasl) fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

pub(in crate::sasl) fn decode_name(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err("an empty name, or a NUL in it");
    }
    let mut pieces = text.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (letter, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            // RFC 5802, section 5.1: the server must fail.
            _ => return Err("an equals sign in a name that is not =2C or =3D"),
        };
        name.push(letter);
        name.push_str(rest);
    }
    Ok(name)
}

/// The value of the attribute that has to stand here.
fn attribute<'a>(part: Option<&'a str>, prefix: &str) -> Result<&'a str, Wrong> {
    let part = part.ok_or("an attribute is missing")?;
    if part.starts_with("m=") {
        // RFC 5802, section 5.1: reserved for extensions one must understand.
        return Err("a mandatory extension, and none is known");
    }
    match part.strip_prefix(prefix) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err("an attribute is missing or out of order"),
    }
}

/// Optional extensions, which are ignored: `letter=value`.
fn extensions<'a>(parts: impl Iterator<Item = &'a str>) -> Result<(), Wrong> {
    for part in parts {
        match part.as_bytes() {
            [b'm', b'=', ..] => return Err("a mandatory extension, and none is known"),
            [letter, b'=', _, ..] if letter.is_ascii_alphabetic() => {}
            _ => return Err("an extension that is not letter=value"),
        }
    }
    Ok(())
}

/// `printable`, at least one: no comma, no space.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}
