//! DNS over HTTPS, with hyper's own server over a name in memory.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ropewalk_core::{Address, Connection, Result, Schemes, ServerEndpoint, testing::run};
use ropewalk_names_dns::{
    answering::{Answers, Asked, Taken},
    client::{LookupError, Resolver, ResolverOptions, Upstream},
    hickory_proto::rr::RecordType,
    testing::FakeDns,
};

use crate::lookups::RECORDS;

/// Answers as RFC 8484 has it, with an age.
async fn serve(dns: FakeDns, age: u32, conn: Connection) -> Result {
    let draining = conn.draining();
    let service = service_fn(move |request: Request<Incoming>| {
        let dns = dns.clone();
        async move { Ok::<_, Infallible>(answer(&dns, age, request).await) }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(conn), service));
    tokio::select! {
        biased;
        served = &mut serving => return Ok(served?),
        () = draining => serving.as_mut().graceful_shutdown(),
    }
    Ok(serving.await?)
}

async fn answer(dns: &FakeDns, age: u32, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let bad = |status: u16| {
        let response = Response::builder().status(status);
        response.body(Full::new(Bytes::new())).unwrap()
    };
    if request.uri().path() != "/dns-query" {
        return bad(404);
    }
    let query = match *request.method() {
        Method::GET => {
            use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
            let coded = request.uri().query().unwrap().strip_prefix("dns=").unwrap();
            URL_SAFE_NO_PAD.decode(coded).unwrap()
        }
        _ => {
            assert_eq!(request.headers()["content-type"], "application/dns-message");
            request
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .to_vec()
        }
    };
    assert_eq!(query[..2], [0, 0], "equal questions look equal to caches");
    assert_eq!(query.len() % 128, 0, "padded");
    let from = Address::Memory("https".into());
    let asked = Asked::by_stream(&from, true, tokio::time::Instant::now().into_std());
    let mut out = Vec::new();
    let Taken::Answered = dns.answers().take(&query, &asked, &mut out) else {
        return bad(503);
    };
    Response::builder()
        .header("content-type", "application/dns-message")
        .header("age", age)
        .body(Full::new(out.into()))
        .unwrap()
}

#[test]
fn questions_go_by_post_and_get_over_one_connection() {
    run(async {
        let (dns, schemes) = (FakeDns::new(), Schemes::new());
        dns.add(RECORDS).unwrap();
        let endpoint: ServerEndpoint = "mem:https".parse().unwrap();
        let served = Arc::new(dns.clone());
        let handler = move |conn| serve((*served).clone(), 100, conn);
        let server = endpoint
            .listen_with(handler, schemes.clone())
            .await
            .unwrap();
        let via = |url: &str| {
            let upstream: Upstream = url.parse().unwrap();
            upstream.via("mem:https".parse().unwrap())
        };
        for upstream in [
            via("https://dns.test/dns-query"),
            via("https://dns.test/dns-query{?dns}").by_get(),
        ] {
            let resolver = Resolver::with([upstream], ResolverOptions::from(schemes.clone()));
            let found = resolver
                .lookup("www.example.test.", RecordType::A)
                .await
                .unwrap();
            assert_eq!(found.ttl(), Duration::from_secs(200), "less its age");
            assert_eq!(resolver.mx("example.test.").await.unwrap().len(), 2);
            let error = resolver.ipv4("no.example.test.").await;
            assert!(matches!(error, Err(LookupError::NoName { .. })));
            assert_eq!(server.connections().len(), 1);
            drop(resolver);
            while !server.connections().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        let resolver = Resolver::with(
            [via("https://dns.test/elsewhere")],
            ResolverOptions::from(schemes.clone()),
        );
        let error = resolver.ipv4("www.example.test.").await.unwrap_err();
        assert!(error.to_string().contains("HTTP status 404"), "{error}");
        drop(resolver);
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}
