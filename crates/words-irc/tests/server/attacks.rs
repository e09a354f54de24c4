//! What hostile clients do, and what comes of it.

use std::time::Duration;

use ropewalk_core::{Limits, Peer, testing::Rig};
use ropewalk_cred::PasswordHash;
use ropewalk_words_irc::server::{Connection, Network, NetworkOptions, Oper};

fn options() -> NetworkOptions {
    let mut options = NetworkOptions::default();
    options.flood.disabled = true;
    options
}

fn connect(network: &Network) -> Rig<Connection> {
    Rig::new(Connection::new(network.clone()))
}

/// A client that has registered, and was told so.
fn enter(network: &Network, nick: &str) -> Rig<Connection> {
    let mut rig = connect(network);
    rig.receive(format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n"));
    assert!(rig.sent_text().contains(" 001 "), "{nick} is let in");
    rig
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn a_line_without_end_is_refused_once_and_not_kept() {
    let network = Network::new(options());
    let mut rig = enter(&network, "ada");
    for _ in 0..100 {
        rig.receive([b'x'; 10_000]);
        assert!(
            rig.unread().len() <= 10_000,
            "it is thrown away as it comes"
        );
    }
    rig.receive("\r\nPING x\r\n");
    let told = rig.sent_text();
    assert_eq!(count(&told, " 417 "), 1);
    assert!(told.ends_with("PONG irc.local :x\r\n"));
}

#[test]
fn a_million_spaces_are_a_long_line() {
    let network = Network::new(options());
    let mut rig = enter(&network, "ada");
    rig.receive(" ".repeat(1_000_000)).receive("\r\n");
    assert_eq!(count(&rig.sent_text(), " 417 "), 1);
    rig.receive(" ".repeat(400) + "PING  x\r\n");
    assert_eq!(rig.sent_text(), ":irc.local PONG irc.local :x\r\n");
}

#[test]
fn tags_and_the_rest_have_their_limits() {
    let network = Network::new(options());
    let mut rig = enter(&network, "ada");
    let tags = |bytes: usize| format!("@+x={} PING y\r\n", "a".repeat(bytes - 3));
    rig.receive(tags(4094));
    assert!(rig.sent_text().contains("PONG"));
    rig.receive(tags(4095));
    assert!(rig.sent_text().contains(" 417 "));
    let rest = |bytes: usize| format!("PING {}\r\n", "a".repeat(bytes - 5));
    rig.receive(rest(510));
    assert!(rig.sent_text().contains("PONG"));
    rig.receive(rest(511));
    assert!(rig.sent_text().contains(" 417 "));
    // Tags do not make room for a longer rest, nor a short rest for longer tags.
    rig.receive(format!("@a {}", rest(511)));
    assert!(rig.sent_text().contains(" 417 "));
}

#[test]
fn whoever_sends_fast_waits_and_whoever_goes_on_is_given_up() {
    let mut options = NetworkOptions::default();
    options.flood.burst = 10;
    options.flood.unit = Duration::from_secs(1);
    options.limits.registration = Duration::from_secs(1000);
    options.limits.ping = Duration::from_secs(1000);
    let network = Network::new(options);
    let mut bob = enter(&network, "bob");
    let mut ada = enter(&network, "ada");
    // What registering has taken flows back.
    ada.advance(Duration::from_secs(100));
    let lines: String = (0..40).map(|n| format!("PRIVMSG bob {n}\r\n")).collect();
    ada.receive(lines);
    let at_once = count(&bob.poll().sent_text(), "PRIVMSG");
    assert_eq!(
        at_once, 11,
        "as much as the bucket holds, and the one that it runs over by"
    );
    ada.advance(Duration::from_secs(10));
    assert_eq!(
        count(&bob.poll().sent_text(), "PRIVMSG"),
        10,
        "one a second then"
    );
    for _ in 0..30 {
        ada.advance(Duration::from_secs(1));
    }
    assert_eq!(
        count(&bob.poll().sent_text(), "PRIVMSG"),
        19,
        "none is lost"
    );
    assert!(!ada.is_closed());
    let flood: String = (0..5000).map(|n| format!("PRIVMSG bob {n}\r\n")).collect();
    ada.receive(flood);
    assert!(ada.sent_text().contains("Excess Flood"));
    assert!(ada.is_closed());
    assert!(count(&bob.poll().sent_text(), "PRIVMSG") <= 12);
    assert_eq!(network.counts().floods, 1);
}

#[test]
fn what_costs_more_is_had_less_often() {
    let mut options = NetworkOptions::default();
    options.flood.burst = 20;
    let network = Network::new(options);
    let answered = |line: &str, answer: &str| {
        let mut rig = connect(&network);
        rig.receive("NICK x\r\nUSER x 0 * :x\r\n");
        rig.advance(Duration::from_secs(60));
        rig.sent();
        rig.receive(format!("{line}\r\n").repeat(50));
        let answers = count(&rig.sent_text(), answer);
        rig.receive("QUIT\r\n").eof();
        answers
    };
    let pings = answered("PING x", "PONG");
    let lists = answered("LIST", " 323 ");
    let joins = answered("JOIN #a,#b", "JOIN #a");
    let nicks = answered("NICK y\r\nNICK x", "NICK");
    assert!(
        lists < 4 && joins < 12 && nicks < 12 && pings > 20,
        "{lists} {joins} {nicks} {pings}"
    );
}

#[test]
fn a_storm_of_modes_is_bounded_and_costs() {
    let network = Network::new(options());
    let mut ada = enter(&network, "ada");
    ada.receive("JOIN #a\r\n").sent();
    let letters = "ov".repeat(60);
    let params = " ada".repeat(12);
    ada.receive(format!("MODE #a -{letters}{params}\r\n"));
    let told = ada.sent_text();
    assert!(count(&told, "ada!") <= 2, "six changes at most: {told}");
    // Unknown letters are not answered for ever.
    ada.receive(format!("MODE #a +{}\r\n", "z".repeat(490)));
    assert!(count(&ada.sent_text(), " 472 ") <= 128);
    // A list is shown once, however often it is asked for.
    ada.receive(format!("MODE #a {}\r\n", "b".repeat(400)));
    assert_eq!(count(&ada.sent_text(), " 368 "), 1);
}

/// The rest is told by hostile masks of `proto::mask`; here, that a channel full of them is checked
/// in no time that anybody could notice.
#[test]
fn hostile_masks_are_only_long() {
    let network = Network::new(options());
    let mut ada = enter(&network, "ada");
    let mut bob = enter(&network, "bob");
    ada.receive("JOIN #a\r\nMODE #a -n\r\n");
    for n in 0..100 {
        ada.receive(format!("MODE #a +b {}x{n}!*@*\r\n", "*a".repeat(100)));
    }
    ada.sent();
    for _ in 0..100 {
        bob.receive("PRIVMSG #a :hello\r\n");
    }
    assert_eq!(count(&ada.poll().sent_text(), "PRIVMSG"), 100);
}

#[test]
fn who_never_reads_is_dropped_and_all_others_get_everything_in_order() {
    let readers = if std::env::var_os("ROPEWALK_DEEP").is_some() {
        10_000
    } else {
        200
    };
    let mut options = options();
    options.limits.send_queue = 100_000;
    let network = Network::new(options);
    let mut ada = enter(&network, "ada");
    ada.receive("JOIN #a\r\n").sent();
    let mut dead = enter(&network, "dead");
    dead.receive("JOIN #a\r\n").sent();
    let mut clients: Vec<_> = (0..readers)
        .map(|n| enter(&network, &format!("r{n}")))
        .collect();
    for client in &mut clients {
        client.receive("JOIN #a\r\n");
    }
    for client in &mut clients {
        client.poll().sent();
    }
    dead.poll().sent();
    dead.stall();
    let text = "x".repeat(400);
    let mut seen = vec![0; readers];
    let mut quits = 0;
    let mut sent = 0;
    while quits == 0 {
        assert!(sent < 1000, "the one who does not read is dropped");
        let lines: String = (sent..sent + 20)
            .map(|n| format!("PRIVMSG #a :{n} {text}\r\n"))
            .collect();
        ada.receive(lines);
        quits += count(
            &ada.sent_text(),
            "dead!~dead@192.0.2.1 QUIT :SendQ exceeded",
        );
        sent += 20;
        dead.poll();
        for (client, seen) in clients.iter_mut().zip(&mut seen) {
            for line in client
                .poll()
                .sent_text()
                .lines()
                .filter(|l| l.contains("PRIVMSG"))
            {
                assert!(line.contains(&format!(":{seen} ")), "in order: {line}");
                *seen += 1;
            }
        }
    }
    assert!(
        seen.iter().all(|seen| *seen == sent),
        "each has every message"
    );
    assert!(sent * 420 > 100_000, "it was not given up before its limit");
    assert_eq!(network.counts().overflows, 1);
    // What had left for it already comes whole, then why, and nothing more.
    let told = dead.unstall().sent_text();
    assert!(told.ends_with("ERROR :Closing Link: 192.0.2.1 (SendQ exceeded)\r\n"));
    assert!(
        told.lines()
            .all(|line| line.starts_with(':') || line.starts_with("ERROR"))
    );
    assert!(dead.is_closed());
}

#[test]
fn a_long_answer_is_made_as_it_is_read() {
    let mut options = options();
    options.limits.channels = 100_000;
    options.limits.send_queue = 50_000;
    let network = Network::new(options);
    let mut ada = enter(&network, "ada");
    for n in 0..250 {
        let names: Vec<_> = (0..20).map(|m| format!("#c{n}x{m}")).collect();
        ada.receive(format!("JOIN {}\r\n", names.join(","))).sent();
    }
    assert_eq!(network.counts().channels, 5000);
    let mut bob = connect(&network);
    bob.receive("CAP REQ :labeled-response batch\r\nNICK bob\r\nUSER b 0 * :b\r\nCAP END\r\n");
    bob.sent();
    bob.stall();
    bob.receive("@label=all LIST\r\nPING after\r\n");
    for _ in 0..1000 {
        bob.advance(Duration::from_millis(30));
    }
    // The whole would be more than its queue, and it is not given up for that.
    assert!(!bob.is_closed());
    assert!(
        bob.transport().waiting() < 80_000,
        "{}",
        bob.transport().waiting()
    );
    bob.unstall();
    let mut told = bob.sent_text();
    for _ in 0..1000 {
        bob.advance(Duration::from_millis(30));
        told += &bob.sent_text();
    }
    assert_eq!(count(&told, " 322 "), 5000);
    assert!(count(&told, "@batch=") >= 5001 && count(&told, "BATCH -") == 1);
    assert!(
        told.ends_with("PONG irc.local :after\r\n"),
        "the next command waited"
    );
}

#[test]
fn the_names_of_many_come_as_they_are_read_too() {
    let mut options = options();
    let network = Network::new(options.clone());
    let mut members: Vec<_> = (0..1000)
        .map(|n| enter(&network, &format!("member{n:05}")))
        .collect();
    for member in &mut members {
        member.receive("JOIN #a\r\n");
    }
    // Less than what is asked for below would fill.
    options.limits.send_queue = 20_000;
    network.reload(options);
    let mut limits = Limits::default();
    limits.write_high = 10_000;
    limits.write_low = 1000;
    let peer = Peer::new(ropewalk_core::Address::Memory("test".into()));
    let mut ada = Rig::with(Connection::new(network.clone()), peer, limits);
    ada.receive("NICK ada\r\nUSER ada 0 * :ada\r\n").sent();
    ada.stall();
    ada.receive("WHO #a\r\nNAMES #a\r\nWHO *\r\n");
    for _ in 0..100 {
        ada.advance(Duration::from_millis(30));
    }
    assert!(!ada.is_closed());
    let mut told = ada.unstall().sent_text();
    for _ in 0..1000 {
        ada.advance(Duration::from_millis(30));
        told += &ada.sent_text();
    }
    eprintln!("{}", &told[told.len() - 300..]);
    assert_eq!(count(&told, " 352 "), 1000 + 1001);
    assert_eq!(count(&told, " 315 "), 2);
    let names = told.lines().filter(|line| line.contains(" 353 "));
    assert_eq!(
        names.map(|line| count(line, "member0")).sum::<usize>(),
        1000
    );
    assert!(told.lines().all(|line| line.len() <= 510));
}

#[test]
fn a_peer_that_ends_its_side_gets_its_answers() {
    let network = Network::new(options());
    let mut rig = connect(&network);
    rig.receive("NICK ada\r\nUSER ada 0 * :ada\r\nPING x\r\n")
        .eof();
    let told = rig.sent_text();
    assert!(told.contains(" 001 ") && told.contains("PONG"));
    assert!(told.ends_with("ERROR :Closing Link: 192.0.2.1 (Connection closed)\r\n"));
    assert!(rig.is_closed());
    assert_eq!(network.counts().users, 0);
}

#[test]
fn a_drain_says_so_and_does_not_make_everybody_tell_everybody() {
    let network = Network::new(options());
    let mut clients: Vec<_> = ["ada", "bob"].map(|nick| enter(&network, nick)).into();
    for client in &mut clients {
        client.receive("JOIN #a\r\n");
    }
    for client in &mut clients {
        client.poll().sent();
    }
    for client in &mut clients {
        client.drain();
        let told = client.sent_text();
        assert_eq!(
            told,
            "ERROR :Closing Link: 192.0.2.1 (Server shutting down)\r\n"
        );
        assert!(client.is_closed());
    }
    assert_eq!(network.counts().users, 0);
}

#[test]
fn what_has_many_targets_costs_as_much() {
    let mut options = NetworkOptions::default();
    options.flood.burst = 20;
    let network = Network::new(options);
    let mut rig = connect(&network);
    rig.receive("NICK x\r\nUSER x 0 * :x\r\n");
    rig.advance(Duration::from_secs(60));
    rig.sent();
    let channels: Vec<String> = (0..20).map(|n| format!("#{n}")).collect();
    let channels = channels.join(",");
    rig.receive(format!("JOIN {channels}\r\nPART {channels}\r\n").repeat(4));
    let told = rig.sent_text();
    let joined = count(&told, " JOIN #");
    assert_eq!(joined, 20, "the second waits for the first to flow out");
    assert_eq!(count(&told, " PART #"), 0);
}

#[test]
fn who_guesses_an_operators_password_waits_longer_each_time() {
    ropewalk_core::testing::run(async {
        let mut options = options();
        let hash = PasswordHash::parse_with_plaintext("{PLAIN}secret").unwrap();
        options.opers.push(Oper::new("root", hash));
        let network = Network::new(options);
        let begin = tokio::time::Instant::now();
        // On one connection or on several: it is the operator who is guessed at.
        for n in 0..10 {
            let mut rig = enter(&network, &format!("eve{n}"));
            rig.receive(format!("OPER root guess{n}\r\n"));
            while !rig.poll().sent_text().contains(" 464 ") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(10), "ten guesses took {took:?}");
    });
}
