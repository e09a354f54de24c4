//! Connecting by SRV, and hosts of endpoints by our own resolver.

use ropewalk_core::{
    ClientEndpoint, ConnectError, Connection, Result, Schemes, ServerEndpoint,
    testing::sim::Simulation,
};
use ropewalk_names_dns::{
    client::{Resolver, ResolverOptions, SrvScheme},
    testing::FakeDns,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn greet(mut conn: Connection) -> Result {
    let local = conn.local().to_string();
    conn.write_all(local.as_bytes()).await?;
    Ok(conn.shutdown().await?)
}

async fn said(schemes: &Schemes, endpoint: &str) -> Result<String, ConnectError> {
    let mut conn = schemes.connect(&endpoint.parse().unwrap()).await?;
    let mut said = String::new();
    conn.read_to_string(&mut said).await.unwrap();
    Ok(said)
}

#[test]
fn targets_are_tried_in_order_until_one_answers() {
    Simulation::from_seed(3).run(async |net| {
        let dns = FakeDns::new();
        let servers = net.host("dns");
        let dns_server = dns.serve(&servers.schemes(), "sim:53").await.unwrap();
        let mut running = Vec::new();
        for name in ["one", "two"] {
            let host = net.host(name);
            dns.add(&format!("{name}.test. A {}", host.address()))
                .unwrap();
            let endpoint: ServerEndpoint = "sim:143".parse().unwrap();
            running.push(endpoint.listen_with(greet, host.schemes()).await.unwrap());
        }
        dns.add(
            "_imap._tcp.good.test. SRV 10 0 9 one.test.
             _imap._tcp.good.test. SRV 20 0 143 nobody.test.
             _imap._tcp.good.test. SRV 30 0 143 two.test.
             _imap._tcp.none.test. SRV 0 0 0 .
             plain.test. A 10.0.0.2",
        )
        .unwrap();
        let client = net.host("client");
        let options = ResolverOptions::from(client.schemes());
        let upstream = "sim:dns:53".parse().unwrap();
        let resolver = Resolver::with([upstream], options);
        let srv = SrvScheme::new(resolver).over("sim");
        let schemes = client.schemes().add(srv);
        // Nobody listens at the first one's port, and the second has no address.
        let two = net.host("two").address();
        assert_eq!(
            said(&schemes, "srv:_imap._tcp.good.test").await.unwrap(),
            format!("{two}:143")
        );
        let error = said(&schemes, "srv:_imap._tcp.none.test")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("is not offered"), "{error}");
        let error = said(&schemes, "srv:_imap._tcp.plain.test")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("there is no name"), "{error}");
        let one = net.host("one").address();
        let plain = said(&schemes, "srv:_imap._tcp.plain.test:port=143").await;
        assert_eq!(plain.unwrap(), format!("{one}:143"));
        drop(schemes);
        dns_server.end().await;
        for server in running {
            server
                .drain(std::time::Duration::ZERO, std::time::Duration::from_secs(1))
                .await;
        }
    });
}

#[test]
fn hosts_of_endpoints_are_looked_up_by_our_resolver() {
    ropewalk_core::testing::run_in_real_time(async {
        let (dns, schemes) = (FakeDns::new(), Schemes::new());
        dns.add("made-up.test. A 127.0.0.1\nno-address.test. TXT x")
            .unwrap();
        let dns_server = dns.serve(&schemes, "mem:dns").await.unwrap();
        let resolver = dns.resolver(&schemes, "mem:dns").unwrap();
        let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
        let server = endpoint.listen(greet).await.unwrap();
        let port = server.port().unwrap();
        let with_ours = Schemes::new().resolve_with(resolver);
        let text = said(&with_ours, &format!("tcp:made-up.test:{port}"))
            .await
            .unwrap();
        assert_eq!(text, format!("127.0.0.1:{port}"));
        let endpoint: ClientEndpoint = format!("tcp:no-address.test:{port}").parse().unwrap();
        let error = with_ours.connect(&endpoint).await.unwrap_err();
        assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error}");
        drop(with_ours);
        dns_server.end().await;
        server
            .drain(std::time::Duration::ZERO, std::time::Duration::from_secs(1))
            .await;
    });
}
