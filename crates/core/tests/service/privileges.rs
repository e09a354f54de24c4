//! Becoming another account: as root it is done, elsewhere it is refused.

use std::{env, process::Command};

use ropewalk_core::{
    Connection, Result, Services,
    service::{Account, PrivilegeError, Program, drop_privileges, listen, service_fn},
    testing::run_in_real_time,
};

/// In the environment of a child: who it is to become.
const BECOME: &str = "ROPEWALK_TEST_BECOME";

/// The ids of every thread of this process, as the kernel has them.
fn ids() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let mut ids: Vec<String> = threads
        .map(|thread| {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let lines = status.lines().filter(|line| {
                ["Uid:", "Gid:", "Groups:"]
                    .iter()
                    .any(|name| line.starts_with(name))
            });
            lines.collect::<Vec<_>>().join(" ")
        })
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Runs the test of this name in a child process, which is to become `account`;
/// ids are those of a whole process.
fn in_a_child(name: &str, account: &str) {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .env("TMPDIR", folder.path())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(BECOME, account)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_becomes_another_account_for_good_or_says_why_not() {
    let name = "privileges::a_program_becomes_another_account_for_good_or_says_why_not";
    let Ok(account) = env::var(BECOME) else {
        in_a_child(name, "12345:23456");
        in_a_child(name, "nobody");
        return;
    };
    let account: Account = account.parse().unwrap();
    let before = ids();
    // Threads that were there before are changed as well.
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let waiting = std::thread::spawn(move || wait.recv().unwrap_err());
    let is_root = before.iter().any(|ids| ids.starts_with("Uid:\t0\t0\t0\t0"));
    let result = drop_privileges(&account);
    if is_root {
        result.unwrap();
        let [after] = &ids()[..] else {
            panic!("threads differ: {:?}", ids());
        };
        if account.to_string() == "12345:23456" {
            let words: Vec<_> = after.split_whitespace().collect();
            let [uid, gid] = ["12345", "23456"];
            let uids = ["Uid:", uid, uid, uid, uid];
            let gids = ["Gid:", gid, gid, gid, gid];
            assert_eq!(words, [&uids[..], &gids[..], &["Groups:", gid]].concat());
        }
        assert!(!after.contains("\t0"), "{after}");
        // What root alone may do is over; to be who one is, is not.
        assert!(std::fs::File::open("/etc/shadow").is_err());
        drop_privileges(&account).unwrap();
        let other = Account::user("54321").group("54321");
        let error = drop_privileges(&other).unwrap_err();
        assert!(matches!(error, PrivilegeError::Denied { .. }), "{error}");
    } else if let Err(error) = result {
        assert!(matches!(error, PrivilegeError::Denied { .. }), "{error}");
        assert_eq!(ids(), before);
    }
    drop(end);
    waiting.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_binds_as_who_it_is_and_runs_as_its_account() {
    let name = "privileges::a_program_binds_as_who_it_is_and_runs_as_its_account";
    if env::var_os(BECOME).is_none() {
        return in_a_child(name, "12345:23456");
    }
    // A folder that is closed to anybody else.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let endpoint = format!("unix:{}", socket.display());
    let witness = service_fn("witness", async |_| Err(ids().join("; ").into()));
    let services = Services::new()
        .add(listen(endpoint, async |_: Connection| Result::Ok(())))
        .add(witness);
    let is_root = ids()[0].starts_with("Uid:\t0\t0\t0\t0");
    let program = Program::new(services).account("12345:23456".parse().unwrap());
    let error = run_in_real_time(program.into_future()).unwrap_err();
    match is_root {
        true => assert!(
            error
                .to_string()
                .starts_with("witness: Uid:\t12345\t12345\t12345\t12345"),
            "{error}"
        ),
        false => assert!(error.is::<PrivilegeError>(), "{error}"),
    }
    // The parent removes it: we may not any more.
    let _ = folder.keep();
}
