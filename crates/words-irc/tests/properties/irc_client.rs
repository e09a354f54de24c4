//! What a server says: whatever it is, nothing panics, and what the client
//! holds of it stays within its limits. The first byte chooses what the server
//! has agreed to; a line of `!` lets time pass.

use std::time::{Duration, Instant, SystemTime};

use ropewalk_words_irc::proto::{
    client::{Found, Kind, Link, Listed, Listing, Named, Options, Request, Session, Whois},
    ctcp::Ctcp,
    format,
};

pub(crate) fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let mut options = Options::new("bot");
    options.limits.channels = 4;
    options.limits.members = 16;
    options.limits.batches = 4;
    options.limits.batch_bytes = 500;
    options.limits.answer_bytes = 500;
    options.limits.capabilities = 32;
    options.channels.push(("#a".to_owned(), None));
    let mut session = Session::new(options);
    let mut now = Instant::now();
    session.connected(now, SystemTime::UNIX_EPOCH, Link::default());
    if first & 1 != 0 {
        session.receive(now, b"CAP * LS :labeled-response batch message-tags");
        session.receive(now, b"CAP * ACK :batch labeled-response message-tags");
    }
    if first & 2 != 0 {
        session.receive(now, b"001 bot :Welcome");
        session.receive(now, b"422 bot :None");
        for request in [
            Request::Whois("ada".to_owned()),
            Request::Names("#a".to_owned()),
            Request::List(None),
            Request::Who("#a".to_owned()),
            Request::ModeList("#a".to_owned(), 'b'),
            Request::Join("#b".to_owned(), None),
            Request::Nick("bob".to_owned()),
        ] {
            // With labels or without, all of them can be asked.
            session.request(now, request).expect("it is online");
        }
    }
    let mut out = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        if line == b"!" {
            now += Duration::from_secs(20);
            session.poll(now);
        } else {
            session.receive(now, line.strip_suffix(b"\r").unwrap_or(line));
        }
        out.clear();
        session.transmit(now, &mut out);
        // What is sent is lines, whatever came.
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        assert!(!out.contains(&0));
        session.check();
        while let Some(event) = session.next_event() {
            look_at(&event.kind);
            let _ = (event.answer_to(), event.time(), event.msgid());
        }
        while let Some((_, answer)) = session.next_answer() {
            let Ok(answer) = answer else { continue };
            let _ = (
                Whois::read(&answer),
                Listed::read(&answer),
                Found::read(&answer),
            );
            let _ = Named::read(&answer, session.state().isupport());
            let _ = (
                Listing::read(&answer, 'b'),
                Listing::read(&answer, 'q'),
                answer.refusal(),
            );
        }
    }
    session.disconnected();
}

fn look_at(kind: &Kind) {
    match kind {
        Kind::Privmsg { text, .. } | Kind::Notice { text, .. } | Kind::Action { text, .. } => {
            let spans: usize = format::spans(text).map(|it| it.1.len()).sum();
            assert_eq!(format::strip(text).len(), spans);
        }
        Kind::Ctcp { command, text, .. } | Kind::CtcpReply { command, text, .. } => {
            let written = Ctcp { command, text }.to_text();
            assert!(Ctcp::parse(&written).is_some() || command.contains('\u{1}'));
        }
        Kind::Batch { events, .. } => events.iter().for_each(|event| look_at(&event.kind)),
        _ => {}
    }
}
