//! The lab's web server: a folder of files, a counter and an echo, by hyper (HTTP/1.1, RFC 9112).
//!
//! It is also the proof that a library that wants a stream, and its own way to end, is a `Handler`
//! of a page. It is not the web family: no virtual hosts, no HTTP/2, no logs of accesses.

use std::{
    convert::Infallible,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ropewalk_core::{Connection, Error, Handler, Result as Served};
use tower_http::services::ServeDir;

use crate::listen::Service;

pub(super) const WEB: Service = Service {
    name: "web",
    // The connection, and the file that it is sent.
    files: 2,
};

/// Time for the head of a request; between requests, the time that a connection is kept.
const HEAD: Duration = Duration::from_secs(30);

/// Time in which nothing moves, in the middle of a request or an answer.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The longest body that is echoed. It is streamed, so this bounds time and not memory.
const BODY: u64 = 1024 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, Error>;

/// A small site. Clones count together.
#[derive(Clone)]
pub(super) struct Web {
    site: TowerToHyperService<ServeDir>,
    visits: Arc<AtomicU64>,
}

impl Web {
    pub(super) fn new(site: &Path) -> Self {
        Self {
            site: TowerToHyperService::new(ServeDir::new(site)),
            visits: Arc::default(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        Ok(match (request.method(), request.uri().path()) {
            (&Method::GET, "/counter") => self.count(),
            (_, "/counter") => not_allowed("GET"),
            (&Method::POST, "/echo") => echo(request),
            (_, "/echo") => not_allowed("POST"),
            _ => {
                let response = self.site.call(request).await?;
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            }
        })
    }

    /// Counts this visit, and says which it is.
    fn count(&self) -> Response<Body> {
        let visit = self.visits.fetch_add(1, Relaxed) + 1;
        let mut response = plain(StatusCode::OK, visit.to_string());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Answers the body of the request, as it comes.
fn echo(request: Request<Incoming>) -> Response<Body> {
    if request.body().size_hint().lower() > BODY {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "");
    }
    let most = usize::try_from(BODY).unwrap_or(usize::MAX);
    let (head, body) = request.into_parts();
    let mut response = Response::new(Limited::new(body, most).boxed_unsync());
    if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}

fn not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

impl Handler for Web {
    async fn serve(&self, mut conn: Connection) -> Served {
        let peer = conn.peer().clone();
        let draining = conn.draining();
        let result = {
            let service = service_fn(|request| self.answer(request));
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
