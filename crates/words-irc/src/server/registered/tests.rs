use super::*;
use crate::proto::casemap::CaseMapping;
use std::sync::Arc;

const KEYS: &str = "{SCRAM-SHA-256}4096,QSXCR+Q6sek8bf92,+tpTbPQ+fmX5tWZ1wJAM4p5Gc4iD1t7MiWYGLe7gBIE=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn account(name: &str) -> Account {
    Account::new(name, KEYS, 1_795_377_600)
}

fn some() -> Registered {
    let mut registered = Registered::new(CaseMapping::Ascii);
    let mut ada = account("Ada");
    ada.certificates = vec!["ab".repeat(32)];
    assert!(registered.add_account(ada) && registered.add_account(account("bob")));
    let mut rope = Channel {
        name: "#Rope".to_owned(),
        founder: "Ada".to_owned(),
        modes: "nt".to_owned(),
        topic: Some(Topic {
            text: "knots \u{3}4 and \"quotes\"".to_owned(),
            by: "Ada".to_owned(),
            at: 1,
        }),
        ..Channel::default()
    };
    rope.access.insert("bob".to_owned(), Role::Voice);
    assert!(registered.add_channel(rope));
    registered.bans_mut().push(Ban {
        mask: "*@192.0.2.7".to_owned(),
        reason: "spam".to_owned(),
        by: "Ada".to_owned(),
        at: 1,
        until: Some(2),
    });
    registered
}

fn read(text: &str) -> Result<Registered, BadFile> {
    Registered::read(text.as_bytes(), CaseMapping::Ascii)
}

#[test]
fn what_is_written_is_read_the_same() {
    let written = some().write();
    let again = Registered::read(&written, CaseMapping::Ascii).unwrap();
    assert_eq!(again.write(), written);
    assert_eq!(again.account("ADA").unwrap().name, "Ada");
    assert_eq!(
        again.account_of_certificate(&"ab".repeat(32)).unwrap().name,
        "Ada"
    );
    assert_eq!(again.role("#rope", "ada"), Some(Role::Founder));
    assert_eq!(again.role("#ROPE", "Bob"), Some(Role::Voice));
    assert_eq!(again.role("#rope", "eve"), None);
    assert_eq!(again.seed(), some_seed(&written).seed());
}

fn some_seed(written: &[u8]) -> Registered {
    Registered::read(written, CaseMapping::Ascii).unwrap()
}

#[test]
fn an_account_that_goes_takes_its_channels_and_its_access() {
    let mut registered = some();
    assert!(registered.add_channel(Channel {
        name: "#bob".to_owned(),
        founder: "bob".to_owned(),
        ..Channel::default()
    }));
    registered.change_channel("#bob", |it| {
        it.access.insert("ada".to_owned(), Role::Operator)
    });
    assert_eq!(
        registered.remove_account("ADA"),
        Some(vec!["#Rope".to_owned()])
    );
    assert_eq!(registered.role("#bob", "ada"), None);
    assert!(
        registered
            .account_of_certificate(&"ab".repeat(32))
            .is_none()
    );
    assert_eq!(registered.remove_account("ada"), None);
    assert!(!registered.add_channel(Channel {
        name: "#x".to_owned(),
        founder: "ada".to_owned(),
        ..Channel::default()
    }));
}

#[test]
fn a_certificate_is_one_accounts() {
    let mut registered = some();
    let stolen = registered.change_account("bob", |it| it.certificates.push("ab".repeat(32)));
    assert_eq!(stolen, None);
    assert!(registered.account("bob").unwrap().certificates.is_empty());
    assert!(
        registered
            .change_account("ada", |it| it.certificates.clear())
            .is_some()
    );
    assert!(
        registered
            .change_account("bob", |it| it.certificates.push("ab".repeat(32)))
            .is_some()
    );
    assert!(registered.all_have_scram_keys());
    registered.change_account("bob", |it| it.hash = "$argon2id$x".to_owned());
    assert!(!registered.all_have_scram_keys());
    registered.remove_account("bob");
    assert!(registered.all_have_scram_keys());
}

/// Nothing of a damaged file is used, and the error names the line.
#[test]
fn a_damaged_file_is_told_by_its_line() {
    let whole = String::from_utf8(some().write()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let told = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        told(""),
        "line 1: found the end of the file, expected {\"end\":…} before it"
    );
    assert_eq!(
        told(&format!("{}\n", lines[1])),
        "line 1: expected {\"ropewalk-irc\":…} first"
    );
    let without = |n: usize| {
        let mut lines = lines.clone();
        lines.remove(n);
        lines.join("\n") + "\n"
    };
    assert_eq!(
        told(&without(2)),
        "line 5: found 3 records, expected 4: lines are missing"
    );
    assert_eq!(
        told(&without(1)),
        "line 3: channel \"#Rope\": found its name before, or no account \"Ada\""
    );
    assert_eq!(
        told(&without(5)),
        "line 6: found the end of the file, expected {\"end\":…} before it"
    );
    assert_eq!(
        told(&whole.replace("\"created\"", "\"crated\"")),
        "line 2: found an unknown field, one too few, or one of another kind, at column 169"
    );
    assert!(told(&whole.replace("{SCRAM", "SCRAM")).starts_with("line 2: account \"Ada\": found"));
    assert!(
        told(&whole.replace("\"bob\",\"hash", "\"ADA\",\"hash"))
            .starts_with("line 3: account \"ADA\"")
    );
    let damaged = Registered::read(b"{\"ropewalk\n\xff", CaseMapping::Ascii).unwrap_err();
    assert_eq!(damaged.line, 2);
    // Wherever it is cut, it is noticed.
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    read(&whole).unwrap();
}

#[test]
fn a_folder_is_one_servers_and_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("deep/er");
    let store = Store::open(Folder::open(&path).unwrap(), CaseMapping::Ascii).unwrap();
    let busy = Folder::open(&path).unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::WouldBlock);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("registered.jsonl")), 0o600);
    drop(store);
    std::fs::write(path.join("registered.jsonl"), "{}\n").unwrap();
    let error = Store::open(Folder::open(&path).unwrap(), CaseMapping::Ascii).unwrap_err();
    assert_eq!(
        error.to_string(),
        "registered.jsonl: line 1: found what is no JSON, at column 2; mend the line, or put a copy of the file in its place"
    );
    // It is as it was.
    assert_eq!(
        std::fs::read(path.join("registered.jsonl")).unwrap(),
        b"{}\n"
    );
}

mod simulation {
    use super::*;
    use ropewalk_core::{random, testing::sim::Simulation};

    /// Power fails between any two steps of any writing, and what is found then is
    /// what there was at one time: at least all that was said to be saved, whole.
    #[test]
    fn what_was_saved_outlives_a_crash() {
        // Files are written on threads of their own, whose order is the system's.
        let rounds = 50;
        Simulation::new().without_replay().over(rounds, async |_| {
            let disk = Arc::new(MemoryDisk::new());
            let mut said = 0;
            for _ in 0..8 {
                let store = Store::open_shared(disk.clone(), CaseMapping::Ascii).unwrap();
                let there = store.read(|it| it.accounts().count());
                assert!(there >= said, "{there} of {said}");
                store.read(|it| {
                    // Names are given in order, so a gap would be a half of a change.
                    for number in 0..there {
                        assert!(it.account(&format!("a{number}")).is_some());
                        assert!(it.channel(&format!("#a{number}")).is_some());
                    }
                });
                disk.fail_after(random() % 16);
                let mut number = there;
                loop {
                    store.change(|it| {
                        it.add_account(account(&format!("a{number}")));
                        it.add_channel(Channel {
                            name: format!("#a{number}"),
                            founder: format!("a{number}"),
                            ..Channel::default()
                        });
                    });
                    if store.saved().await.is_err() {
                        break;
                    }
                    number += 1;
                    said = number;
                }
                disk.crash(|n| random() % n);
            }
            Ok(())
        });
    }

    /// Changes that nobody waits for are written soon, in one writing, also after
    /// a disk has been away.
    #[test]
    fn changes_are_gathered() {
        ropewalk_core::testing::run(async {
            let disk = Arc::new(MemoryDisk::new());
            let store = Store::open_shared(disk.clone(), CaseMapping::Ascii)?;
            let keeping = tokio::spawn(store.clone().keep());
            disk.fail_after(0);
            store.change(|it| it.add_account(account("ada")));
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            // Four steps are one writing.
            disk.fail_after(4);
            store.change(|it| it.add_account(account("bob")));
            tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            let again = Store::open_shared(disk.clone(), CaseMapping::Ascii)?;
            assert_eq!(again.read(|it| it.accounts().count()), 2);
            keeping.abort();
            let _ = keeping.await;
            Ok::<(), ropewalk_core::Error>(())
        })
        .unwrap();
    }
}
