//! `stdio:`, the program's own input and output as the only connection.

use std::{
    io,
    task::{Context, Poll},
};

use super::{Accepted, Listener};
use crate::{Address, Peer, Stream};

pub(super) struct Stdio {
    accepted: bool,
}

impl Stdio {
    pub(super) fn new() -> Self {
        Self { accepted: false }
    }
}

impl Listener for Stdio {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        if std::mem::replace(&mut self.accepted, true) {
            return Poll::Ready(None);
        }
        let stream = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        let accepted = Accepted::new(
            Stream::new(stream),
            Peer::new(Address::Stdio),
            Address::Stdio,
        );
        Poll::Ready(Some(Ok(accepted)))
    }

    fn local(&self) -> Address {
        Address::Stdio
    }
}
