//! What happened on a simulated network, and a number that stands for it.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

/// The latest events that are kept; the hash is over all of them.
const KEPT: usize = 1 << 16;

/// What happened so far, in order.
///
/// Two runs of one seed must have the same trace; that is what "replays
/// exactly" means. Shown with `{}` it is one line an event.
#[derive(Clone)]
pub struct Trace {
    hash: DefaultHasher,
    count: u64,
    events: VecDeque<Event>,
    hosts: Vec<Arc<str>>,
    /// Between whom each connection is, by its number from 1.
    connections: Vec<(Port, Port)>,
}

/// A port of a host, by the host's index.
pub(super) type Port = (usize, u16);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Event {
    /// In ns of the simulation.
    at: u64,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// Of a connection: from its client's side, or from its server's.
    Connection(u64, bool, Step),
    Listening(Port),
    /// From where to where a datagram arrived, its length and its hash.
    Datagram(Port, Port, usize, u64),
    /// One of this length did not arrive, or nobody took it.
    Lost(Port, Port, usize),
    /// The way from one host to another was cut, or is open again.
    Cut(usize, usize),
    Repaired(usize, usize),
    Started(usize),
    Crashed(usize),
    PoweredOff(usize),
    Fault(Box<str>),
    Note(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Connecting,
    Connected,
    Refused,
    /// Nobody was there to answer; it is tried again.
    Unanswered,
    /// These bytes arrived.
    Bytes(usize, u64),
    /// Bytes wait for a way that is cut.
    Stuck,
    /// The end of one direction arrived.
    End,
    /// A reset arrived.
    Reset,
    /// A reset was lost.
    ResetLost,
    GaveUp,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self {
            hash: DefaultHasher::new(),
            count: 0,
            events: VecDeque::new(),
            hosts: Vec::new(),
            connections: Vec::new(),
        }
    }

    /// A number that two traces share if all of their events are the same.
    /// Good within one build; another toolchain may give another.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// How many events there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// When something happened last, in ns.
    pub(super) fn last(&self) -> u64 {
        self.events.back().map_or(0, |event| event.at)
    }

    /// Its last lines.
    pub fn tail(&self, lines: usize) -> String {
        let from = self.events.len().saturating_sub(lines);
        self.show(self.events.range(from..))
    }

    /// Where two traces part, with the line of each; none if they do not, or
    /// did so long before what is kept.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        // Both keep as many, so that equal counts mean equal beginnings; where
        // counts differ, the shorter one's end is a difference.
        let first = |trace: &Self| trace.count - trace.events.len() as u64;
        let start = first(self).max(first(other));
        let of = |trace: &Self, n: u64| {
            let index = usize::try_from(n - first(trace)).ok()?;
            trace.events.get(index).cloned()
        };
        let end = self.count.max(other.count);
        let parting = (start..end).find(|n| of(self, *n) != of(other, *n))?;
        let line = |trace: &Self| match of(trace, parting) {
            Some(event) => trace.show(std::iter::once(&event)),
            None => "  (the end)\n".to_owned(),
        };
        Some(format!(
            "event {parting} is once\n{}and once\n{}",
            line(self),
            line(other)
        ))
    }

    pub(super) fn record(&mut self, at: u64, what: What) {
        let event = Event { at, what };
        event.hash(&mut self.hash);
        self.count += 1;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn host(&mut self, name: Arc<str>) {
        self.hosts.push(name);
    }

    /// Enters a connection; gives its number.
    pub(super) fn connection(&mut self, client: Port, server: Port) -> u64 {
        self.connections.push((client, server));
        self.connections.len() as u64
    }

    fn show<'a>(&self, events: impl Iterator<Item = &'a Event>) -> String {
        use fmt::Write as _;
        let mut text = String::new();
        for event in events {
            let seconds = Duration::from_nanos(event.at).as_secs_f64();
            let _ = write!(text, "{seconds:12.6} s  ");
            self.show_one(&event.what, &mut text);
            text.push('\n');
        }
        text
    }

    fn show_one(&self, what: &What, text: &mut String) {
        use fmt::Write as _;
        let host = |id: &usize| self.hosts.get(*id).map_or("?", |name| name);
        let port = |port: &Port| format!("{}:{}", host(&port.0), port.1);
        let _ = match what {
            What::Connection(id, from_client, step) => {
                let index = usize::try_from(*id).unwrap_or(0).wrapping_sub(1);
                let (client, server) = match self.connections.get(index) {
                    Some((client, server)) => (port(client), port(server)),
                    None => ("?".to_owned(), "?".to_owned()),
                };
                let way = if *from_client { "->" } else { "<-" };
                write!(text, "#{id} {client} {way} {server}  {step}")
            }
            What::Listening(at) => write!(text, "{} listens", port(at)),
            What::Datagram(from, to, bytes, _) => {
                write!(text, "{} -> {}  datagram of {bytes}", port(from), port(to))
            }
            What::Lost(from, to, bytes) => {
                write!(
                    text,
                    "{} -> {}  datagram of {bytes}, lost",
                    port(from),
                    port(to)
                )
            }
            What::Cut(from, to) => write!(text, "cut: {} to {}", host(from), host(to)),
            What::Repaired(from, to) => write!(text, "repaired: {} to {}", host(from), host(to)),
            What::Started(id) => write!(text, "{} starts", host(id)),
            What::Crashed(id) => write!(text, "{} crashes", host(id)),
            What::PoweredOff(id) => write!(text, "{} loses power", host(id)),
            What::Fault(fault) => write!(text, "fault: {fault}"),
            What::Note(note) => write!(text, "note: {note}"),
        };
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected"),
            Self::Refused => f.write_str("refused"),
            Self::Unanswered => f.write_str("no answer; trying again"),
            Self::Bytes(1, _) => f.write_str("1 byte"),
            Self::Bytes(n, _) => write!(f, "{n} bytes"),
            Self::Stuck => f.write_str("bytes wait for a way that is cut"),
            Self::End => f.write_str("end"),
            Self::Reset => f.write_str("reset"),
            Self::ResetLost => f.write_str("reset, lost on the way"),
            Self::GaveUp => f.write_str("gave up sending"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(self.events.iter()))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("count", &self.count)
            .field("hash", &self.hash())
            .finish_non_exhaustive()
    }
}

/// Of what arrived, so that other bytes make another trace.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(notes: &[&str]) -> Trace {
        let mut trace = Trace::new();
        trace.host("mail".into());
        for (at, note) in notes.iter().enumerate() {
            trace.record(at as u64 * 1_000_000, What::Note((*note).into()));
        }
        trace
    }

    #[test]
    fn the_same_events_are_the_same_hash() {
        assert_eq!(trace(&["a", "b"]).hash(), trace(&["a", "b"]).hash());
        assert_ne!(trace(&["a", "b"]).hash(), trace(&["b", "a"]).hash());
        assert_ne!(trace(&["a"]).hash(), trace(&["a", "b"]).hash());
    }

    #[test]
    fn the_first_difference_is_shown() {
        let (one, other) = (trace(&["a", "b", "c"]), trace(&["a", "x", "c"]));
        let shown = one.difference(&other).unwrap();
        assert!(shown.contains("event 1 is once"), "{shown}");
        assert!(
            shown.contains("note: b") && shown.contains("note: x"),
            "{shown}"
        );
        let shorter = trace(&["a"]);
        assert!(one.difference(&shorter).unwrap().contains("(the end)"));
        assert_eq!(one.difference(&one.clone()), None);
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut trace = trace(&[]);
        for at in 0..=KEPT as u64 {
            trace.record(at, What::Started(0));
        }
        assert_eq!(trace.count(), KEPT as u64 + 1);
        assert_eq!(trace.events.len(), KEPT);
        assert_eq!(trace.tail(1), "    0.000066 s  mail starts\n");
    }
}
