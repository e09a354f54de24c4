//! A `Handler`: hyper speaks HTTP over a `Connection`, and drains with its
//! server. `curl http://127.0.0.1:1280/`
use std::{convert::Infallible, pin::pin, process::ExitCode};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ropewalk_core::*;

async fn http(conn: Connection) -> Result {
    let draining = conn.draining();
    let service = service_fn(async |request: Request<Incoming>| {
        let text = format!("you asked for {}\n", request.uri().path());
        Ok::<_, Infallible>(Response::new(text))
    });
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(conn), service)
    );
    tokio::select! {
        // In this order: a request that is already there is served.
        biased;
        served = &mut serving => return Ok(served?),
        () = draining => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}

fn main() -> ExitCode {
    run(serve("tcp:1280", http))
}
