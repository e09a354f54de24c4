//! Metrics of servers and of the process, as Prometheus and OpenMetrics read
//! them.
//!
//! Servers are not instrumented: what is shown is summed up from their lists
//! of connections when somebody asks, so that a message costs nothing.
//! This module knows no HTTP: [`Metrics::render`] makes a text, and whoever
//! serves it says [`Exposition::content_type`].
//!
//! The formats: Prometheus' text format 0.0.4, and OpenMetrics 1.0. A library
//! would do the escaping of labels and no more: all that is read is read at
//! the time of the question, which is a custom collector in any of them.
//!
//! | metric | labels besides `service` and `endpoint` | |
//! | --- | --- | --- |
//! | `ropewalk_connections` | | open now |
//! | `ropewalk_connections_accepted_total` | | admitted |
//! | `ropewalk_connections_refused_total` | `reason`: peer, full, declined | turned away; those that a factory declined were admitted before |
//! | `ropewalk_connections_closed_total` | `reason`: aborted, local, peer, reset, truncated, idle, close-timeout, handshake, exit, declined, failed | over, and why |
//! | `ropewalk_connection_duration_seconds` | `le` | how long those lasted |
//! | `ropewalk_received_bytes_total`, `ropewalk_sent_bytes_total` | | of all connections, the open ones too; inside TLS |
//! | `ropewalk_handshakes_total` | `result`: ok, timeout, draining, gone, invalid, failed | TLS and whatever else a connection goes through first |
//! | `ropewalk_accept_errors_total` | `reason`: connection, system | accept failed: one connection was gone, or the system lacks something |
//!
//! On Linux `process_cpu_seconds_total`, `process_open_fds`,
//! `process_max_fds`, `process_resident_memory_bytes`,
//! `process_virtual_memory_bytes`, `process_threads` and
//! `process_start_time_seconds` stand beside them.

#[cfg(target_os = "linux")]
mod process;
mod text;
mod value;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic},
};

pub use text::Exposition;
use text::{Kind, Page};
pub use value::{Counter, Gauge, Histogram};
use value::{Family, Labels, Value};

use crate::{
    registry::Registry,
    tally::{AcceptError, DURATIONS, End, Handshake, Refusal, Totals},
};

/// What is measured in this program: its servers, and whatever its protocols
/// count themselves.
///
/// Cheap to clone; clones are the same. Put one into
/// [`ServerOptions::metrics`](crate::ServerOptions::metrics). A server that has
/// ended is no longer shown as having connections, and what it counted stays
/// in the sums of its service and endpoint, which never fall.
///
/// ```
/// use ropewalk_core::{Metrics, metrics::Exposition};
///
/// let metrics = Metrics::new();
/// let sent = metrics.counter("mail_sent", "Messages that left.", &[("queue", "out")]);
/// sent.add(3);
/// let page = metrics.render(Exposition::Prometheus);
/// assert!(page.contains("# TYPE mail_sent_total counter\n"));
/// assert!(page.contains("mail_sent_total{queue=\"out\"} 3\n"));
/// ```
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    servers: BTreeMap<(Arc<str>, String), Series>,
    families: BTreeMap<&'static str, Family>,
}

/// The servers of one service and endpoint, one after the other or at once.
#[derive(Default)]
struct Series {
    /// Of those that are gone.
    base: Totals,
    live: Vec<Arc<Registry>>,
}

impl Series {
    /// Keeps of those that are gone what they counted.
    fn fold(&mut self) {
        self.live.retain(|server| {
            // Held here alone: neither its server nor a connection is left,
            // and nothing will be counted any more.
            let gone = Arc::strong_count(server) == 1;
            if gone {
                atomic::fence(atomic::Ordering::Acquire);
                self.base.add(&server.totals().1);
            }
            !gone
        });
    }

    fn sum(&mut self) -> (usize, Totals) {
        self.fold();
        let mut sum = (0, self.base.clone());
        for server in &self.live {
            let (open, totals) = server.totals();
            sum.0 += open;
            sum.1.add(&totals);
        }
        sum
    }
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A number that only rises, in the family `name` (its samples end in
    /// `_total`). The same name and labels give the same counter again.
    ///
    /// Labels are static on purpose: a label that a peer can fill makes as many
    /// series as it likes.
    ///
    /// # Panics
    /// If the name or a label's is not one (`[a-zA-Z_][a-zA-Z0-9_]*`), or the
    /// family is of another kind.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
        let name = name.strip_suffix("_total").unwrap_or(name);
        let value = self.value(name, help, labels, Kind::Counter, || {
            Value::Counter(Counter::default())
        });
        match value {
            Value::Counter(counter) => counter,
            _ => unreachable!("a family is of one kind"),
        }
    }

    /// A number that rises and falls.
    ///
    /// # Panics
    /// As [`counter`](Self::counter).
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
        let value = self.value(name, help, labels, Kind::Gauge, || {
            Value::Gauge(Gauge::default())
        });
        match value {
            Value::Gauge(gauge) => gauge,
            _ => unreachable!("a family is of one kind"),
        }
    }

    /// How observations spread: how many are at most each of `bounds`, which
    /// rise, and their sum.
    ///
    /// # Panics
    /// As [`counter`](Self::counter), and if the bounds do not rise.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        bounds: &'static [f64],
    ) -> Histogram {
        let value = self.value(name, help, labels, Kind::Histogram, || {
            Value::Histogram(Histogram::new(bounds))
        });
        match value {
            Value::Histogram(histogram) => histogram,
            _ => unreachable!("a family is of one kind"),
        }
    }

    fn value(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        kind: Kind,
        make: impl FnOnce() -> Value,
    ) -> Value {
        let is_name = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        };
        assert!(is_name(name), "{name:?} is no name of a metric");
        for (label, _) in labels {
            assert!(is_name(label) && *label != "le", "{label:?} is no label");
        }
        let mut state = self.lock();
        let family = state.families.entry(name).or_insert_with(|| Family {
            help,
            kind,
            values: Vec::new(),
        });
        assert!(
            family.kind == kind,
            "{name} is a {} already",
            family.kind.name()
        );
        let known = family.values.iter().find(|(other, _)| other == labels);
        match known {
            Some((_, value)) => value.clone(),
            None => {
                let value = make();
                family.values.push((labels.to_vec(), value.clone()));
                value
            }
        }
    }

    /// All of it, as a text.
    pub fn render(&self, exposition: Exposition) -> String {
        let mut page = Page::new(exposition);
        let mut state = self.lock();
        let servers: Vec<_> = state
            .servers
            .iter_mut()
            .map(|((service, endpoint), series)| {
                let (open, totals) = series.sum();
                Shown {
                    labels: [
                        ("service", service.to_string()),
                        ("endpoint", endpoint.clone()),
                    ],
                    open,
                    totals,
                }
            })
            .collect();
        if !servers.is_empty() {
            write_servers(&mut page, &servers);
        }
        for (name, family) in &state.families {
            family.write(&mut page, name);
        }
        drop(state);
        #[cfg(target_os = "linux")]
        process::write(&mut page);
        page.end()
    }

    /// Shows a server from now on.
    pub(crate) fn watch(&self, endpoint: String, server: &Arc<Registry>) {
        let mut state = self.lock();
        let name = (server.service.clone(), endpoint);
        let series = state.servers.entry(name).or_default();
        series.fold();
        series.live.push(server.clone());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Metrics")
            .field("servers", &state.servers.keys())
            .field("families", &state.families.keys())
            .finish()
    }
}

/// One service and endpoint, at one moment.
struct Shown {
    labels: [(&'static str, String); 2],
    open: usize,
    totals: Totals,
}

impl Shown {
    fn with<'a>(&'a self, more: Option<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
        let own = self.labels.iter().map(|(name, value)| (*name, &**value));
        own.chain(more).collect()
    }
}

/// A family of counters: its name, its help, and where its value is.
type Sum = (&'static str, &'static str, fn(&Totals) -> u64);

/// One whose values are told apart by a label, and the label's values.
type SumBy = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    fn(&Totals) -> &[u64],
);

fn write_servers(page: &mut Page, servers: &[Shown]) {
    page.family(Kind::Gauge, "ropewalk_connections", "Connections open now.");
    for server in servers {
        page.sample("ropewalk_connections", "", &server.with(None), server.open);
    }
    let counters: [Sum; 3] = [
        (
            "ropewalk_connections_accepted",
            "Connections admitted.",
            |totals| totals.accepted,
        ),
        (
            "ropewalk_received_bytes",
            "Bytes read from peers.",
            |totals| totals.read,
        ),
        ("ropewalk_sent_bytes", "Bytes written to peers.", |totals| {
            totals.written
        }),
    ];
    for (name, help, value) in counters {
        page.family(Kind::Counter, name, help);
        for server in servers {
            page.sample(name, "_total", &server.with(None), value(&server.totals));
        }
    }
    let by_reason: [SumBy; 4] = [
        (
            "ropewalk_connections_refused",
            "Connections turned away.",
            "reason",
            Refusal::LABELS,
            |totals| &totals.refused,
        ),
        (
            "ropewalk_connections_closed",
            "Connections that are over.",
            "reason",
            End::LABELS,
            |totals| &totals.closed,
        ),
        (
            "ropewalk_handshakes",
            "Handshakes before a connection was served.",
            "result",
            Handshake::LABELS,
            |totals| &totals.handshakes,
        ),
        (
            "ropewalk_accept_errors",
            "Times that accept failed.",
            "reason",
            AcceptError::LABELS,
            |totals| &totals.accept_errors,
        ),
    ];
    for (name, help, label, reasons, values) in by_reason {
        page.family(Kind::Counter, name, help);
        for server in servers {
            for (reason, value) in reasons.iter().zip(values(&server.totals)) {
                let labels = server.with(Some((label, reason)));
                page.sample(name, "_total", &labels, *value);
            }
        }
    }
    let name = "ropewalk_connection_duration_seconds";
    let help = "How long connections lasted that are over.";
    page.family(Kind::Histogram, name, help);
    for server in servers {
        let (buckets, sum) = (&server.totals.durations, server.totals.lasted);
        page.histogram(
            name,
            &server.with(None),
            &DURATIONS,
            buckets,
            sum.as_secs_f64(),
        );
    }
}
