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
//! | `ropewalk_connections_closed_total` | `reason`: aborted, local, peer, reset, truncated, idle, close_timeout, handshake, exit, declined, failed | over, and why |
//! | `ropewalk_connection_duration_seconds` | `le` | how long those lasted |
//! | `ropewalk_received_bytes_total`, `ropewalk_sent_bytes_total` | | of all connections, the open ones too; inside TLS |
//! | `ropewalk_handshakes_total` | `result`: ok, draining, timed_out, disconnected, proxy_header, other, and those of [`HandshakeFailure`](crate::tls::HandshakeFailure) | TLS and whatever else a connection goes through first |
//! | `ropewalk_accept_errors_total` | `reason`: connection, system | accept failed: one connection was gone, or the system lacks something |
//! | `ropewalk_datagrams_received_total`, `ropewalk_datagrams_sent_total` | | datagrams of `udp:` and its like |
//! | `ropewalk_datagram_received_bytes_total`, `ropewalk_datagram_sent_bytes_total` | | their bytes |
//! | `ropewalk_datagrams_lost_total` | `reason`: dropped, failed, truncated | not sent for lack of room; could not be sent; longer than is taken |
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
    DatagramCounts,
    datagram::Totals as DatagramTotals,
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
    servers: BTreeMap<Name, Series<Registry>>,
    datagrams: BTreeMap<Name, Series<DatagramTotals>>,
    families: BTreeMap<&'static str, Family>,
}

impl State {
    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        kind: Kind,
    ) -> &mut Family {
        let is_name = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        };
        assert!(is_name(name), "{name:?} is no name of a metric");
        for (label, _) in labels {
            assert!(is_name(label) && *label != "le", "{label:?} is no label");
        }
        let family = self.families.entry(name).or_insert_with(|| Family {
            help,
            kind,
            values: Vec::new(),
        });
        assert!(
            family.kind == kind,
            "{name} is a {} already",
            family.kind.name()
        );
        family
    }
}

/// Service and endpoint.
type Name = (Arc<str>, String);

/// What counts, and what it has counted at one moment.
trait Counting {
    type Sums: Clone + Default;

    fn sums(&self) -> Self::Sums;

    fn add(sums: &mut Self::Sums, more: &Self::Sums);
}

impl Counting for Registry {
    /// Open connections, and the rest.
    type Sums = (usize, Totals);

    fn sums(&self) -> Self::Sums {
        self.totals()
    }

    fn add(sums: &mut Self::Sums, more: &Self::Sums) {
        sums.0 += more.0;
        sums.1.add(&more.1);
    }
}

impl Counting for DatagramTotals {
    type Sums = DatagramCounts;

    fn sums(&self) -> DatagramCounts {
        self.counts()
    }

    fn add(sums: &mut DatagramCounts, more: &DatagramCounts) {
        let DatagramCounts {
            received,
            received_bytes,
            sent,
            sent_bytes,
            dropped,
            failed,
            truncated,
        } = more;
        sums.received += received;
        sums.received_bytes += received_bytes;
        sums.sent += sent;
        sums.sent_bytes += sent_bytes;
        sums.dropped += dropped;
        sums.failed += failed;
        sums.truncated += truncated;
    }
}

/// The servers of one service and endpoint, one after the other or at once.
struct Series<T: Counting> {
    /// Of those that are gone.
    base: T::Sums,
    live: Vec<Arc<T>>,
}

impl<T: Counting> Default for Series<T> {
    fn default() -> Self {
        Self {
            base: T::Sums::default(),
            live: Vec::new(),
        }
    }
}

impl<T: Counting> Series<T> {
    fn watch(&mut self, server: Arc<T>) {
        self.fold();
        self.live.push(server);
    }

    /// Keeps of those that are gone what they counted.
    fn fold(&mut self) {
        self.live.retain(|server| {
            // Held here alone: neither its server nor a connection is left,
            // and nothing will be counted any more.
            let gone = Arc::strong_count(server) == 1;
            if gone {
                atomic::fence(atomic::Ordering::Acquire);
                T::add(&mut self.base, &server.sums());
            }
            !gone
        });
    }

    fn sums(&mut self) -> T::Sums {
        self.fold();
        let mut sums = self.base.clone();
        for server in &self.live {
            T::add(&mut sums, &server.sums());
        }
        sums
    }
}

/// The sums of each service and endpoint.
fn shown<T: Counting>(all: &mut BTreeMap<Name, Series<T>>) -> Vec<Shown<T::Sums>> {
    let each = all.iter_mut().map(|((service, endpoint), series)| Shown {
        labels: [
            ("service", service.to_string()),
            ("endpoint", endpoint.clone()),
        ],
        sums: series.sums(),
    });
    each.collect()
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
    /// family is of another kind, or a value of these labels is asked for
    /// elsewhere.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
        let name = name.strip_suffix("_total").unwrap_or(name);
        let value = self.value(name, help, labels, Kind::Counter, || {
            Value::Counter(Counter::default())
        });
        match value {
            Value::Counter(counter) => counter,
            _ => panic!("{name} is asked for already"),
        }
    }

    /// A number that only rises and is known elsewhere: asked for when somebody looks, so that to
    /// count costs nothing more. `ask` must not ask for these metrics in turn. The same name and
    /// labels again take the place of what was there.
    ///
    /// # Panics
    /// As [`counter`](Self::counter).
    pub fn counter_asked(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        ask: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let name = name.strip_suffix("_total").unwrap_or(name);
        let value = Value::AskedCounter(Arc::new(ask));
        self.put(name, help, labels, Kind::Counter, value);
    }

    /// A number that rises and falls and is known elsewhere: as
    /// [`counter_asked`](Self::counter_asked).
    ///
    /// # Panics
    /// As [`counter`](Self::counter).
    pub fn gauge_asked(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        ask: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        let value = Value::AskedGauge(Arc::new(ask));
        self.put(name, help, labels, Kind::Gauge, value);
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
            _ => panic!("{name} is asked for already"),
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
            _ => panic!("{name} is asked for already"),
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
        let mut state = self.lock();
        let family = state.family(name, help, labels, kind);
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

    fn put(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        kind: Kind,
        value: Value,
    ) {
        let mut state = self.lock();
        let family = state.family(name, help, labels, kind);
        family.values.retain(|(other, _)| other != labels);
        family.values.push((labels.to_vec(), value));
    }

    /// All of it, as a text.
    pub fn render(&self, exposition: Exposition) -> String {
        let mut page = Page::new(exposition);
        let mut state = self.lock();
        let servers = shown(&mut state.servers);
        if !servers.is_empty() {
            write_servers(&mut page, &servers);
        }
        let datagrams = shown(&mut state.datagrams);
        if !datagrams.is_empty() {
            write_datagrams(&mut page, &datagrams);
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
        let name = (server.service.clone(), endpoint);
        let mut state = self.lock();
        state.servers.entry(name).or_default().watch(server.clone());
    }

    /// Shows a datagram server from now on.
    pub(crate) fn watch_datagrams(
        &self,
        service: Arc<str>,
        endpoint: String,
        totals: &Arc<DatagramTotals>,
    ) {
        let mut state = self.lock();
        let series = state.datagrams.entry((service, endpoint)).or_default();
        series.watch(totals.clone());
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
struct Shown<T> {
    labels: [(&'static str, String); 2],
    sums: T,
}

impl<T> Shown<T> {
    fn with<'a>(&'a self, more: Option<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
        let own = self.labels.iter().map(|(name, value)| (*name, &**value));
        own.chain(more).collect()
    }
}

/// A family of counters: its name, its help, and where its value is.
type Sum<T> = (&'static str, &'static str, fn(&T) -> u64);

/// One whose values are told apart by a label, and those of the label with
/// their values.
type SumBy<T> = (
    &'static str,
    &'static str,
    &'static str,
    fn(&T) -> Vec<(&'static str, u64)>,
);

fn write_counters<T>(page: &mut Page, all: &[Shown<T>], sums: &[Sum<T>], sums_by: &[SumBy<T>]) {
    for (name, help, value) in sums {
        page.family(Kind::Counter, name, help);
        for shown in all {
            page.sample(name, "_total", &shown.with(None), value(&shown.sums));
        }
    }
    for (name, help, label, values) in sums_by {
        page.family(Kind::Counter, name, help);
        for shown in all {
            for (reason, value) in values(&shown.sums) {
                let labels = shown.with(Some((label, reason)));
                page.sample(name, "_total", &labels, value);
            }
        }
    }
}

fn write_servers(page: &mut Page, servers: &[Shown<(usize, Totals)>]) {
    fn by(labels: &[&'static str], values: &[u64]) -> Vec<(&'static str, u64)> {
        labels.iter().copied().zip(values.iter().copied()).collect()
    }
    let name = "ropewalk_connections";
    page.family(Kind::Gauge, name, "Connections open now.");
    for server in servers {
        page.sample(name, "", &server.with(None), server.sums.0);
    }
    write_counters(
        page,
        servers,
        &[
            (
                "ropewalk_connections_accepted",
                "Connections admitted.",
                |(_, totals)| totals.accepted,
            ),
            (
                "ropewalk_received_bytes",
                "Bytes read from peers.",
                |(_, totals)| totals.read,
            ),
            (
                "ropewalk_sent_bytes",
                "Bytes written to peers.",
                |(_, totals)| totals.written,
            ),
        ],
        &[
            (
                "ropewalk_connections_refused",
                "Connections turned away.",
                "reason",
                |(_, totals)| by(Refusal::LABELS, &totals.refused),
            ),
            (
                "ropewalk_connections_closed",
                "Connections that are over.",
                "reason",
                |(_, totals)| by(End::LABELS, &totals.closed),
            ),
            (
                "ropewalk_handshakes",
                "Handshakes before a connection was served.",
                "result",
                |(_, totals)| {
                    let count = |label| totals.handshakes.get(label).copied().unwrap_or(0);
                    let labels = Handshake::labels();
                    labels.map(|label| (label, count(label))).collect()
                },
            ),
            (
                "ropewalk_accept_errors",
                "Times that accept failed.",
                "reason",
                |(_, totals)| by(AcceptError::LABELS, &totals.accept_errors),
            ),
        ],
    );
    let name = "ropewalk_connection_duration_seconds";
    let help = "How long connections lasted that are over.";
    page.family(Kind::Histogram, name, help);
    for server in servers {
        let totals = &server.sums.1;
        let (buckets, sum) = (&totals.durations, totals.lasted.as_secs_f64());
        page.histogram(name, &server.with(None), &DURATIONS, buckets, sum);
    }
}

fn write_datagrams(page: &mut Page, servers: &[Shown<DatagramCounts>]) {
    write_counters(
        page,
        servers,
        &[
            (
                "ropewalk_datagrams_received",
                "Datagrams received.",
                |counts| counts.received,
            ),
            ("ropewalk_datagrams_sent", "Datagrams sent.", |counts| {
                counts.sent
            }),
            (
                "ropewalk_datagram_received_bytes",
                "Bytes of datagrams received.",
                |counts| counts.received_bytes,
            ),
            (
                "ropewalk_datagram_sent_bytes",
                "Bytes of datagrams sent.",
                |counts| counts.sent_bytes,
            ),
        ],
        &[(
            "ropewalk_datagrams_lost",
            "Datagrams that were not sent, or not taken.",
            "reason",
            |counts| {
                vec![
                    ("dropped", counts.dropped),
                    ("failed", counts.failed),
                    ("truncated", counts.truncated),
                ]
            },
        )],
    );
}
