//! The network as data: hosts, the ways between them, and what is to happen
//! when.
//!
//! All of it stands behind one lock and is changed in one order, that of the
//! agenda; what connections do is in [`connection`](super::connection). No map
//! here has an order that changes from run to run.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    task::Waker,
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use super::{
    Link, Random,
    connection::Connection,
    datagram::{Flight, Mailbox},
    faults::Chaos,
    host::Program,
    link::{Way, ns},
    trace::{Step, Trace, What},
};

/// The first port that connections are made from, as IANA has it.
const EPHEMERAL: u16 = 49_152;

/// How long an unanswered connect waits before it tries again, and then twice
/// as long each time (RFC 6298).
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct State {
    pub(super) start: Instant,
    /// For what the network does.
    pub(super) random: Random,
    /// For the test itself.
    pub(super) for_test: Random,
    pub(super) agenda: Agenda,
    pub(super) hosts: Vec<HostState>,
    /// What the ways of hosts to come are like.
    pub(super) link: Link,
    /// From host to host, both ways and to itself.
    pub(super) ways: BTreeMap<(usize, usize), Way>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) chaos: Option<Chaos>,
    /// How many there were of these.
    pub(super) generation: u64,
    pub(super) trace: Trace,
    /// The test has ended: nothing is recorded any more.
    pub(super) over: bool,
    pub(super) failure: Option<String>,
    /// Woken by a failure.
    pub(super) root: Option<Waker>,
    /// Woken and aborted once the lock is free.
    pub(super) wakes: Vec<Waker>,
    pub(super) aborts: Vec<AbortHandle>,
    /// Hosts whose programs are to start, for the pump.
    pub(super) starting: Vec<usize>,
}

pub(super) struct HostState {
    pub(super) name: Arc<str>,
    pub(super) ip: IpAddr,
    /// Grows at each restart: what belongs to an earlier one is dead.
    pub(super) boot: u64,
    /// Has not crashed.
    pub(super) is_running: bool,
    /// Has power.
    pub(super) is_up: bool,
    pub(super) ports: BTreeMap<u16, PortState>,
    /// Ports that receive datagrams.
    pub(super) mailboxes: BTreeMap<u16, Mailbox>,
    next_port: u16,
    pub(super) program: Option<Program>,
    pub(super) tasks: Vec<AbortHandle>,
    /// What its ways to hosts to come are like, if it was told.
    pub(super) link: Option<Link>,
}

/// A port that somebody listens on.
pub(super) struct PortState {
    /// Connections to be accepted.
    pub(super) pending: VecDeque<u64>,
    pub(super) backlog: usize,
    pub(super) waker: Option<Waker>,
}

/// Something that is to happen.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A connection is asked for.
    Ask(u64),
    /// It is granted.
    Grant(u64),
    Refuse(u64),
    /// The next segment that this side sent arrives.
    Deliver(u64, Side),
    /// A reset arrives at this side.
    Reset(u64, Side),
    /// This side waits for too long with what got stuck at this time.
    GiveUp(u64, Side, u64),
    Datagram(Flight),
    /// Someone on this host hears that nobody listens there.
    Unreachable((usize, SocketAddr), SocketAddr),
    /// Something breaks, by the plan of this number.
    Fault(u64),
    EndOfFault(u64, u64),
}

/// The client's side of a connection, or the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What is to happen, in the order of time; what is due at the same instant is
/// in an order of the seed's.
pub(super) struct Agenda {
    queue: BTreeMap<(u64, u64, u64), Due>,
    count: u64,
    order: Random,
    /// When the pump wakes by itself.
    pub(super) armed: u64,
    pub(super) pump: Option<Waker>,
}

impl Agenda {
    pub(super) fn add(&mut self, at: u64, due: Due) {
        self.count += 1;
        let key = (at, self.order.bits(), self.count);
        self.queue.insert(key, due);
        if at < self.armed
            && let Some(pump) = self.pump.take()
        {
            pump.wake();
        }
    }

    pub(super) fn next(&self) -> Option<u64> {
        self.queue.keys().next().map(|(at, ..)| *at)
    }

    pub(super) fn take_due(&mut self, now: u64) -> Option<Due> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        Self {
            start: Instant::now(),
            for_test: random.fork(),
            agenda: Agenda {
                queue: BTreeMap::new(),
                count: 0,
                order: random.fork(),
                armed: u64::MAX,
                pump: None,
            },
            random,
            hosts: Vec::new(),
            link: Link::default(),
            ways: BTreeMap::new(),
            connections: BTreeMap::new(),
            chaos: None,
            generation: 0,
            trace: Trace::new(),
            over: false,
            failure: None,
            root: None,
            wakes: Vec::new(),
            aborts: Vec::new(),
            starting: Vec::new(),
        }
    }

    /// In ns since the start.
    pub(super) fn now(&self) -> u64 {
        ns(self.start.elapsed())
    }

    pub(super) fn record(&mut self, what: What) {
        if !self.over {
            self.trace.record(self.now(), what);
        }
    }

    pub(super) fn step(&mut self, connection: u64, from: Side, step: Step) {
        self.record(What::Connection(connection, from == Side::Client, step));
    }

    /// Fails the simulation; the first failure is the one that is told.
    pub(super) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
        self.wakes.extend(self.root.take());
    }

    /// The host of a name, or a new one.
    pub(super) fn host(&mut self, name: &str) -> usize {
        if let Some(id) = self.find(name) {
            return id;
        }
        assert!(
            !name.is_empty() && name != "localhost" && name.parse::<IpAddr>().is_err(),
            "{name:?} is no name for a simulated host"
        );
        let number = u32::try_from(self.hosts.len() + 1).expect("fewer hosts than addresses");
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number).into();
        self.add_host(name, ip)
    }

    pub(super) fn add_host(&mut self, name: &str, ip: IpAddr) -> usize {
        let taken = self.hosts.iter().any(|h| *h.name == *name || h.ip == ip);
        assert!(!taken, "there is a host {name} or {ip} already");
        let id = self.hosts.len();
        for (other, host) in self.hosts.iter().enumerate() {
            let link = host.link.as_ref().unwrap_or(&self.link);
            self.ways.insert((id, other), Way::new(link.clone()));
            self.ways.insert((other, id), Way::new(link.clone()));
        }
        let own = Link {
            latency: Duration::ZERO..=Duration::ZERO,
            ..Link::default()
        };
        self.ways.insert((id, id), Way::new(own));
        self.trace.host(name.into());
        self.hosts.push(HostState {
            name: name.into(),
            ip,
            boot: 0,
            is_running: true,
            is_up: true,
            ports: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            next_port: EPHEMERAL,
            program: None,
            tasks: Vec::new(),
            link: None,
        });
        id
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|h| *h.name == *name)
    }

    /// The host that a test names.
    pub(super) fn named(&self, name: &str) -> usize {
        self.find(name)
            .unwrap_or_else(|| panic!("there is no host {name:?}; `Network::host` makes one"))
    }

    /// The host that something on `from` means by a name or an address.
    pub(super) fn resolve(&self, from: usize, name: &str) -> Option<usize> {
        if name.eq_ignore_ascii_case("localhost") {
            return Some(from);
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => Some(from),
            Ok(ip) => self.hosts.iter().position(|h| h.ip == ip),
            Err(_) => self
                .hosts
                .iter()
                .position(|h| h.name.eq_ignore_ascii_case(name)),
        }
    }

    pub(super) fn way(&mut self, from: usize, to: usize) -> &mut Way {
        self.ways.get_mut(&(from, to)).expect("a way between hosts")
    }

    /// Whether what `from` sends gets to `to` now.
    pub(super) fn is_open(&self, from: usize, to: usize) -> bool {
        self.hosts[to].is_up && !self.ways[&(from, to)].is_cut()
    }

    /// When something without bytes gets there, if it leaves now.
    pub(super) fn pass(&mut self, from: usize, to: usize) -> u64 {
        let now = self.now();
        let way = self.ways.get_mut(&(from, to)).expect("a way between hosts");
        way.pass(now, 0, &mut self.random).arrives
    }

    /// Cuts a way, or opens it again.
    pub(super) fn cut(&mut self, from: usize, to: usize, cut: bool) {
        let was_cut = self.way(from, to).is_cut();
        self.way(from, to).cut = cut;
        self.told_of_cut(from, to, was_cut);
    }

    pub(super) fn told_of_cut(&mut self, from: usize, to: usize, was_cut: bool) {
        match (was_cut, self.way(from, to).is_cut()) {
            (false, true) => self.record(What::Cut(from, to)),
            (true, false) => {
                self.record(What::Repaired(from, to));
                self.release(from, to);
            }
            _ => {}
        }
    }

    /// A port of this host that nobody uses.
    pub(super) fn free_port(&mut self, host: usize) -> u16 {
        let host = &mut self.hosts[host];
        loop {
            let port = host.next_port;
            host.next_port = port.checked_add(1).unwrap_or(EPHEMERAL);
            if !host.ports.contains_key(&port) && !host.mailboxes.contains_key(&port) {
                return port;
            }
        }
    }

    pub(super) fn is_dead(&self, host: usize, boot: u64) -> bool {
        self.hosts[host].boot != boot || !self.hosts[host].is_running
    }

    /// Takes the port, if it is free.
    pub(super) fn listen(&mut self, host: usize, port: u16, backlog: usize) -> Option<SocketAddr> {
        let port = match port {
            0 => self.free_port(host),
            port => port,
        };
        let ports = &mut self.hosts[host].ports;
        if ports.contains_key(&port) {
            return None;
        }
        let listening = PortState {
            pending: VecDeque::new(),
            backlog,
            waker: None,
        };
        ports.insert(port, listening);
        self.record(What::Listening((host, port)));
        Some((self.hosts[host].ip, port).into())
    }

    /// All that runs on a host ends: its tasks, its ports, its connections.
    /// Peers hear a reset, unless it is for lack of power.
    pub(super) fn crash(&mut self, host: usize, power: bool) {
        self.record(match power {
            true => What::Crashed(host),
            false => What::PoweredOff(host),
        });
        let crashed = &mut self.hosts[host];
        crashed.is_running = false;
        crashed.is_up = power;
        let ports = std::mem::take(&mut crashed.ports);
        crashed.mailboxes.clear();
        self.aborts.append(&mut crashed.tasks);
        let unaccepted = ports.values().flat_map(|p| p.pending.iter().copied());
        let unaccepted: Vec<u64> = unaccepted.collect();
        self.wakes
            .extend(ports.into_values().filter_map(|port| port.waker));
        let connections: Vec<u64> = self.connections.keys().copied().collect();
        for id in connections {
            for side in [Side::Client, Side::Server] {
                let on = self.connections.get(&id).map(|c| c.ends[side.index()].host);
                if on == Some(host) {
                    self.die(id, side, power);
                }
            }
        }
        for id in unaccepted {
            self.close(id, Side::Server);
        }
    }

    /// Gives a host power again, and has its program start.
    pub(super) fn restart(&mut self, host: usize) {
        if self.hosts[host].is_running {
            self.crash(host, true);
        }
        self.hosts[host].boot += 1;
        self.hosts[host].is_running = true;
        self.hosts[host].is_up = true;
        for other in 0..self.hosts.len() {
            if !self.way(other, host).is_cut() {
                self.release(other, host);
            }
        }
        if self.hosts[host].program.is_some() {
            self.starting.push(host);
        }
    }

    /// Does what is due; says when there is more.
    pub(super) fn advance(&mut self) -> Option<u64> {
        let now = self.now();
        while let Some(due) = self.agenda.take_due(now) {
            match due {
                Due::Ask(id) => self.asked(id),
                Due::Grant(id) => self.granted(id),
                Due::Refuse(id) => self.refused(id),
                Due::Deliver(id, from) => self.deliver(id, from),
                Due::Reset(id, at) => self.reset(id, at),
                Due::GiveUp(id, side, since) => self.give_up(id, side, since),
                Due::Datagram(flight) => self.datagram(flight),
                Due::Unreachable(at, from) => self.unreachable(at, from),
                Due::Fault(generation) => self.fault(generation),
                Due::EndOfFault(generation, number) => self.end_of_fault(generation, number),
            }
        }
        self.agenda.next()
    }

    /// Tries to connect again, later each time.
    pub(super) fn ask_again(&mut self, id: u64, due: fn(u64) -> Due) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let delay = ns(RETRY) << connection.tries.min(5);
        connection.tries += 1;
        self.agenda.add(now + delay, due(id));
        self.step(id, Side::Client, Step::Unanswered);
    }
}
