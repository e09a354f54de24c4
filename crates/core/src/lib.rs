//! An event-driven networking engine on tokio: write a protocol once, run it
//! over TCP, TLS, a Unix socket, a pipe, a child process, or a test bench.
//!
//! This crate knows no protocol of the Internet. It is what the protocol
//! crates of Ropewalk stand on, and what you take for a protocol of your own.
//!
//! ```no_run
//! use ropewalk_core::*;
//!
//! #[derive(Default)]
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     type Message = ();
//!     type Timer = ();
//!     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
//!         t.write(data);
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     run(serve("tcp:1234", each::<Echo>()))
//! }
//! ```
//!
//! # The shape of it
//!
//! An hourglass. Below, an [endpoint] makes byte streams of a string
//! such as `tls:8443:cert=site.pem`. The waist is [`Handler::serve`], `async`,
//! with a [`Connection`] that reads and writes. Above is [`Protocol`]:
//! synchronous callbacks that never see a socket, lowered to a handler by one
//! driver ([`protocol`], [`each`], [`factory`]).
//!
//! A [`Server`] accepts, serves each connection in a task of its own, holds
//! them to [`Limits`], lists them, and ends well ([`Server::drain`]). A
//! [`Client`] runs a protocol on a connection that it made, and answers
//! questions ([`Client::ask`]). [`DatagramProtocol`] is the same for datagrams.
//! A [`Topic`] publishes to many. [`testing`] has the bench.
//!
//! # Protocol or Handler?
//!
//! Write a **`Protocol`** when you speak the protocol yourself. You get
//! timers, back-pressure, topics, drain, upgrades and limits without a line
//! about them, nothing to cancel, a test bench without a runtime, and an idle
//! connection that costs about a kilobyte.
//!
//! Write a **`Handler`** when somebody else speaks it and wants a stream
//! (hyper, an SSH library), or when the whole conversation is one `await`
//! after the other and none of it happens at the same time.
//!
//! The same program both ways: it greets, answers each line, and gives up on
//! who says nothing for a minute.
//!
//! ```
//! use std::time::Duration;
//! use ropewalk_core::*;
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! impl Protocol for Greeter {
//!     type Message = ();
//!     type Timer = ();
//!     fn connected(&mut self, t: &mut Transport<Self>) -> Result {
//!         t.set_timer((), Duration::from_secs(60));
//!         t.write("your name?\r\n");
//!         Ok(())
//!     }
//!     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
//!         for name in data.lines(512) {
//!             t.set_timer((), Duration::from_secs(60));
//!             t.write(format_args!("hello, {}\r\n", name?));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! use tokio::{io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader}, time::timeout};
//!
//! async fn greeter(conn: Connection) -> Result {
//!     let mut draining = std::pin::pin!(conn.draining());
//!     let mut conn = BufReader::new(conn);
//!     conn.write_all(b"your name?\r\n").await?;
//!     loop {
//!         let mut name = String::new();
//!         let mut line = (&mut conn).take(514);
//!         tokio::select! {
//!             biased;
//!             read = timeout(Duration::from_secs(60), line.read_line(&mut name)) => match read {
//!                 Err(_) | Ok(Ok(0)) => return Ok(()),
//!                 Ok(read) => read?,
//!             },
//!             () = &mut draining => return Ok(()),
//!         };
//!         if !name.ends_with('\n') {
//!             return Err("too long a name".into());
//!         }
//!         conn.write_all(format!("hello, {}\r\n", name.trim_end()).as_bytes()).await?;
//!     }
//! }
//!
//! # ropewalk_core::testing::run(async {
//! let schemes = Schemes::new();
//! for (name, server) in [
//!     ("mem:protocol", "mem:protocol".parse::<ServerEndpoint>()?.listen_with(each::<Greeter>(), schemes.clone()).await?),
//!     ("mem:handler", "mem:handler".parse::<ServerEndpoint>()?.listen_with(greeter, schemes.clone()).await?),
//! ] {
//!     let mut conn = schemes.connect(&name.parse()?).await?;
//!     conn.write_all(b"Ada\r\n").await?;
//!     conn.shutdown().await?;
//!     let mut said = String::new();
//!     conn.read_to_string(&mut said).await?;
//!     assert_eq!(said, "your name?\r\nhello, Ada\r\n");
//!     server.drain(Duration::ZERO, Duration::from_secs(1)).await;
//! }
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! # Coming from Twisted
//!
//! | Twisted | here |
//! | --- | --- |
//! | `Protocol.connectionMade`, `dataReceived`, `connectionLost` | [`Protocol::connected`], [`received`](Protocol::received), [`closed`](Protocol::closed) |
//! | `IHalfCloseableProtocol.readConnectionLost`, `loseWriteConnection` | [`Protocol::half_closed`], [`Transport::finish`] |
//! | `Factory.buildProtocol`, `Factory.forProtocol(Echo)` | [`Factory::build`], [`each::<Echo>()`](each) |
//! | `transport.write`, `loseConnection`, `abortConnection` | [`Transport::write`], [`close`](Transport::close), [`abort`](Transport::abort) |
//! | `transport.getPeer()`, `getHost()` | [`Transport::peer`], [`local`](Transport::local) |
//! | `optionsForClientTLS`, `CertificateOptions`, `PEMObjects.fromDirectory`, `tls:DIR` | [`TlsClient`](tls::TlsClient), [`TlsServer`](tls::TlsServer), [`from_folder`](tls::TlsServer::from_folder), `tls:8443:certs=DIR` |
//! | `transport.getPeerCertificate()`, `negotiatedProtocol` | [`TlsInfo`](tls::TlsInfo) in [`Peer`] |
//! | `transport.startTLS` | [`Transport::start_tls`], [`start_tls_client`](Transport::start_tls_client) |
//! | push and pull producers, consumers | [`Transport::send_stream`], [`receive_into`](Transport::receive_into); the rest is the default |
//! | `transport.pauseProducing` | [`Transport::pause`] |
//! | `reactor.callLater`, `TimeoutMixin` | [`Transport::set_timer`]; [`Limits::idle`] |
//! | a `Deferred` whose callback writes | [`Transport::defer`], whose output comes back in [`message`](Protocol::message) |
//! | `reactor.callFromThread(proto.send, x)` | [`Transport::handle`] and [`Handle::send`] |
//! | a list of protocols on the factory to write to | [`Topic`], [`Transport::subscribe`] |
//! | `LineReceiver`, `setRawMode` | [`Input::lines`] and [`Input::line`]; [`Input::take`] at any time |
//! | `NetstringReceiver`, `Int8/16/32StringReceiver`, `sendString` | [`Input::frames`], [`Framing::frame`]; [`Input::decode`] with any codec |
//! | `serverFromString`, `clientFromString` | [`ServerEndpoint`], [`ClientEndpoint`], by `parse()` |
//! | an endpoint parser plugin | [`Scheme`], [`Schemes::add`] |
//! | `haproxy:…` and its `getPeer()` | `haproxy/…`, [`Peer::proxied`]; headers are sent too |
//! | `ConnectingCancelledError`, `connector.stopConnecting()` | [`ConnectError::Cancelled`], [`ConnectOptions::cancel`] |
//! | `endpoint.listen(factory)`, `endpoint.connect(factory)` | [`ServerEndpoint::listen`], [`ClientEndpoint::start`] |
//! | `DatagramProtocol`, `listenUDP`, `listenUNIXDatagram` | [`DatagramProtocol`], [`ServerEndpoint::listen_datagrams`], [`ClientEndpoint::start_datagrams`] |
//! | `listenMulticast`, `joinGroup`, `setTTL`, `setLoopbackMode`, `setOutgoingInterface`, `setBroadcastAllowed` | the options of `udp:`; [`DatagramTransport::join`], [`DatagramTransport::set`] |
//! | `reactor.spawnProcess`, `ProcessProtocol`, `getProcessOutput` | [`process::Command`]: `spawn` with a protocol on its connection, `output` |
//! | `procmon`, `ProcessMonitor` | a [`process::Command`] among [`Services`] |
//! | `ClientService`, `ReconnectingClientFactory` | [`ClientService`], with a [`BackOff`] |
//! | `MultiService`, `TimerService`, `StreamServerEndpointService` | [`Services`], [`LoopingCall`](schedule::LoopingCall), [`service::listen`] |
//! | `privilegedStartService`, `Application(name, uid, gid)` | [`Service::bind`], [`service::Program`] |
//! | `task.LoopingCall`, `deferLater`, `IDelayedCall` | [`schedule::LoopingCall`], [`schedule::call_later`] |
//! | `Cooperator`, `cooperate` | [`schedule::cooperate`] |
//! | `deferToThread` | [`tokio::task::spawn_blocking`], in [`Transport::defer`] |
//! | `ThrottlingFactory`, `LimitTotalConnectionsFactory`, `LimitConnectionsByPeer` | [`Throttle`], [`Limits::connections`], [`Limits::per_peer`] |
//! | `htb.Bucket`, `FilterByHost`, `ShapedProtocolFactory` | [`Throttle::per_peer`], [`Throttle::in_all`], one inside the other |
//! | `TrafficLoggingFactory`, `SpewingFactory` | [`TrafficLog`] |
//! | `portforward.ProxyFactory` | [`relay`] |
//! | `reactor.run()`, `task.react` | [`run`], [`serve`] |
//! | `StringTransport`, `FakeDatagramTransport`, `task.Clock`, `iosim` | [`testing::Rig`], [`testing::DatagramRig`], [`testing::run`], [`testing::Pair`] |
//! | `MemoryReactor`, `ConnectionCompleter.failOnce` | [`testing::sim`], a network whose faults come from a seed |
//! | "reactor was unclean" | [`testing::run`] fails when something is left behind |
//!
//! # Features
//!
//! - `tls` (default): `tls:` endpoints, STARTTLS, and the types for them.
//! - `run` (default): [`run`], with its log.
//! - `test-ca`: a throwaway certificate authority.
//! - `testing`: the testing kit.

mod accept;
mod address;
mod allowance;
mod ambient;
mod backoff;
mod buffer;
mod client;
mod client_service;
mod connection;
mod datagram;
mod driver;
pub mod endpoint;
mod flow;
mod framing;
mod handler;
mod input;
mod jumps;
mod limits;
#[cfg(feature = "run")]
pub mod log;
pub mod metrics;
mod outbox;
mod output;
pub mod process;
mod protocol;
mod registry;
mod relay;
mod run;
pub mod schedule;
mod schemes;
mod server;
pub mod service;
mod session;
mod shards;
mod signals;
mod stream;
mod sys;
mod tally;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
mod timers;
#[cfg(feature = "tls")]
pub mod tls;
mod topic;
mod traffic;
mod transport;
mod work;
mod wrapper;

pub use bytes::Bytes;
pub use tokio_util::sync::CancellationToken;

pub use address::{Address, Credentials, Peer};
pub use allowance::Allowance;
pub use ambient::{fill_random, random, wall_clock};
pub use backoff::{BackOff, Retry};
pub use client::Client;
pub use client_service::{
    AttemptError, ClientService, ClientServiceOptions, ClientState, ClientStatus, GiveUp,
    NotConnected,
};
pub use connection::Connection;
pub use datagram::{
    DatagramCounts, DatagramOption, DatagramOptions, DatagramProtocol, DatagramServer,
    DatagramSocket, DatagramTransport, Datagrams, DatagramsIter, MulticastGroup, NoGroup,
    Undelivered, UnsentDatagrams,
};
pub use endpoint::{ClientEndpoint, ServerEndpoint};
pub use framing::{Frame, FrameError, Frames, Framing};
pub use handler::{Factory, Handler, Layer, each, factory, protocol};
pub use input::{Input, Line, Lines, TooLong};
pub use jumps::proxy::{Proxied, ProxiedTls, ProxyHeaderError};
pub use limits::Limits;
pub use metrics::Metrics;
pub use outbox::{Outbox, OutboxDrain, PushError};
pub use output::{Output, Payload};
pub use protocol::{Closed, Deadline, Error, Protocol, Result, Violation};
pub use registry::{ConnectionId, ConnectionInfo, ConnectionState};
pub use relay::relay;
#[cfg(feature = "run")]
pub use run::run;
pub use run::serve;
pub use schemes::{
    Accepted, Bound, ConnectError, ConnectOptions, ListenError, Listener, ProxyRefusal, Resolve,
    Route, Scheme, Schemes,
};
pub use server::{Counts, Leftover, Server, ServerOptions};
pub use service::{Service, Services};
pub use signals::{Interrupted, Signals};
pub use stream::Stream;
pub use sys::raise_open_files;
pub use throttle::{Rate, Throttle};
pub use topic::{Item, Overflow, Topic};
pub use traffic::{Direction, Traffic, TrafficLog};
pub use transport::Transport;
pub use work::{BoxFuture, Handle, Reply};
