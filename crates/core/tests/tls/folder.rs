//! Which certificate of a folder is served.

use std::time::SystemTime;

use ropewalk_core::{
    testing,
    tls::{TlsClient, TlsServer},
};
use tokio::time::advance;

use crate::{
    authority::{Authority, DAY},
    site::{Folder, Site},
};

#[test]
fn files_may_be_arranged_in_any_manner() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let below = middle.intermediate("below");
    let [one, two, bot, deep] = ["one.test", "two.test", "bot.test", "deep.test"];
    let (one, two) = (root.issue(&[one]), middle.issue(&[two]));
    let (bot, deep) = (below.issue(&[bot]), below.issue(&[deep]));
    let folder = Folder::new(&[
        // Key first, as some have it.
        ("one.pem", &format!("{}{}", one.key, one.chain)),
        ("two.crt", &two.chain),
        ("two.key", &two.key),
        // As certbot has it, in part with what others need too.
        ("bot.test/cert.pem", &bot.chain),
        (
            "bot.test/chain.pem",
            &format!("{}{}", below.pem, middle.pem),
        ),
        (
            "bot.test/fullchain.pem",
            &format!("{}{}{}", bot.chain, below.pem, middle.pem),
        ),
        ("bot.test/privkey.pem", &bot.key),
        ("bot.test/README", "not read"),
        ("keys/deep.PEM", &deep.key),
        ("a/deep.cer", &deep.chain),
        ("root.pem", &root.pem),
        (
            "dhparam.pem",
            "-----BEGIN DH PARAMETERS-----\nMAYCAQ==\n-----END DH PARAMETERS-----\n",
        ),
        (".hidden.pem", "not read"),
        ("old.pem~", "not read"),
    ]);
    let (said, ()) = crate::log::heard(tracing::Level::WARN, || {
        testing::run(async {
            let site = Site::new(&folder.serve()).await;
            let client = root.client();
            for (name, issued, length) in [
                ("one.test", &one, 1),
                ("two.test", &two, 2),
                ("TWO.test", &two, 2),
                ("bot.test", &bot, 3),
                ("deep.test", &deep, 3),
            ] {
                let conn = site.connect(&client, name).await.unwrap();
                let tls = conn.peer().tls.clone().unwrap();
                assert_eq!(
                    tls.identity().unwrap().fingerprint,
                    issued.fingerprint(),
                    "{name}"
                );
                assert_eq!(tls.certificates.len(), length, "{name}: without the root");
            }
        });
    });
    assert_eq!(said, "");
}

/// RFC 9525, section 6.3: a wildcard stands for one label.
#[test]
fn an_exact_name_beats_a_wildcard_and_the_default_is_for_the_rest() {
    let root = Authority::new("root");
    let exact = root.issue(&["www.a.test"]);
    let wild = root.issue(&["*.a.test", "a.test"]);
    let first = root.issue(&["first.test", "192.0.2.1"]);
    let folder = Folder::new(&[
        ("exact.pem", &exact.both()),
        ("wild.pem", &wild.both()),
        ("b/first.pem", &first.both()),
    ]);
    testing::run(async {
        let check = async |site: &Site, name: &str, expected: &crate::authority::Issued| {
            assert_eq!(site.serves(name).await, expected.fingerprint(), "{name}");
        };
        let site = Site::new(&folder.serve()).await;
        check(&site, "www.a.test", &exact).await;
        check(&site, "WWW.A.TEST", &exact).await;
        check(&site, "ftp.a.test", &wild).await;
        check(&site, "a.test", &wild).await;
        // None of these is known: the first by the name of its file. An
        // address is no name, so who connects to one asks for none.
        for name in ["x.ftp.a.test", "b.test", "test", "192.0.2.1"] {
            check(&site, name, &first).await;
        }
        drop(site);

        let default = root.issue(&["z.test"]);
        folder.write("default/zzz.pem", &default.both());
        let site = Site::new(&folder.serve()).await;
        check(&site, "www.a.test", &exact).await;
        for name in ["x.ftp.a.test", "b.test", "192.0.2.1"] {
            check(&site, name, &default).await;
        }
    });
}

#[test]
fn of_several_for_one_name_the_one_that_is_valid_now_and_longest() {
    let root = Authority::new("root");
    let now = SystemTime::now();
    let between = |from: u32, until: u32| {
        let names = &["a.test"];
        root.issue_between(names, now + DAY * from - DAY / 2, now + DAY * until)
    };
    let (old, short, long, later) = (
        between(0, 1),
        between(0, 20),
        between(0, 40),
        between(30, 60),
    );
    let expired = root.issue_expired(&["a.test"]);
    let folder = Folder::new(&[
        ("1.pem", &short.both()),
        ("2.pem", &expired.both()),
        ("3.pem", &later.both()),
        ("4.pem", &long.both()),
        ("5.pem", &old.both()),
    ]);
    testing::run(async {
        let site = Site::new(&folder.serve()).await;
        for (days, expected, why) in [
            (0, &long, "the longest of those valid now"),
            (29, &long, "the later one not yet"),
            (2, &later, "valid by now, and longer"),
            (20, &later, "alone"),
            (20, &later, "expired, as all are, and last of them"),
        ] {
            // At once, rather than a look every ten seconds.
            advance(DAY * days).await;
            assert_eq!(site.serves("a.test").await, expected.fingerprint(), "{why}");
        }
    });
}

/// A client that cannot verify the one is served the other.
#[test]
fn the_kind_of_key_is_one_that_the_client_knows() {
    use ropewalk_core::tls::rustls::{
        ClientConfig, RootCertStore, SignatureScheme,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, pem::PemObject},
    };
    let root = Authority::new("root");
    let ecdsa = root.issue(&["a.test"]);
    let other = root.issue_with(&["a.test"], &rcgen::PKCS_ED25519, 10);
    let folder = Folder::new(&[("a.pem", &ecdsa.both()), ("b.pem", &other.both())]);
    let mut provider = aws_lc_rs::default_provider();
    let mapping = provider.signature_verification_algorithms.mapping;
    let only: Vec<_> = mapping
        .iter()
        .filter(|(s, _)| *s == SignatureScheme::ED25519)
        .copied()
        .collect();
    provider.signature_verification_algorithms.mapping = only.leak();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    testing::run(async {
        let site = Site::new(&folder.serve()).await;
        let modern = TlsClient::from_config(config);
        let conn = site.connect(&modern, "a.test").await.unwrap();
        let shown = conn.peer().tls.as_ref().unwrap().identity().unwrap();
        assert_eq!(shown.fingerprint, other.fingerprint());
        assert_eq!(site.serves("a.test").await, ecdsa.fingerprint());
    });
}

#[test]
fn a_folder_without_a_certificate_is_an_error_that_says_what_is_wrong() {
    let root = Authority::new("root");
    let issued = root.issue(&["a.test"]);
    let half = &issued.both()[..issued.both().len() - 40];
    for (files, expected) in [
        (&[][..], ": no certificate with its key is in this folder"),
        (
            &[("a.pem", issued.chain.as_str())],
            "a.pem: no key for the certificate of a.test",
        ),
        (
            &[("a.key", &issued.key)],
            "a.key: no certificate for this key",
        ),
        (
            &[("a.pem", half)],
            "a.pem: holds PEM that is broken or not yet whole",
        ),
        (&[("a.crt", "\u{30}\u{2}")], "a.crt: holds no PEM"),
        (
            &[(
                "a.pem",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n",
            )],
            "a.pem: holds an encrypted key, and nobody is asked for its passphrase",
        ),
        (
            &[(
                "a.pem",
                "-----BEGIN PRIVATE KEY-----\nMAYCAQ==\n-----END PRIVATE KEY-----\n",
            )],
            "a.pem: holds a private key of a kind that is not supported",
        ),
        (
            &[(
                "a.pem",
                "-----BEGIN CERTIFICATE-----\nMAYCAQ==\n-----END CERTIFICATE-----\n",
            )],
            "a.pem: holds a certificate that cannot be read",
        ),
        // An authority is no server.
        (
            &[("ca.pem", &root.pem)],
            ": no certificate with its key is in this folder",
        ),
    ] {
        let folder = Folder::new(files);
        let error = TlsServer::from_folder(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let error = TlsServer::from_folder("/nonexistent".as_ref()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nonexistent: No such file or directory (os error 2)"
    );
}
