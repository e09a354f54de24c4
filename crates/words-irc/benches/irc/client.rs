//! A client that costs little: it registers, joins, and reads lines.

use std::{io, net::SocketAddr, time::Duration};

use memchr::memmem;
use ropewalk_words_irc::proto::message::Message;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// How long anything may take, on a machine that does much else: a server that
/// has lost something would be waited for until somebody wonders.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a future gives, in time.
///
/// # Panics
/// With what was waited for, where it takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// A connection to a server, with what was read of a line that has not ended.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
    /// What the server can do.
    offered: String,
}

impl Client {
    /// Connects, and has its first answer, so that the queue of those who are
    /// not accepted yet stays short: ngIRCd's is.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            stream,
            unread: Vec::new(),
            taken: 0,
            offered: String::new(),
        };
        client.send("CAP LS 302\r\n").await;
        client.offered = client.until("CAP LS", |message| message.is("CAP")).await;
        client
    }

    /// Registers, to the end of the message of the day; with tags and the time
    /// of messages as far as the server has them. Many should at a time, since
    /// InspIRCd lets newcomers in once a second.
    pub(crate) async fn register(&mut self, nick: &str) {
        let has = |name: &str| self.offered.split([' ', ':']).any(|offer| offer == name);
        let wanted: Vec<_> = ["message-tags", "server-time"]
            .into_iter()
            .filter(|name| has(name))
            .collect();
        if !wanted.is_empty() {
            self.send(&format!("CAP REQ :{}\r\n", wanted.join(" ")))
                .await;
            self.until("CAP ACK", |message| message.param(1) == Some("ACK"))
                .await;
        }
        self.send(&format!(
            "NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nCAP END\r\n"
        ))
        .await;
        let is_it = |message: &Message<'_>| matches!(message.command, "376" | "422");
        self.until("the end of the MOTD", is_it).await;
    }

    pub(crate) async fn join(&mut self, channel: &str) {
        self.send(&format!("JOIN {channel}\r\n")).await;
        self.until("the end of NAMES", |message| message.command == "366")
            .await;
    }

    pub(crate) async fn send(&mut self, lines: &str) {
        let sent = self.stream.write_all(lines.as_bytes());
        within("the server to read", sent).await.unwrap();
    }

    /// Reads until such a message comes, which it returns; what comes before is
    /// thrown away.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_it: impl Fn(&Message<'_>) -> bool,
    ) -> String {
        within(what, async {
            loop {
                let line = self.line().await;
                let message = Message::parse(&line).unwrap();
                if message.is("PING") {
                    let pong = format!("PONG :{}\r\n", message.param(0).unwrap_or_default());
                    self.send(&pong).await;
                } else if is_it(&message) {
                    return line;
                }
                assert!(!message.is("ERROR"), "{line}");
            }
        })
        .await
    }

    /// The same for what comes behind millions of lines: to the end of the first
    /// one with such a text in it.
    pub(crate) async fn skip_to(&mut self, text: &str) {
        while memmem::find(&self.unread[self.taken..], text.as_bytes()).is_none() {
            // What may be the text's beginning stays.
            let kept = (self.unread.len() - self.taken).min(text.len());
            self.taken = self.unread.len() - kept;
            self.fill().await;
        }
        while !self.line().await.contains(text) {}
    }

    async fn line(&mut self) -> String {
        loop {
            let unread = &self.unread[self.taken..];
            if let Some(end) = memchr::memchr(b'\n', unread) {
                let line = str::from_utf8(&unread[..end]).unwrap();
                let line = line.trim_end().to_owned();
                self.taken += end + 1;
                return line;
            }
            self.fill().await;
        }
    }

    /// Reads some more. The room for it is nobody's own: there are thousands.
    async fn fill(&mut self) {
        self.unread.drain(..self.taken);
        self.taken = 0;
        loop {
            self.stream.readable().await.unwrap();
            let mut room = [0; 16 * 1024];
            match self.stream.try_read(&mut room) {
                Ok(0) => panic!("the server hung up"),
                Ok(n) => return self.unread.extend_from_slice(&room[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The connection, of which all was read.
    pub(crate) fn into_stream(self) -> TcpStream {
        let unread = &self.unread[self.taken..];
        assert!(unread.is_empty(), "unread: {unread:?}");
        self.stream
    }
}
