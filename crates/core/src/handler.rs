//! Whatever serves a connection, and how protocols become that.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{
    Closed, Connection, Peer, Protocol, Result,
    driver::{Driver, Next},
    tally::Refusal,
    work::BoxFuture,
};

/// Serves connections, each in its own task, with `async`: where a library
/// wants a stream (hyper, an SSH library), or the whole conversation is one
/// `await` after the other. Any `Fn(Connection) -> impl Future` is one.
///
/// ```
/// use ropewalk_core::{Connection, Result};
/// use tokio::io::AsyncWriteExt;
///
/// async fn daytime(mut conn: Connection) -> Result {
///     conn.write_all(b"now\r\n").await?;
///     Ok(conn.shutdown().await?)
/// }
/// # fn check(_: impl ropewalk_core::Handler) {}
/// # check(daytime);
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Serves one connection to its end.
    ///
    /// # Errors
    /// An error is logged once with the peer; it ends this connection only.
    fn serve(&self, conn: Connection) -> impl Future<Output = Result> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Connection) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result> + Send,
{
    fn serve(&self, conn: Connection) -> impl Future<Output = Result> + Send {
        self(conn)
    }
}

/// Makes a protocol for each connection, or declines it.
pub trait Factory: Send + Sync + 'static {
    /// What it makes.
    type Protocol: Protocol;

    /// A protocol for a connection from `peer`; `None` closes the connection.
    fn build(&self, peer: &Peer) -> Option<Self::Protocol>;
}

/// Serves every connection with a protocol that `make` makes.
///
/// ```
/// # use ropewalk_core::*;
/// # struct Greeter(String);
/// # impl Protocol for Greeter {
/// #     type Message = ();
/// #     type Timer = ();
/// #     fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result { Ok(()) }
/// # }
/// let handler = protocol(|peer| Greeter(format!("hello, {peer}")));
/// # fn check(_: impl Handler) {}
/// # check(handler);
/// ```
pub fn protocol<P: Protocol>(make: impl Fn(&Peer) -> P + Send + Sync + 'static) -> impl Handler {
    struct Make<F>(F);
    impl<P: Protocol, F: Fn(&Peer) -> P + Send + Sync + 'static> Factory for Make<F> {
        type Protocol = P;
        fn build(&self, peer: &Peer) -> Option<P> {
            Some((self.0)(peer))
        }
    }
    factory(Make(make))
}

/// Serves every connection with a fresh `P`.
pub fn each<P: Protocol + Default>() -> impl Handler {
    struct Each<P>(PhantomData<fn() -> P>);
    impl<P: Protocol + Default> Factory for Each<P> {
        type Protocol = P;
        fn build(&self, _: &Peer) -> Option<P> {
            Some(P::default())
        }
    }
    factory(Each::<P>(PhantomData))
}

/// Serves connections with the protocols of a factory.
pub fn factory(factory: impl Factory) -> impl Handler {
    Protocols(factory)
}

struct Protocols<F>(F);

impl<F: Factory> Handler for Protocols<F> {
    fn serve(&self, conn: Connection) -> impl Future<Output = Result> + Send {
        match self.0.build(&conn.peer) {
            Some(protocol) => Serve::Protocol(Driver::new(protocol, conn)),
            None => {
                conn.live.entry.set_declined();
                if let Some(registry) = &conn.live.registry {
                    registry.refused(Refusal::Declined);
                }
                Serve::Declined(conn.id())
            }
        }
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "the driver is what this is nearly always"
)]
/// A protocol being served. Written out, since an `async` block would hold the
/// driver twice.
enum Serve<P: Protocol> {
    Protocol(Driver<P>),
    Next(BoxFuture<'static, Result>),
    Declined(crate::ConnectionId),
}

impl<P: Protocol> Future for Serve<P> {
    type Output = Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result> {
        loop {
            match &mut *self {
                Self::Protocol(driver) => {
                    let ended = ready!(Pin::new(driver).poll(cx));
                    let Some((next, conn)): Option<(Next, Connection)> = ended.next else {
                        return Poll::Ready(match ended.why {
                            Closed::Failed(error) => Err(Box::new(Closed::Failed(error))),
                            why => {
                                tracing::debug!("{why}");
                                Ok(())
                            }
                        });
                    };
                    self.set(Self::Next(next(conn)));
                }
                Self::Next(future) => return future.as_mut().poll(cx),
                Self::Declined(id) => {
                    tracing::debug!(%id, "declined");
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<P: Protocol> Unpin for Serve<P> {}

/// Wraps every connection of a server before it is served: TLS, a proxy's
/// header, a throttle, a log of its traffic.
///
/// It works at the waist, on the stream. Protocols are never wrapped: a
/// wrapper that forgot one callback would swallow the inner one's timers.
pub trait Layer: Send + Sync + 'static {
    /// Wraps one connection, in that connection's task and within
    /// [`Limits::handshake`](crate::Limits::handshake).
    ///
    /// # Errors
    /// An error ends the connection.
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>>;

    /// Whether it speaks with the peer before the connection is served: then it
    /// counts as a handshake in metrics. Default true.
    fn negotiates(&self) -> bool {
        true
    }
}
