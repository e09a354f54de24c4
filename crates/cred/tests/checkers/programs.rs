//! Hashes of other programs here, and ours there.

use std::process::{Command, Output};

use super::*;

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

mod with_doveadm {
    use super::*;

    #[test]
    #[ignore = "needs doveadm; cargo xtask test runs it where it is installed"]
    fn its_hashes_are_verified() {
        for (scheme, name) in [
            ("ARGON2ID", "argon2id"),
            ("ARGON2I", "argon2i"),
            ("BLF-CRYPT", "bcrypt"),
            ("SHA512-CRYPT", "sha512-crypt"),
            ("SHA256-CRYPT", "sha256-crypt"),
            ("CRYPT", "bcrypt"),
            ("PBKDF2", "pbkdf2"),
            ("SSHA256", "ssha256"),
            ("SSHA512", "ssha512"),
            ("SCRAM-SHA-1", "scram-sha-1"),
            ("SCRAM-SHA-256", "scram-sha-256"),
            ("PLAIN", "plain"),
            ("CLEARTEXT", "plain"),
        ] {
            let text = said("doveadm", &["pw", "-s", scheme, "-p", "sécret wörd"]);
            let hash = PasswordHash::parse_with_plaintext(&text)
                .unwrap_or_else(|error| panic!("{scheme}: {error}"));
            assert_eq!(hash.scheme(), name);
            assert!(hash.verify("sécret wörd".as_bytes()), "{scheme}");
            assert!(!hash.verify("sécret word".as_bytes()), "{scheme}");
        }
    }

    #[test]
    #[ignore = "needs doveadm; cargo xtask test runs it where it is installed"]
    fn its_weak_schemes_are_refused() {
        for scheme in [
            "MD5",
            "MD5-CRYPT",
            "PLAIN-MD5",
            "LDAP-MD5",
            "SMD5",
            "SHA",
            "SSHA",
            "SHA256",
            "SHA512",
            "DES-CRYPT",
            "CRAM-MD5",
            "HMAC-MD5",
            "PLAIN-MD4",
            "OTP",
            "PLAIN-TRUNC",
        ] {
            let text = said("doveadm", &["pw", "-s", scheme, "-p", "secret"]);
            let error = PasswordHash::parse_with_plaintext(&text)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("found {{{scheme}}}")),
                "{scheme}: {error}"
            );
            assert!(
                !text.split('}').nth(1).is_some_and(|it| error.contains(it)),
                "{error}"
            );
        }
        // It wants the user's name in the hash.
        let text = said(
            "doveadm",
            &["pw", "-s", "DIGEST-MD5", "-u", "user@realm", "-p", "secret"],
        );
        assert!(PasswordHash::parse(&text).is_err());
    }

    /// And those of letters that SASLprep changes are those of what it makes.
    #[test]
    #[ignore = "needs doveadm; cargo xtask test runs it where it is installed"]
    fn it_verifies_ours() {
        let argon2 = format!("{{ARGON2ID}}{}", quick().hash("sécret".as_bytes()).unwrap());
        let scram = |hash: ScramHash| {
            let keys = ScramKeys::generate(hash, "sécret".as_bytes(), 4096);
            format!("{{{}}}{}", hash.mechanism(), keys.to_text())
        };
        for hash in [argon2, scram(ScramHash::Sha1), scram(ScramHash::Sha256)] {
            let test = |word| {
                run("doveadm", &["pw", "-t", &hash, "-p", word])
                    .status
                    .success()
            };
            assert!(test("sécret"), "{hash}");
            assert!(!test("secret"), "{hash}");
        }
    }

    /// A passwd-file of its own, with a user of each scheme that is slow to guess.
    #[tokio::test]
    #[ignore = "needs doveadm; cargo xtask test runs it where it is installed"]
    async fn its_passwd_file_is_a_users_file() {
        let mut text = String::new();
        for scheme in [
            "ARGON2ID",
            "BLF-CRYPT",
            "SHA512-CRYPT",
            "PBKDF2",
            "SCRAM-SHA-256",
        ] {
            let hash = said("doveadm", &["pw", "-s", scheme, "-p", "secret"]);
            text += &format!(
                "{}:{hash}:1000:1000::/home/x::userdb_quota=1G\n",
                scheme.to_lowercase()
            );
        }
        let (_dir, path) = file(&text);
        let portal = Portal::new().checker(UsersFile::open(path, options()).unwrap());
        for user in [
            "argon2id",
            "blf-crypt",
            "sha512-crypt",
            "pbkdf2",
            "scram-sha-256",
        ] {
            let account = portal.login(&password(user, "secret"), None).await.unwrap();
            assert_eq!(account.name, user);
        }
    }
}

mod with_htpasswd {
    use super::*;

    #[tokio::test]
    #[ignore = "needs htpasswd; cargo xtask test runs it where it is installed"]
    async fn its_file_is_a_users_file() {
        let (_dir, path) = file("");
        let shown = path.to_str().unwrap();
        for (flags, user) in [("-bB", "bcrypt"), ("-b2", "sha256"), ("-b5", "sha512")] {
            said("htpasswd", &[flags, shown, user, "secret"]);
        }
        let users = Arc::new(UsersFile::open(&path, options()).unwrap());
        let portal = Portal::new().shared_checker(users.clone());
        for user in ["bcrypt", "sha256", "sha512"] {
            assert_eq!(
                portal
                    .login(&password(user, "secret"), None)
                    .await
                    .unwrap()
                    .name,
                user
            );
            assert!(portal.login(&password(user, "Secret"), None).await.is_err());
        }
        // Its default is refused, with what to do instead.
        said("htpasswd", &["-bm", shown, "md5", "secret"]);
        let error = users.reload().unwrap_err().to_string();
        assert!(
            error.contains("md5: found $apr1$") && error.contains("htpasswd -B"),
            "{error}"
        );
        // What ours adds, it leaves alone.
        let mut editor = UsersEditor::open(&path).unwrap();
        editor.remove("md5").unwrap();
        editor.add("ours", b"secret", QUICK).unwrap();
        editor.save().unwrap();
        drop(editor);
        said("htpasswd", &["-bB", shown, "later", "secret"]);
        users.reload().unwrap();
        assert!(
            portal
                .login(&password("ours", "secret"), None)
                .await
                .is_ok()
        );
        assert!(
            portal
                .login(&password("later", "secret"), None)
                .await
                .is_ok()
        );
    }
}
