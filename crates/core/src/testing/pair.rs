//! A client and a server of ours, joined with nothing in between.

use std::time::Duration;

use crate::{Protocol, testing::Rig};

/// Two protocols joined in virtual time, sans I/O: bytes go over in segments
/// of any size, and the connection can be cut at any byte.
///
/// ```
/// # use ropewalk_core::{Input, Protocol, Result, Transport};
/// use ropewalk_core::testing::Pair;
/// # struct Ping; struct Echo;
/// # impl Protocol for Ping {
/// #     type Message = (); type Timer = ();
/// #     fn connected(&mut self, t: &mut Transport<Self>) -> Result { t.write("ping"); Ok(()) }
/// #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
/// #         if data.len() == 4 { t.close() } Ok(())
/// #     }
/// # }
/// # impl Protocol for Echo {
/// #     type Message = (); type Timer = ();
/// #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result { t.write(data); Ok(()) }
/// # }
/// let mut pair = Pair::new(Ping, Echo).segments(1);
/// pair.run();
/// assert!(pair.client.is_closed() && pair.server.is_closed());
/// ```
#[derive(Debug)]
pub struct Pair<C: Protocol, S: Protocol> {
    /// The client.
    pub client: Rig<C>,
    /// The server.
    pub server: Rig<S>,
    segment: usize,
    /// Bytes, in both directions together, after which the wire is cut.
    left: usize,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// Whether each was told that the other ended.
    client_told: bool,
    server_told: bool,
}

impl<C: Protocol, S: Protocol> Pair<C, S> {
    /// Joins two protocols; nothing has gone over yet.
    pub fn new(client: C, server: S) -> Self {
        Self {
            client: Rig::new(client),
            server: Rig::new(server),
            segment: usize::MAX,
            left: usize::MAX,
            to_server: Vec::new(),
            to_client: Vec::new(),
            client_told: false,
            server_told: false,
        }
    }

    /// Bytes go over in segments of this size at most.
    #[must_use]
    pub fn segments(mut self, size: usize) -> Self {
        self.segment = size.max(1);
        self
    }

    /// The wire is cut after so many bytes, in both directions together: both
    /// sides then see the end of the other.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.left = bytes;
        self
    }

    /// Moves bytes until nobody has anything to say; upgrades succeed once
    /// both sides ask for one.
    pub fn run(&mut self) -> &mut Self {
        loop {
            self.to_server.extend(self.client.sent());
            self.to_client.extend(self.server.sent());
            let mut moved = pass(
                &mut self.to_server,
                &mut self.server,
                self.segment,
                &mut self.left,
            );
            moved |= pass(
                &mut self.to_client,
                &mut self.client,
                self.segment,
                &mut self.left,
            );
            if self.client.is_upgrading() && self.server.is_upgrading() {
                self.client.upgrade();
                self.server.upgrade();
                moved = true;
            }
            if moved {
                continue;
            }
            let cut = self.left == 0;
            if !self.server_told && (cut || self.client.is_finished()) {
                self.server_told = true;
                self.server.eof();
            } else if !self.client_told && (cut || self.server.is_finished()) {
                self.client_told = true;
                self.client.eof();
            } else {
                return self;
            }
        }
    }

    /// Time passes on both sides, and what it brings goes over.
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        self.run();
        self.client.advance(by);
        self.server.advance(by);
        self.run()
    }
}

/// Moves one segment; true if something moved.
fn pass<P: Protocol>(
    wire: &mut Vec<u8>,
    to: &mut Rig<P>,
    segment: usize,
    left: &mut usize,
) -> bool {
    if wire.is_empty() || to.is_upgrading() {
        return false;
    }
    let n = segment.min(wire.len()).min(*left);
    *left -= n;
    let piece: Vec<u8> = wire.drain(..n).collect();
    to.receive(piece);
    if *left == 0 {
        wire.clear();
    }
    true
}
