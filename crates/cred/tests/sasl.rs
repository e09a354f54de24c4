//! Clients against servers, mechanism by mechanism, and bytes that are neither.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "sasl/programs.rs"]
mod programs;
#[path = "sasl/transcripts.rs"]
mod transcripts;

use proptest::prelude::*;
use ropewalk_cred::{sasl::*, *};

const EVERYTHING: [Takes; 7] = [
    Takes::Passwords,
    Takes::Scram(ScramHash::Sha1),
    Takes::Scram(ScramHash::Sha256),
    Takes::Certificates,
    Takes::Tokens,
    Takes::Anonymous,
    Takes::CramMd5,
];

fn generous() -> (ServerOptions, ClientOptions) {
    let (mut server, mut client) = (ServerOptions::default(), ClientOptions::default());
    server.allow_obsolete_cram_md5 = true;
    client.allow_obsolete_cram_md5 = true;
    (server, client)
}

fn channel() -> Channel {
    Channel::encrypted()
        .with_binding(Binding::tls_exporter(&[7; 32]))
        .with_certificate(Certificate::new(
            [CertificateName::mail("tim@example.com")],
            vec![],
        ))
}

/// A portal of one user.
fn decide(question: Question, user: &str, password: &str) -> Answer {
    let known = |credentials: &Credentials| -> Option<String> {
        let name = match credentials {
            Credentials::Password(it)
                if it.user == user && it.password == Secret::from(password) =>
            {
                Some(user)
            }
            Credentials::Token(it)
                if it.token == Secret::from("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==") =>
            {
                Some(user)
            }
            Credentials::Certificate(it) => it.names.first().map(CertificateName::as_str),
            Credentials::Scram(it) => it.account().map(|it| &*it.name),
            Credentials::CramMd5(it)
                if credentials.user() == Some(user) && it.fits(password.as_bytes()) =>
            {
                Some(user)
            }
            Credentials::Anonymous(_) => Some("anonymous"),
            _ => None,
        };
        name.map(str::to_owned)
    };
    match question {
        Question::Login(it) => Answer::Login(
            known(&it)
                .map(|n| Account::new(n, it.kind()))
                .ok_or(Refused::Denied),
        ),
        Question::Scram { user: asked, hash } if asked == user => Answer::Scram(Ok(ScramRecord {
            keys: ScramKeys::derive(hash, password.as_bytes(), b"salt", 4096),
            account: Some(Account::new(user, Kind::Scram)),
        })),
        Question::Scram { user, hash } => Answer::Scram(Ok(ScramRecord {
            keys: ScramKeys::fake(hash, &user, b"seed", 4, 4096),
            account: None,
        })),
    }
}

/// Plays a whole exchange; the transcript, and who is logged in.
fn play(
    mut client: Client,
    mut server: Server,
    initial: bool,
    user: &str,
    password: &str,
) -> (String, Option<String>) {
    let mut log = String::new();
    let first = if initial { client.initial() } else { None };
    if let Some(first) = &first {
        log += &format!("C: {}\n", first.escape_ascii());
    }
    let mut step = server.step(first.as_deref());
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                log += &format!("S: {}\n", challenge.escape_ascii());
                match client.respond(&challenge) {
                    Ok(response) => {
                        log += &format!("C: {}\n", response.escape_ascii());
                        server.step(Some(&response))
                    }
                    Err(error) => return (log + &error.to_string(), None),
                }
            }
            Step::Ask(question) => server.answered(decide(question, user, password)),
            Step::Success { account, data } => {
                client.finish(data.as_deref()).unwrap();
                return (log, Some(account.name));
            }
            Step::Failure(failure) => return (log + &failure.to_string(), None),
        };
    }
}

fn pair(mechanism: Mechanism, login: &Login) -> (Client, Server) {
    let (server, client) = generous();
    let offered = Mechanisms::offered(&EVERYTHING, &channel(), &server);
    let only = Mechanisms::from_iter([mechanism]);
    let client = only.choose(login, &channel(), &client).unwrap();
    (
        client,
        offered
            .start(mechanism.name(), &channel(), &ServerOptions::default())
            .unwrap(),
    )
}

#[test]
fn every_mechanism_with_and_without_an_initial_response() {
    let password = Login::password("tim", "tanstaaftanstaaf");
    let token = Login::token("tim", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    for mechanism in Mechanism::ALL {
        let (login, who) = match mechanism {
            Mechanism::External => (Login::Certificate { act_as: None }, "tim@example.com"),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => (token.clone(), "tim"),
            Mechanism::Anonymous => (Login::Anonymous("sirhc".into()), "anonymous"),
            _ => (password.clone(), "tim"),
        };
        for initial in [true, false] {
            let (client, server) = if mechanism.name().starts_with("SCRAM")
                && !mechanism.name().ends_with("PLUS")
            {
                // Had both channel binding, they would take -PLUS.
                let clear = Channel::clear();
                let offered = Mechanisms::offered(&EVERYTHING, &clear, &ServerOptions::default());
                let only = Mechanisms::from_iter([mechanism]);
                let client = only
                    .choose(&login, &clear, &ClientOptions::default())
                    .unwrap();
                (
                    client,
                    offered
                        .start(mechanism.name(), &clear, &ServerOptions::default())
                        .unwrap(),
                )
            } else {
                pair(mechanism, &login)
            };
            let (log, name) = play(client, server, initial, "tim", "tanstaaftanstaaf");
            assert_eq!(name.as_deref(), Some(who), "{mechanism}:\n{log}");
        }
    }
}

#[test]
fn every_password_mechanism_refuses_alike() {
    for mechanism in [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha1Plus,
        Mechanism::CramMd5,
        Mechanism::Plain,
        Mechanism::Login,
    ] {
        for (user, password) in [("tim", "wrong"), ("nobody", "tanstaaftanstaaf")] {
            let (client, server) = pair(mechanism, &Login::password(user, password));
            let (log, name) = play(client, server, true, "tim", "tanstaaftanstaaf");
            assert_eq!(name, None);
            assert!(
                log.ends_with("the credentials are not valid"),
                "{mechanism} {log}"
            );
        }
    }
}

// RFC 4616, section 4.
#[test]
fn plain_example() {
    let (mut client, mut server) = pair(
        Mechanism::Plain,
        &Login::password("tim", "tanstaaftanstaaf"),
    );
    assert_eq!(client.initial().unwrap(), b"\0tim\0tanstaaftanstaaf");
    let Step::Ask(Question::Login(Credentials::Password(it))) =
        server.step(Some(b"Ursel\0Kurt\0xipj3plmq"))
    else {
        panic!("a question")
    };
    assert_eq!(
        (it.act_as.as_deref(), &*it.user, it.password),
        (Some("Ursel"), "Kurt", Secret::from("xipj3plmq"))
    );
}

#[track_caller]
fn malformed(mechanism: Mechanism, responses: &[&[u8]]) {
    for response in responses {
        let mut server = Mechanisms::offered(&EVERYTHING, &channel(), &generous().0)
            .start(mechanism.name(), &channel(), &ServerOptions::default())
            .unwrap();
        let step = server.step(Some(response));
        assert!(
            matches!(step, Step::Failure(Failure::Malformed(_))),
            "{mechanism} {:?} {step:?}",
            response.escape_ascii().to_string()
        );
        assert!(matches!(
            server.step(Some(response)),
            Step::Failure(Failure::OutOfTurn)
        ));
    }
}

// RFC 4616, section 2: each part's lengths; RFC 7628, section 3.1; RFC 2195.
#[test]
fn first_messages_that_are_none() {
    malformed(
        Mechanism::Plain,
        &[
            b"",
            b"tim",
            b"\0tim",
            b"\0\0pass",
            b"\0tim\0",
            b"\0tim\0pass\0",
            b"\0tim\0\xff",
            b"\0\0\0\0",
        ],
    );
    malformed(
        Mechanism::OAuthBearer,
        &[
            b"",
            b"n,,",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer x\x01",
            b"p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            b"n,b=x,\x01auth=Bearer x\x01\x01",
            b"n,,\x01auth=Basic x\x01\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Bearer x y\x01\x01",
            b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            b"n,,\x01port=70000\x01auth=Bearer x\x01\x01",
            b"n,,\x01host=x\x01\x01",
        ],
    );
    malformed(
        Mechanism::XOAuth2,
        &[
            b"",
            b"user=x\x01\x01",
            b"auth=Bearer x\x01\x01",
            b"user=x\x01auth=Bearer x",
        ],
    );
    malformed(
        Mechanism::CramMd5,
        &[b"tim b913a602c7eda7a495b4e6e7334d3890"],
    );
    malformed(Mechanism::Anonymous, &[b"\xff", &[b'a'; 1021]]);
    malformed(Mechanism::External, &[b"\0", b"\xc3"]);
    malformed(
        Mechanism::ScramSha256Plus,
        &[b"", b"n,,n=user,r=x", b"\xff"],
    );
}

// RFC 7628, sections 4.1 and 4.3.
#[test]
fn oauthbearer_examples() {
    let token = Token {
        token: "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into(),
        user: Some("user@example.com".into()),
        host: Some("server.example.com".into()),
        port: Some(143),
    };
    let (mut client, mut server) = pair(Mechanism::OAuthBearer, &Login::Token(token));
    let first = client.initial().unwrap();
    assert_eq!(
        first.escape_ascii().to_string(),
        "n,a=user@example.com,\\x01host=server.example.com\\x01port=143\\x01\
         auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\\x01\\x01"
    );
    let Step::Ask(Question::Login(Credentials::Token(it))) = server.step(Some(&first)) else {
        panic!("a question")
    };
    assert_eq!(
        (it.user.as_deref(), it.host.as_deref(), it.port),
        (
            Some("user@example.com"),
            Some("server.example.com"),
            Some(143)
        )
    );

    // Refused: the reason goes out, the client says that it heard, and it is over.
    let Step::Challenge(reason) = server.answered(Answer::Login(Err(Refused::Denied))) else {
        panic!("a reason")
    };
    assert_eq!(client.respond(&reason).unwrap(), b"\x01");
    assert_eq!(
        client.refusal(),
        Some(&ClientError::ServerSaid("invalid_token".into()))
    );
    assert!(matches!(
        server.step(Some(b"\x01")),
        Step::Failure(Failure::Refused(Refused::Denied))
    ));
    assert!(client.finish(None).is_err());
}

// Google's documentation of XOAUTH2.
#[test]
fn xoauth2_example() {
    let login = Login::token(
        "someuser@example.com",
        "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
    );
    let (mut client, mut server) = pair(Mechanism::XOAuth2, &login);
    let first = client.initial().unwrap();
    assert_eq!(
        first,
        b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01"
    );
    assert!(matches!(server.step(Some(&first)), Step::Ask(_)));
    assert!(matches!(
        server.answered(Answer::Login(Err(Refused::Denied))),
        Step::Challenge(_)
    ));
    // The client hears it, with an empty response.
    let status = br#"{"status":"401","schemes":"bearer mac","scope":"https://mail.google.com/"}"#;
    assert_eq!(client.respond(status).unwrap(), b"");
    assert_eq!(
        client.refusal(),
        Some(&ClientError::ServerSaid("401".into()))
    );
    assert!(matches!(
        server.step(Some(b"")),
        Step::Failure(Failure::Refused(_))
    ));
}

#[test]
fn messages_have_a_limit() {
    let long = vec![b'a'; LONGEST_MESSAGE + 1];
    for mechanism in [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::ScramSha256Plus,
    ] {
        let (mut client, mut server) = pair(mechanism, &Login::password("tim", "x"));
        assert!(matches!(
            server.step(Some(&long)),
            Step::Failure(Failure::TooLong)
        ));
        assert_eq!(client.respond(&long), Err(ClientError::TooLong));
        assert_eq!(client.finish(Some(&long)), Err(ClientError::TooLong));
    }
}

// RFC 7628, section 3.1: the name is a saslname.
#[test]
fn odd_names_pass_through_oauthbearer() {
    let (mut client, mut server) = pair(Mechanism::OAuthBearer, &Login::token("a=b,c", "x"));
    let first = client.initial().unwrap();
    assert!(first.starts_with(b"n,a=a=3Db=2Cc,"));
    let Step::Ask(Question::Login(shown)) = server.step(Some(&first)) else {
        panic!("a question")
    };
    assert_eq!(shown.user(), Some("a=b,c"));
    malformed(
        Mechanism::OAuthBearer,
        &[b"n,a=a=2cb,\x01auth=Bearer x\x01\x01"],
    );
}

// RFC 2195, section 2.
#[test]
fn cram_md5_example() {
    let (mut client, _) = pair(
        Mechanism::CramMd5,
        &Login::password("tim", "tanstaaftanstaaf"),
    );
    let response = client
        .respond(b"<1896.697170952@postoffice.reston.mci.net>")
        .unwrap();
    assert_eq!(response, b"tim b913a602c7eda7a495b4e6e7334d3890");
}

// RFC 4422, appendix A: empty is not absent.
#[test]
fn external_with_and_without_a_name() {
    let server = || pair(Mechanism::External, &Login::Certificate { act_as: None }).1;
    let asked = |step| match step {
        Step::Ask(Question::Login(Credentials::Certificate(it))) => it.act_as,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(server().step(Some(b""))), None);
    assert_eq!(
        asked(server().step(Some(b"fred@example.com"))).as_deref(),
        Some("fred@example.com")
    );
    let mut waiting = server();
    assert!(matches!(waiting.step(None), Step::Challenge(it) if it.is_empty()));
    assert_eq!(asked(waiting.step(Some(b""))), None);
    // A second absent response is the protocol's error.
    let mut waiting = server();
    let _ = waiting.step(None);
    assert!(matches!(
        waiting.step(None),
        Step::Failure(Failure::OutOfTurn)
    ));
}

#[test]
fn what_is_offered() {
    let offered = |takes: &[Takes], channel: &Channel| {
        Mechanisms::offered(takes, channel, &ServerOptions::default()).to_string()
    };
    assert_eq!(
        offered(&EVERYTHING, &Channel::clear()),
        "SCRAM-SHA-256 SCRAM-SHA-1 ANONYMOUS"
    );
    assert_eq!(
        offered(&EVERYTHING, &channel()),
        "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS"
    );
    assert_eq!(
        offered(&[Takes::Passwords], &Channel::encrypted()),
        "PLAIN LOGIN"
    );
    assert_eq!(offered(&[], &channel()), "");
    let set = Mechanisms::offered(
        &[Takes::Passwords],
        &Channel::clear(),
        &ServerOptions::default(),
    );
    assert!(
        set.is_empty()
            && set
                .start("PLAIN", &Channel::clear(), &ServerOptions::default())
                .is_err()
    );
    assert!(
        set.start("NONESUCH", &Channel::clear(), &ServerOptions::default())
            .is_err()
    );
}

#[test]
fn the_strongest_is_chosen_and_a_password_never_goes_out_in_the_clear() {
    let login = Login::password("tim", "secret");
    let choose = |list: &str, channel: &Channel| {
        Mechanisms::parse(list)
            .choose(&login, channel, &ClientOptions::default())
            .map(|it| it.mechanism().name())
    };
    let all =
        "anonymous plain LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1,SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    assert_eq!(choose(all, &channel()), Ok("SCRAM-SHA-256-PLUS"));
    assert_eq!(choose(all, &Channel::clear()), Ok("SCRAM-SHA-256"));
    assert_eq!(choose("PLAIN LOGIN", &channel()), Ok("PLAIN"));
    let none = ClientError::NoMechanism {
        offered: "CRAM-MD5 PLAIN LOGIN".into(),
    };
    assert_eq!(choose("PLAIN LOGIN CRAM-MD5", &Channel::clear()), Err(none));
}

#[test]
fn clients_refuse_what_the_grammar_has_no_room_for() {
    let cannot = |login: Login| {
        Mechanisms::from_iter(Mechanism::ALL)
            .choose(&login, &channel(), &ClientOptions::default())
            .is_err()
    };
    assert!(cannot(Login::password("", "x")) && cannot(Login::password("x", "")));
    assert!(cannot(Login::password("x\0y", "x")) && cannot(Login::password("x", "x\0y")));
    assert!(cannot(Login::token("x", "a\u{1}b")) && cannot(Login::token("x\u{1}auth=y", "ab")));
}

#[test]
fn secrets_are_not_printed() {
    for mechanism in Mechanism::ALL {
        let login = match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Login::token("tim", "hunter2"),
            Mechanism::External => Login::Certificate { act_as: None },
            Mechanism::Anonymous => Login::Anonymous("x".into()),
            _ => Login::password("tim", "hunter2"),
        };
        let (mut client, mut server) = pair(mechanism, &login);
        let step = server.step(client.initial().as_deref());
        assert!(
            !format!("{client:?} {server:?} {step:?}").contains("hunter2"),
            "{mechanism}"
        );
    }
    let text = format!(
        "{:?}",
        ScramKeys::derive(ScramHash::Sha256, b"hunter2", b"salt", 4096)
    );
    assert!(text.contains("stored: Secret(…)"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_name_and_password_passes_through_each_mechanism(
        user in "[^\\x00\\x01\\p{C}\\p{M}]{1,20}", password in "[^\\x00\\p{C}\\p{M}]{1,30}", which in 0..5usize,
    ) {
        // Names that SASLprep refuses (bidirectional text, say) are another test's.
        prop_assume!(prepare_name(&user).as_deref() == Some(&user));
        let mechanism = [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus, Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5][which];
        let (client, server) = pair(mechanism, &Login::password(&*user, &*password));
        let (log, name) = play(client, server, true, &user, &password);
        prop_assert_eq!(name.as_deref(), Some(&*user), "{}", log);
        let (client, server) = pair(mechanism, &Login::password(&*user, format!("{password}x")));
        prop_assert_eq!(play(client, server, false, &user, &password).1, None);
    }

    #[test]
    fn a_server_never_panics(which in 0..11usize, responses in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..80)), 0..5)) {
        let mechanism = Mechanism::ALL[which];
        let offered = Mechanisms::offered(&EVERYTHING, &channel(), &generous().0);
        let mut server = offered.start(mechanism.name(), &channel(), &ServerOptions::default()).unwrap();
        for response in &responses {
            let mut step = server.step(response.as_deref());
            while let Step::Ask(question) = step {
                step = server.answered(decide(question, "tim", "x"));
            }
        }
    }

    #[test]
    fn a_client_never_panics(which in 0..11usize, challenges in prop::collection::vec("(r=|s=|i=|v=|e=|,|=|[ -~]|\\PC){0,40}", 0..4)) {
        let mechanism = Mechanism::ALL[which];
        let login = match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Login::token("tim", "x"),
            Mechanism::External => Login::Certificate { act_as: None },
            Mechanism::Anonymous => Login::Anonymous("x".into()),
            _ => Login::password("tim", "x"),
        };
        let (mut client, _) = pair(mechanism, &login);
        let _ = client.initial();
        for challenge in &challenges {
            let _ = client.respond(challenge.as_bytes());
        }
        let _ = client.finish(challenges.first().map(|it| it.as_bytes()));
    }

    #[test]
    fn messages_cut_or_changed_never_log_in(at in 0..200usize, flip in 1..=255u8) {
        let (mut client, mut server) = pair(Mechanism::ScramSha256Plus, &Login::password("tim", "x"));
        let Step::Ask(question) = server.step(client.initial().as_deref()) else { panic!("keys") };
        let Step::Challenge(challenge) = server.answered(decide(question, "tim", "x")) else { panic!("salt") };
        let mut last = client.respond(&challenge).unwrap();
        let at = at % last.len();
        last[at] ^= flip;
        if let Step::Ask(question) = server.step(Some(&last)) {
            prop_assert!(matches!(server.answered(decide(question, "tim", "x")), Step::Failure(_)));
        }
    }
}
