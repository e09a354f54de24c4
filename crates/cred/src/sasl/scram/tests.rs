//! Known answers, and what either side refuses.

use super::{message::*, *};
use crate::{
    Credentials,
    sasl::{ClientError, ClientOptions, Failure},
};

fn client(hash: ScramHash, bind: Bind) -> ScramClient {
    ScramClient::new(
        hash,
        bind,
        "user",
        &Secret::from("pencil"),
        None,
        &ClientOptions::default(),
    )
}

fn record(hash: ScramHash, salt: &str, iterations: u32) -> ScramRecord {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let keys = ScramKeys::derive(hash, b"pencil", &STANDARD.decode(salt).unwrap(), iterations);
    ScramRecord {
        keys,
        account: Some(Account::new("user", crate::Kind::Scram)),
    }
}

/// Plays a transcript of four messages with the RFC's nonces on both sides.
#[track_caller]
fn known_answer(hash: ScramHash, nonces: [&str; 2], salt: &str, transcript: [&str; 4]) {
    let [first, challenge, last, verifier] = transcript;
    let mut client = client(hash, Bind::Cannot).with_nonce(nonces[0]);
    let mut server =
        ScramServer::new(hash, false, false, vec![], &Random::system()).with_nonce(nonces[1]);
    assert_eq!(client.first(), first);
    assert_eq!(server.first(first.as_bytes()).unwrap(), "user");
    assert_eq!(server.keys(record(hash, salt, 4096)).unwrap(), challenge);
    assert_eq!(
        String::from_utf8(client.respond(challenge.as_bytes()).unwrap()).unwrap(),
        last
    );
    let Credentials::Scram(proof) = server.proof(last.as_bytes()).unwrap() else {
        panic!("a proof")
    };
    assert_eq!(proof.account().unwrap().name, "user");
    assert_eq!(server.success().unwrap(), verifier.as_bytes());
    client.finish(Some(verifier.as_bytes())).unwrap();
}

// RFC 5802, section 5.
#[test]
fn rfc_5802_example() {
    known_answer(
        ScramHash::Sha1,
        ["fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j"],
        "QSXCR+Q6sek8bf92",
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

// RFC 7677, section 3.
#[test]
fn rfc_7677_example() {
    known_answer(
        ScramHash::Sha256,
        ["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"],
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

// RFC 5802, section 7.
#[test]
fn first_messages_that_are_none() {
    for wrong in [
        "",
        "n",
        "n,",
        "n,,",
        "x,,n=u,r=a",
        "p=,,n=u,r=a",
        "n,b=x,n=u,r=a",
        "n,a=,n=u,r=a",
        "n,,r=a,n=u",
        "n,,n=,r=a",
        "n,,n=u,r=",
        "n,,n=u,r=a b",
        "n,,n=u",
        "n,,m=x,n=u,r=a",
        "n,,n=u=2c,r=a",
        "n,,n=u=,r=a",
        "n,,n=u,r=a,",
        "n,,n=u,r=a,1=x",
        "n,,n=u,r=a,m=x",
        "n,,n=u,r=a,x",
    ] {
        assert!(ClientFirst::parse(wrong).is_err(), "{wrong:?}");
    }
    let first = ClientFirst::parse("p=tls-exporter,a=o=2Cther,n=us=3Der,r=abc,x=y").unwrap();
    assert_eq!(first.flag, Flag::Uses("tls-exporter".into()));
    assert_eq!(
        (first.act_as.as_deref(), &*first.user),
        (Some("o,ther"), "us=er")
    );
    assert_eq!(
        (first.header, first.bare),
        ("p=tls-exporter,a=o=2Cther,", "n=us=3Der,r=abc,x=y")
    );
}

// RFC 5802, section 5.1 (r:, i:), and what no client should compute.
#[test]
fn a_client_refuses_what_a_server_should_not_ask() {
    let ask = |challenge: &str| {
        let mut client = client(ScramHash::Sha256, Bind::Cannot).with_nonce("abc");
        client.first();
        let error = client.respond(challenge.as_bytes()).unwrap_err();
        assert_eq!(
            client.respond(b"r=abcdef,s=QQ==,i=4096"),
            Err(ClientError::OutOfTurn),
            "it is over"
        );
        error
    };
    assert_eq!(ask("r=abc,s=QQ==,i=4096"), ClientError::Nonce);
    assert_eq!(ask("r=xabcd,s=QQ==,i=4096"), ClientError::Nonce);
    let iterations = |asked| ClientError::Iterations {
        asked,
        fewest: 4096,
        most: 600_000,
    };
    assert_eq!(ask("r=abcd,s=QQ==,i=4095"), iterations(4095));
    assert_eq!(ask("r=abcd,s=QQ==,i=600001"), iterations(600_001));
    assert_eq!(ask("r=abcd,s=QQ==,i=4294967295"), iterations(u32::MAX));
    for wrong in [
        "i=99999999999",
        "i=0",
        "i=-1",
        "i=+5000",
        "i=",
        "i=4096,",
        "i=4096,m=x",
    ] {
        assert!(
            matches!(
                ask(&format!("r=abcd,s=QQ==,{wrong}")),
                ClientError::Malformed(_)
            ),
            "{wrong}"
        );
    }
    for wrong in [
        "r=abcd,s=,i=4096",
        "r=abcd,s=*,i=4096",
        "m=x,r=abcd,s=QQ==,i=4096",
        "s=QQ==,i=4096",
        "\u{0}",
    ] {
        assert!(matches!(ask(wrong), ClientError::Malformed(_)), "{wrong}");
    }
    assert_eq!(
        ask("e=unknown-user"),
        ClientError::ServerSaid("unknown-user".into())
    );
}

#[test]
fn a_client_believes_only_a_server_that_has_the_keys() {
    let start = || {
        let mut client =
            client(ScramHash::Sha1, Bind::Cannot).with_nonce("fyko+d2lbbFgONRv9qkxdawL");
        client.first();
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        client.respond(challenge.as_bytes()).unwrap();
        client
    };
    let right: &[u8] = b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    for wrong in [None, Some(&b"v=rmF9pqV8S7suAoZWja4dJRkFsKU="[..])] {
        assert_eq!(start().finish(wrong), Err(ClientError::ServerNotProven));
    }
    let mut as_challenge = start();
    assert_eq!(
        as_challenge.finish(Some(b"")),
        Err(ClientError::Malformed(
            "an attribute is missing or out of order"
        ))
    );
    let mut as_challenge = start();
    assert_eq!(as_challenge.respond(right).unwrap(), b"");
    as_challenge.finish(None).unwrap();
}

fn exporter(byte: u8) -> Binding {
    Binding::tls_exporter(&[byte; 32])
}

/// A whole exchange, as far as the server's judgement of the proof.
fn exchange(mut client: ScramClient, mut server: ScramServer) -> Result<bool, Failure> {
    let hash = client.hash();
    server.first(client.first().as_bytes())?;
    let challenge = server.keys(record(hash, "QSXCR+Q6sek8bf92", 4096))?;
    let last = client.respond(challenge.as_bytes()).unwrap();
    let Credentials::Scram(proof) = server.proof(&last)? else {
        panic!("a proof")
    };
    client.finish(server.success().as_deref()).unwrap();
    Ok(proof.fits.is_some())
}

// RFC 5802, section 6; RFC 9266; RFC 5929.
#[test]
fn channel_binding() {
    let hash = ScramHash::Sha256;
    let server = |plus, bindings| ScramServer::new(hash, plus, true, bindings, &Random::system());
    let end_point = Binding::tls_server_end_point(&[9; 32]);
    let both = vec![exporter(1), end_point.clone()];
    let with = |binding| client(hash, Bind::With(binding));

    assert!(exchange(with(exporter(1)), server(true, both.clone())).unwrap());
    assert!(exchange(with(end_point.clone()), server(true, both.clone())).unwrap());
    // Another connection's: somebody in between speaks TLS to both.
    let between = exchange(with(exporter(2)), server(true, both.clone()));
    assert!(matches!(between, Err(Failure::ChannelBinding)));
    let unknown = exchange(with(end_point), server(true, vec![exporter(1)]));
    assert!(matches!(unknown, Err(Failure::ChannelBinding)));
    // Somebody struck -PLUS from the list.
    let struck = exchange(client(hash, Bind::NotOffered), server(false, both.clone()));
    assert!(matches!(struck, Err(Failure::Downgrade)));
    // Without it offered, the same flag is in order; and so is a client that cannot.
    let plain = ScramServer::new(hash, false, false, vec![], &Random::system());
    assert!(exchange(client(hash, Bind::NotOffered), plain).unwrap());
    assert!(exchange(client(hash, Bind::Cannot), server(false, both.clone())).unwrap());
    // The name of the mechanism and the flag must agree.
    let disagree = exchange(client(hash, Bind::Cannot), server(true, both.clone()));
    assert!(matches!(disagree, Err(Failure::Malformed(_))));
    let disagree = exchange(with(exporter(1)), server(false, both));
    assert!(matches!(disagree, Err(Failure::Malformed(_))));
}

#[test]
fn a_server_refuses_replays_and_other_exchanges() {
    let hash = ScramHash::Sha1;
    let begin = || {
        let mut server = ScramServer::new(hash, false, false, vec![], &Random::system());
        server
            .first(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")
            .unwrap();
        let challenge = server.keys(record(hash, "QSXCR+Q6sek8bf92", 4096)).unwrap();
        (server, challenge)
    };
    // The RFC's own proof, made for another nonce of the server.
    let replay =
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    let (mut server, _) = begin();
    assert!(matches!(
        server.proof(replay),
        Err(Failure::Malformed("another exchange's nonce"))
    ));
    assert!(
        matches!(server.proof(replay), Err(Failure::OutOfTurn)),
        "once only"
    );

    // The old proof under the new nonce does not fit.
    for (proof, header) in [("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "biws"), ("AAAA", "biws")] {
        let (mut again, challenge) = begin();
        let nonce = challenge.split(',').next().unwrap();
        let Credentials::Scram(proof) = again
            .proof(format!("c={header},{nonce},p={proof}").as_bytes())
            .unwrap()
        else {
            panic!("a proof")
        };
        assert!(proof.account().is_none());
    }
    // Another header than at first: y for n.
    let (mut server, challenge) = begin();
    let nonce = challenge.split(',').next().unwrap();
    let other = format!("c=eSws,{nonce},p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    assert!(matches!(
        server.proof(other.as_bytes()),
        Err(Failure::ChannelBinding)
    ));
}

// RFC 5802, section 9 has no word on it; RFC 7677, section 4 neither: a salt that changes tells.
#[test]
fn fake_keys_are_the_same_each_time_and_look_like_real_ones() {
    let fake = |user, seed: &[u8]| ScramKeys::fake(ScramHash::Sha256, user, seed, 16, 10_000);
    assert_eq!(fake("mallory", b"seed"), fake("mallory", b"seed"));
    assert_ne!(
        fake("mallory", b"seed").salt(),
        fake("trent", b"seed").salt()
    );
    assert_ne!(
        fake("mallory", b"seed").salt(),
        fake("mallory", b"other").salt()
    );
    assert_eq!(
        (
            fake("mallory", b"seed").salt().len(),
            fake("mallory", b"seed").iterations()
        ),
        (16, 10_000)
    );
    assert_eq!(
        ScramKeys::fake(ScramHash::Sha1, "mallory", b"seed", 100, 4096)
            .salt()
            .len(),
        100
    );
}

#[test]
fn stored_keys_are_read_strictly() {
    let keys = ScramKeys::derive(ScramHash::Sha256, b"pencil", b"salt", 4096).to_text();
    for wrong in [
        "",
        "4096",
        &keys.replace("4096", "4095"),
        &keys.replace("4096", "99999999"),
        &keys.replace("4096", "many"),
        &format!("{keys},x"),
        &keys.replace("c2FsdA==", ""),
        &keys[..keys.len() - 4],
    ] {
        assert!(
            ScramKeys::parse(ScramHash::Sha256, wrong).is_err(),
            "{wrong}"
        );
    }
    assert!(ScramKeys::parse(ScramHash::Sha1, &keys).is_err());
}
