//! Accounts in a real PostgreSQL, which the test makes and starts itself: in a
//! folder of its own, at a Unix socket only, and not as root, which it refuses.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::*;

/// A cluster that ends with it.
struct Cluster {
    dir: tempfile::TempDir,
    server: Option<Child>,
}

/// The program, also where Debian keeps it: off everybody's path, by version.
fn program(name: &str) -> Command {
    let mut folders: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path().join("bin"))
        .collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    let found = folders
        .iter()
        .map(|it| it.join(name))
        .find(|it| it.exists());
    let mut command = Command::new(found.unwrap_or_else(|| panic!("there is no {name}")));
    command.current_dir("/").stdin(Stdio::null());
    if nobody().is_some() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

const NOBODY: u32 = 65_534;

/// Root may become somebody else, and must.
fn nobody() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    root.then_some(NOBODY)
}

impl Cluster {
    fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(nobody) = nobody() {
            std::os::unix::fs::chown(dir.path(), Some(nobody), Some(nobody)).unwrap();
        }
        let output = program("initdb")
            .args([
                "--no-sync",
                "-A",
                "trust",
                "-U",
                "test",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(dir.path().join("data"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut cluster = Self { dir, server: None };
        cluster.start();
        cluster
    }

    fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it, and returns once it answers.
    fn start(&mut self) {
        let child = program("postgres")
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "unix_socket_directories=.",
            ])
            .arg("-D")
            .arg(self.folder().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(child.unwrap());
        let ready = || {
            let socket = self.folder().join("data");
            program("pg_isready")
                .args(["-q", "-t", "10", "-h"])
                .arg(socket)
                .status()
                .unwrap()
                .success()
        };
        // Each waits for the server itself while there is one to wait for.
        let begun = std::time::Instant::now();
        while !ready() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not start"
            );
            std::thread::yield_now();
        }
    }

    /// Ends it at once, as a crash does not: it says goodbye.
    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let data = self.folder().join("data");
            let ended = program("pg_ctl")
                .args(["stop", "-m", "fast", "-w", "-s", "-D"])
                .arg(data)
                .status();
            assert!(ended.unwrap().success());
            server.wait().unwrap();
        }
    }

    fn connection(&self) -> String {
        format!(
            "host={} user=test dbname=postgres",
            self.folder().join("data").display()
        )
    }

    async fn run(&self, sql: &str) {
        let (client, connection) =
            tokio_postgres::connect(&self.connection(), tokio_postgres::NoTls)
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Killed, it would leave its shared memory behind.
            let data = self.folder().join("data");
            let mut stop = program("pg_ctl");
            let _ = stop
                .args(["stop", "-m", "immediate", "-s", "-D"])
                .arg(data)
                .status();
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn quickly() -> PostgresOptions {
    let mut options = PostgresOptions::default();
    options.stand_in = Some(PasswordHash::parse(&quick().hash(b"x").unwrap()).unwrap());
    options
}

#[test]
fn connections_that_are_none_or_would_be_overheard() {
    let error = |text| PostgresUsers::new(text, quickly()).unwrap_err();
    assert!(matches!(
        error("host=db.example.com"),
        PostgresError::Remote
    ));
    assert!(matches!(
        error("postgres://u:p@192.0.2.1/x"),
        PostgresError::Remote
    ));
    assert!(matches!(
        error("hostaddr=192.0.2.1 host=localhost"),
        PostgresError::Remote
    ));
    assert!(matches!(error("nonsense"), PostgresError::Connection(_)));
    for local in [
        "host=/run/postgresql",
        "postgres://u:hunter2@localhost/x",
        "host=::1 user=x",
    ] {
        let users = PostgresUsers::new(local, quickly()).unwrap();
        assert!(!format!("{users:?}").contains("hunter2"));
    }
    let mut remote = quickly();
    remote.allow_remote_without_tls = true;
    assert!(PostgresUsers::new("host=db.example.com", remote).is_ok());
}

#[tokio::test]
async fn no_database_is_trouble_and_no_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let connection = format!("host={} user=x", dir.path().display());
    let users = PostgresUsers::new(&connection, quickly()).unwrap();
    assert!(matches!(
        users.connect().await,
        Err(PostgresError::Database(_))
    ));
    assert!(matches!(users.connect().await, Err(PostgresError::Lately)));
    let portal = Portal::new().checker(users);
    let refused = portal.login(&password("alice", "x"), None).await;
    assert!(matches!(refused, Err(Refused::Unavailable(_))));
}

mod with_postgres {
    use super::*;

    #[tokio::test]
    #[ignore = "needs postgres; cargo xtask test runs it where it is installed"]
    async fn accounts_in_a_table() {
        let mut cluster = Cluster::make();
        let hash = quick().hash(b"secret").unwrap();
        let keys = ScramKeys::generate(ScramHash::Sha256, b"secret", 4096).to_text();
        cluster
            .run(&format!(
                "CREATE TABLE users (name text PRIMARY KEY, password text);
                 INSERT INTO users VALUES ('alice', '{hash}'), ('locked', '!{hash}'), ('none', NULL),
                   ('scram', '{{SCRAM-SHA-256}}{keys}'), ('weak', '{{MD5}}x'), ('O''Brien', '{hash}');"
            ))
            .await;
        let pool = HashPool::default();
        let mut options = quickly();
        options.pool = pool.clone();
        options.retry_after = Duration::ZERO;
        let users = Arc::new(PostgresUsers::new(&cluster.connection(), options.clone()).unwrap());
        users.connect().await.unwrap();
        for user in ["alice", "scram", "O'Brien"] {
            let check = async |word| users.check(&password(user, word)).await;
            assert_eq!(check("secret").await.unwrap().name, user);
            assert!(matches!(check("wrong").await, Err(Refused::Denied)));
        }
        // Each costs one hash, whoever it is.
        for (user, known) in [
            ("alice", true),
            ("locked", true),
            ("none", true),
            ("nobody", false),
            ("'; DROP TABLE users; --", false),
        ] {
            let before = pool.begun();
            let refused = users.check(&password(user, "wrong")).await.unwrap_err();
            assert_eq!(matches!(refused, Refused::Denied), known, "{user}");
            assert_eq!(pool.begun() - before, 1, "{user}");
        }
        for user in ["locked", "none"] {
            assert!(users.check(&password(user, "secret")).await.is_err());
        }
        let error = users.check(&password("weak", "x")).await.unwrap_err();
        assert!(error.is_temporary(), "{error}");

        // It is restarted: the next login is served by a new connection, and while it
        // is down it is told as trouble.
        cluster.stop();
        let down = users.check(&password("alice", "secret")).await;
        assert!(matches!(down, Err(Refused::Unavailable(_))));
        cluster.start();
        assert!(users.check(&password("alice", "secret")).await.is_ok());
        // A connection that was cut: once more, and nobody notices.
        cluster
            .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
            .await;
        assert!(users.check(&password("alice", "secret")).await.is_ok());
        // A column of another type under the same query.
        cluster
            .run("ALTER TABLE users ALTER password TYPE varchar(500)")
            .await;
        assert!(users.check(&password("alice", "secret")).await.is_ok());

        // A query that hangs has a deadline, and what comes after it is served.
        let mut slow = options.clone();
        slow.query = "SELECT password FROM users WHERE name = $1 AND \
                      (name <> 'slow' OR pg_sleep(3600) IS NULL)"
            .into();
        slow.query_timeout = Duration::from_secs(2);
        let slow = PostgresUsers::new(&cluster.connection(), slow).unwrap();
        cluster
            .run(&format!("INSERT INTO users VALUES ('slow', '{hash}')"))
            .await;
        let stuck = slow.check(&password("slow", "secret")).await;
        assert!(matches!(stuck, Err(Refused::Unavailable(_))));
        assert!(slow.check(&password("alice", "secret")).await.is_ok());

        // Names in any case, and the account's own.
        options.query = "SELECT password, name FROM users WHERE lower(name) = lower($1)".into();
        let any_case = PostgresUsers::new(&cluster.connection(), options.clone()).unwrap();
        let account = any_case.check(&password("ALICE", "secret")).await.unwrap();
        assert_eq!(account.name, "alice");

        options.query = "SELECT 1, 2, 3".into();
        let odd = PostgresUsers::new(&cluster.connection(), options).unwrap();
        assert!(matches!(odd.connect().await, Err(PostgresError::Query)));
    }

    #[tokio::test]
    #[ignore = "needs postgres; cargo xtask test runs it where it is installed"]
    async fn scram_from_a_table() {
        let cluster = Cluster::make();
        let keys = ScramKeys::generate(ScramHash::Sha256, b"pencil", 5000).to_text();
        let row = format!("{{SCRAM-SHA-256}}{keys}");
        cluster
            .run(&format!(
                "CREATE TABLE users (name text PRIMARY KEY, password text);
                 INSERT INTO users VALUES ('user', '{row}'), ('locked', '!{row}')"
            ))
            .await;
        let mut options = quickly();
        options.scram = vec![ScramHash::Sha256];
        options.stand_in = Some(PasswordHash::parse(&row).unwrap());
        let users = PostgresUsers::new(&cluster.connection(), options).unwrap();
        let portal = Portal::new().checker(users);
        let channel = Channel::encrypted();
        let login = async |user: &str, word: &str| {
            sasl(&portal, &Login::password(user, word), &channel).await
        };
        assert_eq!(
            login("user", "pencil").await.unwrap().0,
            Mechanism::ScramSha256
        );
        for (user, word) in [("user", "pen"), ("locked", "pencil"), ("nobody", "pencil")] {
            let refused = login(user, word).await;
            assert!(
                matches!(refused, Err(Failure::Refused(Refused::Denied))),
                "{user}"
            );
        }
        let nobody = portal.scram("nobody", ScramHash::Sha256).await.unwrap();
        assert_eq!(
            (nobody.keys.iterations(), nobody.keys.salt().len()),
            (5000, 16)
        );
    }
}
