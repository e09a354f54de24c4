#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant, SystemTime};

use ropewalk_cred::sasl::{Channel, Login};

use super::*;

/// A session, with a clock of its own.
struct Rig {
    session: Session,
    now: Instant,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new("bot");
        options.ask_on_join = false;
        options.pace = Pace::UNPACED;
        change(&mut options);
        let mut rig = Self {
            session: Session::new(options),
            now: Instant::now(),
        };
        rig.connect(Link::default());
        rig
    }

    fn connect(&mut self, link: Link) {
        self.session
            .connected(self.now, SystemTime::UNIX_EPOCH, link);
    }

    /// One that is online.
    fn online(change: impl FnOnce(&mut Options)) -> Self {
        let mut rig = Self::new(change);
        rig.sent();
        rig.receive("001 bot :Welcome");
        rig.receive("005 bot CASEMAPPING=ascii PREFIX=(ov)@+ CHANTYPES=# :are supported");
        rig.receive("422 bot :none");
        rig.sent();
        rig.events();
        rig
    }

    fn receive(&mut self, line: &str) -> &mut Self {
        self.session.receive(self.now, line.as_bytes());
        self.session.check();
        self
    }

    fn sent(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.session.transmit(self.now, &mut out);
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.next_event()).collect()
    }

    fn kinds(&mut self) -> Vec<Kind> {
        self.events().into_iter().map(|it| it.kind).collect()
    }

    fn advance(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.session.poll(self.now);
    }

    fn ask(&mut self, request: Request) -> RequestId {
        self.session.request(self.now, request).unwrap()
    }

    fn answer(&mut self) -> Option<Result<Answer, RequestError>> {
        self.session.next_answer().map(|it| it.1)
    }

    fn failure(&self) -> String {
        self.session.ended().unwrap().to_string()
    }
}

fn secure() -> Link {
    Link {
        channel: Channel::encrypted(),
        is_tls: true,
        can_upgrade: false,
    }
}

#[test]
fn capabilities_are_asked_for_in_all_parts_of_the_list() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.sent(), ["CAP LS 302", "NICK bot", "USER bot 0 * bot"]);
    rig.receive("CAP * LS * :multi-prefix batch=x unknown/one");
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive("CAP * LS :server-time");
    assert_eq!(rig.sent(), ["CAP REQ :batch multi-prefix server-time"]);
    // One is refused, and so are all; then each by itself.
    rig.receive("CAP * NAK :batch multi-prefix server-time");
    assert_eq!(
        rig.sent(),
        [
            "CAP REQ :batch",
            "CAP REQ :multi-prefix",
            "CAP REQ :server-time"
        ]
    );
    rig.receive("CAP * ACK :batch")
        .receive("CAP * NAK :multi-prefix");
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive("CAP * ACK :server-time ");
    assert_eq!(rig.sent(), ["CAP END"]);
    assert!(rig.session.state().has_capability("batch"));
    assert!(!rig.session.state().has_capability("multi-prefix"));
    rig.receive("001 bot :hi").receive("376 bot :end");
    rig.receive("CAP bot NEW :away-notify")
        .receive("CAP bot DEL :batch");
    assert_eq!(rig.sent(), ["CAP REQ :away-notify"]);
    rig.receive("CAP bot ACK :away-notify");
    assert_eq!(rig.sent(), [""; 0], "no second CAP END");
    let all: Vec<_> = rig.session.state().capabilities().collect();
    assert_eq!(all, ["away-notify", "server-time"]);
}

#[test]
fn sasl_plain_over_tls() {
    let mut rig = Rig::new(|options| options.logins.push(Login::password("ada", "secret")));
    rig.connect(secure());
    rig.sent();
    rig.receive("CAP * LS :sasl=PLAIN,EXTERNAL");
    assert_eq!(rig.sent(), ["CAP REQ sasl"].map(|_| "CAP REQ :sasl"));
    rig.receive("CAP * ACK :sasl");
    assert_eq!(rig.sent(), ["AUTHENTICATE PLAIN"]);
    rig.receive("AUTHENTICATE +");
    assert_eq!(rig.sent(), ["AUTHENTICATE AGFkYQBzZWNyZXQ="]);
    rig.receive("900 bot bot!b@h ada :You are now logged in as ada");
    rig.receive("903 bot :SASL authentication successful");
    assert_eq!(rig.sent(), ["CAP END"]);
    assert_eq!(rig.session.state().account(), Some("ada"));
}

/// Against the server's side of SASL; the password is not told, so it may be in
/// the clear.
#[test]
fn scram_proves_both_sides() {
    use ropewalk_cred::{
        Account,
        sasl::{
            Answer, Channel, Mechanisms, Question, ScramHash, ScramKeys, ScramRecord,
            ServerOptions, Step, Takes,
        },
    };
    for (password, is_right) in [("secret", true), ("wrong", false)] {
        let mut rig = Rig::new(|options| options.logins.push(Login::password("ada", password)));
        rig.receive("CAP * LS :sasl=SCRAM-SHA-256,PLAIN")
            .receive("CAP * ACK :sasl");
        assert_eq!(rig.sent().last().unwrap(), "AUTHENTICATE SCRAM-SHA-256");
        let options = ServerOptions::default();
        let offer = [Takes::Scram(ScramHash::Sha256)];
        let offer = Mechanisms::offered(&offer, &Channel::clear(), &options);
        let mut server = offer
            .start("SCRAM-SHA-256", &Channel::clear(), &options)
            .unwrap();
        rig.receive("AUTHENTICATE +");
        let ended = loop {
            let response = rig.sent().pop().unwrap();
            let piece = response.strip_prefix("AUTHENTICATE ").unwrap().to_owned();
            let mut incoming = crate::proto::authenticate::Incoming::new();
            let crate::proto::authenticate::Piece::Whole(response) =
                incoming.piece(&piece).unwrap()
            else {
                panic!("{piece}");
            };
            let mut step = server.step(Some(&response));
            while let Step::Ask(Question::Scram { user, hash }) = &step {
                let account = Some(Account::new(user.clone(), ropewalk_cred::Kind::Password));
                let keys = ScramKeys::generate(*hash, b"secret", 4096);
                step = server.answered(Answer::Scram(Ok(ScramRecord { keys, account })));
            }
            if let Step::Ask(Question::Login(credentials)) = &step {
                let user = credentials.user().unwrap_or_default().to_owned();
                let account = Account::new(user, credentials.kind());
                step = server.answered(Answer::Login(Ok(account)));
            }
            match step {
                Step::Challenge(challenge) => {
                    for piece in crate::proto::authenticate::pieces(&challenge) {
                        rig.receive(&format!("AUTHENTICATE {piece}"));
                    }
                }
                Step::Success { data, .. } => {
                    for piece in crate::proto::authenticate::pieces(&data.unwrap_or_default()) {
                        rig.receive(&format!("AUTHENTICATE {piece}"));
                    }
                    break true;
                }
                _ => break false,
            }
        };
        assert!(ended, "whoever is asked here says yes");
        if is_right {
            assert_eq!(rig.sent(), ["AUTHENTICATE +"]);
            rig.receive("903 bot :SASL authentication successful");
            assert_eq!(rig.sent(), ["CAP END"]);
        } else {
            // This server does not know the client's password.
            assert!(rig.failure().contains("cannot log in"), "{}", rig.failure());
        }
    }
    // A server that has not proven itself is not believed.
    let mut rig = Rig::new(|options| options.logins.push(Login::password("ada", "secret")));
    rig.receive("CAP * LS :sasl=SCRAM-SHA-256")
        .receive("CAP * ACK :sasl")
        .receive("AUTHENTICATE +")
        .receive("903 bot :SASL authentication successful");
    assert!(rig.failure().contains("cannot log in"), "{}", rig.failure());
}

#[test]
fn no_password_leaves_in_the_clear() {
    let mut rig = Rig::new(|options| options.logins.push(Login::password("ada", "secret")));
    rig.receive("CAP * LS :sasl=PLAIN")
        .receive("CAP * ACK :sasl");
    assert!(rig.failure().contains("cannot log in"), "{}", rig.failure());
    let sent = rig.sent().join("\n");
    assert!(!sent.contains("AUTHENTICATE"), "{sent}");
}

#[test]
fn a_refused_login_is_final_and_an_unknown_mechanism_is_not() {
    let with_login = |options: &mut Options| {
        options.logins.push(Login::Certificate { act_as: None });
        options.logins.push(Login::password("ada", "secret"));
    };
    let mut rig = Rig::new(with_login);
    rig.connect(secure());
    rig.receive("CAP * LS :sasl").receive("CAP * ACK :sasl");
    assert!(rig.sent().contains(&"AUTHENTICATE EXTERNAL".to_owned()));
    rig.receive("908 bot SCRAM-SHA-256,PLAIN :are available");
    rig.receive("904 bot :SASL authentication failed");
    assert_eq!(rig.sent(), ["AUTHENTICATE SCRAM-SHA-256"]);
    rig.receive("904 bot :SASL mechanism not supported");
    assert_eq!(rig.sent(), ["AUTHENTICATE PLAIN"]);
    rig.receive("AUTHENTICATE +").receive("904 bot :Wrong");
    assert!(rig.session.ended().unwrap().is_final());
    assert_eq!(rig.failure(), "the login was refused: Wrong");

    let mut rig = Rig::new(|options| {
        with_login(options);
        options.allow_without_login = true;
    });
    rig.receive("CAP * LS :sasl=X").receive("CAP * ACK :sasl");
    assert_eq!(rig.sent().last().unwrap(), "CAP END");
}

#[test]
fn a_server_without_sasl_or_without_capabilities_is_told_apart_from_one_that_is_silent() {
    let login = |options: &mut Options| options.logins.push(Login::password("ada", "secret"));
    let mut rig = Rig::new(login);
    rig.receive("CAP * LS :batch");
    assert!(rig.failure().contains("no SASL"));
    let mut rig = Rig::new(login);
    rig.receive("421 * CAP :Unknown command")
        .receive("001 bot :hi");
    assert!(rig.failure().contains("no SASL"));
    let mut rig = Rig::new(|_| {});
    rig.advance(60);
    assert_eq!(rig.failure(), "the server did not let us in within 60s");
    assert!(!rig.session.ended().unwrap().is_final());
}

#[test]
fn nicks_fall_back_and_are_regained() {
    let mut rig = Rig::new(|options| options.nicks.push("robot".into()));
    rig.sent();
    for (refused, next) in [
        ("bot", "robot"),
        ("robot", "bot_"),
        ("bot_", "bot__"),
        ("bot__", "bot1"),
    ] {
        rig.receive(&format!("433 * {refused} :in use"));
        assert_eq!(rig.sent(), [format!("NICK {next}")]);
    }
    rig.receive("001 bot1 :hi").receive("422 bot1 :none");
    assert_eq!(rig.session.state().nick(), "bot1");
    rig.events();
    rig.advance(60);
    assert_eq!(rig.sent().last().unwrap(), "NICK bot");
    rig.receive("433 bot1 bot :in use");
    assert_eq!(rig.events(), [], "its own attempt is its own business");
    // Whoever has it goes.
    rig.receive(":bot!x@y QUIT :bye");
    assert_eq!(rig.sent(), ["NICK bot"]);
    rig.receive(":bot1!b@h NICK bot");
    assert_eq!(rig.session.state().nick(), "bot");
    assert!(rig.events().last().unwrap().is_own);
    rig.advance(59);
    assert!(!rig.sent().iter().any(|it| it.starts_with("NICK")));

    let mut rig = Rig::new(|options| options.limits.nicks = 2);
    rig.receive("433 * bot :in use")
        .receive("433 * bot_ :in use");
    assert!(rig.failure().contains("none of the nicks"));
}

#[test]
fn the_state_follows() {
    let mut rig = Rig::online(|_| {});
    for line in [
        ":bot!b@host JOIN #Rope",
        ":s 332 bot #rope :about ropes",
        ":s 333 bot #rope ada!a@h 1700000000",
        ":s 353 bot = #rope :@ada +bob bot",
        ":s 366 bot #rope :End",
        ":s 324 bot #rope +ntk key",
        ":carl!c@h JOIN #rope",
        ":ada!a@h MODE #rope +o-v+l bob bob 5",
        ":bob!b@h NICK bobby",
        ":ada!a@h KICK #rope carl :out",
        ":ada!a@h TOPIC #rope :new",
    ] {
        rig.receive(line);
    }
    let state = rig.session.state();
    let channel = state.channel("#rOPE").unwrap();
    assert_eq!((&*channel.name, &*channel.topic), ("#Rope", "new"));
    let members: Vec<_> = channel
        .members()
        .map(|it| (&*it.nick, &*it.ranks))
        .collect();
    assert_eq!(members, [("ada", "o"), ("bobby", "o"), ("bot", "")]);
    let modes: String = channel.modes.keys().collect();
    assert_eq!(modes, "klnt");
    assert!(channel.is_synced && state.host() == Some("host"));
    assert!(state.has_rank("#rope", "bobby", 'v') && !state.has_rank("#rope", "bot", 'v'));
    assert!(state.user("carl").is_none());
    rig.receive(":bobby!b@h QUIT")
        .receive(":bot!b@host PART #rope");
    assert_eq!(rig.session.state().users().len(), 0);
    assert_eq!(rig.session.state().channels().len(), 0);
}

#[test]
fn accounts_and_absences_follow() {
    let mut rig = Rig::online(|options| options.ask_on_join = true);
    rig.receive("005 bot WHOX :are supported");
    rig.receive(":bot!b@h JOIN #a")
        .receive(":s 353 bot = #a :bot ada eve")
        .receive(":s 366 bot #a :End");
    assert_eq!(rig.sent(), ["MODE #a", "WHO #a %tuhnfar,847"]);
    rig.events();
    rig.receive(":s 354 bot 847 a host ada G@ ada :Ada L.");
    rig.receive(":s 354 bot 847 e host eve H 0 :Eve");
    rig.receive(":s 315 bot #a :End");
    assert_eq!(rig.events(), [], "nobody asked but the client itself");
    let ada = rig.session.state().user("ada").unwrap();
    assert_eq!(
        (ada.account.as_deref(), ada.away),
        (Some("ada"), Some(true))
    );
    assert_eq!(ada.realname.as_deref(), Some("Ada L."));
    assert_eq!(
        rig.session.state().user("eve").unwrap().account.as_deref(),
        Some("")
    );
    rig.receive(":ada!a@host AWAY")
        .receive(":eve!e@host ACCOUNT eve")
        .receive(":eve!e@host CHGHOST x y");
    assert_eq!(rig.session.state().user("ada").unwrap().away, Some(false));
    let eve = rig.session.state().user("eve").unwrap();
    assert_eq!(
        (eve.account.as_deref(), eve.host.as_deref()),
        (Some("eve"), Some("y"))
    );
}

#[test]
fn channels_are_joined_again_with_their_keys() {
    let mut rig = Rig::online(|options| {
        options.channels = vec![("#a".into(), None), ("#b".into(), Some("key".into()))];
    });
    rig.session.send("JOIN", &["#c"]).unwrap();
    rig.session.send("PART", &["#a"]).unwrap();
    rig.receive(":bot!b@h JOIN #a")
        .receive(":bot!b@h JOIN #b")
        .receive(":bot!b@h JOIN #c");
    rig.receive(":x MODE #b +k new")
        .receive(":bot!b@h PART #a")
        .receive(":x KICK #c bot");
    rig.session.disconnected();
    rig.connect(Link::default());
    rig.sent();
    rig.receive("001 bot :hi").receive("422 bot :none");
    assert_eq!(rig.sent(), ["JOIN #b new"]);
}

#[test]
fn long_texts_are_split_as_others_will_see_them() {
    let mut rig = Rig::online(|_| {});
    rig.receive(":bot!user@some.host.example JOIN #rope");
    rig.session
        .say(Say::Privmsg, "#rope", &"é".repeat(600))
        .unwrap();
    let sent = rig.sent();
    assert_eq!(sent.len(), 3);
    for line in &sent {
        let seen = format!(":bot!user@some.host.example {line}\r\n");
        assert!(seen.len() <= 512, "{}", seen.len());
    }
    let seen = format!(":bot!user@some.host.example {}\r\n", sent[0]);
    assert!(seen.len() >= 511, "none is shorter than it must be");
    rig.receive("005 bot LINELEN=2048 :are supported");
    rig.session
        .say(Say::Privmsg, "#rope", &"é".repeat(600))
        .unwrap();
    assert_eq!(rig.sent().len(), 1);
    rig.session.say(Say::Action, "#rope", "a\nb").unwrap();
    assert_eq!(
        rig.sent(),
        [
            "PRIVMSG #rope :\u{1}ACTION a\u{1}",
            "PRIVMSG #rope :\u{1}ACTION b\u{1}"
        ]
    );
    assert!(rig.session.say(Say::Privmsg, "#a b", "x").is_err());
    assert!(rig.session.send("TOPIC", &["#a\r\nQUIT"]).is_err());
    assert_eq!(rig.sent(), [""; 0], "nobody forges a line");
}

#[test]
fn lines_are_paced_and_pongs_are_not() {
    let mut rig = Rig::online(|options| options.pace = Pace::new(3, Duration::from_secs(2)));
    for n in 0..6 {
        rig.session.say(Say::Privmsg, "a", &n.to_string()).unwrap();
    }
    assert_eq!(rig.sent().len(), 3);
    rig.receive("PING :x");
    assert_eq!(rig.sent(), ["PONG x"]);
    assert_eq!(
        rig.session.next_deadline(rig.now),
        Some(rig.now + Duration::from_secs(2))
    );
    rig.advance(2);
    assert_eq!(rig.sent().len(), 1);
    rig.advance(4);
    assert_eq!(rig.sent().len(), 2);
    assert_eq!(rig.session.unsent(), 0);
}

#[test]
fn what_waits_has_a_limit() {
    let mut rig = Rig::online(|options| options.pace = Pace::new(1, Duration::from_secs(1)));
    let mut said = 0;
    while rig.session.say(Say::Privmsg, "a", &"x".repeat(300)).is_ok() {
        said += 1;
    }
    assert!((700..1000).contains(&said), "{said}");
    assert_eq!(
        rig.session.send("VERSION", &[&"x".repeat(400)]),
        Err(SendError::Busy)
    );
}

#[test]
fn requests_without_labels_are_answered_by_what_the_lines_are() {
    let mut rig = Rig::online(|_| {});
    rig.ask(Request::Whois("ada".into()));
    rig.ask(Request::Whois("eve".into()));
    rig.ask(Request::List(None));
    assert_eq!(rig.sent(), ["WHOIS ada", "WHOIS eve", "LIST"]);
    for line in [
        ":s 322 bot #a 3 :about a",
        ":s 311 bot ada a host * :Ada L.",
        ":x!y@z PRIVMSG bot :meanwhile",
        ":s 319 bot ada :@#a +#b",
        ":s 330 bot ada ada :is logged in as",
        ":s 318 bot ada :End",
        ":s 401 bot eve :No such nick",
        ":s 318 bot eve :End",
        ":s 323 bot :End",
    ] {
        rig.receive(line);
    }
    let ada = Whois::read(&rig.answer().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&*ada.host, &*ada.realname, ada.channels.len()),
        ("host", "Ada L.", 2)
    );
    assert_eq!(ada.account.as_deref(), Some("ada"));
    assert_eq!(Whois::read(&rig.answer().unwrap().unwrap()), None);
    let list = Listed::read(&rig.answer().unwrap().unwrap());
    assert_eq!((&*list[0].channel, list[0].members), ("#a", 3));
    let kinds = rig.kinds();
    assert!(matches!(kinds[..], [Kind::Privmsg { .. }]), "{kinds:?}");
    let refused = rig
        .session
        .request(rig.now, Request::Command("X".into(), vec![]));
    assert_eq!(refused, Err(RequestError::NoLabels));
}

#[test]
fn requests_with_labels_are_answered_by_batch_line_and_ack() {
    let mut rig = Rig::new(|_| {});
    rig.receive("CAP * LS :labeled-response batch message-tags");
    rig.receive("CAP * ACK :batch labeled-response message-tags");
    rig.receive("001 bot :hi").receive("422 bot :none");
    rig.sent();
    rig.events();
    rig.ask(Request::Whois("ada".into()));
    rig.ask(Request::Command("AWAY".into(), vec![]));
    rig.ask(Request::Join("#a".into(), None));
    rig.ask(Request::Ping);
    rig.ask(Request::Nick("bob".into()));
    assert_eq!(
        rig.sent(),
        [
            "@label=r1 WHOIS ada",
            "@label=r2 AWAY",
            "@label=r3 JOIN #a",
            "@label=r4 PING ask-4",
            "@label=r5 NICK bob"
        ]
    );
    for line in [
        "@label=r3 :s BATCH +j labeled-response",
        "@batch=j :bot!b@h JOIN #a",
        "@batch=j :s 353 bot = #a :bot",
        "@label=r1 :s BATCH +w labeled-response",
        "@batch=w :s 311 bot ada a host * :Ada",
        "@batch=j :s 366 bot #a :End",
        ":s BATCH -j",
        "@batch=w :s 318 bot ada :End",
        ":s BATCH -w",
        "@label=r2 :s ACK",
        "@label=r4 :s PONG s ask-4",
        // As InspIRCd has it: from the new nick.
        "@label=r5 :bob!b@h NICK bob",
        "@label=r99 :s 999 bot :nobody asked",
    ] {
        rig.receive(line);
    }
    let answers: Vec<_> = std::iter::from_fn(|| rig.session.next_answer()).collect();
    let lines: Vec<_> = answers
        .iter()
        .map(|(id, answer)| (id.0, answer.as_ref().unwrap().messages().count()))
        .collect();
    assert_eq!(lines, [(3, 3), (1, 2), (2, 0), (4, 1), (5, 1)]);
    assert!(rig.session.state().member("#a", "bob").is_some());
    assert_eq!(rig.session.state().nick(), "bob");
    assert!(rig.session.state().channel("#a").unwrap().is_synced);
    let kinds = rig.kinds();
    assert!(
        matches!(
            kinds[..],
            [
                Kind::Join { .. },
                Kind::Joined { .. },
                Kind::Nick { .. },
                Kind::Numeric { .. }
            ]
        ),
        "{kinds:?}"
    );
}

#[test]
fn a_request_is_answered_in_time_or_not_at_all() {
    let mut rig = Rig::online(|options| options.deadlines.answer = Duration::from_secs(10));
    rig.ask(Request::Names("#a".into()));
    rig.advance(10);
    assert_eq!(rig.answer().unwrap(), Err(RequestError::TimedOut));
    rig.ask(Request::Ping);
    rig.session.disconnected();
    assert_eq!(rig.answer().unwrap(), Err(RequestError::NotConnected));
    let id = Rig::online(|_| {}).ask(Request::Ping);
    rig.session.forget(id);
}

#[test]
fn a_history_is_not_what_happens_now() {
    let mut rig = Rig::online(|_| {});
    rig.receive(":bot!b@h JOIN #a").events();
    for line in [
        ":s BATCH +h chathistory #a",
        "@batch=h;time=2026-01-01T00:00:00.000Z :ada!a@h PRIVMSG #a :!quit",
        "@batch=h :eve!e@h JOIN #a",
        "@batch=h :s BATCH +n netsplit x",
        "@batch=n :eve!e@h QUIT :split",
        ":s BATCH -n",
        ":s BATCH -h",
    ] {
        rig.receive(line);
    }
    assert!(rig.session.state().user("eve").is_none());
    let kinds = rig.kinds();
    let [
        Kind::Batch {
            kind,
            events,
            complete: true,
            ..
        },
    ] = &kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!((&**kind, events.len()), ("chathistory", 3));
    assert_eq!(
        events[0].time().unwrap().to_string(),
        "2026-01-01T00:00:00.000Z"
    );
}

#[test]
fn a_net_that_splits_does_so_now() {
    let mut rig = Rig::online(|_| {});
    rig.receive(":bot!b@h JOIN #a")
        .receive(":eve!e@h JOIN #a")
        .events();
    rig.receive(":s BATCH +n netsplit x y")
        .receive("@batch=n :eve!e@h QUIT :x y")
        .receive(":s BATCH -n");
    assert!(rig.session.state().user("eve").is_none());
    let events = rig.events();
    assert_eq!((events.len(), events[0].batch().as_deref()), (1, Some("n")));
}

#[test]
fn ctcp_is_answered_and_not_for_ever() {
    let mut rig = Rig::online(|options| options.ctcp.version = Some("rope 1".into()));
    let ask = |rig: &mut Rig, what: &str| {
        rig.receive(&format!(":ada!a@h PRIVMSG bot :\u{1}{what}\u{1}"));
        rig.sent()
    };
    assert_eq!(
        ask(&mut rig, "version"),
        ["NOTICE ada :\u{1}VERSION rope 1\u{1}"]
    );
    assert_eq!(
        ask(&mut rig, "PING 1 2"),
        ["NOTICE ada :\u{1}PING 1 2\u{1}"]
    );
    assert_eq!(
        ask(&mut rig, "TIME"),
        ["NOTICE ada :\u{1}TIME 1970-01-01T00:00:00.000Z\u{1}"]
    );
    assert_eq!(
        ask(&mut rig, "VERSION"),
        [""; 0],
        "three at once are enough"
    );
    rig.advance(10);
    assert_eq!(
        ask(&mut rig, "CLIENTINFO"),
        ["NOTICE ada :\u{1}CLIENTINFO ACTION CLIENTINFO PING TIME VERSION\u{1}"]
    );
    rig.receive(":ada!a@h NOTICE bot :\u{1}VERSION x\u{1}");
    assert_eq!(rig.sent(), [""; 0], "an answer is not answered");
}

#[test]
fn a_silent_server_is_asked_and_given_up() {
    let mut rig = Rig::online(|_| {});
    rig.advance(59);
    assert_eq!(rig.sent(), [""; 0]);
    rig.advance(1);
    assert_eq!(rig.sent(), ["PING alive"]);
    rig.receive(":s PONG s alive");
    assert_eq!(rig.events(), []);
    rig.advance(60);
    rig.advance(29);
    assert!(rig.session.ended().is_none());
    rig.advance(1);
    assert_eq!(rig.failure(), "the server has not answered for 90s");
}

#[test]
fn quit_comes_behind_what_was_said() {
    let mut rig = Rig::online(|options| options.pace = Pace::new(1, Duration::from_secs(1)));
    rig.session.say(Say::Privmsg, "a", "one\ntwo").unwrap();
    rig.session.quit(rig.now, "bye");
    assert_eq!(rig.sent(), ["PRIVMSG a :one"]);
    assert_eq!(rig.session.send("X", &[]), Err(SendError::NotConnected));
    rig.advance(1);
    assert_eq!(rig.sent(), ["PRIVMSG a :two"]);
    rig.advance(1);
    assert_eq!(rig.sent(), ["QUIT bye"]);
    rig.receive("ERROR :Closing link");
    assert!(matches!(rig.session.ended(), Some(Ended::Quit)));

    let mut rig = Rig::online(|_| {});
    rig.session.quit(rig.now, "");
    rig.advance(5);
    assert!(
        matches!(rig.session.ended(), Some(Ended::Quit)),
        "or in five seconds"
    );
}

#[test]
fn a_policy_of_tls_is_heeded() {
    let link = Link {
        can_upgrade: true,
        ..Link::default()
    };
    let mut rig = Rig::new(|_| {});
    rig.connect(link);
    rig.receive("CAP * LS :sts=duration=300,port=6697");
    assert!(matches!(rig.session.ended(), Some(Ended::Sts(6697))));
    assert_eq!(
        rig.session.take_sts(),
        None,
        "in the clear anybody can say for how long"
    );

    let mut rig = Rig::new(|_| {});
    rig.connect(secure());
    rig.receive("CAP * LS :sts=duration=300,port=6697");
    assert_eq!(
        rig.session.take_sts().unwrap().duration,
        Duration::from_secs(300)
    );
    assert!(rig.session.ended().is_none());
}

/// What a server can do to be hostile, each with its limit.
mod hostile {
    use super::*;

    #[test]
    fn numerics_with_too_few_parameters() {
        for code in 0..1000 {
            let mut rig = Rig::online(|_| {});
            rig.receive(":bot!b@h JOIN #a");
            rig.ask(Request::Whois("ada".into()));
            rig.ask(Request::Names("#a".into()));
            for line in [
                format!("{code:03}"),
                format!("{code:03} bot"),
                format!("{code:03} bot #a"),
                format!(":s {code:03} bot ada x"),
            ] {
                rig.receive(&line);
            }
        }
        for command in [
            "JOIN",
            "PART",
            "KICK",
            "NICK",
            "MODE",
            "TOPIC",
            "QUIT",
            "CAP",
            "BATCH",
            "AUTHENTICATE",
            "ERROR",
            "AWAY",
            "ACCOUNT",
            "RENAME",
        ] {
            for params in ["", " :", " #a", " #a b", " , ,"] {
                let mut rig = Rig::online(|_| {});
                rig.receive(&format!("{command}{params}"));
                rig.receive(&format!(":bot!b@h {command}{params}"));
            }
        }
    }

    #[test]
    fn names_without_end_and_a_flood_of_channels() {
        let mut rig = Rig::online(|options| {
            options.limits.members = 100;
            options.limits.channels = 10;
        });
        for n in 0..50 {
            rig.receive(&format!(":bot!b@h JOIN #{n}"));
            rig.events();
        }
        for n in 0..50 {
            let names: String = (0..20).map(|m| format!("n{n}x{m} ")).collect();
            rig.receive(&format!(":s 353 bot = #1 :{names}"));
            rig.events();
        }
        let state = rig.session.state();
        assert!(state.is_partial());
        assert_eq!((state.channels().len(), state.users().len()), (10, 91));
    }

    #[test]
    fn batches_that_never_end_or_stand_in_each_other() {
        let mut rig = Rig::online(|options| {
            options.limits.batch_bytes = 10_000;
            options.limits.batches = 20;
        });
        rig.receive("BATCH +x chathistory #a");
        let mut came = 0;
        for _ in 0..1000 {
            rig.receive(&format!("@batch=x :a!b@c PRIVMSG #a :{}", "y".repeat(200)));
            for kind in rig.kinds() {
                let Kind::Batch {
                    events,
                    complete: false,
                    ..
                } = kind
                else {
                    panic!()
                };
                came += events.len();
            }
        }
        assert!(came > 950, "{came}: nothing is lost");
        for n in 0..100 {
            rig.receive(&format!("@batch=b{} BATCH +b{n} chathistory", n - 1));
        }
        rig.receive("BATCH +x chathistory")
            .receive("BATCH -nobody")
            .receive("BATCH + y");
        rig.events();
        rig.advance(60);
        let kinds = rig.kinds();
        assert!(!kinds.is_empty() && kinds.iter().all(|it| matches!(it, Kind::Batch { .. })));
        let (open, bytes) = rig.session.batches_held();
        assert_eq!((open, bytes), (0, 0));
    }

    #[test]
    fn an_answer_without_end() {
        let mut rig = Rig::online(|options| options.limits.answer_bytes = 10_000);
        rig.ask(Request::List(None));
        for n in 0..1000 {
            rig.receive(&format!(":s 322 bot #{n} 1 :topic"));
        }
        assert_eq!(rig.answer().unwrap(), Err(RequestError::TooLong));
        assert_eq!(rig.answer(), None);
    }

    #[test]
    fn tags_and_lines_that_are_too_long() {
        let mut rig = Rig::online(|_| {});
        rig.receive(&format!("@a={} PRIVMSG bot :x", "y".repeat(1 << 20)));
        rig.receive(&format!("PRIVMSG bot :{}", "y".repeat(1 << 20)));
        rig.session.too_long(rig.now);
        assert!(
            rig.kinds()
                .iter()
                .all(|it| matches!(it, Kind::Unreadable { .. }))
        );
        rig.receive("005 bot LINELEN=99999999999 :x");
        assert!(rig.session.longest_line() < 64 * 1024);
    }

    #[test]
    fn nicks_that_are_not_there_and_nicks_that_are() {
        let mut rig = Rig::online(|_| {});
        rig.receive(":bot!b@h JOIN #a")
            .receive(":ada!a@h JOIN #a")
            .receive(":eve!e@h JOIN #a");
        rig.receive(":nobody!x@y NICK somebody")
            .receive(":ada!a@h NICK eve");
        assert_eq!(
            rig.session.state().channel("#a").unwrap().members().len(),
            2
        );
        rig.receive(":eve!e@h NICK bot")
            .receive(":bot!e@h NICK bot2");
        rig.receive("NICK x")
            .receive(":bot2 NICK :")
            .receive(": NICK y")
            .receive("JOIN #b");
        rig.receive("005 bot CASEMAPPING=rfc1459 :x")
            .receive(":x!x@x JOIN #a")
            .receive(":X!x@x NICK [")
            .receive(":{!x@x QUIT");
    }

    #[test]
    fn modes_and_tokens_that_are_made_up() {
        let mut rig = Rig::online(|_| {});
        rig.receive(":bot!b@h JOIN #a");
        let letters: String = ('\u{100}'..'\u{1100}').collect();
        rig.receive(&format!(":s MODE #a +{}", &letters[..900]));
        rig.receive(&format!(":bot MODE bot +{}", &letters[..900]));
        assert!(rig.session.state().channel("#a").unwrap().modes.len() <= 64);
        assert!(rig.session.state().modes().count() <= 64);
        rig.receive("005 bot PREFIX=(((((ov)))@+ CHANMODES=,,,,,,, CHANTYPES= :x");
        rig.receive(":s MODE #a +ovovov a b c")
            .receive(":s 353 bot = #a :@@@@@ +++ @");
        for n in 0..1000 {
            rig.receive(&format!("CAP * LS * :cap{n}=x"));
            rig.receive(&format!("CAP * ACK :cap{n}"));
        }
        assert!(rig.session.state().capabilities().count() <= 256);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_the_state_holds_together(
        lines in proptest::collection::vec(
            "(:(bot|ada|eve)!u@h )?(JOIN|PART|KICK|NICK|QUIT|MODE|353 bot =|BATCH|CAP \\*|005 bot|TOPIC|433 \\*)( (#a|#b|ada|eve|bot|\\+ov|-o|\\+x|-x|LS|:@ada \\+eve bot|CASEMAPPING=ascii)){0,4}",
            0..60,
        )
    ) {
        let mut rig = Rig::online(|_| {});
        for line in lines {
            rig.receive(&line);
            rig.sent();
        }
    }
}
