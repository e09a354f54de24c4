//! Daytime (RFC 867): the date and time of day in one line, and the end.
//!
//! The RFC leaves the form open. Ours is the one of Internet messages and HTTP, in GMT, so that
//! whoever reads it needs to know no zone of ours: `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::time::SystemTime;

use bytes::Buf as _;
use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result, Transport,
};

use super::{Small, may_answer};
use crate::plan::Service;

/// Tells the date and time.
#[derive(Default)]
pub(crate) struct Daytime;

impl Small for Daytime {
    const SERVICE: Service = Service {
        name: "daytime",
        files: 1,
    };
}

fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now()) + "\r\n"
}

impl Protocol for Daytime {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(now());
        t.close();
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.advance(data.len());
        Ok(())
    }
}

impl DatagramProtocol for Daytime {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (_, from) in batch {
            if may_answer(from) {
                t.send(now(), from);
            }
        }
        Ok(())
    }
}
