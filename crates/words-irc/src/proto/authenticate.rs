//! `AUTHENTICATE`: SASL's messages in base64, in pieces of 400 bytes
//! (<https://ircv3.net/specs/extensions/sasl-3.2>). Which messages there are is
//! `ropewalk_cred::sasl`'s to know.

use base64::{Engine, engine::general_purpose::STANDARD};

/// The bytes of a piece. One that is shorter is the last; behind a full one
/// more comes, `+` alone if there is nothing left.
pub const PIECE: usize = 400;

/// The bytes of base64 of a message at most, for which [`Incoming`] has room by
/// default: 8 pieces. A SCRAM message has 200 bytes, a PLAIN one 1.5 KiB if name
/// and password are as long as they may be.
pub const LONGEST: usize = 8 * PIECE;

/// The pieces of a message, each a parameter of `AUTHENTICATE`.
///
/// ```
/// use ropewalk_words_irc::proto::authenticate::pieces;
///
/// assert_eq!(pieces(b"\0ada\0secret").collect::<Vec<_>>(), ["AGFkYQBzZWNyZXQ="]);
/// assert_eq!(pieces(b"").collect::<Vec<_>>(), ["+"]);
/// ```
pub fn pieces(message: &[u8]) -> impl Iterator<Item = String> {
    let mut rest = Some(STANDARD.encode(message));
    std::iter::from_fn(move || {
        let mut piece = rest.take()?;
        if piece.len() >= PIECE {
            rest = Some(piece.split_off(PIECE));
        }
        Some(if piece.is_empty() {
            "+".to_owned()
        } else {
            piece
        })
    })
}

/// What a piece made of what came before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// More is to come.
    More,
    /// A message is whole.
    Whole(Vec<u8>),
    /// `*`: the peer gives up.
    Abort,
}

/// A piece that cannot be. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceError {
    /// The piece, or the message with it, is longer than it may be.
    #[error("SASL message too long")]
    TooLong,
    /// It is no base64.
    #[error("SASL message is not base64")]
    NotBase64,
}

/// Puts pieces together again.
#[derive(Clone, Default)]
pub struct Incoming {
    text: String,
}

/// What it holds is secret.
impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("bytes", &self.text.len())
            .finish()
    }
}

impl Incoming {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a parameter of `AUTHENTICATE`. After a whole message, an abort or an
    /// error it begins anew.
    ///
    /// # Errors
    /// [`PieceError`].
    pub fn piece(&mut self, piece: &str) -> Result<Piece, PieceError> {
        if piece == "*" {
            self.text.clear();
            return Ok(Piece::Abort);
        }
        let full = piece.len() == PIECE;
        let piece = if piece == "+" { "" } else { piece };
        if piece.len() > PIECE || self.text.len() + piece.len() > LONGEST {
            self.text.clear();
            return Err(PieceError::TooLong);
        }
        self.text.push_str(piece);
        if full {
            return Ok(Piece::More);
        }
        let message = STANDARD
            .decode(std::mem::take(&mut self.text))
            .map_err(|_| PieceError::NotBase64)?;
        Ok(Piece::Whole(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_comes_whole() {
        for len in [0, 1, 299, 300, 301, 599, 600, 601, 1200] {
            let message: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let mut incoming = Incoming::new();
            let pieces: Vec<_> = pieces(&message).collect();
            let (last, before) = pieces.split_last().unwrap();
            for piece in before {
                assert_eq!(piece.len(), PIECE);
                assert_eq!(incoming.piece(piece), Ok(Piece::More));
            }
            assert!(last.len() < PIECE);
            assert_eq!(incoming.piece(last), Ok(Piece::Whole(message)));
        }
    }

    #[test]
    fn what_is_too_long_or_no_base64_is_refused_and_forgotten() {
        let mut incoming = Incoming::new();
        let full = "A".repeat(PIECE);
        assert_eq!(
            incoming.piece(&"A".repeat(PIECE + 1)),
            Err(PieceError::TooLong)
        );
        for _ in 0..LONGEST / PIECE {
            assert_eq!(incoming.piece(&full), Ok(Piece::More));
        }
        assert_eq!(incoming.piece("AAAA"), Err(PieceError::TooLong));
        assert_eq!(incoming.piece("&&&&"), Err(PieceError::NotBase64));
        assert_eq!(incoming.piece(&full), Ok(Piece::More));
        assert_eq!(incoming.piece("*"), Ok(Piece::Abort));
        assert_eq!(incoming.piece("+"), Ok(Piece::Whole(vec![])));
        assert!(!format!("{incoming:?}").contains("AAA"));
    }
}
