//! What a jump begins with is read alike, whole, in two parts or byte by byte, and no byte behind it
//! is taken. The fuzz target and the replay of its corpus include this file.

use ropewalk_core::testing::Opening;

/// More than the longest head of any of them.
const MOST: usize = 17 * 1024;

/// The first byte says what is read, and the rest is what comes.
pub(crate) fn check(data: &[u8]) {
    let [which, bytes @ ..] = data else { return };
    let opening = match which % 3 {
        0 => Opening::ProxyHeader,
        1 => Opening::Socks5,
        _ => Opening::HttpConnect,
    };
    let whole = opening.read(&[bytes]);
    if let Some(taken) = whole.1 {
        assert!(taken <= bytes.len().min(MOST));
        // What follows is of no account.
        assert_eq!(opening.read(&[&bytes[..taken]]), whole, "without the rest");
        assert_eq!(
            opening.read(&[&bytes[..taken], b"more"]),
            whole,
            "with more"
        );
        let short = opening.read(&[&bytes[..taken - 1]]);
        assert_eq!(short.1, None, "it was over a byte before its end");
    }
    let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(opening.read(&bytewise), whole, "byte by byte");
    // Each split, of what is short; some, of what is long.
    for at in (1..bytes.len()).step_by(1 + bytes.len() / 64) {
        let (first, second) = bytes.split_at(at);
        assert_eq!(opening.read(&[first, second]), whole, "split at {at}");
    }
}
