//! The examples of the RFCs, as they stand there, base64 and all. Those of
//! SCRAM (RFC 5802, section 5; RFC 7677, section 3) need nonces of their own and
//! stand with the mechanism.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn start(mechanism: Mechanism, options: &ServerOptions) -> Server {
    Mechanisms::from_iter([mechanism])
        .start(mechanism.name(), &channel(), options)
        .unwrap()
}

#[track_caller]
fn asked(step: Step) -> Credentials {
    match step {
        Step::Ask(Question::Login(shown)) => shown,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn challenge(step: Step) -> Vec<u8> {
    match step {
        Step::Challenge(challenge) => challenge,
        other => panic!("{other:?}"),
    }
}

fn client(mechanism: Mechanism, login: &Login) -> Client {
    Mechanisms::from_iter([mechanism])
        .choose(login, &channel(), &generous().1)
        .unwrap()
}

// RFC 4616, section 4: the first (ACAP), with no authorization identity.
#[test]
fn rfc_4616_the_first_example() {
    let said = b"\x00tim\x00tanstaaftanstaaf";
    let mut client = client(
        Mechanism::Plain,
        &Login::password("tim", "tanstaaftanstaaf"),
    );
    // The server's empty challenge goes first there.
    let mut server = start(Mechanism::Plain, &ServerOptions::default());
    assert_eq!(challenge(server.step(None)), b"");
    assert_eq!(client.respond(b"").unwrap(), said);
    let shown = asked(server.step(Some(said)));
    assert_eq!((shown.user(), shown.act_as()), (Some("tim"), None));
    let known = server.answered(Answer::Login(Ok(Account::new("tim", Kind::Password))));
    assert!(matches!(known, Step::Success { data: None, .. }));
    client.finish(None).unwrap();
}

// RFC 4616, section 4: the second, in which Kurt may not act as Ursel.
#[test]
fn rfc_4616_the_second_example() {
    let mut login = Password {
        user: "Kurt".into(),
        password: "xipj3plmq".into(),
        act_as: Some("Ursel".into()),
    };
    let mut client_ = client(Mechanism::Plain, &Login::Password(login.clone()));
    let said = client_.initial().unwrap();
    assert_eq!(said, b"Ursel\x00Kurt\x00xipj3plmq");
    let mut server = start(Mechanism::Plain, &ServerOptions::default());
    assert_eq!(asked(server.step(Some(&said))).act_as(), Some("Ursel"));
    let no = server.answered(Answer::Login(Err(Refused::MayNotActAs)));
    assert!(matches!(
        no,
        Step::Failure(Failure::Refused(Refused::MayNotActAs))
    ));
    // LOGIN has no room for her.
    login.act_as = Some("Ursel".into());
    let refused = Mechanisms::from_iter([Mechanism::Login]).choose(
        &Login::Password(login),
        &channel(),
        &ClientOptions::default(),
    );
    assert!(matches!(refused, Err(ClientError::NoMechanism { .. })));
}

// RFC 2195, section 2.
#[test]
fn rfc_2195_example() {
    let challenge = decoded("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+");
    let mut client = client(
        Mechanism::CramMd5,
        &Login::password("tim", "tanstaaftanstaaf"),
    );
    assert_eq!(client.initial(), None, "the server speaks first");
    assert_eq!(
        client.respond(&challenge).unwrap(),
        decoded("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw")
    );
}

// RFC 4505, section 3.
#[test]
fn rfc_4505_example() {
    let said = decoded("c2lyaGM=");
    let mut client = client(Mechanism::Anonymous, &Login::Anonymous("sirhc".into()));
    let mut server = start(Mechanism::Anonymous, &ServerOptions::default());
    assert_eq!(challenge(server.step(None)), b"");
    assert_eq!(client.respond(b"").unwrap(), said);
    let Credentials::Anonymous(it) = asked(server.step(Some(&said))) else {
        panic!("a trace")
    };
    assert_eq!(it.trace, "sirhc");
}

// RFC 4505, sections 2 and 3: what a trace may be; it goes into logs.
#[test]
fn rfc_4505_traces() {
    let said = |trace: &[u8]| {
        let step = start(Mechanism::Anonymous, &ServerOptions::default()).step(Some(trace));
        matches!(step, Step::Ask(_))
    };
    assert!(said(b"") && said(b"tim@example.com") && said("Übergröße".as_bytes()));
    assert!(said("é".repeat(255).as_bytes()) && !said("é".repeat(256).as_bytes()));
    for forbidden in [
        "\n",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{202e}evil",
        "\u{2028}",
        "\u{e000}",
    ] {
        assert!(!said(forbidden.as_bytes()), "{forbidden:?}");
        let login = Login::Anonymous(forbidden.into());
        let mechanisms = Mechanisms::from_iter([Mechanism::Anonymous]);
        let chosen = mechanisms.choose(&login, &channel(), &ClientOptions::default());
        assert!(matches!(chosen, Err(ClientError::Unsendable("the trace"))));
    }
}

// RFC 4422, appendix A.4: both examples, and the one of a client that waits.
#[test]
fn rfc_4422_external_examples() {
    let begin = || start(Mechanism::External, &ServerOptions::default());
    // With an initial response, and a name.
    let named = Login::Certificate {
        act_as: Some("fred@example.com".into()),
    };
    let said = client(Mechanism::External, &named).initial().unwrap();
    assert_eq!(said, decoded("ZnJlZEBleGFtcGxlLmNvbQ=="));
    assert_eq!(
        asked(begin().step(Some(&said))).act_as(),
        Some("fred@example.com")
    );
    // Without one, and none.
    let own = Login::Certificate { act_as: None };
    let (mut client, mut server) = (client(Mechanism::External, &own), begin());
    assert_eq!(challenge(server.step(None)), b"");
    let said = client.respond(b"").unwrap();
    assert_eq!(said, b"");
    let shown = asked(server.step(Some(&said)));
    assert_eq!((shown.kind(), shown.act_as()), (Kind::Certificate, None));
}

// RFC 7628, section 4.1.
#[test]
fn rfc_7628_a_successful_exchange() {
    let said = decoded(
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI\
         HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB",
    );
    let token = Token {
        token: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into(),
        user: Some("user@example.com".into()),
        host: Some("server.example.com".into()),
        port: Some(143),
    };
    let mut client = client(Mechanism::OAuthBearer, &Login::Token(token));
    assert_eq!(client.initial().unwrap(), said);
    let mut server = start(Mechanism::OAuthBearer, &ServerOptions::default());
    let Credentials::Token(it) = asked(server.step(Some(&said))) else {
        panic!("a token")
    };
    assert_eq!(
        (it.host.as_deref(), it.port),
        (Some("server.example.com"), Some(143))
    );
    let known = server.answered(Answer::Login(Ok(Account::new("user", Kind::Token))));
    assert!(matches!(known, Step::Success { data: None, .. }));
    client.finish(None).unwrap();
}

fn advice() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.token_advice = TokenAdvice::default()
        .scope("example_scope")
        .openid_configuration("https://example.com/.well-known/openid-configuration");
    options
}

// RFC 7628, section 4.3: an empty Authorization asks which scope is needed.
#[test]
fn rfc_7628_a_failed_exchange_is_a_discovery() {
    let said = decoded(
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=",
    );
    assert_eq!(
        said,
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01"
    );
    let theirs = decoded(
        "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24\
         iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=",
    );
    let mut server = start(Mechanism::OAuthBearer, &advice());
    let ours = challenge(server.step(Some(&said)));
    let json = |message: &[u8]| serde_json::from_slice::<serde_json::Value>(message).unwrap();
    assert_eq!(json(&ours), json(&theirs));

    let ask = Login::Discovery {
        user: Some("user@example.com".into()),
    };
    let mut client = client(Mechanism::OAuthBearer, &ask);
    assert_eq!(
        client.initial().unwrap(),
        b"n,a=user@example.com,\x01auth=\x01\x01"
    );
    assert_eq!(client.respond(&theirs).unwrap(), decoded("AQ=="));
    let refusal = client.token_refusal().unwrap();
    assert_eq!(
        (
            &*refusal.status,
            refusal.scope.as_deref(),
            refusal.openid_configuration.as_deref()
        ),
        (
            "invalid_token",
            Some("example_scope"),
            Some("https://example.com/.well-known/openid-configuration")
        )
    );
    assert!(matches!(
        server.step(Some(b"\x01")),
        Step::Failure(Failure::Discovery)
    ));
    assert!(client.finish(None).is_err());
    assert!(client.finish(None).is_err(), "and it stays refused");
}

// RFC 7628, section 4.4: the same over SMTP, with no name.
#[test]
fn rfc_7628_a_failed_negotiation_over_smtp() {
    let mut server = start(Mechanism::OAuthBearer, &advice());
    let said = b"n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer expired\x01\x01";
    assert!(matches!(server.step(Some(said)), Step::Ask(_)));
    let told = challenge(server.answered(Answer::Login(Err(Refused::Denied))));
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["status"], "invalid_token");
    assert_eq!(told["scope"], "example_scope");
    assert!(matches!(
        server.step(Some(b"\x01")),
        Step::Failure(Failure::Refused(Refused::Denied))
    ));
}

// Google's documentation of XOAUTH2: the error step, and its empty answer.
#[test]
fn xoauth2_tells_why() {
    let mut server = start(Mechanism::XOAuth2, &advice());
    let said = b"user=someuser@example.com\x01auth=Bearer expired\x01\x01";
    assert!(matches!(server.step(Some(said)), Step::Ask(_)));
    let told = challenge(server.answered(Answer::Login(Err(Refused::Denied))));
    let json: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(
        (&json["status"], &json["schemes"]),
        (&"401".into(), &"bearer".into())
    );
    let mut client = client(
        Mechanism::XOAuth2,
        &Login::token("someuser@example.com", "expired"),
    );
    assert_eq!(client.initial().unwrap(), said);
    assert_eq!(client.respond(&told).unwrap(), b"");
    assert_eq!(client.token_refusal().unwrap().status, "401");
    assert!(matches!(
        server.step(Some(b"")),
        Step::Failure(Failure::Refused(_))
    ));

    // With no token it is told as well.
    for empty in [
        &b"user=x\x01auth=\x01\x01"[..],
        b"user=x\x01auth=Bearer \x01\x01",
    ] {
        let mut server = start(Mechanism::XOAuth2, &advice());
        challenge(server.step(Some(empty)));
        assert!(matches!(
            server.step(Some(b"")),
            Step::Failure(Failure::Discovery)
        ));
    }
}

/// What a server says is shown to people: it may neither move their cursor nor
/// send their browser to any address it likes.
#[test]
fn a_refusal_from_a_hostile_server_is_harmless() {
    let read = |message: &[u8]| {
        let mut client = client(Mechanism::OAuthBearer, &Login::token("tim", "x"));
        client.initial();
        client.respond(message).unwrap();
        client.token_refusal().unwrap().clone()
    };
    let odd =
        read(b"{\"status\":\"a\\u001b[2Jb\",\"scope\":7,\"openid-configuration\":\"http://x/\"}");
    assert_eq!(
        (&*odd.status, odd.scope, odd.openid_configuration),
        ("a[2Jb", None, None)
    );
    for address in [
        "file:///etc/passwd",
        "https://x/\\n",
        "https://ü/",
        "javascript:alert(1)",
    ] {
        let told = format!("{{\"status\":\"x\",\"openid-configuration\":\"{address}\"}}");
        assert_eq!(
            read(told.as_bytes()).openid_configuration,
            None,
            "{address}"
        );
    }
    assert_eq!(read(b"no JSON \x1b\xff").status, "no JSON \u{fffd}");
    assert_eq!(read(b"{\"status\":401}").status, "401");
    assert_eq!(read("[".repeat(10_000).as_bytes()).status.len(), 200);
}

/// A simulation's seed brings the same messages again, on both sides.
#[test]
fn a_seed_replays_an_exchange() {
    let run = |seed: u64| {
        let mut server_options = ServerOptions::default();
        server_options.random = Random::predictable(seed);
        server_options.allow_obsolete_cram_md5 = true;
        let mut client_options = generous().1;
        client_options.random = Random::predictable(seed ^ 1);
        let mut logs = String::new();
        for mechanism in [Mechanism::ScramSha256Plus, Mechanism::CramMd5] {
            let only = Mechanisms::from_iter([mechanism]);
            let login = Login::password("tim", "x");
            let client = only.choose(&login, &channel(), &client_options).unwrap();
            let server = only
                .start(mechanism.name(), &channel(), &server_options)
                .unwrap();
            let (log, name) = play(client, server, true, "tim", "x");
            assert_eq!(name.as_deref(), Some("tim"));
            logs += &log;
        }
        logs
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

// RFC 5802, section 5.1: the name is prepared before it is sent.
#[test]
fn scram_clients_prepare_names() {
    let first = |user: &str| {
        Mechanisms::from_iter([Mechanism::ScramSha256])
            .choose(
                &Login::password(user, "x"),
                &Channel::clear(),
                &ClientOptions::default(),
            )
            .map(|mut it| String::from_utf8(it.initial().unwrap()).unwrap())
    };
    assert!(first("\u{2168}").unwrap().starts_with("n,,n=IX,r="));
    assert!(matches!(
        first("\u{e000}"),
        Err(ClientError::Unsendable("the user name"))
    ));
}

/// Names with control characters end up in logs, and none logs in anyway.
#[test]
fn names_with_control_characters_are_no_names() {
    for odd in ["al\nice", "\u{1b}[2Jalice", "alice\u{85}", "a\u{2028}b"] {
        malformed(
            Mechanism::Plain,
            &[
                format!("\0{odd}\0x").as_bytes(),
                format!("{odd}\0alice\0x").as_bytes(),
            ],
        );
        malformed(Mechanism::Login, &[odd.as_bytes()]);
        malformed(Mechanism::External, &[odd.as_bytes()]);
        malformed(
            Mechanism::XOAuth2,
            &[format!("user={odd}\x01auth=Bearer x\x01\x01").as_bytes()],
        );
        malformed(
            Mechanism::OAuthBearer,
            &[
                format!("n,a={odd},\x01auth=Bearer x\x01\x01").as_bytes(),
                format!("n,,\x01host={odd}\x01auth=Bearer x\x01\x01").as_bytes(),
            ],
        );
        malformed(
            Mechanism::ScramSha256Plus,
            &[
                format!("p=tls-exporter,,n={odd},r=x").as_bytes(),
                format!("p=tls-exporter,a={odd},n=alice,r=x").as_bytes(),
            ],
        );
    }
    let long = "x".repeat(LONGEST_NAME + 1);
    malformed(
        Mechanism::XOAuth2,
        &[format!("user={long}\x01auth=Bearer x\x01\x01").as_bytes()],
    );
    malformed(
        Mechanism::OAuthBearer,
        &[b"n,,\x01port=+1\x01auth=Bearer x\x01\x01"],
    );
}
