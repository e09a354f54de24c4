//! Echo (RFC 862): sends every byte back.

use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result, Transport,
};

use super::{Small, may_answer};
use crate::plan::Service;

pub(crate) const ECHO: Service = Service {
    name: "echo",
    files: 1,
};

/// Sends back what it is sent.
#[derive(Default)]
pub(crate) struct Echo;

impl Small for Echo {
    const SERVICE: Service = ECHO;
}

impl Protocol for Echo {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

impl DatagramProtocol for Echo {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, from) in batch {
            if may_answer(from) {
                t.send(data, from);
            }
        }
        Ok(())
    }
}
