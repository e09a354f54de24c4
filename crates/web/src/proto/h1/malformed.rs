//! Why a message is refused, and what answers it.

use http::StatusCode;

/// A message that is no HTTP/1.1, or that could be read in two ways. The peer
/// is at fault, and the connection ends after the answer: where the next
/// message begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A line ends in LF alone, or holds a CR, NUL or another control
    /// character.
    #[error("a control character, or a line that does not end in CR LF")]
    Control,
    /// The first line is not `METHOD TARGET HTTP/1.1` with single spaces.
    #[error("no request line")]
    RequestLine,
    /// The first line is not `HTTP/1.1 STATUS REASON`.
    #[error("no status line")]
    StatusLine,
    /// The version is not 1.0 or 1.1.
    #[error("not HTTP/1.0 or 1.1")]
    Version,
    /// The target has none of the four forms, or not the one of its method
    /// (RFC 9112, section 3.2).
    #[error("no request target")]
    Target,
    /// A field line has no name and colon, or space before the colon, or is
    /// folded (RFC 9112, section 5).
    #[error("no field line")]
    Field,
    /// There is no Host, there are several, or it names no host (RFC 9112,
    /// section 3.2).
    #[error("no Host, several, or no host in it")]
    Host,
    /// The target names another host than Host does.
    #[error("the target and Host name different hosts")]
    HostMismatch,
    /// Content-Length is no number, does not fit, or is told twice.
    #[error("no single Content-Length")]
    ContentLength,
    /// There is Content-Length beside Transfer-Encoding.
    #[error("both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// Transfer-Encoding is not `chunked`, once, at the end.
    #[error("Transfer-Encoding does not end in one chunked")]
    TransferEncoding,
    /// Transfer-Encoding names a coding that is not ours.
    #[error("a transfer coding other than chunked")]
    TransferCoding,
    /// A chunk has no size in hexadecimal digits, or does not end in CR LF.
    #[error("no chunk")]
    Chunk,
    /// The chunked body's extensions are longer than they may be.
    #[error("chunk extensions of more than {0} bytes")]
    LongExtensions(usize),
    /// A trailer field that belongs in the head (RFC 9110, section 6.5.1).
    #[error("a trailer that says where messages end, or to whom they go")]
    Trailer,
    /// The first line is longer than it may be.
    #[error("a first line of more than {0} bytes")]
    LongLine(usize),
    /// The head is longer than it may be.
    #[error("a head of more than {0} bytes")]
    LongHead(usize),
    /// There are more fields than may be.
    #[error("more than {0} fields")]
    Fields(usize),
}

impl Malformed {
    /// What a server answers (RFC 9110, section 15.5; RFC 6585, section 5).
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::LongLine(_) => StatusCode::URI_TOO_LONG,
            Self::LongHead(_) | Self::Fields(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
