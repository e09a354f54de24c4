//! `web`: a folder over HTTP.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::symlink,
};

use tempfile::TempDir;

use crate::common::{Answer, Running, connect, http, run};

/// A site and its server. Beside the folder of the site lies a secret.
fn start() -> (TempDir, Running) {
    let scratch = tempfile::tempdir().unwrap();
    let site = scratch.path().join("site");
    fs::create_dir_all(site.join("sub/deep")).unwrap();
    fs::create_dir_all(site.join(".well-known/acme-challenge")).unwrap();
    for (name, content) in [
        ("site/index.html", "<p>home"),
        ("site/sub/index.html", "<p>sub"),
        ("site/style.css", "p {}"),
        ("site/data.bin", "0123456789"),
        ("site/two words.txt", "two"),
        ("site/.htpasswd", "secret"),
        ("site/sub/.hidden.txt", "secret"),
        ("site/.well-known/acme-challenge/token", "challenge"),
        ("secret.txt", "secret"),
    ] {
        fs::write(scratch.path().join(name), content).unwrap();
    }
    symlink("sub/index.html", site.join("link.html")).unwrap();
    symlink("../secret.txt", site.join("out.txt")).unwrap();
    symlink("..", site.join("up")).unwrap();
    let path = site.to_str().unwrap().to_owned();
    let server = Running::start(&["web", "--listen", "tcp:0", "--path", &path], 1);
    (scratch, server)
}

fn get(server: &Running, path: &str) -> Answer {
    http(
        server.address("web", "tcp"),
        &format!("GET {path} HTTP/1.1"),
        "",
    )
}

/// Relative to the working folder, which for tests is that of the package.
#[test]
fn a_folder_may_be_named_from_where_one_is() {
    for (path, asked) in [
        (".", "/src/main.rs"),
        ("src", "/main.rs"),
        ("./src/", "/main.rs"),
    ] {
        let server = Running::start(&["web", "--listen", "tcp:0", "--path", path], 1);
        let answer = get(&server, asked);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains("fn main()"), "{path}");
        server.end_well();
    }
}

#[test]
fn files_have_their_types_and_folders_their_index() {
    let (_site, server) = start();
    for (path, kind, body) in [
        ("/", "text/html", "<p>home"),
        ("/index.html", "text/html", "<p>home"),
        ("/sub/", "text/html", "<p>sub"),
        ("/style.css", "text/css", "p {}"),
        ("/style.css?v=2", "text/css", "p {}"),
        ("/data.bin", "application/octet-stream", "0123456789"),
        ("/two%20words.txt", "text/plain", "two"),
        ("/link.html", "text/html", "<p>sub"),
        (
            "/.well-known/acme-challenge/token",
            "application/octet-stream",
            "challenge",
        ),
    ] {
        let answer = get(&server, path);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        let length = body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{path}");
    }
    let answer = get(&server, "/sub?a=b");
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("/sub/?a=b"));
    server.end_well();
}

#[test]
fn nothing_is_listed_and_nothing_hidden_or_outside_is_served() {
    let (_site, server) = start();
    let long = format!("/{}", "a".repeat(5000));
    for path in [
        "/nothing",
        "/sub/deep/",
        "/style.css/",
        "/style.css/x",
        "/.htpasswd",
        "/%2ehtpasswd",
        "/sub/.hidden.txt",
        "/./.htpasswd",
        "/out.txt",
        "/up/secret.txt",
        "/up/",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "//sub",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/a%00b",
        "/%ff",
        &long,
    ] {
        let answer = get(&server, path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.body, "not found\n", "{path}");
    }
    server.end_well();
}

#[test]
fn parts_conditions_and_other_methods() {
    let (_site, server) = start();
    let to = server.address("web", "tcp");
    let ask = |head: &str| http(to, head, "");
    let answer = ask("GET /data.bin HTTP/1.1\r\nRange: bytes=2-4");
    assert_eq!((answer.status, answer.body.as_str()), (206, "234"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    let answer = ask("GET /data.bin HTTP/1.1\r\nRange: bytes=-3");
    assert_eq!((answer.status, answer.body.as_str()), (206, "789"));
    let answer = ask("GET /data.bin HTTP/1.1\r\nRange: bytes=10-");
    assert_eq!(answer.status, 416);
    assert_eq!(answer.header("content-range"), Some("bytes */10"));
    // Several parts at once are answered by all of it.
    let answer = ask("GET /data.bin HTTP/1.1\r\nRange: bytes=0-1,4-5");
    assert_eq!((answer.status, answer.body.as_str()), (200, "0123456789"));

    let answer = ask("HEAD /data.bin HTTP/1.1");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("10"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    let modified = answer.header("last-modified").unwrap();
    let answer = ask(&format!(
        "GET /data.bin HTTP/1.1\r\nIf-Modified-Since: {modified}"
    ));
    assert_eq!((answer.status, answer.body.as_str()), (304, ""));
    let answer = ask("HEAD /nothing HTTP/1.1");
    assert_eq!((answer.status, answer.body.as_str()), (404, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&format!("{method} /data.bin HTTP/1.1"));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
    server.end_well();
}

/// A reader who takes nothing keeps one file and some buffers, and holds nobody up.
#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let (site, server) = start();
    let large = vec![b'x'; 16 * 1024 * 1024];
    fs::write(site.path().join("site/large"), &large).unwrap();
    let mut slow = connect(server.address("web", "tcp"));
    slow.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    for _ in 0..3 {
        let answer = get(&server, "/large");
        assert_eq!((answer.status, answer.body.len()), (200, large.len()));
    }
    // It gets all of it when it wants to.
    let mut all = Vec::new();
    slow.read_to_end(&mut all).unwrap();
    assert_eq!(Answer::parse(all).body.len(), large.len());
    server.end_well();
}

#[test]
fn a_folder_that_is_not_there_is_refused_and_so_is_what_is_to_come() {
    for (arguments, parts) in [
        (
            &["--path", "/nowhere"][..],
            &["--path", "/nowhere", "expected a folder"][..],
        ),
        (
            &["--path", "/etc/hostname"],
            &["--path", "expected a folder"],
        ),
        (&[], &["--path <DIR>"]),
        (&["--path", ".", "--host", "a=."], &["'--host'"]),
        (&["--path", ".", "--proxy", "http://x"], &["'--proxy'"]),
        (
            &["--path", ".", "--redirect", "http://x"],
            &["'--redirect'"],
        ),
        (
            &["--path", ".", "--listen", "udp:0"],
            &["--listen", "udp:0", "datagrams cannot carry web"],
        ),
    ] {
        let all = [&["web", "--listen", "tcp:0"], arguments].concat();
        let (status, out, err) = run(&all);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        for part in parts {
            assert!(err.contains(part), "{part} is not in {err}");
        }
    }
}
