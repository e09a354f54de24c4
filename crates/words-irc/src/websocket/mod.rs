//! IRC over WebSocket, for both sides: one line a message, without its CR LF
//! (<https://ircv3.net/specs/extensions/websocket>; RFC 6455).
//!
//! Above it there is a stream of lines like any other. [`accept`] and
//! [`connect`] exchange the stream of a [`Connection`] for one that frames;
//! [`Accept`] is the same as a [`Layer`] of a listener. The HTTP around it is
//! no more than the handshake: what is no WebSocket gets a refusal, and nothing
//! is served.

mod handshake;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream as _};
use ropewalk_core::{BoxFuture, Connection, Layer, Result, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_websockets::{CloseCode, Limits, Message, WebSocketStream};

pub use handshake::{HandshakeError, Subprotocol};

/// What a server accepts of WebSocket clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcceptOptions {
    /// The origins whose pages may connect, as browsers name them
    /// (`https://chat.example.com`). Default none, and then all may: IRC has no
    /// cookies that a strange page could use.
    pub origins: Vec<String>,
    /// The bytes of one message. Default 16 KiB: more than a line with all its
    /// tags.
    pub message: usize,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            message: MESSAGE,
        }
    }
}

/// How a client asks for a WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What the server calls itself, for its `Host`.
    pub host: String,
    /// The path. Default `/`.
    pub path: String,
    /// What is asked for, the favourite first. Default text, then binary.
    pub subprotocols: Vec<Subprotocol>,
    /// The bytes of one message. Default 16 KiB: more than a line with all its
    /// tags.
    pub message: usize,
}

impl ConnectOptions {
    /// To this host, with all defaults.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            path: "/".to_owned(),
            subprotocols: vec![Subprotocol::Text, Subprotocol::Binary],
            message: MESSAGE,
        }
    }
}

const MESSAGE: usize = 16 * 1024;

/// The bytes of an HTTP request or answer at most; browsers send less than a
/// quarter of it.
const HEAD: usize = 8 * 1024;

/// Takes a connection as a WebSocket. It waits for as long as the peer likes:
/// whoever calls it outside a [`Layer`] sets a deadline.
///
/// # Errors
/// What the peer sent was no WebSocket handshake that could be taken; it has
/// been told.
pub async fn accept(connection: Connection, options: &AcceptOptions) -> io::Result<Connection> {
    connection
        .wrap(async |mut stream| {
            let (head, rest) = read_head(&mut stream).await?;
            let answer = handshake::answer(&head, &options.origins);
            let (answer, subprotocol) = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    stream.write_all(error.response().as_bytes()).await?;
                    stream.flush().await?;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            };
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
            let limits = Limits::default().max_payload_len(Some(options.message));
            let stream = Stream::new(Prefixed { rest, stream });
            let socket = tokio_websockets::ServerBuilder::new()
                .limits(limits)
                .serve(stream);
            Ok(Stream::new(Lines::new(socket, subprotocol)))
        })
        .await
}

/// Makes a connection a WebSocket.
///
/// # Errors
/// The server is none of WebSockets, or of none of the subprotocols.
pub async fn connect(connection: Connection, options: &ConnectOptions) -> io::Result<Connection> {
    let key = handshake::Key::new(ropewalk_core::random);
    connection
        .wrap(async |mut stream| {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            let request = key.request(options).map_err(invalid)?;
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let (head, rest) = read_head(&mut stream).await?;
            let subprotocol = key.check(&head, options).map_err(invalid)?;
            let limits = Limits::default().max_payload_len(Some(options.message));
            let stream = Stream::new(Prefixed { rest, stream });
            let socket = tokio_websockets::ClientBuilder::new()
                .limits(limits)
                .take_over(stream);
            Ok(Stream::new(Lines::new(socket, subprotocol)))
        })
        .await
}

/// [`accept`], for all connections of a listener
/// ([`Bound::layer`](ropewalk_core::Bound::layer)).
#[derive(Clone, Debug, Default)]
pub struct Accept(pub AcceptOptions);

impl Layer for Accept {
    fn wrap<'a>(&'a self, connection: Connection) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(async move { Ok(accept(connection, &self.0).await?) })
    }
}

/// All up to the empty line, and what came behind it already.
async fn read_head(stream: &mut Stream) -> io::Result<(String, Bytes)> {
    let mut head = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The end may stand across two reads.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&buffer[..n]);
        if let Some(end) = memchr::memmem::find(&head[from..], b"\r\n\r\n") {
            let rest = Bytes::copy_from_slice(&head[from + end + 4..]);
            head.truncate(from + end);
            let head = String::from_utf8(head)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            return Ok((head, rest));
        }
        if head.len() > HEAD {
            let error = HandshakeError::Long(HEAD);
            let _ = stream.write_all(error.response().as_bytes()).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

/// A stream of which some was read before its time.
struct Prefixed {
    rest: Bytes,
    stream: Stream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Lines above, messages below.
struct Lines {
    socket: WebSocketStream<Stream>,
    subprotocol: Subprotocol,
    /// What was received and not yet read: a message, then its CR LF.
    received: Bytes,
    end: &'static [u8],
    /// A line of which the end was not yet written.
    unsent: Vec<u8>,
}

impl Lines {
    fn new(socket: WebSocketStream<Stream>, subprotocol: Subprotocol) -> Self {
        Self {
            socket,
            subprotocol,
            received: Bytes::new(),
            end: b"",
            unsent: Vec::new(),
        }
    }

    fn send_line(&mut self) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.unsent);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let message = match self.subprotocol {
            Subprotocol::Binary => Message::binary(line),
            // A text message must be UTF-8; what is not is shown as such.
            Subprotocol::Text => Message::text(match String::from_utf8(line) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        };
        Pin::new(&mut self.socket).start_send(message).map_err(io)
    }
}

impl AsyncRead for Lines {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.received.is_empty() {
                let n = this.received.len().min(buf.remaining());
                buf.put_slice(&this.received[..n]);
                this.received.advance(n);
                if !this.received.is_empty() || buf.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            if !this.end.is_empty() {
                let (now, later) = this.end.split_at(this.end.len().min(buf.remaining()));
                buf.put_slice(now);
                this.end = later;
                return Poll::Ready(Ok(()));
            }
            // Each ping is answered: a peer that sends them and reads nothing
            // is not read any further.
            match ready!(Pin::new(&mut this.socket).poll_ready(cx)) {
                Ok(()) => {}
                Err(error) => return Poll::Ready(Err(io(error))),
            }
            let message = match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(message) => message.map_err(io)?,
                None => return Poll::Ready(Ok(())),
            };
            if message.is_close() {
                return Poll::Ready(Ok(()));
            }
            if !(message.is_text() || message.is_binary()) {
                continue;
            }
            let mut line = Bytes::from(message.into_payload());
            // Some send the line end all the same; another one inside would be
            // a second line.
            for end in [b'\n', b'\r'] {
                if line.last() == Some(&end) {
                    line.truncate(line.len() - 1);
                }
            }
            if memchr::memchr2(b'\r', b'\n', &line).is_some() {
                let why = Message::close(
                    Some(CloseCode::INVALID_FRAME_PAYLOAD_DATA),
                    "a message is one line",
                );
                // Best effort: the connection ends either way.
                let _ = Pin::new(&mut this.socket).start_send(why);
                let _ = Pin::new(&mut this.socket).poll_flush(cx);
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a WebSocket message of several lines",
                )));
            }
            this.received = line;
            this.end = b"\r\n";
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut written = 0;
        while written < buf.len() {
            match Pin::new(&mut this.socket).poll_ready(cx) {
                Poll::Ready(ready) => ready.map_err(io)?,
                Poll::Pending if written == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
            let rest = &buf[written..];
            match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    this.unsent.extend_from_slice(&rest[..end]);
                    this.send_line()?;
                    written += end + 1;
                }
                None => {
                    this.unsent.extend_from_slice(rest);
                    written = buf.len();
                }
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io)
    }
}

fn io(error: tokio_websockets::Error) -> io::Error {
    match error {
        tokio_websockets::Error::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

#[cfg(all(test, feature = "client", feature = "server"))]
mod tests;
