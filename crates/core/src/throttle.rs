//! Fewer bytes a second than the network gives.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{Connection, Layer, Result, Stream, work::BoxFuture};

/// A layer that bounds how fast each connection is read and written, by a
/// token bucket of one second for each direction.
///
/// What a protocol writes beyond the rate waits in its buffer and so holds it
/// back as a slow peer would; its timers run on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttle {
    read: Option<u32>,
    write: Option<u32>,
}

impl Throttle {
    /// No bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many bytes a second from each peer; 0 is 1.
    #[must_use]
    pub fn read(mut self, bytes_per_second: u32) -> Self {
        self.read = Some(bytes_per_second.max(1));
        self
    }

    /// At most so many bytes a second to each peer; 0 is 1.
    #[must_use]
    pub fn write(mut self, bytes_per_second: u32) -> Self {
        self.write = Some(bytes_per_second.max(1));
        self
    }
}

impl Layer for Throttle {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        let (read, write) = (self.read.map(Bucket::new), self.write.map(Bucket::new));
        Box::pin(async move {
            let change = async |stream| {
                Ok(Stream::new(Throttled {
                    stream,
                    read,
                    write,
                }))
            };
            Ok(conn.wrap(change).await?)
        })
    }
}

/// Tokens for bytes: a second's worth at most, filled as time goes by.
struct Bucket {
    rate: u32,
    tokens: f64,
    filled: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Bucket {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            tokens: rate.into(),
            filled: Instant::now(),
            sleep: None,
        }
    }

    /// How many bytes may go now; waits until a tenth of a second's worth may,
    /// so that a slow stream is not cut into single bytes.
    fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let rate = f64::from(self.rate);
        loop {
            let now = Instant::now();
            let gained = (now - self.filled).as_secs_f64() * rate;
            self.tokens = (self.tokens + gained).min(rate);
            self.filled = now;
            let least = (rate / 10.0).max(1.0);
            if self.tokens >= least {
                self.sleep = None;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 1 and 2^32"
                )]
                return Poll::Ready(self.tokens as usize);
            }
            let wait =
                Duration::from_secs_f64((least - self.tokens) / rate).max(Duration::from_millis(1));
            let sleep = self.sleep.insert(Box::pin(sleep_until(now + wait)));
            ready!(sleep.as_mut().poll(cx));
        }
    }

    fn spend(&mut self, bytes: usize) {
        // A bucket holds fewer than 2^32 tokens, and no more are spent.
        self.tokens -= bytes as f64;
    }
}

struct Throttled {
    stream: Stream,
    read: Option<Bucket>,
    write: Option<Bucket>,
}

impl AsyncRead for Throttled {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(bucket) = &mut this.read else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        let allowed = ready!(bucket.poll_allowed(cx)).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowed));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        bucket.spend(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Throttled {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(bucket) = &mut this.write else {
            return Pin::new(&mut this.stream).poll_write(cx, data);
        };
        let allowed = ready!(bucket.poll_allowed(cx)).min(data.len());
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &data[..allowed]))?;
        bucket.spend(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
