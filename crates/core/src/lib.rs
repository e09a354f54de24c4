//! The engine.

mod address;
mod buffer;
mod client;
mod connection;
mod datagram;
mod driver;
pub mod endpoint;
mod exec;
mod flow;
mod handler;
mod input;
mod limits;
mod output;
mod protocol;
mod registry;
mod run;
mod schemes;
mod server;
mod session;
mod signals;
mod stream;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
mod timers;
#[cfg(feature = "tls")]
pub mod tls;
mod topic;
mod transport;
mod work;

pub use bytes::Bytes;

pub use address::{Address, Credentials, Peer};
pub use client::Client;
pub use connection::Connection;
pub use datagram::{DatagramProtocol, DatagramServer, DatagramTransport, Datagrams, DatagramsIter};
pub use endpoint::{ClientEndpoint, ServerEndpoint};
pub use handler::{Factory, Handler, Layer, each, factory, protocol};
pub use input::{Input, Line, Lines, TooLong};
pub use limits::Limits;
pub use output::{Output, Payload};
pub use protocol::{Closed, Deadline, Error, Protocol, Result, Violation};
pub use registry::{ConnectionId, ConnectionInfo, ConnectionState};
#[cfg(feature = "run")]
pub use run::run;
pub use run::serve;
pub use schemes::{
    Accepted, Bound, ConnectError, ConnectOptions, ListenError, Listener, Scheme, Schemes,
};
pub use server::{Counts, Leftover, Server, ServerOptions};
pub use signals::{Interrupted, Signals};
pub use stream::Stream;
pub use sys::raise_open_files;
pub use throttle::Throttle;
pub use topic::{Item, Overflow, Topic};
pub use transport::Transport;
pub use work::{BoxFuture, Handle, Reply};
