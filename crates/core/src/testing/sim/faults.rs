//! Things that break by themselves.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Random,
    link::ns,
    state::{Due, State},
    trace::What,
};

/// What breaks by itself, and how often; for
/// [`Network::inject`](super::Network::inject). When, where and for how long
/// follows from the seed.
///
/// The default breaks ways in all manners and leaves hosts alone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// The time from one to the next. Default 0.1 to 5 s.
    pub every: RangeInclusive<Duration>,
    /// How long one lasts. Default 10 ms to 10 s.
    pub lasts: RangeInclusive<Duration>,
    /// No more begin this long after the call, so that a test can come to an
    /// end; what was broken is repaired all the same. Default one minute.
    pub stop: Duration,
    /// Two hosts do not reach each other. Default true.
    pub partitions: bool,
    /// One host does not reach another, which reaches it. Default true.
    pub one_way: bool,
    /// The connections between two hosts are reset. Default true.
    pub resets: bool,
    /// All takes up to two seconds longer. Default true.
    pub delays: bool,
    /// A host that has a program crashes, or loses power, and comes back.
    /// Default false.
    pub crashes: bool,
}

/// The most that a fault delays.
const LAG: Duration = Duration::from_secs(2);

impl Default for Faults {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(100)..=Duration::from_secs(5),
            lasts: Duration::from_millis(10)..=Duration::from_secs(10),
            stop: Duration::from_secs(60),
            partitions: true,
            one_way: true,
            resets: true,
            delays: true,
            crashes: false,
        }
    }
}

impl Faults {
    /// Crashes of hosts beside the rest.
    #[must_use]
    pub fn with_crashes(mut self) -> Self {
        self.crashes = true;
        self
    }
}

/// Faults under way.
pub(super) struct Chaos {
    faults: Faults,
    /// In ns; none begins later.
    until: u64,
    random: Random,
    /// Unlike that of any other, since what they planned stays on the agenda.
    generation: u64,
    count: u64,
    /// What is broken now, by number.
    broken: Vec<(u64, Broken)>,
}

enum Broken {
    Way(usize, usize),
    Lag(usize, usize, Duration),
    /// And which of its boots it was that crashed.
    Host(usize, u64),
}

#[derive(Clone, Copy)]
enum Kind {
    Partition,
    OneWay,
    Reset,
    Delay,
    Crash,
}

impl State {
    pub(super) fn inject(&mut self, faults: Faults) {
        self.calm();
        let now = self.now();
        let mut chaos = Chaos {
            until: now.saturating_add(ns(faults.stop)),
            faults,
            random: self.random.fork(),
            generation: self.generation + 1,
            count: 0,
            broken: Vec::new(),
        };
        self.generation += 1;
        let first = now + chaos.next();
        self.agenda.add(first, Due::Fault(chaos.generation));
        self.chaos = Some(chaos);
    }

    pub(super) fn calm(&mut self) {
        if let Some(chaos) = self.chaos.take() {
            for (_, broken) in chaos.broken {
                self.mend(broken);
            }
        }
    }

    pub(super) fn fault(&mut self, generation: u64) {
        let now = self.now();
        let Some(mut chaos) = self.chaos.take_if(|c| c.generation == generation) else {
            return;
        };
        if now <= chaos.until {
            self.break_something(&mut chaos, now);
            let next = now + chaos.next();
            self.agenda.add(next, Due::Fault(generation));
        }
        self.chaos = Some(chaos);
    }

    pub(super) fn end_of_fault(&mut self, generation: u64, number: u64) {
        let chaos = self.chaos.as_mut();
        let Some(chaos) = chaos.filter(|c| c.generation == generation) else {
            return;
        };
        let Some(at) = chaos.broken.iter().position(|(n, _)| *n == number) else {
            return;
        };
        let (_, broken) = chaos.broken.remove(at);
        self.mend(broken);
    }

    fn break_something(&mut self, chaos: &mut Chaos, now: u64) {
        let victims: Vec<usize> = (0..self.hosts.len())
            .filter(|id| self.hosts[*id].program.is_some() && self.hosts[*id].is_running)
            .collect();
        let kinds = chaos.kinds(self.hosts.len() > 1, !victims.is_empty());
        if kinds.is_empty() {
            return;
        }
        let kind = *chaos.random.pick(&kinds);
        let a = chaos.random.index(self.hosts.len());
        let mut b = chaos.random.index(self.hosts.len().max(2) - 1);
        b += usize::from(b >= a);
        let lasts = chaos.random.duration(chaos.faults.lasts.clone());
        let what = |state: &Self, what: &str| {
            let name = |id: usize| state.hosts[id].name.clone();
            let what = format!("{what}: {} and {}, for {lasts:?}", name(a), name(b));
            What::Fault(what.into())
        };
        let broken = match kind {
            Kind::Partition => {
                self.record(what(self, "partition"));
                vec![Broken::Way(a, b), Broken::Way(b, a)]
            }
            Kind::OneWay => {
                self.record(what(self, "partition one way"));
                vec![Broken::Way(a, b)]
            }
            Kind::Reset => {
                self.record(what(self, "reset"));
                self.reset_between(a, b);
                return;
            }
            Kind::Delay => {
                self.record(what(self, "delay"));
                let lag = chaos.random.duration(Duration::ZERO..=LAG);
                vec![Broken::Lag(a, b, lag), Broken::Lag(b, a, lag)]
            }
            Kind::Crash => {
                let victim = *chaos.random.pick(&victims);
                let power = chaos.random.chance(0.5);
                self.crash(victim, power);
                vec![Broken::Host(victim, self.hosts[victim].boot)]
            }
        };
        for broken in broken {
            match broken {
                Broken::Way(from, to) => {
                    let was_cut = self.way(from, to).is_cut();
                    self.way(from, to).faults += 1;
                    self.told_of_cut(from, to, was_cut);
                }
                Broken::Lag(from, to, lag) => self.way(from, to).lag += lag,
                Broken::Host(..) => {}
            }
            chaos.count += 1;
            chaos.broken.push((chaos.count, broken));
            let end = now.saturating_add(ns(lasts));
            self.agenda
                .add(end, Due::EndOfFault(chaos.generation, chaos.count));
        }
    }

    fn mend(&mut self, broken: Broken) {
        match broken {
            Broken::Way(from, to) => {
                let was_cut = self.way(from, to).is_cut();
                self.way(from, to).faults -= 1;
                self.told_of_cut(from, to, was_cut);
            }
            Broken::Lag(from, to, lag) => self.way(from, to).lag -= lag,
            // The test may have been faster.
            Broken::Host(host, boot) if self.hosts[host].boot == boot => self.restart(host),
            Broken::Host(..) => {}
        }
    }
}

impl Chaos {
    /// The time to the next fault.
    fn next(&mut self) -> u64 {
        ns(self.random.duration(self.faults.every.clone())).max(1)
    }

    fn kinds(&self, has_ways: bool, has_victims: bool) -> Vec<Kind> {
        let faults = &self.faults;
        [
            (faults.partitions && has_ways, Kind::Partition),
            (faults.one_way && has_ways, Kind::OneWay),
            (faults.resets && has_ways, Kind::Reset),
            (faults.delays && has_ways, Kind::Delay),
            (faults.crashes && has_victims, Kind::Crash),
        ]
        .into_iter()
        .filter_map(|(asked, kind)| asked.then_some(kind))
        .collect()
    }
}
