//! Long answers, page by page: the next is made when the last has left, so that an answer of a
//! megabyte costs a client that does not read it nothing but its own patience.

use super::turn::Turn;

/// The lines of a page: 16 KiB, if each is as long as can be.
pub(crate) const PAGE: usize = 32;

/// An answer that may be long. What it is about may change between two pages: it keeps names and
/// numbers, and looks them up again.
pub(crate) trait Pages: Send {
    /// Writes about [`PAGE`] lines; true if that was all.
    fn page(&mut self, turn: &mut Turn<'_>) -> bool;
}
