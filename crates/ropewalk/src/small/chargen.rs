//! Character generator (RFC 864): lines of printable characters without end, as fast as they are
//! read.
//!
//! Over datagrams each is answered by one of at most 512 characters, as the RFC has it, and never
//! by more than it brought itself: its sender may be forged, and whoever that names must not be sent
//! more than the forger spent. The RFC leaves the number to the server.

use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
};

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, stream::poll_fn};
use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result, Transport,
};

use super::{Small, may_answer};
use crate::plan::Service;

/// The pattern that is popular, as the RFC says: lines of 72 of the 95 printable characters, each
/// line one further on. This is one round, after which it begins anew.
static ROUND: LazyLock<Bytes> = LazyLock::new(|| {
    let printable = || b' '..=b'~';
    let mut round = Vec::with_capacity(printable().count() * (72 + 2));
    for first in 0..printable().count() {
        round.extend(printable().cycle().skip(first).take(72));
        round.extend(b"\r\n");
    }
    round.into()
});

/// The longest answer to a datagram.
const LONGEST: usize = 512;

/// Sends characters.
#[derive(Default)]
pub(crate) struct Chargen {
    /// Set when the characters are to end, which they do with a round.
    enough: Arc<AtomicBool>,
}

impl Small for Chargen {
    const SERVICE: Service = Service {
        name: "chargen",
        files: 1,
    };
}

impl Chargen {
    /// Rounds until there are enough of them.
    fn rounds(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let enough = self.enough.clone();
        poll_fn(move |_| Poll::Ready((!enough.load(Relaxed)).then(|| Ok(ROUND.clone()))))
    }

    /// Closes, which waits for the end of what is streamed.
    fn close(&mut self, t: &mut Transport<Self>) {
        self.enough.store(true, Relaxed);
        t.close();
    }
}

impl Protocol for Chargen {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.send_stream(self.rounds(), ());
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.advance(data.len());
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        self.close(t);
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        self.close(t);
        Ok(())
    }
}

impl DatagramProtocol for Chargen {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, from) in batch {
            if may_answer(from) {
                t.send(&ROUND[..data.len().min(LONGEST)], from);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_pattern_of_the_rfc() {
        let text = std::str::from_utf8(&ROUND).unwrap();
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 95);
        // The first three lines that RFC 864 shows.
        assert_eq!(
            lines[..3],
            [
                r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##,
                r##"!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefgh"##,
                r##""#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghi"##,
            ]
        );
        assert!(lines.iter().all(|line| line.len() == 72));
    }
}
