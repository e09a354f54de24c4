//! The small services of RFC 862 to 868: `ropewalk echo`, `discard`, `chargen`, `daytime` and
//! `time`, each over streams and datagrams.
//!
//! Each is one type that is both a `Protocol` and a `DatagramProtocol`, in a file of its own; what
//! they take and how they listen is the same for all, and stands here.

mod chargen;
mod daytime;
mod discard;
mod echo;
mod time;

use std::marker::PhantomData;

use clap::Args;
use ropewalk_core::{Address, DatagramOptions, DatagramProtocol, Protocol, ServerEndpoint, each};

pub(crate) use self::{
    chargen::Chargen,
    daytime::Daytime,
    discard::Discard,
    echo::{ECHO, Echo},
    time::Time,
};
use crate::{
    options::Tls,
    plan::{Plan, ServerArgs, Service},
};

/// A protocol of a few lines, the same over streams and datagrams.
pub(crate) trait Small: Protocol + DatagramProtocol<Message = ()> + Default {
    /// What it is called.
    const SERVICE: Service;
}

/// What each of them takes.
#[derive(Args)]
pub(crate) struct SmallServer<S: Small> {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, udp:PORT, unix:PATH,
    /// fd:NUMBER, stdio:, mem:NAME; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    #[command(flatten)]
    tls: Tls,

    #[arg(skip)]
    which: PhantomData<S>,
}

impl<S: Small> ServerArgs for SmallServer<S> {
    async fn plan(self, plan: &mut Plan) {
        let tls = plan.tls(&self.tls);
        for endpoint in &self.listen {
            if endpoint.is_datagram() {
                let options = DatagramOptions::default();
                plan.datagrams(S::SERVICE, "--listen", endpoint, S::default(), options);
            } else {
                let options = plan.options(tls.as_ref());
                plan.stream(S::SERVICE, "--listen", endpoint, each::<S>(), options);
            }
        }
    }
}

/// Whether a datagram from there may be answered. One that claims to come from a small service
/// would be answered by that in turn, for ever; inetd has refused them since two of them were
/// first set upon each other.
fn may_answer(from: &Address) -> bool {
    let port = from.inet().map(|from| from.port());
    !matches!(port, Some(7 | 13 | 17 | 19 | 37))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_services_do_not_answer_each_other() {
        let may_answer =
            |port| may_answer(&std::net::SocketAddr::from(([192, 0, 2, 1], port)).into());
        assert!(may_answer(40_000) && may_answer(53));
        for port in [7, 13, 17, 19, 37] {
            assert!(!may_answer(port), "{port}");
        }
    }
}
