//! NOTIFY that comes in, and UPDATE that does not.

use std::sync::Arc;

use super::{Secondary, Transfers};
use crate::{
    proto::{Opcode, Rcode, notify::Notify},
    server::{Asker, Extension, Reply, Request},
};

/// What a server with transfers says beyond the answers of its zones: an
/// [`Extension`] for [`AuthorityOptions::extension`].
///
/// AXFR and IXFR go to [`Transfers`], NOTIFY to the [`Secondary`] of its zone if
/// it comes from one of its primaries. UPDATE is refused.
///
/// [`AuthorityOptions::extension`]: crate::server::AuthorityOptions::extension
#[derive(Clone, Debug)]
pub struct Secondaries {
    transfers: Transfers,
    secondaries: Arc<[Arc<Secondary>]>,
}

impl Secondaries {
    /// Of these transfers, and the secondaries that publish to them.
    pub fn new(
        transfers: Transfers,
        secondaries: impl IntoIterator<Item = Arc<Secondary>>,
    ) -> Self {
        Self {
            transfers,
            secondaries: secondaries.into_iter().collect(),
        }
    }

    fn notified(&self, request: &Request<'_>, asker: &Asker) -> Rcode {
        let Ok(notify) = Notify::read(&request.message()) else {
            return Rcode::FORMERR;
        };
        let secondary = self
            .secondaries
            .iter()
            .find(|secondary| *secondary.origin() == notify.zone);
        let Some(secondary) = secondary.filter(|it| it.class() == notify.class) else {
            // Ours, but nobody tells us of it; or nobody's.
            let zones = self.transfers.zones().current();
            return match zones.entry(notify.zone.as_ref()) {
                Some(_) => Rcode::REFUSED,
                None => Rcode::NOTAUTH,
            };
        };
        if !secondary.may_notify(asker) {
            tracing::info!(zone = %notify.zone, from = %asker.address, "a NOTIFY from nobody we know");
            return Rcode::REFUSED;
        }
        tracing::debug!(zone = %notify.zone, from = %asker.address, serial = ?notify.serial, "a NOTIFY");
        secondary.notified(notify.serial);
        Rcode::NOERROR
    }
}

impl Extension for Secondaries {
    fn answer(&self, request: &Request<'_>, asker: &Asker) -> Option<Reply> {
        Some(match request.header().opcode() {
            Opcode::NOTIFY => Reply::Rcode(self.notified(request, asker)),
            Opcode::QUERY => self.transfers.answer(request, asker),
            // RFC 2136, section 3.1: not ours, or not allowed.
            _ => {
                let zones = self.transfers.zones().current();
                Reply::Rcode(match zones.entry(request.name()) {
                    Some(_) => Rcode::REFUSED,
                    None => Rcode::NOTAUTH,
                })
            }
        })
    }
}
