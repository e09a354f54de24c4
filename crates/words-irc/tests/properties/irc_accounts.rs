//! What is read of strangers and of disks: requests for history, times, pieces of
//! SASL's messages, and the file of what is registered. Nothing panics, and what
//! was read is written and read the same.

use ropewalk_words_irc::{
    proto::{
        authenticate::{Incoming, LONGEST, Piece, pieces},
        casemap::CaseMapping,
        chathistory::Request,
        timestamp::Timestamp,
    },
    server::registered::Registered,
};

pub(crate) fn check(data: &[u8]) {
    file(data);
    let message = &data[..data.len().min(LONGEST / 4 * 3 - 3)];
    let mut incoming = Incoming::new();
    let mut whole = None;
    for piece in pieces(message) {
        assert!(whole.is_none(), "more behind the last piece");
        match incoming.piece(&piece).expect("our own pieces are good") {
            Piece::More => {}
            Piece::Whole(message) => whole = Some(message),
            Piece::Abort => panic!("nobody gave up"),
        }
    }
    assert_eq!(whole.as_deref(), Some(message));
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut incoming = Incoming::new();
    for line in text.lines() {
        let _ = incoming.piece(line);
        time(line);
        request(line);
    }
}

/// A file that is taken is written and taken again, as the same.
fn file(data: &[u8]) {
    for mapping in [CaseMapping::Ascii, CaseMapping::Rfc1459] {
        if let Ok(registered) = Registered::read(data, mapping) {
            let written = registered.write();
            let again = Registered::read(&written, mapping).expect("what we write we read");
            assert_eq!(again.write(), written);
        }
    }
}

fn time(line: &str) {
    if let Ok(time) = line.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
}

fn request(line: &str) {
    let params: Vec<&str> = line.split(' ').collect();
    match Request::parse(&params) {
        Ok(request) => {
            let params = request.params();
            let again: Vec<&str> = params.iter().map(String::as_str).collect();
            assert_eq!(Request::parse(&again), Ok(request));
        }
        Err(error) => {
            // What is said of it can stand in the middle of a line.
            for part in error.context() {
                assert!(!part.is_empty() && !part.starts_with(':'), "{part:?}");
                assert!(!part.contains(' '), "{part:?}");
            }
        }
    }
}
