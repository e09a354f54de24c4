//! What holds for any bytes that come as lines: what was parsed can be written and says the same
//! then, and a server takes them alike however they are cut. Used by the fuzz target and by the
//! replay of its corpus.

use ropewalk_core::testing::{Rig, sim::Simulation};
use ropewalk_words_irc::{
    proto::message::Message,
    server::{Connection, Network, NetworkOptions},
};

pub(crate) fn check(data: &[u8]) {
    for line in String::from_utf8_lossy(data).split('\n') {
        comes_back(line);
    }
    let data = &data[..data.len().min(4096)];
    let whole = told(&[data]);
    let (one, other) = data.split_at(data.len() / 2);
    assert_eq!(told(&[one, other]), whole, "in two parts");
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(told(&bytes), whole, "byte by byte");
}

fn comes_back(line: &str) {
    let Ok(message) = Message::parse(line) else {
        return;
    };
    let mut written = Vec::new();
    message
        .write(&mut written)
        .expect("what was parsed can be written");
    let written = String::from_utf8(written).expect("it was text");
    let line = written.strip_suffix("\r\n").expect("it is one line");
    let again = Message::parse(line).expect("what was written can be parsed");
    assert!(again.tags.iter().eq(message.tags.iter()), "{line}");
    assert_eq!(
        (again.source, again.command, again.params),
        (message.source, message.command, message.params),
    );
}

/// What a server tells a client of which this comes.
fn told(pieces: &[&[u8]]) -> Vec<u8> {
    // Of a seed, so that times and ids are the same each time.
    Simulation::from_seed(1).run(async |_| {
        let mut options = NetworkOptions::default();
        options.flood.disabled = true;
        let mut rig = Rig::new(Connection::new(Network::new(options)));
        rig.receive("NICK ada\r\nUSER ada 0 * :Ada\r\n");
        for piece in pieces {
            rig.receive(piece);
        }
        rig.receive("\r\n").eof();
        rig.sent()
    })
}
