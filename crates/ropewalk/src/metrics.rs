//! What `--metrics` serves: the numbers of this process, and whether it is well.
//!
//! - `/metrics`: Prometheus' text, or OpenMetrics for whoever asks for it.
//! - `/healthz`: 200 as long as the process answers.
//! - `/readyz`: 200 from when everything listens to when it drains, and 503 otherwise, so that
//!   whoever spreads load may look elsewhere while the rest is still served.
//!
//! Connections here count in no limit of the others: one wants to look when those are reached.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use ropewalk_core::{Metrics, metrics::Exposition};

use crate::{
    plan::Service,
    web::{Answer, Body, not_allowed, plain},
};

pub(crate) const METRICS: Service = Service {
    name: "metrics",
    files: 1,
};

/// The pages.
pub(crate) struct Pages {
    pub(crate) metrics: Metrics,
    pub(crate) ready: Arc<AtomicBool>,
}

impl Answer for Pages {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let page = match request.uri().path() {
            "/metrics" => self.numbers(&request),
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" if self.ready.load(Relaxed) => plain(StatusCode::OK, "ready\n"),
            "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => return plain(StatusCode::NOT_FOUND, "not found\n"),
        };
        match *request.method() {
            Method::GET | Method::HEAD => page,
            _ => not_allowed("GET,HEAD"),
        }
    }
}

impl Pages {
    fn numbers(&self, request: &Request<Incoming>) -> Response<Body> {
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        let exposition = Exposition::accepted(accept.unwrap_or_default());
        let mut page = plain(StatusCode::OK, self.metrics.render(exposition));
        let kind = header::HeaderValue::from_static(exposition.content_type());
        page.headers_mut().insert(header::CONTENT_TYPE, kind);
        page
    }
}
