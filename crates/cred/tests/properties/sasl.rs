//! What holds for any bytes that a peer sends in a SASL exchange, whichever side
//! it speaks for. Used by the fuzz target and by the replay of its corpus.
//!
//! The first byte chooses the mechanism, the second what else varies; behind them
//! stand messages, with 0xFF between. Nonces are the same each time, so that a
//! fuzzer can get past the first message.

use ropewalk_cred::{sasl::*, *};

const PASSWORD: &str = "pencil";

pub(crate) fn check(data: &[u8]) {
    let [which, how, rest @ ..] = data else {
        return;
    };
    let mechanism = Mechanism::ALL[usize::from(*which) % Mechanism::ALL.len()];
    let messages: Vec<&[u8]> = rest.split(|b| *b == 0xff).take(6).collect();
    if how & 1 == 0 {
        server(mechanism, how & 2 != 0, &messages);
    } else {
        client(mechanism, how & 2 != 0, &messages);
    }
}

fn channel() -> Channel {
    Channel::encrypted()
        .with_binding(Binding::tls_exporter(&[7; 32]))
        .with_certificate(Certificate::new(
            [CertificateName::mail("user@example.com")],
            vec![],
        ))
}

/// A server that is told any messages.
fn server(mechanism: Mechanism, waits: bool, messages: &[&[u8]]) {
    let mut options = ServerOptions::default();
    options.allow_obsolete_cram_md5 = true;
    options.random = Random::predictable(1);
    // The plain forms of SCRAM with and without the others offered: `y` counts.
    let offered = Mechanisms::from_iter(Mechanism::ALL);
    let mut server = offered
        .start(mechanism.name(), &channel(), &options)
        .expect("all are offered");
    let mut over = false;
    let initial = waits.then_some(None).into_iter();
    for response in initial.chain(messages.iter().map(|it| Some(*it))) {
        let mut step = server.step(response);
        if over {
            assert!(matches!(step, Step::Failure(Failure::OutOfTurn)));
        }
        while let Step::Ask(question) = step {
            step = server.answered(answer(&question, response.unwrap_or_default()));
        }
        match step {
            Step::Challenge(challenge) => assert!(challenge.len() <= LONGEST_MESSAGE),
            Step::Success { account, .. } => {
                // Nobody finds a proof by chance.
                let proves = mechanism.name().starts_with("SCRAM");
                assert!(!proves, "{account:?}");
                over = true;
            }
            Step::Failure(_) => over = true,
            Step::Ask(_) => unreachable!("it was answered"),
        }
    }
}

/// As a portal of one user would, and with what holds for all questions.
fn answer(question: &Question, said: &[u8]) -> Answer {
    let name = match question {
        Question::Login(shown) => shown.user(),
        Question::Scram { user, .. } => Some(user.as_str()),
    };
    let act_as = match question {
        Question::Login(shown) => shown.act_as(),
        Question::Scram { .. } => None,
    };
    for name in name.into_iter().chain(act_as) {
        assert!(!name.is_empty() && name.len() <= LONGEST_NAME, "{name:?}");
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    // The password is not printed, unless it is in the name as well.
    if let Question::Login(shown @ Credentials::Password(it)) = question {
        let names = [Some(it.user.as_str()), it.act_as.as_deref()];
        let named = names.into_iter().flatten().any(|it| it.contains(PASSWORD));
        assert!(named || !format!("{shown:?}").contains(PASSWORD));
    }
    match question {
        Question::Login(shown) => {
            again(shown, said);
            let fits = match shown {
                Credentials::Password(it) => it.password == Secret::from(PASSWORD),
                Credentials::Scram(it) => it.account().is_some(),
                Credentials::CramMd5(it) => it.fits(PASSWORD.as_bytes()),
                Credentials::Token(it) => it.token == Secret::from("t0ken"),
                _ => true,
            };
            let account = || Account::new("user", shown.kind());
            Answer::Login(fits.then(account).ok_or(Refused::Denied))
        }
        Question::Scram { user, hash } => Answer::Scram(Ok(ScramRecord {
            keys: ScramKeys::fake(*hash, user, b"seed", 16, 4096),
            account: Some(Account::new(user, Kind::Scram)),
        })),
    }
}

/// What was understood is understood the same when our client says it.
fn again(shown: &Credentials, said: &[u8]) {
    let (mechanism, login) = match shown {
        Credentials::Password(it) if said.contains(&0) => {
            (Mechanism::Plain, Login::Password(it.clone()))
        }
        Credentials::Token(it) if said.starts_with(b"user=") => {
            (Mechanism::XOAuth2, Login::Token(it.clone()))
        }
        Credentials::Token(it) if said.starts_with(b"n,") => {
            (Mechanism::OAuthBearer, Login::Token(it.clone()))
        }
        _ => return,
    };
    let only = Mechanisms::from_iter([mechanism]);
    // A password may be longer than a client sends.
    let Ok(mut client) = only.choose(&login, &channel(), &ClientOptions::default()) else {
        return;
    };
    let initial = client.initial().expect("these speak first");
    let mut server = only
        .start(mechanism.name(), &channel(), &ServerOptions::default())
        .expect("it is offered");
    let Step::Ask(Question::Login(read)) = server.step(Some(&initial)) else {
        panic!("{:?}", initial.escape_ascii().to_string());
    };
    assert_eq!((read.user(), read.act_as()), (shown.user(), shown.act_as()));
    match (&read, shown) {
        (Credentials::Password(a), Credentials::Password(b)) => assert!(a.password == b.password),
        (Credentials::Token(a), Credentials::Token(b)) => {
            assert!(a.token == b.token && a.port == b.port);
            assert!(mechanism == Mechanism::XOAuth2 || a.host == b.host);
        }
        other => panic!("{other:?}"),
    }
}

/// A client that is told any messages: it never believes a server that has no
/// keys, and what it repeats of it is harmless.
fn client(mechanism: Mechanism, asks: bool, messages: &[&[u8]]) {
    let login = match mechanism {
        Mechanism::OAuthBearer if asks => Login::Discovery { user: None },
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Login::token("user", "t0ken"),
        Mechanism::External => Login::Certificate { act_as: None },
        Mechanism::Anonymous => Login::Anonymous("trace".into()),
        _ => Login::password("user", PASSWORD),
    };
    let mut options = ClientOptions::default();
    options.allow_obsolete_cram_md5 = true;
    options.random = Random::predictable(2);
    // So that the fuzzer spends its time elsewhere.
    (options.fewest_iterations, options.most_iterations) = (1, 8);
    let mut client = Mechanisms::from_iter([mechanism])
        .choose(&login, &channel(), &options)
        .expect("it fits");
    if !asks || mechanism == Mechanism::OAuthBearer {
        let _ = client.initial();
    }
    let (last, challenges) = messages.split_last().expect("split gives one at least");
    for challenge in challenges {
        match client.respond(challenge) {
            Ok(response) => assert!(response.len() <= LONGEST_MESSAGE),
            Err(error) => harmless(&error.to_string()),
        }
        // Of what a server says only a refusal is kept, and printed.
        let said = client.token_refusal().is_some();
        assert!(said || !format!("{client:?}").contains(PASSWORD));
    }
    if let Some(refusal) = client.token_refusal() {
        harmless(&refusal.status);
        harmless(refusal.scope.as_deref().unwrap_or_default());
        let address = refusal.openid_configuration.as_deref();
        assert!(address.is_none_or(|it| it.starts_with("https://") && it.is_ascii()));
    }
    let refused = client.token_refusal().is_some();
    let finished = client.finish(Some(last));
    if mechanism.name().starts_with("SCRAM") || refused || matches!(login, Login::Discovery { .. })
    {
        assert!(finished.is_err());
    }
}

fn harmless(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
