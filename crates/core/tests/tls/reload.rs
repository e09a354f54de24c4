//! Certificates that change while a server runs.

use std::{collections::BTreeSet, os::unix::fs::symlink, time::Duration};

use ropewalk_core::{
    Connection, ServerEndpoint, each,
    service::{Service, listen},
    testing,
    tls::TlsServer,
};
use tokio::time::{advance, sleep};

use crate::{
    authority::{Authority, DAY, Issued},
    log::heard,
    site::{Echo, Folder, Site, echoes},
};

/// Long enough for one look at the folder.
const LOOK: Duration = Duration::from_secs(11);

#[test]
fn a_new_certificate_is_taken_and_no_connection_dropped() {
    let root = Authority::new("root");
    let (old, new, more) = (
        root.issue(&["a.test"]),
        root.issue(&["a.test"]),
        root.issue(&["b.test"]),
    );
    let folder = Folder::new(&[("a.pem", &old.both())]);
    let client = root.client();
    testing::run(async {
        let mut site = Site::new(&folder.serve()).await;
        let mut open = site.connect(&client, "a.test").await.unwrap();
        echoes(&mut open).await.unwrap();

        folder.write("a.pem", &new.both());
        folder.write("b.pem", &more.both());
        // Whatever a peer asks for, nobody looks before it is time.
        for name in ["a.test", "b.test", "c.test"] {
            assert_eq!(site.serves(name).await, old.fingerprint());
        }
        sleep(LOOK).await;
        assert_eq!(site.serves("a.test").await, new.fingerprint());
        assert_eq!(site.serves("b.test").await, more.fingerprint());
        echoes(&mut open).await.unwrap();
        site.server.until_connections(|open| open == 1).await;
        assert_eq!(
            site.came.recv().await.unwrap().sni.as_deref(),
            Some("a.test")
        );
    });
}

/// Goes by at once, but for two looks at the files in its end.
async fn a_day(look: Duration) {
    advance(DAY - look * 2).await;
    sleep(look * 2).await;
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// What is wrong with a file, what it may have been replaced with, and what
/// the log says of it.
#[test]
fn a_broken_file_keeps_the_old_certificate_and_says_so_once() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["a.test"]), root.issue(&["a.test"]));
    let expired = root.issue_expired(&["a.test"]).both();
    let later = std::time::SystemTime::now() + DAY;
    let later = root.issue_between(&["a.test"], later, later + DAY).both();
    let half = new.both()[..new.both().len() / 2].to_owned();
    for (broken, why) in [
        ("", "holds no PEM"),
        (half.as_str(), "holds PEM that is broken or not yet whole"),
        (&new.chain, "no key for the certificate of a.test"),
        (&new.key, "no certificate for this key"),
        (&expired, "the certificate expired on "),
        (&later, "the certificate is not valid before "),
    ] {
        let folder = Folder::new(&[
            ("a.pem", &old.both()),
            ("b.pem", &root.issue(&["b.test"]).both()),
        ]);
        let (said, ()) = heard(tracing::Level::WARN, || {
            testing::run(async {
                let site = Site::new(&folder.serve()).await;
                folder.write("a.pem", broken);
                for _ in 0..5 {
                    sleep(LOOK).await;
                    assert_eq!(site.serves("a.test").await, old.fingerprint(), "{why}");
                }
                folder.write("a.pem", &new.both());
                sleep(LOOK).await;
                assert_eq!(site.serves("a.test").await, new.fingerprint(), "{why}");
            });
        });
        assert_eq!(said.matches("message=").count(), 1, "{said}");
        let file = folder.path().join("a.pem");
        for expected in [
            "message=the certificate of before is kept\n",
            &format!("file={}\n", file.display()),
            format!("why={why:?}").trim_end_matches('"'),
            "names=\"a.test\"\n",
            "until=\"20",
        ] {
            assert!(said.contains(expected), "{expected} in {said}");
        }
    }
}

/// However far the writing of a file has come.
#[test]
fn a_file_cut_off_anywhere_takes_nothing_away() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["a.test"]), root.issue(&["a.test"]));
    let whole = new.both();
    let step = match std::env::var_os("ROPEWALK_DEEP") {
        Some(_) => 1,
        None => 17,
    };
    let folder = Folder::new(&[("a.pem", &old.both())]);
    testing::run(async {
        let tls = folder.serve();
        let site = Site::new(&tls).await;
        for length in (0..whole.len()).step_by(step) {
            folder.write("a.pem", &whole[..length]);
            let taken = tls.reload().is_ok();
            let expected = if taken { &new } else { &old };
            assert_eq!(
                site.serves("a.test").await,
                expected.fingerprint(),
                "{length}"
            );
            // Its last line may lack its last characters.
            assert!(!taken || length > whole.len() - 25, "{length}");
        }
        folder.write("a.pem", &whole);
        tls.reload().unwrap();
        assert_eq!(site.serves("a.test").await, new.fingerprint());
    });
}

/// The halves of a certificate in two files are replaced one after the other,
/// and certbot replaces its links by removing them first.
#[test]
fn halves_that_are_replaced_one_by_one_leave_no_gap() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["a.test"]), root.issue(&["a.test"]));
    let archive = Folder::new(&[
        ("chain1.pem", &old.chain),
        ("chain2.pem", &new.chain),
        ("key1.pem", &old.key),
        ("key2.pem", &new.key),
    ]);
    let folder = Folder::new(&[("b.pem", &root.issue(&["b.test"]).both())]);
    let link = |from: &str, to: &str| {
        symlink(archive.path().join(to), folder.path().join(from)).unwrap();
    };
    link("fullchain.pem", "chain1.pem");
    link("privkey.pem", "key1.pem");
    testing::run(async {
        let site = Site::new(&folder.serve()).await;
        let steps: [(&dyn Fn(), _); 5] = [
            (&|| folder.remove("fullchain.pem"), &old),
            (&|| folder.remove("privkey.pem"), &old),
            (&|| link("privkey.pem", "key2.pem"), &old),
            (&|| link("fullchain.pem", "chain2.pem"), &new),
            // The same link, and the file behind it is another.
            (&|| archive.write("chain2.pem", "half"), &new),
        ];
        for (n, (step, expected)) in steps.into_iter().enumerate() {
            step();
            sleep(LOOK).await;
            assert_eq!(site.serves("a.test").await, expected.fingerprint(), "{n}");
        }
    });
}

#[test]
fn what_is_removed_is_served_no_more_but_never_the_last() {
    let root = Authority::new("root");
    let (a, b) = (root.issue(&["a.test"]), root.issue(&["b.test"]));
    let folder = Folder::new(&[("a.pem", &a.both()), ("b.pem", &b.both())]);
    let (said, ()) = heard(tracing::Level::WARN, || {
        testing::run(async {
            let tls = folder.serve();
            let site = Site::new(&tls).await;
            folder.remove("a.pem");
            sleep(LOOK).await;
            assert_eq!(
                site.serves("a.test").await,
                a.fingerprint(),
                "it may come back"
            );
            sleep(LOOK).await;
            assert_eq!(site.serves("a.test").await, b.fingerprint());

            folder.write("a.pem", &a.both());
            tls.reload().unwrap();
            assert_eq!(site.serves("a.test").await, a.fingerprint());
            folder.remove("a.pem");
            tls.reload().unwrap();
            assert_eq!(site.serves("a.test").await, b.fingerprint(), "asked for");

            folder.remove("b.pem");
            for _ in 0..3 {
                sleep(LOOK).await;
                assert_eq!(site.serves("b.test").await, b.fingerprint());
            }
            tls.reload().unwrap_err();
            std::fs::remove_dir(folder.path()).unwrap();
            for _ in 0..3 {
                sleep(LOOK).await;
                assert_eq!(site.serves("b.test").await, b.fingerprint());
            }
            std::fs::create_dir(folder.path()).unwrap();
        });
    });
    // Empty; empty, to who asked; gone.
    assert_eq!(said.matches("message=").count(), 3, "{said}");
}

#[test]
fn a_certificate_about_to_expire_is_said_daily() {
    let root = Authority::new("root");
    let a = root.issue_for(&["a.test"], 16);
    let folder = Folder::new(&[("a.pem", &a.both())]);
    let renewed = root.issue_for(&["a.test"], 60);
    let files = (folder.path().join("a.pem"), folder.path().join("a.pem"));
    for one_by_one in [false, true] {
        let (said, ()) = heard(tracing::Level::WARN, || {
            testing::run(async {
                let tls = match one_by_one {
                    true => TlsServer::from_files(&files.0, &files.1).unwrap(),
                    false => folder.serve(),
                };
                let look = if one_by_one { HOUR } else { LOOK };
                let _site = Site::new(&tls).await;
                advance(DAY / 2).await;
                // It is said on the days 2 to 15, and after that that it has
                // expired.
                for _ in 0..17 {
                    a_day(look).await;
                }
                folder.write("a.pem", &renewed.both());
                tls.reload().unwrap();
                for _ in 0..5 {
                    a_day(look).await;
                }
            });
        });
        folder.write("a.pem", &a.both());
        let count = |what: &str| said.matches(what).count();
        assert_eq!(
            count("message=certificate is about to expire\n"),
            14,
            "{said}"
        );
        assert_eq!(count("message=certificate has expired\n"), 2, "{said}");
        assert_eq!(count("message="), 16, "{said}");
        assert!(
            said.contains(&format!("file={:?}\n", files.0.display().to_string())),
            "{said}"
        );
    }
}

#[test]
fn files_named_one_by_one_are_read_again_when_asked() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["127.0.0.1"]), root.issue(&["127.0.0.1"]));
    let folder = Folder::new(&[("chain.pem", &old.chain), ("key.pem", &old.key)]);
    let path = |name| folder.path().join(name).display().to_string();
    testing::run_in_real_time(async {
        let endpoint = format!("tls:0:cert={}:key={}", path("chain.pem"), path("key.pem"));
        let endpoint: ServerEndpoint = endpoint.parse().unwrap();
        let server = endpoint.listen(each::<Echo>()).await.unwrap();
        let client = format!("{}:insecure-no-verify", server.local_endpoint());
        let client: ropewalk_core::ClientEndpoint = client.parse().unwrap();
        let serves = async || {
            let conn = client.connect().await.unwrap();
            conn.peer()
                .tls
                .as_ref()
                .unwrap()
                .identity()
                .unwrap()
                .fingerprint
        };
        assert_eq!(serves().await, old.fingerprint());

        folder.write("chain.pem", &new.chain);
        let error = server.reload_certificates().unwrap_err().to_string();
        assert!(
            error.starts_with(&path("chain.pem")) && error.contains("keys may not be consistent"),
            "{error}"
        );
        folder.write("key.pem", "-----BEGIN");
        let error = server.reload_certificates().unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: expected a private key in PEM, not encrypted",
                path("key.pem")
            )
        );
        let expired = root.issue_expired(&["127.0.0.1"]);
        folder.write("chain.pem", &expired.chain);
        folder.write("key.pem", &expired.key);
        let error = server.reload_certificates().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "{}: the certificate expired on 20",
                path("chain.pem")
            )),
            "{error}"
        );
        folder.remove("key.pem");
        server.reload_certificates().unwrap_err();
        assert_eq!(serves().await, old.fingerprint());

        folder.write("chain.pem", &new.chain);
        folder.write("key.pem", &new.key);
        server.reload_certificates().unwrap();
        assert_eq!(serves().await, new.fingerprint());
    });
}

/// Connections are made all the time, while another thread writes the files in
/// no careful manner and has them read in every state.
#[test]
fn no_connection_fails_while_the_folder_changes() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let folder = Folder::new(&[("middle.pem", &middle.pem)]);
    let issued: Vec<_> = (0..4).map(|_| middle.issue(&["a.test"])).collect();
    folder.write("a/fullchain.pem", &issued[0].chain);
    folder.write("a/privkey.pem", &issued[0].key);
    folder.write("b.pem", &root.issue(&["*.test"]).both());
    let rounds = match std::env::var_os("ROPEWALK_DEEP") {
        Some(_) => 2000,
        None => 50,
    };
    testing::run_in_real_time(async {
        let tls = folder.serve();
        let site = Site::new(&tls).await;
        let writing = {
            let (tls, issued) = (tls.clone(), issued.clone());
            std::thread::spawn(move || {
                for round in 1..=rounds {
                    let new = &issued[round % issued.len()];
                    folder.write("a/fullchain.pem", &new.chain);
                    let _ = tls.reload();
                    folder.write("a/privkey.pem", &new.key[..new.key.len() / 2]);
                    let _ = tls.reload();
                    folder.write("a/privkey.pem", &new.key);
                    tls.reload().unwrap();
                }
                folder
            })
        };
        let mut served = BTreeSet::new();
        while !writing.is_finished() {
            // A new client each time, which resumes nothing.
            let mut conn = site.connect(&root.client(), "a.test").await.unwrap();
            echoes(&mut conn).await.unwrap();
            let tls = conn.peer().tls.as_ref().unwrap();
            served.insert(tls.identity().unwrap().fingerprint);
        }
        let _folder = writing.join().unwrap();
        let known: BTreeSet<_> = issued.iter().map(Issued::fingerprint).collect();
        assert!(served.is_subset(&known), "{served:?}");
        let last = &issued[rounds % issued.len()];
        assert_eq!(site.serves("a.test").await, last.fingerprint());
        assert!(tls.handshakes().failures().all(|(_, count)| count == 0));
    });
}

/// As a service it reads them again when the program is told to.
#[test]
fn a_service_reads_its_certificates_again() {
    let root = Authority::new("root");
    let a = root.issue_for(&["a.test"], 60);
    let folder = Folder::new(&[("a.pem", &a.both())]);
    testing::run_in_real_time(async {
        let file = ropewalk_core::endpoint::quote(folder.path().join("a.pem").to_str().unwrap());
        let service = listen(format!("tls:0:cert={file}"), async |_: Connection| Ok(()));
        service.reload().await.unwrap();
        service.bind().await.unwrap();
        service.reload().await.unwrap();
        folder.write("a.pem", "no certificate");
        let error = service.reload().await.unwrap_err();
        assert!(error.to_string().contains("a.pem"), "{error}");
    });
}
