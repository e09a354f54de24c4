//! Discard (RFC 863): throws away what it is sent, and answers nothing.

use bytes::Buf as _;
use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result, Transport,
};

use super::Small;
use crate::plan::Service;

/// Throws everything away.
#[derive(Default)]
pub(crate) struct Discard;

impl Small for Discard {
    const SERVICE: Service = Service {
        name: "discard",
        files: 1,
    };
}

impl Protocol for Discard {
    type Message = ();
    type Timer = ();

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.advance(data.len());
        Ok(())
    }
}

impl DatagramProtocol for Discard {
    type Message = ();
    type Timer = ();

    fn received(&mut self, _: &mut DatagramTransport<Self>, _: &Datagrams) -> Result {
        Ok(())
    }
}
