//! What holds for any users file. Used by the fuzz target and by the replay of
//! its corpus.

use std::{cell::OnceCell, fs};

use ropewalk_cred::*;

thread_local! {
    /// One folder for all runs: making one costs more than the check.
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

pub(crate) fn check(data: &[u8]) {
    let [how, text @ ..] = data else {
        return;
    };
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a scratch folder"));
        let path = folder.path().join("users");
        fs::write(&path, text).expect("the scratch folder is writable");
        let mut options = UsersOptions::default();
        options.empty_cost = Argon2Cost::with(8, 1, 1);
        options.allow_plaintext_passwords_in_file = how & 1 != 0;
        options.ignore_case = how & 2 != 0;
        let edited = UsersEditor::open(&path);
        match UsersFile::open(&path, options.clone()) {
            Err(error) => told_well(&error, text),
            Ok(users) => {
                let mut editor = edited.expect("what can be served can be edited");
                assert_eq!(editor.names().count(), users.len());
                if how & 4 != 0 {
                    saved(&mut editor, &path, &options);
                }
            }
        }
    });
    for line in text.split(|b| *b == b'\n') {
        let hash = line.splitn(2, |b| *b == b':').nth(1).unwrap_or(line);
        if let Ok(hash) = std::str::from_utf8(hash) {
            one_hash(hash);
        }
    }
}

/// An error names lines that there are, and shows no control characters.
fn told_well(error: &UsersError, text: &[u8]) {
    let count = text.split(|b| *b == b'\n').count();
    if let UsersError::Lines { lines, .. } = error {
        assert!(!lines.is_empty());
        assert!(lines.iter().all(|it| (1..=count).contains(&it.number)));
        for line in lines {
            assert!(!line.what.contains(char::is_control), "{:?}", line.what);
        }
    }
}

/// What the editor does to one user leaves the others as they were.
fn saved(editor: &mut UsersEditor, path: &std::path::Path, options: &UsersOptions) {
    let before: Vec<_> = editor.names().map(str::to_owned).collect();
    let cost = NewHash::Argon2id(Argon2Cost::with(8, 1, 1));
    match editor.add("fuzz", b"x", cost) {
        Ok(()) => {
            editor.lock("fuzz", true).expect("it was added");
            assert!(editor.names().take(before.len()).eq(before.iter()));
            editor.save().expect("the scratch folder is writable");
            let after = UsersFile::open(path, options.clone());
            let clash = options.ignore_case && before.iter().any(|it| it.to_lowercase() == "fuzz");
            assert!(clash || after.expect("it could be read").len() == before.len() + 1);
        }
        Err(error) => assert!(matches!(error, EditError::Exists(_)), "{error}"),
    }
}

/// Whatever is read prints its scheme alone, and what is quick can be verified.
fn one_hash(text: &str) {
    let Ok(hash) = PasswordHash::parse_with_plaintext(text) else {
        return;
    };
    assert_eq!(
        format!("{hash:?}"),
        format!("PasswordHash({})", hash.scheme())
    );
    let quick = match hash.scheme() {
        "argon2id" | "argon2i" => text.contains("$m=8,t=1,p=1$"),
        "bcrypt" => text.contains("$04$"),
        "sha256-crypt" | "sha512-crypt" => text.contains("$rounds=1000$"),
        "pbkdf2" | "scram-sha-1" | "scram-sha-256" => false,
        _ => true,
    };
    if quick {
        let _ = hash.verify(b"secret");
    }
}
