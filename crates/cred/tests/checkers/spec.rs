//! Checkers by a string.

use super::*;

#[tokio::test]
async fn checkers_by_a_string() {
    let hash = quick().hash(b"secret").unwrap();
    let (_dir, path) = file(&format!("carol:{hash}\n"));
    let portal = Portal::new()
        .shared_checker(checker("memory:alice:secret:bob:battery").unwrap())
        .shared_checker(checker(&format!("file:{}", path.display())).unwrap())
        .shared_checker(checker("anonymous").unwrap());
    for (user, word) in [("alice", "secret"), ("bob", "battery"), ("carol", "secret")] {
        assert_eq!(
            portal
                .login(&password(user, word), None)
                .await
                .unwrap()
                .name,
            user
        );
        assert!(portal.login(&password(user, "wrong"), None).await.is_err());
    }
    let anonymous = Credentials::Anonymous(Anonymous::default());
    assert!(portal.login(&anonymous, None).await.is_ok());
}

#[test]
fn strings_that_are_no_checker() {
    for (text, expected) in [
        (
            "",
            "checker \":\": expected file:PATH, memory:NAME:PASSWORD or anonymous",
        ),
        ("unix", "checker \"unix:\": expected file:PATH"),
        ("anonymous:x", "checker \"anonymous:\": found more"),
        ("memory:alice", "expected memory:NAME:PASSWORD"),
        ("memory:alice:", "expected memory:NAME:PASSWORD"),
        ("memory:a\u{7}:hunter2", "expected memory:NAME:PASSWORD"),
        ("memory:alice:hunter2:bob", "expected memory:NAME:PASSWORD"),
        ("file:/nonexistent/users", "there is none"),
    ] {
        let error = checker(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
