//! What is not TLS, or never becomes it, ends itself alone.

use std::{io, time::Duration};

use ropewalk_core::{
    Connection, Limits, Result, testing,
    tls::{
        HandshakeFailure, ServerName, TestCa, TlsServer,
        rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::aws_lc_rs},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use crate::{
    authority::Authority,
    log::heard,
    site::{Site, echoes},
};

/// What the server counted, but for what went well.
fn failures(tls: &TlsServer) -> Vec<(HandshakeFailure, u64)> {
    let all = tls.handshakes();
    all.failures().filter(|(_, count)| *count > 0).collect()
}

/// Runs against a server, and says what it counted and logged.
fn against(
    tls: &TlsServer,
    peer: impl AsyncFnOnce(&Site),
) -> (Vec<(HandshakeFailure, u64)>, String) {
    let (said, ()) = heard(tracing::Level::INFO, || {
        testing::run(async {
            let site = Site::new(tls).await;
            peer(&site).await;
            site.server.until_connections(|open| open == 0).await;
        });
    });
    (failures(tls), said)
}

/// All that the server still says, however it ends.
async fn rest(mut conn: Connection) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = conn.read_to_end(&mut rest).await;
    rest
}

/// The first flight of a client.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("a.test").unwrap();
    let mut client = ClientConnection::new(config.into(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn what_is_no_handshake_is_named_and_answered_by_an_alert() {
    use HandshakeFailure::{Disconnected, Incompatible, Misbehaved, NotTls, PlainHttp};
    let ca = TestCa::new().unwrap();
    // A ClientHello of TLS 1.0: no versions but its own, one cipher suite.
    let old = [
        &b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x01"[..],
        &[7; 32],
        b"\x00\x00\x02\x00\x2f\x01\x00",
    ]
    .concat();
    let hello = client_hello();
    let cut = &hello[..hello.len() / 2];
    for (sent, why, alert) in [
        (
            &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..],
            PlainHttp,
            true,
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PlainHttp, true),
        (b"EHLO a.test\r\n", NotTls, true),
        (b"SSH-2.0-OpenSSH_9.6\r\n", NotTls, true),
        (&[0xff; 300], NotTls, true),
        (&[0; 300], NotTls, true),
        // A handshake of SSL 2.
        (
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
            NotTls,
            true,
        ),
        (&old, Incompatible, true),
        // One message after another that no client begins with.
        (b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", Misbehaved, true),
        (b"\x15\x03\x03\x00\x02\x02\x28", Misbehaved, false),
        (cut, Disconnected, false),
        (b"", Disconnected, false),
    ] {
        let tls = ca.server(&["a.test"]).unwrap();
        let (counted, said) = against(&tls, async |site| {
            let mut conn = site.plain().await;
            let begun = Instant::now();
            conn.write_all(sent).await.unwrap();
            if !alert {
                conn.shutdown().await.unwrap();
            }
            let answer = rest(conn).await;
            let is_alert = matches!(answer[..], [21, 3, _, 0, 2, 2, _]);
            assert_eq!(is_alert, alert, "{why:?}: {answer:?}");
            assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for more");
        });
        assert_eq!(counted, [(why, 1)], "{sent:?}: {said}");
        assert!(
            said.contains(&format!("error=TLS handshake: {why} (")),
            "{said}"
        );
        assert_eq!(
            said.matches("message=connection failed\n").count(),
            1,
            "{said}"
        );
    }
}

/// One that sends its ClientHello in pieces, slowly, or without an end.
#[test]
fn who_takes_too_long_is_closed_at_the_deadline() {
    let ca = TestCa::new().unwrap();
    let hello = client_hello();
    // The beginning, and then nothing; a byte each second; nothing at all; the
    // whole of it, and never an answer to ours.
    for (at_once, then) in [(hello.len() / 2, 0), (0, 1), (0, 0), (hello.len(), 0)] {
        let tls = ca.server(&["a.test"]).unwrap();
        let (counted, said) = against(&tls, async |site| {
            let (mut reader, mut writer) = tokio::io::split(site.plain().await);
            let begun = Instant::now();
            let write = async {
                writer.write_all(&hello[..at_once]).await?;
                for byte in hello[at_once..].chunks(then.max(1)) {
                    sleep(Duration::from_secs(if then == 0 { 3600 } else { 1 })).await;
                    writer.write_all(byte).await?;
                }
                sleep(Duration::from_secs(3600)).await;
                io::Result::Ok(())
            };
            let mut answer = Vec::new();
            tokio::select! {
                _ = reader.read_to_end(&mut answer) => {}
                written = write => panic!("it was not closed: {written:?}"),
            }
            assert_eq!(begun.elapsed(), Limits::default().handshake);
        });
        assert_eq!(counted, [(HandshakeFailure::TimedOut, 1)]);
        let expected = "error=the handshake did not end in time\n";
        assert!(
            said.contains(expected) && said.contains("peer=site\n"),
            "{said}"
        );
    }
}

/// Slow, but in time.
#[test]
fn a_handshake_byte_by_byte_comes_through() {
    let ca = TestCa::new().unwrap();
    let tls = ca.server(&["a.test"]).unwrap();
    let client = ca.client().unwrap();
    let (counted, said) = against(&tls, async |site| {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let plain = site.plain().await;
        let relay = tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(far);
            let (mut reader, mut writer) = tokio::io::split(plain);
            let back = async {
                let _ = tokio::io::copy(&mut reader, &mut to).await;
            };
            let forth = async {
                let mut byte = [0];
                while from.read_exact(&mut byte).await.is_ok() {
                    sleep(Duration::from_millis(1)).await;
                    writer.write_all(&byte).await.unwrap();
                    writer.flush().await.unwrap();
                }
                let _ = writer.shutdown().await;
            };
            tokio::join!(back, forth);
        });
        let name = ServerName::try_from("a.test").unwrap();
        let address = ropewalk_core::Address::Memory("relay".into());
        let peer = ropewalk_core::Peer::new(address.clone());
        let conn = Connection::new(near.into(), peer, address);
        let mut conn = conn
            .wrap(|stream| client.connect(stream, name))
            .await
            .unwrap();
        echoes(&mut conn).await.unwrap();
        conn.shutdown().await.unwrap();
        drop(conn);
        relay.await.unwrap();
    });
    assert_eq!(counted, []);
    assert_eq!(said, "");
}

/// A ClientHello that never ends is cut off at the length that one may have,
/// long before the deadline.
#[test]
fn an_endless_client_hello_is_cut_off() {
    let ca = TestCa::new().unwrap();
    let tls = ca.server(&["a.test"]).unwrap();
    // The longest message that its three bytes of length can announce.
    let header = [
        &b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..],
        &[0; 0x4000 - 4],
    ]
    .concat();
    let more = [&b"\x16\x03\x01\x40\x00"[..], &[0; 0x4000]].concat();
    let (counted, _) = against(&tls, async |site| {
        let mut conn = site.plain().await;
        let begun = Instant::now();
        let mut sent = 0;
        conn.write_all(&header).await.unwrap();
        while conn.write_all(&more).await.is_ok() {
            sent += more.len();
            assert!(sent < 1024 * 1024, "it takes all that comes");
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
    assert_eq!(counted, [(HandshakeFailure::Misbehaved, 1)]);
}

/// Hundreds that say half a hello hold up nobody who says a whole one.
#[test]
fn a_flood_of_handshakes_does_not_hold_up_others() {
    let ca = TestCa::new().unwrap();
    let tls = ca.server(&["a.test"]).unwrap();
    let client = ca.client().unwrap();
    let hello = client_hello();
    const FLOOD: usize = 500;
    let (counted, said) = against(&tls, async |site| {
        let mut flood = Vec::new();
        for _ in 0..FLOOD {
            let mut conn = site.plain().await;
            conn.write_all(&hello[..hello.len() - 1]).await.unwrap();
            flood.push(conn);
        }
        while site.server.counts().open < FLOOD {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        let mut good = site.connect(&client, "a.test").await.unwrap();
        echoes(&mut good).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for conn in flood {
            rest(conn).await;
        }
        assert!(begun.elapsed() <= Limits::default().handshake);
        echoes(&mut good).await.unwrap();
    });
    assert_eq!(counted, [(HandshakeFailure::TimedOut, FLOOD as u64)]);
    assert_eq!(
        said.matches("the handshake did not end in time").count(),
        FLOOD
    );
}

#[test]
fn who_does_not_want_us_says_so() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let own = ours.issue(&["a.test"]);
    let check =
        |case: &str,
         why,
         connect: &dyn Fn(&TlsServer) -> (TlsServer, ropewalk_core::tls::TlsClient)| {
            let tls = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
            let (tls, client) = connect(&tls);
            let (counted, said) = against(&tls, async |site| {
                site.connect(&client, "a.test").await.unwrap_err();
            });
            assert_eq!(counted, [(why, 1)], "{case}: {said}");
        };
    check(
        "it does not trust us",
        HandshakeFailure::RefusedByPeer,
        &|tls| (tls.clone(), theirs.client()),
    );
    check(
        "no protocol in common",
        HandshakeFailure::Incompatible,
        &|tls| (tls.alpn(&["a"]), ours.client().alpn(&["b"])),
    );
}

/// Who drains does not wait for those that have not said hello, and no error
/// of theirs is a surprise.
#[test]
fn a_handshake_that_a_drain_ends_is_counted() -> Result {
    testing::run(async {
        let ca = TestCa::new()?;
        let tls = ca.server(&["a.test"])?;
        let site = Site::new(&tls).await;
        let mut conn = site.plain().await;
        conn.write_all(&client_hello()[..9]).await?;
        while site.server.counts().open == 0 {
            tokio::task::yield_now().await;
        }
        // It is young: its hello may be on its way.
        let leftover = site
            .server
            .drain(Duration::ZERO, Duration::from_secs(9))
            .await;
        assert_eq!(leftover.cut, 0);
        assert_eq!(failures(&tls), [(HandshakeFailure::TimedOut, 1)]);
        assert_eq!(rest(conn).await, b"");
        Ok(())
    })
}
