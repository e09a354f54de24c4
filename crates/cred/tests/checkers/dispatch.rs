//! Several checkers in one portal: who is asked, who decides, and what Twisted
//! could not do.

use super::*;

/// Answers what it is told to, and counts how often it was asked.
struct Says(fn() -> Result<Account, Refused>, Arc<AtomicUsize>);

impl Checker for Says {
    fn takes(&self) -> Vec<Takes> {
        vec![Takes::Passwords]
    }
    fn check<'a>(&'a self, _: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { self.0() })
    }
}

fn yes() -> Result<Account, Refused> {
    Ok(Account::new("alice", Kind::Password))
}
fn wrong() -> Result<Account, Refused> {
    Err(Refused::Denied)
}
fn unknown() -> Result<Account, Refused> {
    Err(Refused::Unknown)
}
fn down() -> Result<Account, Refused> {
    Err(Refused::unavailable("no route to the database"))
}

/// What comes of two checkers, in one letter each, and how often they were
/// asked.
async fn both(
    first: fn() -> Result<Account, Refused>,
    second: fn() -> Result<Account, Refused>,
) -> (&'static str, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let portal = Portal::new()
        .checker(Says(first, asked.clone()))
        .checker(Says(second, asked.clone()));
    let outcome = match portal.login(&password("alice", "x"), None).await {
        Ok(_) => "in",
        Err(Refused::Denied) => "denied",
        Err(Refused::Unavailable(_)) => "trouble",
        Err(other) => panic!("{other:?}"),
    };
    (outcome, asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn the_first_that_knows_the_user_decides() {
    assert_eq!(both(yes, wrong).await, ("in", 1));
    assert_eq!(both(unknown, yes).await, ("in", 2));
    // Another password for the same name, or a lock that the second knows not of.
    assert_eq!(both(wrong, yes).await, ("denied", 2));
    // A failure asks all, whoever was named.
    assert_eq!(both(wrong, unknown).await, ("denied", 2));
    assert_eq!(both(unknown, wrong).await, ("denied", 2));
    assert_eq!(both(unknown, unknown).await, ("denied", 2));
    // Whoever is in trouble may have been the one to decide.
    assert_eq!(both(down, yes).await, ("trouble", 2));
    assert_eq!(both(yes, down).await, ("in", 1));
    // Else names of the first could be told while the second is down.
    assert_eq!(both(wrong, down).await, ("trouble", 2));
    assert_eq!(both(unknown, down).await, ("trouble", 2));
}

#[tokio::test(start_paused = true)]
async fn guesses_count_while_another_checker_is_in_trouble() {
    let asked = Arc::new(AtomicUsize::new(0));
    let portal = Portal::new()
        .checker(Says(wrong, asked.clone()))
        .checker(Says(down, asked));
    let start = Instant::now();
    for _ in 0..5 {
        assert!(portal.login(&password("alice", "x"), None).await.is_err());
    }
    assert!(start.elapsed() >= Duration::from_millis(250));
}

/// A locked user's password is right, and another file has the same name.
#[tokio::test]
async fn who_is_locked_in_one_file_does_not_come_in_by_the_next() {
    let hash = quick().hash(b"secret").unwrap();
    let (_dir, locked) = file(&format!(
        "alice:!{hash}\nbob:*\ncarol:!\ndave:{hash}:1000\n"
    ));
    let (_dir2, open) = file(&format!("alice:{hash}\nbob:{hash}\nerin:{hash}\n"));
    let portal = Portal::new()
        .checker(UsersFile::open(&locked, options()).unwrap())
        .checker(UsersFile::open(open, options()).unwrap());
    let tried = async |user| {
        let outcome = portal.login(&password(user, "secret"), None).await;
        outcome.map(|it| it.name)
    };
    for user in ["alice", "bob", "carol"] {
        assert!(matches!(tried(user).await, Err(Refused::Denied)), "{user}");
    }
    assert_eq!(tried("dave").await.unwrap(), "dave");
    assert_eq!(tried("erin").await.unwrap(), "erin");

    // And back again.
    let mut editor = UsersEditor::open(&locked).unwrap();
    editor.lock("alice", false).unwrap();
    editor.lock("carol", false).unwrap();
    editor.lock("dave", true).unwrap();
    editor.passwd("dave", b"new", QUICK).unwrap();
    assert!(matches!(
        editor.lock("nobody", true),
        Err(EditError::Unknown(_))
    ));
    editor.save().unwrap();
    let text = fs::read_to_string(&locked).unwrap();
    assert!(
        text.starts_with(&format!("alice:{hash}\nbob:*\ncarol:*\ndave:!$argon2id$")),
        "{text}"
    );
    assert!(text.ends_with(":1000\n"), "{text}");
}

/// Keys of a shape that only some have would tell who does not exist.
#[tokio::test]
async fn fake_scram_keys_come_in_every_checkers_shape() {
    let keys = |iterations| ScramKeys::generate(ScramHash::Sha256, b"pencil", iterations).to_text();
    let (_dir, one) = file(&format!("alice:{{SCRAM-SHA-256}}{}\n", keys(5000)));
    let (_dir2, two) = file(&format!(
        "bob:{{SCRAM-SHA-256}}{}\nlocked:!{{SCRAM-SHA-256}}{}\n",
        keys(6000),
        keys(6000)
    ));
    let portal = Portal::new()
        .checker(UsersFile::open(one, options()).unwrap())
        .checker(UsersFile::open(two, options()).unwrap());
    let ask = async |user: &str| portal.scram(user, ScramHash::Sha256).await.unwrap();
    assert_eq!(ask("bob").await.keys.iterations(), 6000);
    assert!(ask("locked").await.account.is_none());
    let mut shapes = std::collections::BTreeSet::new();
    for n in 0..64 {
        let nobody = ask(&format!("nobody{n}")).await;
        assert!(nobody.account.is_none());
        assert_eq!(nobody.keys, ask(&format!("nobody{n}")).await.keys);
        shapes.insert(nobody.keys.iterations());
    }
    assert_eq!(shapes.into_iter().collect::<Vec<_>>(), [5000, 6000]);
}

/// The whole of an exchange with a locked user, whose keys stay what they were.
#[tokio::test]
async fn scram_lets_nobody_in_who_is_locked() {
    let keys = ScramKeys::generate(ScramHash::Sha256, b"pencil", 4096).to_text();
    let (_dir, path) = file(&format!("user:!{{SCRAM-SHA-256}}{keys}\n"));
    let portal = Portal::new().checker(UsersFile::open(path, options()).unwrap());
    let (login, channel) = (Login::password("user", "pencil"), Channel::encrypted());
    let refused = sasl(&portal, &login, &channel);
    assert!(matches!(
        refused.await,
        Err(Failure::Refused(Refused::Denied))
    ));
}

#[tokio::test]
async fn case_may_be_ignored() {
    let hash = quick().hash(b"secret").unwrap();
    let (_dir, path) = file(&format!("Alice:{hash}\n"));
    let mut ignoring = options();
    ignoring.ignore_case = true;
    let portal = Portal::new().checker(UsersFile::open(&path, ignoring.clone()).unwrap());
    let account = portal.login(&password("aLICE", "secret"), None).await;
    assert_eq!(account.unwrap().name, "alice");
    let strict = Portal::new().checker(UsersFile::open(&path, options()).unwrap());
    assert!(
        strict
            .login(&password("alice", "secret"), None)
            .await
            .is_err()
    );
    fs::write(&path, format!("Alice:{hash}\nalice:{hash}\n")).unwrap();
    let error = UsersFile::open(&path, ignoring).unwrap_err().to_string();
    assert!(error.contains("users:2: found \"alice\" again"), "{error}");
}

#[test]
fn a_changed_file_is_read_again_and_a_wrong_one_told_once() {
    let hash = quick().hash(b"secret").unwrap();
    let (_dir, path) = file(&format!("alice:{hash}\n"));
    let users = UsersFile::open(&path, options()).unwrap();
    assert!(!users.reload_if_changed().unwrap());
    fs::write(&path, format!("alice:{hash}\nbob:{hash}\n")).unwrap();
    assert!(users.reload_if_changed().unwrap());
    assert_eq!(users.len(), 2);
    fs::write(&path, "broken").unwrap();
    assert!(users.reload_if_changed().is_err());
    assert!(!users.reload_if_changed().unwrap());
    fs::remove_file(&path).unwrap();
    assert!(users.reload_if_changed().is_err());
    assert_eq!(users.len(), 2, "what was read stays");
    assert!(!format!("{users:?}").contains("alice"));
}

/// Letters that become others when they are prepared, and would then begin a
/// field, a comment, or end in a space that nobody sees.
#[test]
fn no_letter_in_a_name_becomes_part_of_the_file() {
    let (_dir, path) = file("");
    let mut editor = UsersEditor::open(&path).unwrap();
    for name in [
        "root\u{ff1a}x",
        "\u{ff03}alice",
        "alice\u{3000}",
        "\u{a0}alice",
        "a\nb:c",
        "\u{85}",
    ] {
        assert!(
            matches!(editor.add(name, b"x", QUICK), Err(EditError::Name(_))),
            "{name:?}"
        );
    }
    assert_eq!(editor.names().count(), 0);
}

#[test]
fn sessions_are_counted_found_and_ended_once() {
    let mut limits = SessionLimits::default();
    (limits.per_account, limits.total) = (2, 3);
    let sessions = Sessions::new(limits);
    let enter = |name: &str, mind| sessions.enter(Account::new(name, Kind::Password), mind);
    let one = enter("alice", 1).unwrap();
    let two = enter("alice", 2).unwrap();
    assert!(matches!(enter("alice", 3), Err(Refused::TooMany { .. })));
    let mut bob = enter("bob", 4).unwrap();
    assert!(enter("carol", 5).is_err(), "three in all");
    let minds = |name| {
        sessions
            .minds(name)
            .into_iter()
            .map(|it| *it)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (minds("alice"), minds("bob"), minds("carol")),
        (vec![1, 2], vec![4], vec![])
    );
    drop(one);
    assert_eq!((minds("alice"), two.mind().as_ref()), (vec![2], &2));

    let said = Arc::new(std::sync::Mutex::new(Vec::new()));
    for word in ["first", "second"] {
        let (said, sessions) = (said.clone(), sessions.clone());
        // It is out of the list by then, and the list is not locked.
        bob.on_logout(move |account| {
            said.lock()
                .unwrap()
                .push((word, account.name.clone(), sessions.minds("bob").len()));
        });
    }
    drop(bob);
    let said = said.lock().unwrap();
    assert_eq!(
        *said,
        [
            ("second", "bob".to_owned(), 0),
            ("first", "bob".to_owned(), 0)
        ]
    );
    assert_eq!(sessions.accounts(), [("alice".to_owned(), 1)]);
}

// Twisted #10209, #11854, #12558: FilePasswordDB compared text with bytes, so that
// `file:` let nobody in over FTP and words, whose names were of the other kind.
#[tokio::test]
async fn twisted_10209_a_users_file_serves_text_and_bytes_alike() {
    let hash = quick().hash("pässword".as_bytes()).unwrap();
    let (_dir, path) = file(&format!("jürgen:{hash}\n"));
    let portal = Portal::new().checker(UsersFile::open(path, options()).unwrap());
    for secret in [
        Secret::from("pässword"),
        Secret::from("pässword".as_bytes()),
    ] {
        let shown = Credentials::password("jürgen", secret);
        assert_eq!(portal.login(&shown, None).await.unwrap().name, "jürgen");
    }
    // By SASL, whose names and passwords are bytes on the wire.
    let (login, channel) = (Login::password("jürgen", "pässword"), Channel::encrypted());
    let by_sasl = sasl(&portal, &login, &channel);
    assert_eq!(by_sasl.await.unwrap().1.name, "jürgen");
}

// Twisted's UnhandledCredentials: a kind that no checker takes is told apart from a
// wrong proof, since the operator is to mend it.
#[tokio::test]
async fn twisted_unhandled_credentials() {
    let portal = Portal::new().checker(AllowAnonymous);
    let shown = password("alice", "x");
    assert!(matches!(
        portal.login(&shown, None).await,
        Err(Refused::NotTaken)
    ));
    let nobody = Portal::new();
    let anonymous = Credentials::Anonymous(Anonymous::default());
    assert!(matches!(
        nobody.login(&anonymous, None).await,
        Err(Refused::NotTaken)
    ));
    assert!(portal.login(&anonymous, None).await.unwrap().is_anonymous());
}
