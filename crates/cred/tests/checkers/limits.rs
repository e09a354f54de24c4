//! What a login costs, and what attackers can make grow.

use super::*;

/// Hashes computed for one login, by the pool's own count.
async fn hashes(portal: &Portal, pool: &HashPool, user: &str, word: &str) -> u64 {
    let before = pool.begun();
    let _ = portal.login(&password(user, word), None).await;
    pool.begun() - before
}

/// The work is counted, not timed: each login is one hash, whoever was named and
/// whatever was wrong. That the one that stands in is of the users' own schemes
/// is told by the file's unit tests.
#[tokio::test(start_paused = true)]
async fn every_login_costs_one_hash() {
    let hash = quick().hash(b"secret").unwrap();
    let other = "{SHA256-CRYPT}$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";
    for text in [
        format!("alice:{hash}\nlocked:!{hash}\nnone:*\nother:{other}\n"),
        "none:*\n".to_owned(),
        String::new(),
    ] {
        let (_dir, path) = file(&text);
        let pool = HashPool::default();
        let mut options = options();
        options.pool = pool.clone();
        let portal = Portal::new().checker(UsersFile::open(path, options).unwrap());
        for user in ["alice", "locked", "none", "other", "nobody", "noboby2"] {
            for word in ["secret", "wrong", "", &"x".repeat(LONGEST_PASSWORD)] {
                assert_eq!(hashes(&portal, &pool, user, word).await, 1, "{user} {word}");
            }
        }
        // What cannot be anybody's costs nothing, and so tells nothing.
        for user in ["", "\u{7}", "alice ", &"x".repeat(256)] {
            assert_eq!(hashes(&portal, &pool, user, "secret").await, 0, "{user:?}");
        }
        let long = "x".repeat(LONGEST_PASSWORD + 1);
        assert_eq!(hashes(&portal, &pool, "alice", &long).await, 0);
        assert_eq!(hashes(&portal, &pool, "nobody", &long).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn two_files_cost_two_hashes_for_every_failure() {
    let hash = quick().hash(b"secret").unwrap();
    let pool = HashPool::default();
    let mut options = options();
    options.pool = pool.clone();
    let (_dir, one) = file(&format!("alice:{hash}\nlocked:!{hash}\n"));
    let (_dir2, two) = file(&format!("bob:{hash}\n"));
    let portal = Portal::new()
        .checker(UsersFile::open(one, options.clone()).unwrap())
        .checker(UsersFile::open(two, options).unwrap());
    for (user, word) in [
        ("alice", "wrong"),
        ("locked", "secret"),
        ("bob", "wrong"),
        ("nobody", "secret"),
    ] {
        assert_eq!(hashes(&portal, &pool, user, word).await, 2, "{user}");
    }
}

/// Names of full length, from as many networks, by the hundred thousand.
#[tokio::test(start_paused = true)]
async fn a_flood_of_names_and_peers_keeps_back_off_small() {
    let rounds: u32 = if std::env::var_os("ROPEWALK_DEEP").is_some() {
        1_000_000
    } else {
        50_000
    };
    let mut options = BackoffOptions::default();
    options.remembered = 1000;
    let backoff = Backoff::new(options);
    for n in 0..rounds {
        let name = format!("{n:0>255}");
        let peer = std::net::Ipv6Addr::from(u128::from(n) << 64);
        backoff.failed(Some(&name), Some(peer.into()));
        let (accounts, peers) = backoff.remembered();
        assert!(accounts <= 1000 && peers <= 1000, "{accounts} {peers}");
    }
    // What was tried is not kept, only its hash.
    assert!(!format!("{backoff:?}").contains(&"0".repeat(100)));
}

/// The name in a token is as much the attacker's as any, and up to 64 KiB.
#[tokio::test(start_paused = true)]
async fn names_in_tokens_are_limited_too() {
    let portal = Portal::new().checker(Memory::new().token("t0ken", "alice"));
    let shown = |user: &str| {
        let Credentials::Token(mut it) = Credentials::token("t0ken") else {
            unreachable!()
        };
        it.user = Some(user.into());
        Credentials::Token(it)
    };
    assert!(portal.login(&shown("alice"), None).await.is_ok());
    assert!(matches!(
        portal.login(&shown("bob"), None).await,
        Err(Refused::MayNotActAs)
    ));
    for odd in [&"x".repeat(256), "a\nb", ""] {
        assert!(matches!(
            portal.login(&shown(odd), None).await,
            Err(Refused::Denied)
        ));
    }
}

/// `Alice` and `aLICE` are guesses at one account where case is ignored.
#[tokio::test(start_paused = true)]
async fn case_does_not_buy_more_guesses() {
    let backoff = Backoff::default();
    for name in ["alice", "Alice", "aLICE", "ALICE"] {
        backoff.failed(Some(name), None);
    }
    assert_eq!(
        backoff.wait(Some("alicE"), None).unwrap(),
        Duration::from_millis(250)
    );
    backoff.succeeded("ALIce");
    assert_eq!(backoff.wait(Some("alice"), None).unwrap(), Duration::ZERO);
}

/// A hundred thousand users (ten thousand unless the run is deep): all are read,
/// found, and a bad line among them is named.
#[tokio::test]
async fn a_big_file() {
    use std::fmt::Write;
    let count = if std::env::var_os("ROPEWALK_DEEP").is_some() {
        100_000
    } else {
        10_000
    };
    let hash = quick().hash(b"secret").unwrap();
    let mut text = String::new();
    for n in 0..count {
        writeln!(text, "user{n}:{hash}").unwrap();
    }
    let (_dir, path) = file(&text);
    let users = UsersFile::open(&path, options()).unwrap();
    assert_eq!(users.len(), count);
    for n in [0, count / 2, count - 1] {
        let name = format!("user{n}");
        assert_eq!(
            users.check(&password(&name, "secret")).await.unwrap().name,
            name
        );
    }
    assert!(matches!(
        users.check(&password("user", "secret")).await,
        Err(Refused::Unknown)
    ));
    text.push_str("user7:{MD5}x\nuser8:");
    text.push_str(&hash);
    fs::write(&path, text).unwrap();
    let error = users.reload().unwrap_err().to_string();
    let (first, second) = (count + 1, count + 2);
    assert!(
        error.contains(&format!(":{first}: user7: found {{MD5}}")),
        "{error}"
    );
    assert!(
        error.contains(&format!(
            ":{second}: found \"user8\" again, expected it once; the first is in line 9"
        )),
        "{error}"
    );
}
