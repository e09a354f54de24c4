//! A server that says what a test tells it to: for bots, without a network.
//!
//! It is no IRC server. It knows the few lines that let a client in, and
//! otherwise the test reads what the client says and writes what it hears. With
//! [`ropewalk_core::testing::run`] time is virtual, and what is left behind
//! fails the test.
//!
//! ```
//! use ropewalk_core::{Schemes, testing::run};
//! use ropewalk_words_irc::{client::{Client, Kind}, testing::ScriptedServer};
//!
//! async fn greeter(mut irc: Client) -> ropewalk_core::Result {
//!     while let Some(event) = irc.next().await {
//!         if matches!(event.kind, Kind::Join { .. }) && !event.is_own {
//!             irc.reply(&event, format!("welcome, {}", event.nick())).await?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! run(async {
//!     let server = ScriptedServer::listen().await?;
//!     let bot = server.client("bot").channel("#rope").connect_to(server.endpoint());
//!     let (bot, mut script) = tokio::join!(bot, server.welcome("bot"));
//!     let bot = tokio::spawn(greeter(bot?));
//!     script.expect("JOIN #rope").await?;
//!     script.send(":bot!bot@host JOIN #rope").await?;
//!     script.send(":ada!ada@host JOIN #rope").await?;
//!     script.expect("PRIVMSG #rope :welcome, ada").await?;
//!     bot.abort();
//!     Ok::<(), ropewalk_core::Error>(())
//! }).unwrap();
//! ```

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Connection, Error, Result, Schemes, Server, ServerEndpoint,
    endpoint,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::{Mutex, mpsc},
    time::timeout,
};

use crate::{
    client::{Builder, Client},
    proto::message::Message,
};

/// The time that a client has to say what is expected, virtual or not.
const PATIENCE: Duration = Duration::from_secs(120);

/// Accepts connections in memory, and hands them to the test one by one.
#[derive(Debug)]
pub struct ScriptedServer {
    schemes: Schemes,
    endpoint: ClientEndpoint,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    // Dropped, it listens no more.
    _server: Server,
}

impl ScriptedServer {
    /// Listens under a name that no other has.
    ///
    /// # Errors
    /// None that a test could cause.
    pub async fn listen() -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("mem:scripted-irc-{}", NEXT.fetch_add(1, Relaxed));
        let schemes = Schemes::new();
        let (sender, accepted) = mpsc::channel(16);
        let hand_over = move |connection: Connection| {
            let sender = sender.clone();
            async move {
                // A test that is over accepts no more.
                let _ = sender.send(connection).await;
                Ok(())
            }
        };
        let endpoint: ServerEndpoint = name.parse()?;
        let server = endpoint.listen_with(hand_over, schemes.clone()).await?;
        Ok(Self {
            schemes,
            endpoint: name
                .parse()
                .map_err(|error: endpoint::ParseError| Error::from(error))?,
            accepted: Mutex::new(accepted),
            _server: server,
        })
    }

    /// Where it listens, for a client that has its [`schemes`](Self::schemes).
    pub fn endpoint(&self) -> ClientEndpoint {
        self.endpoint.clone()
    }

    /// What its endpoint means something in.
    pub fn schemes(&self) -> Schemes {
        self.schemes.clone()
    }

    /// A client's builder that knows these schemes, and asks nothing of its own
    /// accord on entering a channel, so that scripts are short.
    pub fn client(&self, nick: &str) -> Builder {
        let mut connect = ConnectOptions::default();
        connect.schemes = self.schemes.clone();
        Client::builder(nick)
            .connect_options(connect)
            .options(|options| options.ask_on_join = false)
    }

    /// The next client, as it connects.
    ///
    /// # Panics
    /// If there is none.
    pub async fn accept(&self) -> Script {
        let accepted = async { self.accepted.lock().await.recv().await };
        match timeout(PATIENCE, accepted).await {
            Ok(Some(connection)) => Script {
                connection: BufReader::new(connection),
            },
            _ => panic!("no client has connected"),
        }
    }

    /// The next client, let in under this nick: it has no capabilities, and
    /// there is no message of the day.
    ///
    /// # Panics
    /// If there is none, or it does not register.
    pub async fn welcome(&self, nick: &str) -> Script {
        let mut script = self.accept().await;
        let welcomed = script.welcome(nick).await;
        welcomed.expect("a client that registers");
        script
    }
}

/// One connection of a client, from the server's side.
#[derive(Debug)]
pub struct Script {
    connection: BufReader<Connection>,
}

impl Script {
    /// Lets the client in under this nick.
    ///
    /// # Errors
    /// The connection ended, or the client said something else.
    pub async fn welcome(&mut self, nick: &str) -> Result {
        self.until("USER").await?;
        self.send(":irc.test CAP * LS :").await?;
        self.expect("CAP END").await?;
        self.send(&format!(":irc.test 001 {nick} :Welcome")).await?;
        self.send(&format!(":irc.test 422 {nick} :No message of the day"))
            .await
    }

    /// Sends a line; its end is put behind it.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn send(&mut self, line: &str) -> Result {
        self.send_raw(format!("{line}\r\n").as_bytes()).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result {
        let connection = self.connection.get_mut();
        connection.write_all(bytes).await?;
        Ok(connection.flush().await?)
    }

    /// The next line of the client, without its end; `PING`s are answered by
    /// the way.
    ///
    /// # Errors
    /// The connection ended, or nothing came for two minutes.
    pub async fn line(&mut self) -> Result<String> {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.connection.read_line(&mut line)).await;
            match read {
                Err(_) => return Err("the client says nothing".into()),
                Ok(Ok(0)) => return Err("the client has ended the connection".into()),
                Ok(read) => read?,
            };
            let line = line.trim_end_matches(['\r', '\n']);
            match Message::parse(line) {
                Ok(message) if message.is("PING") => {
                    let token = message.param(0).unwrap_or_default().to_owned();
                    self.send(&format!(":irc.test PONG irc.test :{token}"))
                        .await?;
                }
                _ => return Ok(line.to_owned()),
            }
        }
    }

    /// Expects this line next, whether or not its last parameter has a colon.
    ///
    /// # Errors
    /// It was another one, or none.
    pub async fn expect(&mut self, line: &str) -> Result {
        let said = self.line().await?;
        let same = match (Message::parse(&said), Message::parse(line)) {
            (Ok(said), Ok(expected)) => said == expected,
            _ => false,
        };
        match same {
            true => Ok(()),
            false => Err(format!("expected {line:?}, and the client said {said:?}").into()),
        }
    }

    /// Reads up to the next line with this command, which it returns.
    ///
    /// # Errors
    /// The connection ended before.
    pub async fn until(&mut self, command: &str) -> Result<String> {
        loop {
            let line = self.line().await?;
            if Message::parse(&line).is_ok_and(|it| it.is(command)) {
                return Ok(line);
            }
        }
    }

    /// Expects the client to end the connection, whatever it says before.
    ///
    /// # Errors
    /// It does not.
    pub async fn until_closed(&mut self) -> Result {
        loop {
            let mut line = String::new();
            match timeout(PATIENCE, self.connection.read_line(&mut line)).await {
                Err(_) => return Err("the client stays".into()),
                Ok(Ok(0) | Err(_)) => return Ok(()),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        // The client may have been faster.
        let _ = self.connection.get_mut().shutdown().await;
    }
}
