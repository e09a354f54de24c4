//! What holds for any lines of two clients: nothing panics, each line that either is told can be
//! parsed and is no longer than it may be, and when both have gone nothing is left. Used by the
//! fuzz target and by the replay of its corpus.
//!
//! Each line is that of the first client, or, with `~` before it, of the second.

use std::sync::Arc;

use ropewalk_core::testing::{Rig, sim::Simulation};
use ropewalk_cred::PasswordHash;
use ropewalk_words_irc::{
    proto::message::{LIMIT, Message},
    server::{Connection, Network, NetworkOptions, Oper},
};

const CAPABILITIES: &str = "message-tags server-time account-tag echo-message labeled-response batch \
                            multi-prefix extended-join away-notify invite-notify setname chghost";

pub(crate) fn check(data: &[u8]) {
    let mut options = NetworkOptions::default();
    options.flood.disabled = true;
    let hash = PasswordHash::parse_with_plaintext("{PLAIN}x").expect("it is a password");
    options.opers.push(Oper::new("x", hash));
    options.limits.send_queue = 1 << 20;
    Simulation::from_seed(1).run(async |_| {
        let network = Arc::new(Network::new(options));
        let mut clients = ["a", "b"].map(|nick| {
            let mut rig = Rig::new(Connection::new((*network).clone()));
            rig.receive(format!("CAP REQ :{CAPABILITIES}\r\nNICK {nick}\r\n"));
            rig.receive(format!("USER {nick} 0 * :{nick}\r\nCAP END\r\n"));
            rig
        });
        for line in data.split(|byte| *byte == b'\n').take(200) {
            let (which, line) = match line {
                [b'~', line @ ..] => (1, line),
                line => (0, line),
            };
            clients[which].receive([line, b"\n"].concat());
            clients.iter_mut().for_each(read);
        }
        for client in &mut clients {
            if !client.is_closed() {
                client.eof();
            }
            read(client);
        }
        let counts = network.counts();
        assert_eq!(
            (counts.users, counts.unregistered, counts.channels),
            (0, 0, 0)
        );
    });
}

fn read(client: &mut Rig<Connection>) {
    let told = String::from_utf8(client.poll().sent()).expect("what is told is text");
    for line in told.split_inclusive('\n') {
        let line = line.strip_suffix("\r\n").expect("each line has its end");
        let message = Message::parse(line).expect("what is told can be parsed");
        let tags = message.tags.as_str();
        let rest = if tags.is_empty() {
            line.len()
        } else {
            line.len() - tags.len() - 2
        };
        assert!(rest <= LIMIT - 2, "{rest} bytes: {line}");
    }
}
