//! Our side of a comparison.

use std::future::pending;

use ropewalk_bench_kit::{Serving, Told};
use ropewalk_core::{Handler, ServerEndpoint, ServerOptions};

/// Ours, as users get it: an endpoint string, and options that are the default
/// ones but for a certificate.
pub(crate) fn ropewalk(
    endpoint: &str,
    handler: impl Handler,
    options: ServerOptions,
    told: Told,
) -> Serving {
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    Box::pin(async move {
        let server = endpoint.listen_with(handler, options).await.unwrap();
        told.send(server.local_address().inet().unwrap()).unwrap();
        pending().await
    })
}
