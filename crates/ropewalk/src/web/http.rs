//! HTTP/1.1 (RFC 9112) over a connection, by hyper: its deadlines, and how it ends.
//!
//! It is also the proof that a library that wants a stream, and its own way to end, is a `Handler`
//! of a page. What is answered stands elsewhere.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ropewalk_core::{Connection, Error, Handler, Result as Served, ServerOptions};

/// Time for the head of a request; between requests, the time that a connection is kept.
const HEAD: Duration = Duration::from_secs(30);

/// Time in which nothing moves, in the middle of a request or an answer.
const IDLE: Duration = Duration::from_secs(60);

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Error>;

/// What answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// Answers one.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves connections with answers. Clones share them.
pub(crate) struct Http<A>(Arc<A>);

impl<A> Clone for Http<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Answer> Http<A> {
    pub(crate) fn new(answer: A) -> Self {
        Self(Arc::new(answer))
    }
}

/// Options for HTTP: its idle limit, and its name in TLS.
pub(crate) fn options(mut options: ServerOptions) -> ServerOptions {
    options.limits.idle = Some(IDLE);
    options.tls = options.tls.map(|tls| tls.alpn(&["http/1.1"]));
    options
}

/// A short answer in plain text.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The answer to a method that is not one of these.
pub(crate) fn not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

impl<A: Answer> Handler for Http<A> {
    async fn serve(&self, mut conn: Connection) -> Served {
        let peer = conn.peer().clone();
        let draining = conn.draining();
        let result = {
            let service =
                service_fn(async |request| Ok::<_, Infallible>(self.0.answer(request).await));
            let mut http = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    // Who asks and then shuts their side still wants the answer.
                    .half_close(true)
                    .serve_connection(TokioIo::new(&mut conn), service)
            );
            tokio::select! {
                // hyper first: told to end before it has looked at its stream for the first time,
                // it would throw a request away that is there already.
                biased;
                result = &mut http => result,
                () = draining => {
                    http.as_mut().graceful_shutdown();
                    http.await
                }
            }
        };
        match result {
            Ok(()) => conn.linger().await,
            // The peer's doing, nearly always; hyper has answered what could be answered.
            Err(error) => tracing::debug!(%peer, error = &error as &dyn std::error::Error, "HTTP"),
        }
        Ok(())
    }
}
