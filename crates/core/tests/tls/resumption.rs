//! What two sides agree upon, and what they need not agree upon again.

use ropewalk_core::{
    testing,
    tls::{
        TlsClient, TlsInfo, TlsServer,
        rustls::{
            self, ClientConfig, NamedGroup, ProtocolVersion, RootCertStore,
            SupportedProtocolVersion,
            client::{Resumption, Tls12Resumption},
            pki_types::{CertificateDer, pem::PemObject},
        },
    },
};

use crate::{
    authority::Authority,
    site::{Folder, Site, echoes},
};

fn client(
    root: &Authority,
    version: &'static SupportedProtocolVersion,
    tls12: Tls12Resumption,
) -> TlsClient {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(256).tls12_resumption(tls12);
    TlsClient::from_config(config)
}

/// What both sides know of one connection.
async fn visit(site: &mut Site, client: &TlsClient, name: &str) -> [TlsInfo; 2] {
    let mut conn = site.connect(client, name).await.unwrap();
    echoes(&mut conn).await.unwrap();
    let server = (*site.came.recv().await.unwrap()).clone();
    [server, (**conn.peer().tls.as_ref().unwrap()).clone()]
}

#[test]
fn both_sides_resume_by_default() {
    let root = Authority::new("root");
    let own = root.issue(&["a.test"]);
    let tls = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    testing::run(async {
        let mut site = Site::new(&tls).await;
        let client = root.client();
        let (mut resumed, mut bindings) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let [server, client] = visit(&mut site, &client, "a.test").await;
            assert_eq!(server.resumed, client.resumed);
            assert_eq!(server.exporter, client.exporter);
            for side in [&server, &client] {
                assert_eq!(side.version, Some(ProtocolVersion::TLSv1_3));
                // Also when resumed: each connection has keys of its own.
                assert_eq!(side.group, Some(NamedGroup::X25519MLKEM768));
            }
            assert_eq!(client.identity().unwrap().fingerprint, own.fingerprint());
            resumed.push(server.resumed);
            bindings.push(server.exporter.unwrap());
        }
        assert_eq!(resumed, [false, true, true, true]);
        bindings.sort_unstable();
        bindings.dedup();
        assert_eq!(bindings.len(), 4);
        let counts = tls.handshakes();
        assert_eq!((counts.full, counts.resumed), (1, 3));
    });
}

#[test]
fn by_tickets_and_by_ids_and_in_either_version() {
    use rustls::version::{TLS12, TLS13};
    let root = Authority::new("root");
    let own = root.issue(&["a.test"]);
    let tls = TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    for (version, tls12) in [
        (&TLS13, Tls12Resumption::Disabled),
        (&TLS12, Tls12Resumption::SessionIdOrTickets),
        (&TLS12, Tls12Resumption::SessionIdOnly),
    ] {
        testing::run(async {
            let mut site = Site::new(&tls).await;
            let client = client(&root, version, tls12);
            for resumed in [false, true] {
                let [server, client] = visit(&mut site, &client, "a.test").await;
                assert_eq!(server.version, Some(version.version));
                assert_eq!(
                    (server.resumed, client.resumed),
                    (resumed, resumed),
                    "{tls12:?}"
                );
                let no_keys = resumed && version.version == ProtocolVersion::TLSv1_2;
                assert_eq!(server.group.is_none(), no_keys, "{tls12:?}");
            }
        });
    }
}

#[test]
fn a_session_is_of_one_name_and_outlives_its_certificate() {
    let root = Authority::new("root");
    let (a, b) = (root.issue(&["a.test"]), root.issue(&["*.b.test"]));
    let folder = Folder::new(&[("a.pem", &a.both()), ("b.pem", &b.both())]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        testing::run(async {
            let tls = folder.serve();
            let mut site = Site::new(&tls.alpn(&["x"])).await;
            let client = client(&root, version, Tls12Resumption::SessionIdOrTickets);
            let mut resumes = async |name, expected: bool| {
                let [server, client] = visit(&mut site, &client, name).await;
                assert_eq!(
                    (server.resumed, client.resumed),
                    (expected, expected),
                    "{name}"
                );
            };
            resumes("a.test", false).await;
            resumes("a.test", true).await;
            resumes("x.b.test", false).await;
            // The same certificate, and another name.
            resumes("y.b.test", false).await;
            resumes("x.b.test", true).await;

            folder.write("a.pem", &root.issue(&["a.test"]).both());
            tls.reload().unwrap();
            resumes("a.test", true).await;
            folder.write("a.pem", &a.both());
        });
    }
}

/// A ticket is for the name that it was given for, and a client that shows it
/// for another one is not believed.
#[test]
fn another_server_does_not_know_the_session() {
    let root = Authority::new("root");
    let own = root.issue(&["a.test"]);
    let make = || TlsServer::from_pem(own.chain.as_bytes(), own.key.as_bytes()).unwrap();
    let (one, two) = (make(), make());
    testing::run(async {
        let client = root.client();
        let mut site = Site::new(&one).await;
        visit(&mut site, &client, "a.test").await;
        // New connections are served as the other one would: it has keys of
        // its own.
        one.replace(&two);
        let [server, _] = visit(&mut site, &client, "a.test").await;
        assert!(!server.resumed);
        let [server, _] = visit(&mut site, &client, "a.test").await;
        assert!(server.resumed);
    });
}
