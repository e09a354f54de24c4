//! What the lab's web answers: a folder of files, a counter and an echo.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderValue},
};

use crate::web::{Answer, Body, Folder, not_allowed, plain};

/// The longest body that is echoed. It is streamed, so this bounds time and not memory.
const BODY: u64 = 1024 * 1024 * 1024;

/// A small site.
pub(super) struct Site {
    files: Folder,
    visits: AtomicU64,
}

impl Site {
    pub(super) fn new(files: &Path) -> Self {
        Self {
            files: Folder::new(files),
            visits: AtomicU64::new(0),
        }
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

impl Answer for Site {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/counter") => self.count(),
            (_, "/counter") => not_allowed("GET"),
            (&Method::POST, "/echo") => echo(request),
            (_, "/echo") => not_allowed("POST"),
            _ => self.files.answer(request).await,
        }
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
