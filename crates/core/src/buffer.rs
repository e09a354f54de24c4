//! Buffers that belong to the worker thread.
//!
//! A connection with nothing half-read and nothing unsent owns no buffer: it
//! borrows one for a poll and gives it back before its task sleeps. That is
//! why an idle connection costs about a kilobyte and not sixteen.

use std::cell::RefCell;

use bytes::BytesMut;

/// The size of a lent buffer, and so of the largest single read.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Buffers a thread keeps. A poll uses two at once; the rest cover connections
/// that hold one across polls and give it back late.
const KEPT: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`CHUNK`] bytes.
pub(crate) fn lend() -> BytesMut {
    POOL.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| BytesMut::with_capacity(CHUNK))
}

/// Takes a buffer back, unless a `Bytes` still shares it.
pub(crate) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(CHUNK) {
        POOL.with_borrow_mut(|pool| {
            if pool.len() < KEPT {
                pool.push(buffer);
            }
        });
    }
}
