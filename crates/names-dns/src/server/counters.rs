//! What an authority has done, told to a registry of metrics now and then: one
//! number more a request costs nothing, an atomic one would.

use ropewalk_core::{Metrics, metrics::Counter};

use super::Via;
use crate::proto::Rcode;

/// Counts since the last flush, and where they go.
pub(super) struct Counters {
    rcodes: [u64; 7],
    /// Requests, by the way they came.
    vias: [u64; 3],
    /// Answers that were ready.
    pub(super) ready: u64,
    /// Answers that were made.
    pub(super) made: u64,
    /// Datagrams and frames that are no requests.
    pub(super) ignored: u64,
    /// Answers that were not sent for the rate limit.
    pub(super) limited: u64,
    /// Answers that were truncated for it.
    pub(super) slipped: u64,
    told: Option<Box<Told>>,
}

struct Told {
    rcodes: [Counter; 7],
    vias: [Counter; 3],
    ready: Counter,
    made: Counter,
    ignored: Counter,
    limited: Counter,
    slipped: Counter,
}

/// Those that an authority answers with; all others are the last.
const RCODES: [&str; 7] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "other",
];

impl Counters {
    pub(super) fn new(metrics: Option<&Metrics>) -> Self {
        let told = metrics.map(|metrics| {
            let answers = |rcode: &'static str| {
                metrics.counter(
                    "dns_answers",
                    "Answers of the authority, by rcode.",
                    &[("rcode", rcode)],
                )
            };
            let requests = |fate: &'static str| {
                metrics.counter(
                    "dns_requests",
                    "Requests to the authority, by what became of them.",
                    &[("fate", fate)],
                )
            };
            let queries = |transport: &'static str| {
                metrics.counter(
                    "dns_queries",
                    "Requests to the authority, by the way they came.",
                    &[("transport", transport)],
                )
            };
            Box::new(Told {
                rcodes: RCODES.map(answers),
                vias: ["udp", "tcp", "tls"].map(queries),
                ready: requests("ready"),
                made: requests("made"),
                ignored: requests("ignored"),
                limited: requests("limited"),
                slipped: requests("slipped"),
            })
        });
        Self {
            rcodes: [0; 7],
            vias: [0; 3],
            ready: 0,
            made: 0,
            ignored: 0,
            limited: 0,
            slipped: 0,
            told,
        }
    }

    #[inline]
    pub(super) fn count(&mut self, rcode: Rcode) {
        self.rcodes[usize::from(rcode.0).min(RCODES.len() - 1)] += 1;
    }

    /// A request came.
    #[inline]
    pub(super) fn asked(&mut self, via: Via) {
        self.vias[match via {
            Via::Udp => 0,
            Via::Tcp => 1,
            Via::Tls => 2,
        }] += 1;
    }

    /// Tells them.
    pub(super) fn flush(&mut self) {
        let Some(told) = &self.told else { return };
        let tell = |counter: &Counter, count: &mut u64| match std::mem::take(count) {
            0 => {}
            count => counter.add(count),
        };
        for (counter, count) in told.rcodes.iter().zip(&mut self.rcodes) {
            tell(counter, count);
        }
        for (counter, count) in told.vias.iter().zip(&mut self.vias) {
            tell(counter, count);
        }
        tell(&told.ready, &mut self.ready);
        tell(&told.made, &mut self.made);
        tell(&told.ignored, &mut self.ignored);
        tell(&told.limited, &mut self.limited);
        tell(&told.slipped, &mut self.slipped);
    }
}
