//! A client that costs little: it registers, joins, and reads lines.

use std::net::SocketAddr;

use ropewalk_words_irc::proto::message::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection to a server, with what was read of a line that has not ended.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
    /// What the server can do.
    offered: String,
}

impl Client {
    /// Connects, and has its first answer, so that the queue of those who are
    /// not accepted yet stays short: ngIRCd's is.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            stream,
            unread: Vec::new(),
            offered: String::new(),
        };
        client.send("CAP LS 302\r\n").await;
        client.offered = client.until(|message| message.is("CAP")).await;
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
            self.until(|message| message.param(1) == Some("ACK")).await;
        }
        self.send(&format!(
            "NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nCAP END\r\n"
        ))
        .await;
        self.until(|message| matches!(message.command, "376" | "422"))
            .await;
    }

    pub(crate) async fn join(&mut self, channel: &str) {
        self.send(&format!("JOIN {channel}\r\n")).await;
        self.until(|message| message.command == "366").await;
    }

    pub(crate) async fn send(&mut self, lines: &str) {
        self.stream.write_all(lines.as_bytes()).await.unwrap();
    }

    /// Reads until such a message comes, which it returns; what comes before is
    /// thrown away.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&Message<'_>) -> bool) -> String {
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
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.unread) {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let n = self.stream.read_buf(&mut self.unread).await.unwrap();
            assert!(n > 0, "the server hung up");
        }
    }

    /// The connection, of which all was read.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.unread.is_empty(), "unread: {:?}", self.unread);
        self.stream
    }
}
