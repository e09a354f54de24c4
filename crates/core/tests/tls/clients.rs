//! Certificates of clients: who may come in, and what is known of them.

use std::{io, time::SystemTime};

use ropewalk_core::{
    ClientEndpoint, Connection, ServerEndpoint, ServerOptions, each, testing,
    tls::{
        ClientCertificates::{self, Optional, Required},
        HandshakeFailure, TlsClient, TlsError, TlsInfo, TlsServer,
        rustls::{
            self, ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    },
};
use tokio::time::advance;

use crate::{
    authority::{Authority, DAY, Issued},
    log::heard,
    site::{Echo, Folder, Site, echoes},
};

fn server(root: &Authority, clients: &Authority, which: ClientCertificates) -> TlsServer {
    let own = root.issue(&["a.test"]);
    TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes())
        .unwrap()
        .client_certificates(clients.pem.as_bytes(), which)
        .unwrap()
}

/// A client of one version, with a certificate or none.
fn client(
    root: &Authority,
    version: &'static SupportedProtocolVersion,
    own: Option<&Issued>,
) -> TlsClient {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = TlsClient::from_config(config);
    match own {
        Some(own) => client
            .certificate(own.chain.as_bytes(), own.key.as_bytes())
            .unwrap(),
        None => client,
    }
}

/// Comes in, and says a word; with TLS 1.3 only that shows whether it may.
async fn visit(site: &Site, client: &TlsClient) -> io::Result<Connection> {
    let mut conn = site.connect(client, "a.test").await?;
    echoes(&mut conn).await?;
    Ok(conn)
}

#[test]
fn who_may_come_in() {
    use HandshakeFailure::{
        ClientCertificateExpired, ClientCertificateInvalid, ClientCertificateUntrusted,
        NoClientCertificate,
    };
    let (root, ours, theirs) = (
        Authority::new("servers"),
        Authority::new("clients"),
        Authority::new("others"),
    );
    let (good, stranger) = (ours.issue(&["ada.test"]), theirs.issue(&["eve.test"]));
    let expired = ours.issue_expired(&["bob.test"]);
    let now = SystemTime::now();
    let early = ours.issue_between(&["kim.test"], now + DAY, now + DAY * 2);
    let wrong_use = ours.issue_for_servers_alone(&["www.test"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (own, which, expected) in [
            (Some(&good), Required, None),
            (Some(&good), Optional, None),
            (None, Optional, None),
            (None, Required, Some(NoClientCertificate)),
            (Some(&stranger), Required, Some(ClientCertificateUntrusted)),
            (Some(&stranger), Optional, Some(ClientCertificateUntrusted)),
            (Some(&expired), Required, Some(ClientCertificateExpired)),
            (Some(&early), Required, Some(ClientCertificateExpired)),
            (Some(&wrong_use), Required, Some(ClientCertificateInvalid)),
        ] {
            let (said, ()) = heard(tracing::Level::INFO, || {
                testing::run(async {
                    let tls = server(&root, &ours, which);
                    let mut site = Site::new(&tls).await;
                    let came = visit(&site, &client(&root, version, own)).await;
                    let case = format!("{which:?}, {expected:?}, {version:?}");
                    assert_eq!(came.is_ok(), expected.is_none(), "{case}: {came:?}");
                    for (why, count) in tls.handshakes().failures() {
                        assert_eq!(count, u64::from(Some(why) == expected), "{case}: {why}");
                    }
                    assert_eq!(tls.handshakes().full, u64::from(expected.is_none()));
                    if came.is_ok() {
                        let identity = site.came.recv().await.unwrap().identity();
                        let names = identity.map(|identity| identity.dns_names);
                        assert_eq!(names, own.map(|_| vec!["ada.test".to_owned()]));
                    }
                });
            });
            match expected {
                // With the reason, and who it was.
                Some(why) => {
                    let why = format!("error=TLS handshake: {why} (");
                    assert!(said.contains(&why), "{said}");
                    assert!(said.contains("peer=site\n"), "{said}");
                }
                None => assert_eq!(said, ""),
            }
        }
    }
}

#[test]
fn an_identity_says_what_the_certificate_does() {
    let (root, ours) = (Authority::new("servers"), Authority::new("clients"));
    let ada = ours.issue(&[
        "Ada.test",
        "192.0.2.1",
        "2001:db8::1",
        "ada@a.test",
        "https://a.test/ada",
    ]);
    testing::run(async {
        let mut site = Site::new(&server(&root, &ours, Required)).await;
        let client = client(&root, &rustls::version::TLS13, Some(&ada));
        let conn = visit(&site, &client).await.unwrap();
        let tls: TlsInfo = (*site.came.recv().await.unwrap()).clone();
        let identity = tls.identity().unwrap();
        assert_eq!(identity.subject, "CN=Ada.test");
        assert_eq!(identity.common_name.as_deref(), Some("Ada.test"));
        assert_eq!(identity.issuer, "CN=clients");
        assert_eq!(identity.dns_names, ["ada.test"]);
        let addresses: Vec<_> = identity.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(identity.emails, ["ada@a.test"]);
        assert_eq!(identity.uris, ["https://a.test/ada"]);
        assert_eq!(identity.fingerprint, ada.fingerprint());
        assert!(identity.not_after > SystemTime::now());
        // And the client knows who the server is.
        let server = conn.peer().tls.as_ref().unwrap().identity().unwrap();
        assert_eq!(server.subject, "CN=a.test");
    });
}

/// A ticket holds the certificate that it was given for, and rustls does not
/// look at that again.
#[test]
fn who_has_expired_is_not_let_in_by_a_ticket() {
    let (root, ours) = (Authority::new("servers"), Authority::new("clients"));
    let now = SystemTime::now();
    let ada = ours.issue_between(&["ada.test"], now - DAY, now + DAY / 4);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        testing::run(async {
            let tls = server(&root, &ours, Required);
            let site = Site::new(&tls).await;
            let client = client(&root, version, Some(&ada));
            for resumed in [false, true] {
                let conn = visit(&site, &client).await.unwrap();
                assert_eq!(conn.peer().tls.as_ref().unwrap().resumed, resumed);
            }
            advance(DAY / 2).await;
            visit(&site, &client).await.unwrap_err();
            let expired = HandshakeFailure::ClientCertificateExpired;
            assert_eq!(tls.handshakes().failed(expired), 1, "{version:?}");
        });
    }
}

/// Nobody comes back by a ticket whom the new authorities do not vouch for.
#[test]
fn other_authorities_end_the_sessions_of_the_old_ones() {
    let (root, old, new) = (
        Authority::new("servers"),
        Authority::new("old"),
        Authority::new("new"),
    );
    let own = root.issue(&["a.test"]);
    let folder = Folder::new(&[("ca.pem", &old.pem)]);
    let ca = folder.path().join("ca.pem");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        folder.write("ca.pem", &old.pem);
        testing::run(async {
            let tls = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
            let tls = tls.client_certificates_of(&ca, Required).unwrap();
            let site = Site::new(&tls.alpn(&[])).await;
            let before = client(&root, version, Some(&old.issue(&["ada.test"])));
            let after = client(&root, version, Some(&new.issue(&["ada.test"])));
            let visits = async |client, expected: Option<bool>| {
                let came = visit(&site, client).await;
                let resumed = came.ok().map(|c| c.peer().tls.as_ref().unwrap().resumed);
                assert_eq!(resumed, expected);
            };
            visits(&before, Some(false)).await;
            visits(&before, Some(true)).await;
            visits(&after, None).await;
            // The same once more is no reason to forget anybody.
            tls.reload().unwrap();
            visits(&before, Some(true)).await;

            folder.write("ca.pem", "");
            tls.reload().unwrap_err();
            visits(&before, Some(true)).await;

            folder.write("ca.pem", &new.pem);
            tls.reload().unwrap();
            visits(&before, None).await;
            visits(&after, Some(false)).await;
            visits(&after, Some(true)).await;
        });
    }
}

/// What was agreed upon where nobody was asked does not open the door where
/// everybody is.
#[test]
fn a_session_of_one_server_is_not_resumed_by_another() {
    let (root, ours) = (Authority::new("servers"), Authority::new("clients"));
    let own = root.issue(&["a.test"]);
    let open = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    let closed = open
        .client_certificates(ours.pem.as_bytes(), Required)
        .unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        testing::run(async {
            let client = client(&root, version, None);
            let site = Site::new(&open).await;
            visit(&site, &client).await.unwrap();
            assert!(
                visit(&site, &client)
                    .await
                    .unwrap()
                    .peer()
                    .tls
                    .as_ref()
                    .unwrap()
                    .resumed
            );
            drop(site);
            let site = Site::new(&closed).await;
            visit(&site, &client).await.unwrap_err();
        });
    }
}

#[test]
fn an_endpoint_asks_for_certificates() {
    let (root, ours) = (Authority::new("servers"), Authority::new("clients"));
    let (own, ada) = (root.issue(&["127.0.0.1"]), ours.issue(&["ada.test"]));
    let files = Folder::new(&[
        ("own.pem", &own.both()),
        ("root.pem", &root.pem),
        ("ours.pem", &ours.pem),
        ("ada.pem", &ada.both()),
        ("site/own.pem", &own.both()),
    ]);
    let at = |name: &str| files.path().join(name).display().to_string();
    let supplied = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    testing::run_in_real_time(async {
        for (own, optional) in [
            (format!(":cert={}", at("own.pem")), ""),
            (format!(":certs={}", at("site")), ":client-cert-optional"),
            (String::new(), ""),
        ] {
            let ca = at("ours.pem");
            let endpoint: ServerEndpoint = format!("tls:0{own}:client-ca={ca}{optional}")
                .parse()
                .unwrap();
            let mut options = ServerOptions::default();
            options.tls = own.is_empty().then(|| supplied.clone());
            let server = endpoint.listen_with(each::<Echo>(), options).await.unwrap();
            let known = format!("{}:ca={}", server.local_endpoint(), at("root.pem"));
            for (client, may) in [
                (format!("{known}:cert={}", at("ada.pem")), true),
                (known, !optional.is_empty()),
            ] {
                let client: ClientEndpoint = client.parse().unwrap();
                let mut conn = client.connect().await.unwrap();
                let came = echoes(&mut conn).await;
                assert_eq!(came.is_ok(), may, "{client}: {came:?}");
            }
            let counts = server.tls().unwrap().handshakes();
            let expected = if optional.is_empty() { (1, 1) } else { (2, 0) };
            let refused = counts.failed(HandshakeFailure::NoClientCertificate);
            assert_eq!((counts.full, refused), expected);
        }
    });
}

/// What an endpoint asks for is not lost with the certificate that it began with.
#[test]
fn another_certificate_asks_clients_for_the_same() {
    let (root, ours) = (Authority::new("servers"), Authority::new("clients"));
    let ada = ours.issue(&["ada.test"]);
    let files = Folder::new(&[
        ("root.pem", &root.pem),
        ("ours.pem", &ours.pem),
        ("ada.pem", &ada.both()),
    ]);
    let at = |name: &str| files.path().join(name).display().to_string();
    let new = || {
        let own = root.issue(&["127.0.0.1"]);
        TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap()
    };
    testing::run_in_real_time(async {
        let endpoint = format!("tls:0:client-ca={}", at("ours.pem"));
        let endpoint: ServerEndpoint = endpoint.parse().unwrap();
        let mut options = ServerOptions::default();
        options.tls = Some(new());
        let server = endpoint.listen_with(each::<Echo>(), options).await.unwrap();
        let known = format!("{}:ca={}", server.local_endpoint(), at("root.pem"));
        for _ in 0..2 {
            for (client, may) in [
                (format!("{known}:cert={}", at("ada.pem")), true),
                (known.clone(), false),
            ] {
                let client: ClientEndpoint = client.parse().unwrap();
                let mut conn = client.connect().await.unwrap();
                let came = echoes(&mut conn).await;
                assert_eq!(came.is_ok(), may, "{client}: {came:?}");
            }
            assert!(server.reload_tls(&new()));
        }
    });
}

#[test]
fn what_cannot_be_asked_of_clients_is_an_error() {
    let root = Authority::new("root");
    let own = root.issue(&["a.test"]);
    let tls = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    let error = tls.client_certificates(b"", Required).unwrap_err();
    assert_eq!(error.to_string(), "PEM: expected certificates in PEM");
    let missing = "/nonexistent.pem".as_ref();
    let error = tls.client_certificates_of(missing, Required).unwrap_err();
    assert!(matches!(error, TlsError::Read { .. }), "{error}");

    let chain = vec![CertificateDer::from_pem_slice(own.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let tls = TlsServer::from_config(config);
    let error = tls
        .client_certificates(root.pem.as_bytes(), Required)
        .unwrap_err();
    assert!(matches!(error, TlsError::OwnConfig), "{error}");
}
