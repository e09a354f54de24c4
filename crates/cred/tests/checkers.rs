//! Checkers, the portal, users files and back-off, by the public API.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "checkers/dispatch.rs"]
mod dispatch;
#[path = "checkers/limits.rs"]
mod limits;
#[cfg(feature = "postgres")]
#[path = "checkers/postgres.rs"]
mod postgres;
#[path = "checkers/programs.rs"]
mod programs;
#[path = "checkers/spec.rs"]
mod spec;

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ropewalk_cred::{sasl::*, *};
use tokio::time::Instant;

const QUICK: NewHash = NewHash::Argon2id(quick());

const fn quick() -> Argon2Cost {
    Argon2Cost::with(64, 1, 1)
}

fn options() -> UsersOptions {
    let mut options = UsersOptions::default();
    options.empty_cost = quick();
    options
}

/// A users file of these lines.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn peer(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::password(user, password)
}

/// One hash of each scheme of the password `secret`; crypt(3), hashlib and
/// htpasswd made them.
const FOREIGN: &str = r"
# Made elsewhere.
sha512:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1
sha256:{SHA256-CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2
bcrypt:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW
dovecot:{BLF-CRYPT}$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW:1000:1000::/home/dovecot::
crypt:{CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2
ssha512:{SSHA512}E491yrR9AdCoE7rbOPYS3EZgSuZpVE65AD9xko08s6floNesY/Zpe9zMVvLix4S2FiQSJ99RIkNvhHomNO9uL3NhbHQ=
ssha256:{ssha256}+E+iFJ27Yu1ODPH1UNKUmzOmUT06dwfghQJRHHnMsO5zYWx0
pbkdf2:{PBKDF2}$1$salt$100$b73635f7c0882e1fc3ba6e29b14af1274df84828
";

#[tokio::test]
async fn hashes_made_elsewhere() {
    let (_dir, path) = file(FOREIGN);
    let portal = Portal::new().checker(UsersFile::open(path, options()).unwrap());
    for name in [
        "sha512", "sha256", "bcrypt", "dovecot", "crypt", "ssha512", "ssha256", "pbkdf2",
    ] {
        let account = portal.login(&password(name, "secret"), None).await.unwrap();
        assert_eq!((&*account.name, account.by), (name, Kind::Password));
        assert!(
            matches!(
                portal.login(&password(name, "Secret"), None).await,
                Err(Refused::Denied)
            ),
            "{name}"
        );
    }
    assert!(matches!(
        portal.login(&password("nobody", "secret"), None).await,
        Err(Refused::Denied)
    ));
    assert_eq!(portal.takes(), [Takes::Passwords]);
}

// RFC 9106's reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
#[test]
fn argon2id_known_answer() {
    let text =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(PasswordHash::parse(text).unwrap().verify(b"password"));
}

#[test]
fn every_wrong_line_is_named() {
    let (_dir, path) = file(
        "alice:$apr1$salt$hashhashhash\nbob:hunter2\ncarol\n:$2y$04$x\ndave:{PLAIN}hunter2\nerin:{MD5}x\n\
         frank:$2y$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\ngina:$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\n\
         henry:{SSHA512}x\nhenry:{NOVEL}x\nivan:$6$rounds=99999999$s$x\njudy:{SCRAM-SHA-256}1,2,3\nkim:",
    );
    let error = UsersFile::open(&path, options()).unwrap_err();
    let UsersError::Lines { lines, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        lines.iter().map(|it| it.number).collect::<Vec<_>>(),
        (1..=13).collect::<Vec<_>>()
    );
    let text = error.to_string();
    for part in [
        "users:1: alice: found $apr1$, expected a hash that is slow to guess",
        "users:2: bob: found a value without $, expected a hash such as",
        "users:3: found no colon, expected name:hash",
        "users:4: found the user name \"\"",
        "users:5: dave: found {PLAIN}, expected a hash",
        "users:6: erin: found {MD5}, expected",
        "users:7: frank: found $2y$, expected a bcrypt cost of 4 to 16",
        "users:8: gina: found $argon2id$, expected a cost",
        "users:9: henry: found {SSHA512}, expected base64",
        "and 3 more",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(
        !text.contains("hunter2") && !text.contains("hashhash"),
        "{text}"
    );
}

#[test]
fn a_missing_file_and_a_double_name() {
    let error = UsersFile::open("/nonexistent/users", options())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "users file /nonexistent/users: there is none; expected lines of name:hash"
        ),
        "{error}"
    );
    let hash = quick().hash(b"x").unwrap();
    let (_dir, path) = file(&format!("alice:{hash}\r\n\nalice:{hash}\n"));
    let error = UsersFile::open(path, options()).unwrap_err().to_string();
    assert!(
        error.contains("users:3: found \"alice\" again, expected it once; the first is in line 1"),
        "{error}"
    );
}

#[test]
fn hashes_never_panic() {
    for text in [
        "",
        "$",
        "$$",
        "$$$$$$",
        "{",
        "{}",
        "{}x",
        "$argon2id$",
        "$argon2id$v=19$m=1,t=1,p=1$$",
        "{PBKDF2}$1$é$1$éé",
    ] {
        assert!(PasswordHash::parse(text).is_err(), "{text}");
    }
    // 60 bytes, and not 60 letters.
    let long = format!("$2y$04$x{}", "é".repeat(26));
    assert_eq!(long.len(), 60);
    assert!(PasswordHash::parse(&long).is_err());
}

#[tokio::test]
async fn a_file_is_reloaded_whole_or_not_at_all() {
    let (_dir, path) = file(&format!("alice:{}\n", quick().hash(b"one").unwrap()));
    let users = Arc::new(UsersFile::open(&path, options()).unwrap());
    let portal = Portal::new().shared_checker(users.clone());
    fs::write(&path, "alice:broken\n").unwrap();
    assert!(users.reload().is_err());
    portal.login(&password("alice", "one"), None).await.unwrap();
    fs::write(&path, format!("alice:{}\n", quick().hash(b"two").unwrap())).unwrap();
    users.reload().unwrap();
    portal.login(&password("alice", "two"), None).await.unwrap();
    assert!(portal.login(&password("alice", "one"), None).await.is_err());
    fs::remove_file(&path).unwrap();
    assert!(users.reload().is_err());
    portal.login(&password("alice", "two"), None).await.unwrap();
}

#[tokio::test]
async fn users_are_managed() {
    let (_dir, path) = file(
        "# ours\nbob:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1:1000:1000::/home/bob::\n\nlegacy:$apr1$x$y\n",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    {
        let mut editor = UsersEditor::open(&path).unwrap();
        editor.add("alice", b"secret", QUICK).unwrap();
        assert_eq!(
            editor.add("alice", b"x", QUICK).unwrap_err().to_string(),
            "user \"alice\" exists; expected a new name"
        );
        assert!(matches!(
            editor.passwd("carol", b"x", QUICK),
            Err(EditError::Unknown(_))
        ));
        assert!(matches!(editor.remove("carol"), Err(EditError::Unknown(_))));
        assert!(matches!(
            editor.add("a:b", b"x", QUICK),
            Err(EditError::Name(_))
        ));
        assert!(matches!(
            editor.add("dave", b"", QUICK),
            Err(EditError::Password)
        ));
        editor.passwd("bob", b"new", QUICK).unwrap();
        editor.remove("legacy").unwrap();
        assert_eq!(editor.names().collect::<Vec<_>>(), ["bob", "alice"]);
        editor.save().unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# ours\nbob:$argon2id$")
            && text.contains(":1000:1000::/home/bob::\n\nalice:$argon2id$"),
        "{text}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    let portal = Portal::new().checker(UsersFile::open(&path, options()).unwrap());
    portal
        .login(&password("alice", "secret"), None)
        .await
        .unwrap();
    portal.login(&password("bob", "new"), None).await.unwrap();
}

#[test]
fn a_new_file_is_its_owners_alone() {
    let (_dir, path) = file("");
    fs::remove_file(&path).unwrap();
    assert!(UsersEditor::open(&path).is_err());
    let mut editor = UsersEditor::open_or_create(&path).unwrap();
    editor.add("alice", b"secret", QUICK).unwrap();
    editor.save().unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn users_are_listed_without_their_hashes() {
    let (_dir, path) = file("# ours\nalice:{PLAIN}secret\nbob:!\n");
    let mut editor = UsersEditor::open(&path).unwrap();
    editor.add("carol", b"secret", QUICK).unwrap();
    let users = editor.users().unwrap();
    let listed: Vec<_> = users
        .iter()
        .map(|user| (user.name.as_str(), user.scheme, user.locked))
        .collect();
    assert_eq!(
        listed,
        [
            ("alice", Some("plain"), false),
            ("bob", None, true),
            ("carol", Some("argon2id"), false),
        ]
    );
    assert!(editor.has("alice").unwrap() && !editor.has("dave").unwrap());
    assert!(matches!(editor.has("a:b"), Err(EditError::Name(_))));
    drop(editor);
    fs::write(&path, "alice:$1$weak$hash\n").unwrap();
    let error = UsersEditor::open(&path).unwrap().users().unwrap_err();
    assert!(error.to_string().contains(":1: alice: "), "{error}");
}

/// A client's exchange with a portal.
async fn sasl(
    portal: &Portal,
    login: &Login,
    channel: &Channel,
) -> Result<(Mechanism, Account), Failure> {
    let offered = Mechanisms::offered(&portal.takes(), channel, &ServerOptions::default());
    let mut client = offered
        .choose(login, channel, &ClientOptions::default())
        .unwrap();
    let mut server = offered
        .start(
            client.mechanism().name(),
            channel,
            &ServerOptions::default(),
        )
        .unwrap();
    let mut step = server.step(client.initial().as_deref());
    loop {
        step = match step {
            Step::Challenge(challenge) => server.step(Some(&client.respond(&challenge).unwrap())),
            Step::Ask(question) => server.answered(portal.answer(&question, None).await),
            Step::Success { account, data } => {
                client.finish(data.as_deref()).unwrap();
                return Ok((client.mechanism(), account));
            }
            Step::Failure(failure) => return Err(failure),
        };
    }
}

#[tokio::test]
async fn scram_from_stored_keys_from_plaintext_and_from_memory() {
    let keys = ScramKeys::generate(ScramHash::Sha256, b"pencil", 4096).to_text();
    let (_dir, stored) = file(&format!("user:{{SCRAM-SHA-256}}{keys}\n"));
    let (_dir2, clear) = file("user:{PLAIN}pencil\n");
    let mut plaintext = options();
    plaintext.allow_plaintext_passwords_in_file = true;
    let portals = [
        Portal::new().checker(UsersFile::open(stored, options()).unwrap()),
        Portal::new().checker(UsersFile::open(clear, plaintext).unwrap()),
        Portal::new().checker(Memory::new().user("user", "pencil")),
    ];
    let channel = Channel::encrypted().with_binding(Binding::tls_exporter(&[1; 32]));
    for portal in &portals {
        let (mechanism, account) = sasl(portal, &Login::password("user", "pencil"), &channel)
            .await
            .unwrap();
        assert_eq!(
            (mechanism, &*account.name, account.by),
            (Mechanism::ScramSha256Plus, "user", Kind::Scram)
        );
        for (user, password) in [("user", "pen"), ("nobody", "pencil")] {
            let refused = sasl(portal, &Login::password(user, password), &channel).await;
            assert!(
                matches!(refused, Err(Failure::Refused(Refused::Denied))),
                "{refused:?}"
            );
        }
        // The same for PLAIN, with the keys.
        portal
            .login(&password("user", "pencil"), None)
            .await
            .unwrap();

        // Nobody's keys are the same each time, and look like somebody's.
        let ask = async |user| portal.scram(user, ScramHash::Sha256).await.unwrap();
        let (once, again, real) = (ask("nobody").await, ask("nobody").await, ask("user").await);
        assert_eq!(once.keys, again.keys);
        assert!(once.account.is_none() && real.account.is_some());
        assert_eq!(
            (once.keys.salt().len(), once.keys.iterations()),
            (real.keys.salt().len(), real.keys.iterations())
        );
    }
}

#[tokio::test]
async fn scram_is_offered_only_where_everybody_has_keys() {
    let keys = ScramKeys::generate(ScramHash::Sha256, b"pencil", 4096).to_text();
    let text = format!(
        "user:{{SCRAM-SHA-256}}{keys}\nold:{}\n",
        quick().hash(b"x").unwrap()
    );
    let (_dir, path) = file(&text);
    let portal = Portal::new()
        .checker(Memory::new().user("a", "b"))
        .checker(UsersFile::open(path, options()).unwrap());
    assert_eq!(portal.takes(), [Takes::Passwords]);
}

#[tokio::test]
async fn each_kind_of_credentials() {
    let key = PublicKey::named("alice", "ssh-ed25519", *b"blob");
    let portal = Portal::new()
        .checker(
            Memory::new()
                .public_key(key.clone())
                .certificate(CertificateName::mail("alice@example.com"), "alice")
                .fingerprint(Certificate::new([], *b"bob").fingerprint(), "bob")
                .token("t0ken", "alice"),
        )
        .checker(AllowAnonymous);
    assert!(portal.knows_key(&key).await.unwrap());
    assert!(matches!(
        portal
            .login(&Credentials::PublicKey(key.clone()), None)
            .await,
        Err(Refused::Denied)
    ));
    let signed = Credentials::PublicKey(key.signature_verified());
    let other = Credentials::PublicKey(
        PublicKey::named("alice", "ssh-ed25519", *b"other").signature_verified(),
    );
    let certificate = |name, der: &[u8]| {
        let names = [CertificateName::dns("unknown"), name];
        Credentials::Certificate(Certificate::new(names, der))
    };
    for (shown, name) in [
        (signed, Some("alice")),
        (other, None),
        (
            certificate(CertificateName::mail("alice@Example.Com"), b""),
            Some("alice"),
        ),
        // Anybody's CA may sign a common name or a host's that looks like her address.
        (
            certificate(CertificateName::common("alice@example.com"), b""),
            None,
        ),
        (
            certificate(CertificateName::dns("alice@example.com"), b""),
            None,
        ),
        (
            certificate(CertificateName::mail("alice@example.com"), b"bob"),
            Some("bob"),
        ),
        (Credentials::token("t0ken"), Some("alice")),
        (Credentials::token("t0kem"), None),
        (
            Credentials::Anonymous(Anonymous::default()),
            Some("anonymous"),
        ),
        (password("alice", "x"), None),
    ] {
        let found = portal.login(&shown, None).await.ok().map(|it| it.name);
        assert_eq!(found.as_deref(), name, "{shown:?}");
    }
    assert!(matches!(
        portal.login(&password("alice", "x"), None).await,
        Err(Refused::NotTaken)
    ));
}

#[tokio::test]
async fn nobody_acts_as_another_unless_the_realm_says_so() {
    struct Root;
    impl Realm for Root {
        fn admit<'a>(
            &'a self,
            mut who: Account,
            act_as: Option<&'a str>,
        ) -> BoxFuture<'a, Result<Account, Refused>> {
            Box::pin(async move {
                if let (Some(name), "root") = (act_as, &*who.proven) {
                    who.name = name.to_owned();
                }
                OnlyOneself.admit(who.clone(), act_as).await
            })
        }
    }
    let portal = || Portal::new().checker(Memory::new().user("root", "r").user("alice", "a"));
    let shown = |user: &str, word: &str, act_as: &str| {
        let Credentials::Password(mut it) = password(user, word) else {
            unreachable!()
        };
        it.act_as = Some(act_as.into());
        Credentials::Password(it)
    };
    assert!(
        portal()
            .login(&shown("alice", "a", "alice"), None)
            .await
            .is_ok()
    );
    assert!(matches!(
        portal().login(&shown("root", "r", "alice"), None).await,
        Err(Refused::MayNotActAs)
    ));
    let with_realm = portal().realm(Root);
    let account = with_realm
        .login(&shown("root", "r", "alice"), None)
        .await
        .unwrap();
    assert_eq!((&*account.name, &*account.proven), ("alice", "root"));
    assert!(matches!(
        with_realm.login(&shown("alice", "a", "root"), None).await,
        Err(Refused::MayNotActAs)
    ));
}

// RFC 4013: composed and decomposed letters, and width.
#[tokio::test]
async fn names_and_passwords_are_prepared() {
    let portal = Portal::new().checker(Memory::new().user("René", "pass\u{ad}wörd"));
    portal
        .login(&password("Rene\u{301}", "passwo\u{308}rd"), None)
        .await
        .unwrap();
    for shown in [
        password("", "x"),
        password("\u{7}", "x"),
        password(&"x".repeat(256), "x"),
        password("x", &"x".repeat(1025)),
    ] {
        assert!(matches!(
            portal.login(&shown, None).await,
            Err(Refused::Denied)
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn an_accounts_failures_delay_and_success_clears_them() {
    let portal = Portal::new().checker(Memory::new().user("alice", "secret"));
    let wait = async |word| {
        let start = Instant::now();
        let ok = portal.login(&password("alice", word), None).await.is_ok();
        (ok, start.elapsed().as_millis())
    };
    let mut waits = Vec::new();
    for _ in 0..11 {
        waits.push(wait("wrong").await.1);
    }
    assert_eq!(waits, [0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
    assert_eq!(wait("secret").await, (true, 4000));
    assert_eq!(wait("secret").await, (true, 0));
    // And they are forgotten.
    for _ in 0..6 {
        wait("wrong").await;
    }
    tokio::time::advance(Duration::from_secs(15 * 60)).await;
    assert_eq!(wait("wrong").await, (false, 0));
}

#[tokio::test(start_paused = true)]
async fn a_peer_waits_in_line_and_is_turned_away() {
    let backoff = Backoff::default();
    let wait = |text: &str| backoff.wait(None, peer(text)).map(|it| it.as_millis()).ok();
    for _ in 0..13 {
        backoff.failed(None, peer("2001:db8::1"));
    }
    // One /64 is one peer; another is not, nor is loopback.
    assert_eq!(wait("2001:db8::ffff"), Some(250));
    assert_eq!(wait("2001:db8::2"), Some(500), "one after the other");
    assert_eq!(wait("2001:db8:0:1::1"), Some(0));
    for _ in 0..20 {
        backoff.failed(None, peer("192.0.2.1"));
        backoff.failed(None, peer("::1"));
    }
    assert_eq!(wait("::1"), Some(0));
    assert_eq!(
        wait("::ffff:192.0.2.1"),
        Some(30_000),
        "the same peer over IPv6"
    );
    assert!(matches!(
        backoff.wait(None, peer("192.0.2.1")),
        Err(Refused::TooMany { .. })
    ));
    // A success does not wash a peer clean.
    backoff.succeeded("anybody");
    assert!(backoff.wait(None, peer("192.0.2.1")).is_err());
}

#[tokio::test(start_paused = true)]
async fn back_off_remembers_a_bounded_number() {
    let mut options = BackoffOptions::default();
    options.remembered = 100;
    let backoff = Backoff::new(options);
    for n in 0..10_000 {
        backoff.failed(
            Some(&format!("user{n}")),
            Some(IpAddr::from([
                10,
                0,
                u8::try_from(n / 256).unwrap(),
                u8::try_from(n % 256).unwrap(),
            ])),
        );
        for _ in 0..2 {
            backoff.failed(Some("victim"), None);
        }
    }
    let (accounts, peers) = backoff.remembered();
    assert!(accounts <= 100 && peers <= 100, "{accounts} {peers}");
    // Who fails often is not pushed out by many who fail once.
    assert_eq!(
        backoff.wait(Some("victim"), None).unwrap(),
        Duration::from_secs(4)
    );
}

#[tokio::test]
async fn a_flood_of_logins_is_bounded() {
    let mut limits = HashLimits::default();
    (limits.at_once, limits.waiting) = (1, 2);
    let pool = HashPool::new(&limits);
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let busy = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(move || gate.recv().is_ok()).await }
    });
    tokio::task::yield_now().await;
    let waiting: Vec<_> = (0..2)
        .map(|n| {
            tokio::spawn({
                let pool = pool.clone();
                async move { pool.run(move || n).await }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(matches!(
        pool.run(|| ()).await,
        Err(Refused::TooMany { .. })
    ));
    open.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap());
    for (n, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(waiting.await.unwrap().unwrap(), n);
    }
    pool.run(|| ()).await.unwrap();
}

/// One user's hash stands in for everybody who does not exist: the password may
/// even fit it, and still nobody is let in.
#[tokio::test]
async fn the_hash_that_stands_in_lets_nobody_in() {
    let (_dir, path) = file(&format!("alice:{}\n", quick().hash(b"secret").unwrap()));
    let portal = Portal::new().checker(UsersFile::open(path, options()).unwrap());
    assert!(matches!(
        portal.login(&password("mallory", "secret"), None).await,
        Err(Refused::Denied)
    ));
    let (_dir, empty) = file("# nobody yet\n");
    let portal = Portal::new().checker(UsersFile::open(empty, options()).unwrap());
    assert!(matches!(
        portal.login(&password("mallory", "secret"), None).await,
        Err(Refused::Denied)
    ));
    assert_eq!(portal.takes(), [Takes::Passwords]);
}

proptest::proptest! {
    #[test]
    fn any_text_for_a_hash(scheme in "(\\{[A-Z0-9-]{1,14}\\}|)(\\$(argon2id|2y|5|6|1)|)", rest in "([$,=:a-z0-9]|\\PC){0,80}") {
        if let Ok(hash) = PasswordHash::parse_with_plaintext(&format!("{scheme}{rest}")) {
            let shown = format!("{hash:?}");
            proptest::prop_assert!(rest.len() < 12 || !shown.contains(&rest));
        }
    }
}
