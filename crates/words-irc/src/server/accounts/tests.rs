use super::*;
use crate::server::registered::MemoryDisk;
use ropewalk_core::testing::run;
use std::sync::atomic::{AtomicUsize, Ordering};

fn quick() -> AccountOptions {
    AccountOptions {
        hash: NewHash::ScramSha256 {
            iterations: ScramKeys::FEWEST,
        },
        ..AccountOptions::default()
    }
}

fn accounts(options: AccountOptions) -> Accounts {
    Accounts::new(Store::in_memory(CaseMapping::Ascii), options)
}

fn peer(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

async fn register(
    accounts: &Accounts,
    name: &str,
    password: &str,
) -> Result<Outcome, AccountError> {
    accounts.register(name, None, &password.into(), None).await
}

async fn code(accounts: &Accounts, name: &str, password: &str) -> &'static str {
    register(accounts, name, password).await.unwrap_err().code()
}

#[test]
fn who_registers_may_log_in_in_any_case() {
    run(async {
        let accounts = accounts(quick());
        let done = register(&accounts, "Ada", "sesame").await.unwrap();
        assert_eq!(done, Outcome::Registered("Ada".to_owned()));
        let log_in =
            async |name: &str, password: &str| accounts.log_in(name, &password.into(), None).await;
        assert_eq!(log_in("aDA", "sesame").await.unwrap(), "Ada");
        for (name, password) in [("ada", "Sesame"), ("bob", "sesame"), ("", "sesame")] {
            let refused = log_in(name, password).await.unwrap_err();
            assert_eq!(refused.to_string(), "the credentials are not valid");
        }
        assert_eq!(code(&accounts, "ADA", "another").await, "ACCOUNT_EXISTS");
        accounts
            .set_password("ada", &"other word".into())
            .await
            .unwrap();
        assert!(log_in("ada", "sesame").await.is_err());
        log_in("ada", "other word").await.unwrap();
        assert_eq!(accounts.remove("ada").await.unwrap(), [""; 0]);
        assert!(log_in("ada", "other word").await.is_err());
    });
}

#[test]
fn what_is_refused_says_why() {
    run(async {
        let accounts = accounts(quick());
        assert_eq!(code(&accounts, "ada", "short").await, "WEAK_PASSWORD");
        assert_eq!(
            code(&accounts, "adalovelace", "AdaLovelace").await,
            "WEAK_PASSWORD"
        );
        assert_eq!(code(&accounts, "ada", "").await, "WEAK_PASSWORD");
        let long = "x".repeat(LONGEST_PASSWORD + 1);
        assert_eq!(code(&accounts, "ada", &long).await, "UNACCEPTABLE_PASSWORD");
        assert_eq!(code(&accounts, "", "sesame").await, "BAD_ACCOUNT_NAME");
        for email in ["ada", "@example.com", "ada@", "a b@example.com", "a@b"] {
            let refused = accounts
                .register("ada", Some(email), &"sesame".into(), None)
                .await;
            assert_eq!(refused.unwrap_err().code(), "INVALID_EMAIL", "{email}");
        }
        let closed = Accounts::new(
            Store::in_memory(CaseMapping::Ascii),
            AccountOptions {
                registration: false,
                ..quick()
            },
        );
        assert_eq!(
            code(&closed, "ada", "sesame").await,
            "TEMPORARILY_UNAVAILABLE"
        );
    });
}

/// A name costs as much to ask for as to take, by address.
#[test]
fn registrations_are_counted_by_address() {
    run(async {
        let accounts = accounts(AccountOptions {
            registrations: 4,
            ..quick()
        });
        let ask = async |name: &str, last| {
            let asked = accounts
                .register(name, None, &"sesame".into(), peer(last))
                .await;
            asked.map_or_else(|error| error.code(), |_| "SUCCESS")
        };
        assert_eq!(ask("ada", 1).await, "SUCCESS");
        for _ in 0..4 {
            assert_eq!(ask("ada", 1).await, "ACCOUNT_EXISTS");
        }
        assert_eq!(ask("ada", 1).await, "TEMPORARILY_UNAVAILABLE");
        assert_eq!(ask("bob", 1).await, "TEMPORARILY_UNAVAILABLE");
        assert_eq!(ask("bob", 2).await, "SUCCESS");
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        assert_eq!(ask("carol", 1).await, "SUCCESS");
    });
}

#[test]
fn an_account_that_cannot_be_kept_is_none() {
    run(async {
        let disk = Arc::new(MemoryDisk::new());
        let store = Store::open_shared(disk.clone(), CaseMapping::Ascii).unwrap();
        let accounts = Accounts::new(store, quick());
        disk.fail_after(2);
        assert_eq!(
            code(&accounts, "ada", "sesame").await,
            "TEMPORARILY_UNAVAILABLE"
        );
        disk.crash(|_| 0);
        assert!(
            accounts
                .log_in("ada", &"sesame".into(), None)
                .await
                .is_err()
        );
        register(&accounts, "ada", "sesame").await.unwrap();
        let again = Store::open_shared(disk, CaseMapping::Ascii).unwrap();
        let again = Accounts::new(again, quick());
        again.log_in("ada", &"sesame".into(), None).await.unwrap();
    });
}

/// One hash for each login, whether the name is known or not, and SCRAM's salt is
/// the same whenever it is asked for, also after a restart.
#[test]
fn names_cannot_be_told_by_cost_or_salt() {
    run(async {
        let disk = Arc::new(MemoryDisk::new());
        let salt = async |name: &str| {
            let store = Store::open_shared(disk.clone(), CaseMapping::Ascii).unwrap();
            let accounts = Accounts::new(store, AccountOptions::default());
            let record = accounts
                .gate()
                .scram(name, ScramHash::Sha256)
                .await
                .unwrap();
            (record.keys.salt().to_vec(), record.keys.iterations())
        };
        let before = salt("nobody").await;
        assert_eq!(salt("NOBODY").await, before);
        let store = Store::open_shared(disk.clone(), CaseMapping::Ascii).unwrap();
        let accounts = Accounts::new(store, AccountOptions::default());
        register(&accounts, "ada", "sesame").await.unwrap();
        assert_eq!(salt("nobody").await, before);
        let (ada, iterations) = salt("ada").await;
        assert_eq!((ada.len(), iterations), (before.0.len(), before.1));
        let begun = accounts.pool.begun();
        for name in ["ada", "nobody"] {
            let _ = accounts.log_in(name, &"wrong one".into(), None).await;
        }
        assert_eq!(accounts.pool.begun() - begun, 2);
    });
}

#[test]
fn a_certificate_logs_in_whose_it_is() {
    run(async {
        let accounts = accounts(quick());
        register(&accounts, "ada", "sesame").await.unwrap();
        register(&accounts, "bob", "sesame").await.unwrap();
        let certificate = ropewalk_cred::Certificate::new([], *b"DER");
        let shown = Credentials::Certificate(certificate.clone());
        assert!(accounts.gate().login(&shown, None).await.is_err());
        accounts
            .add_certificate("ada", certificate.fingerprint())
            .await
            .unwrap();
        let stolen = accounts
            .add_certificate("bob", certificate.fingerprint())
            .await;
        assert!(matches!(stolen, Err(AccountError::NotPossible)));
        assert_eq!(
            accounts.gate().login(&shown, None).await.unwrap().name,
            "ada"
        );
        for (act_as, fits) in [("ADA", true), ("bob", false)] {
            let mut certificate = certificate.clone();
            certificate.act_as = Some(act_as.to_owned());
            let shown = Credentials::Certificate(certificate);
            assert_eq!(
                accounts.gate().login(&shown, None).await.is_ok(),
                fits,
                "{act_as}"
            );
        }
    });
}

struct Box_(Arc<Mutex<Vec<Letter>>>);

impl Courier for Box_ {
    fn bring(&self, letter: Letter) -> ropewalk_core::BoxFuture<'_, Result<(), CourierError>> {
        let brought = if letter.email.ends_with("example.com") {
            self.0.lock().unwrap().push(letter);
            Ok(())
        } else {
            Err(CourierError("no such host".to_owned()))
        };
        Box::pin(async { brought })
    }
}

#[test]
fn a_mail_address_is_verified_where_there_is_a_courier() {
    run(async {
        let letters = Arc::new(Mutex::new(Vec::new()));
        let accounts = accounts(quick()).courier(Box_(letters.clone()));
        let register = async |email| {
            accounts
                .register("ada", email, &"sesame".into(), None)
                .await
        };
        assert_eq!(register(None).await.unwrap_err().code(), "INVALID_EMAIL");
        let refused = register(Some("a@nowhere.test")).await;
        assert_eq!(refused.unwrap_err().code(), "UNACCEPTABLE_EMAIL");
        let done = register(Some("a@example.com")).await.unwrap();
        assert_eq!(done, Outcome::VerificationRequired("ada".to_owned()));
        assert!(
            accounts
                .log_in("ada", &"sesame".into(), None)
                .await
                .is_err()
        );
        assert_eq!(
            register(Some("b@example.com")).await.unwrap_err().code(),
            "ACCOUNT_EXISTS"
        );
        let code = letters.lock().unwrap()[0].code.clone();
        let verify = async |code: &str| accounts.verify("ADA", code).await;
        assert_eq!(verify("0").await.unwrap_err().code(), "INVALID_CODE");
        assert_eq!(
            verify(&code).await.unwrap(),
            Outcome::Registered("ada".to_owned())
        );
        assert_eq!(verify(&code).await.unwrap_err().code(), "INVALID_CODE");
        accounts
            .log_in("ada", &"sesame".into(), None)
            .await
            .unwrap();
    });
}

/// Guessing ends the registration, and so does time.
#[test]
fn a_code_is_not_guessed() {
    run(async {
        let letters = Arc::new(Mutex::new(Vec::new()));
        let accounts = accounts(quick()).courier(Box_(letters.clone()));
        let begin = async || {
            let email = Some("a@example.com");
            accounts
                .register("ada", email, &"sesame".into(), None)
                .await
                .unwrap();
            letters.lock().unwrap().pop().unwrap().code
        };
        let code = begin().await;
        for _ in 0..TRIES {
            assert!(accounts.verify("ada", "0").await.is_err());
        }
        assert!(accounts.verify("ada", &code).await.is_err());
        let code = begin().await;
        tokio::time::sleep(CODE_LIFE).await;
        assert!(accounts.verify("ada", &code).await.is_err());
        let _ = begin().await;
    });
}

/// Two who register one name at the same time are not both told that it is
/// theirs.
#[test]
fn one_of_two_gets_a_name() {
    run(async {
        let accounts = accounts(quick());
        let done = AtomicUsize::new(0);
        let take = async || {
            if register(&accounts, "ada", "sesame").await.is_ok() {
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::join!(take(), take(), take());
        assert_eq!(done.into_inner(), 1);
    });
}
