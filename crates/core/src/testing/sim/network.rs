//! The network as a test sees it.

use std::{
    fmt,
    future::poll_fn,
    net::IpAddr,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{Faults, Host, Link, Random, Trace, state::State, trace::What};

/// A simulated network: hosts, and the ways between them.
///
/// [`Simulation::run`](super::Simulation::run) gives one to a test. Cheap to
/// clone; clones are the same network. Hosts are named by their names; a name
/// that no host has is a mistake of the test, and panics.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl Network {
    /// The host of this name, which is made if there is none yet: the first
    /// has the address 10.0.0.1, the next 10.0.0.2.
    pub fn host(&self, name: &str) -> Host {
        let id = self.state().host(name);
        Host::new(self.clone(), id)
    }

    /// A new host with an address of your choice.
    ///
    /// # Panics
    /// If the name or the address is taken.
    pub fn host_at(&self, name: &str, address: IpAddr) -> Host {
        let id = self.state().add_host(name, address);
        Host::new(self.clone(), id)
    }

    /// Changes every way between two hosts, and what those of hosts to come
    /// will be like. The way of a host to itself stays as it is: at once.
    pub fn links(&self, change: impl Fn(&mut Link)) {
        let mut state = self.state();
        change(&mut state.link);
        for ((from, to), way) in &mut state.ways {
            if from != to {
                change(&mut way.link);
            }
        }
    }

    /// Changes every way from and to a host, those of hosts to come included.
    pub fn links_of(&self, host: &str, change: impl Fn(&mut Link)) {
        let mut state = self.state();
        let id = state.named(host);
        let mut link = state.hosts[id].link.clone();
        change(link.get_or_insert_with(|| state.link.clone()));
        state.hosts[id].link = link;
        for ((from, to), way) in &mut state.ways {
            if from != to && (*from == id || *to == id) {
                change(&mut way.link);
            }
        }
    }

    /// Changes the ways between two hosts, there and back.
    pub fn link(&self, a: &str, b: &str, change: impl Fn(&mut Link)) {
        self.link_one_way(a, b, &change);
        self.link_one_way(b, a, &change);
    }

    /// Changes the way from one host to another.
    pub fn link_one_way(&self, from: &str, to: &str, change: impl Fn(&mut Link)) {
        let mut state = self.state();
        let (from, to) = (state.named(from), state.named(to));
        change(&mut state.way(from, to).link);
    }

    /// Cuts the ways between two hosts. Nobody is told: connects are not
    /// answered, and bytes wait for the [`repair`](Self::repair), or until
    /// [`Link::give_up`] has passed.
    pub fn partition(&self, a: &str, b: &str) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// Cuts the way from one host to another.
    pub fn partition_one_way(&self, from: &str, to: &str) {
        self.cut(from, to, true);
    }

    /// Opens the ways between two hosts again; what waited for it goes on.
    pub fn repair(&self, a: &str, b: &str) {
        self.cut(a, b, false);
        self.cut(b, a, false);
    }

    fn cut(&self, from: &str, to: &str, cut: bool) {
        let mut state = self.state();
        let (from, to) = (state.named(from), state.named(to));
        state.cut(from, to, cut);
    }

    /// Resets every connection between two hosts, as a box on the way might:
    /// both sides hear it.
    pub fn reset(&self, a: &str, b: &str) {
        let mut state = self.state();
        let (a, b) = (state.named(a), state.named(b));
        state.reset_between(a, b);
    }

    /// Lets things break by themselves from now on, as the seed will have it;
    /// instead of what an earlier call asked for.
    pub fn inject(&self, faults: Faults) {
        self.state().inject(faults);
    }

    /// Ends what [`inject`](Self::inject) began, and repairs what it broke.
    pub fn calm(&self) {
        self.state().calm();
    }

    /// A generator for what the test itself draws: another one at each call,
    /// all of them from the seed.
    pub fn random(&self) -> Random {
        self.state().for_test.fork()
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.state().start.elapsed()
    }

    /// Puts a remark into the trace. It counts as an event: where two runs of
    /// a seed note different things, they did not replay.
    pub fn note(&self, remark: impl fmt::Display) {
        let remark = remark.to_string().into();
        self.state().record(What::Note(remark));
    }

    /// What happened so far.
    pub fn trace(&self) -> Trace {
        self.state().trace.clone()
    }

    /// Ends what runs on its hosts, and records no more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.over = true;
        state.chaos = None;
        for host in 0..state.hosts.len() {
            state.crash(host, true);
        }
        // They may hold this network, which holds them.
        let programs = state.hosts.iter_mut().map(|h| h.program.take());
        let programs: Vec<_> = programs.collect();
        drop(state);
        drop(programs);
    }

    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed))))
    }

    pub(super) fn state(&self) -> Guard<'_> {
        Guard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Starts the programs of hosts that were started, in their order.
    pub(super) fn start_programs(&self) {
        let starting = std::mem::take(&mut self.state().starting);
        for id in starting {
            Host::new(self.clone(), id).run_program();
        }
    }

    /// Does what is on the agenda, when it is due; never ends.
    pub(super) async fn pump(self) {
        let mut sleep = std::pin::pin!(sleep_until(Instant::now()));
        poll_fn(|cx| {
            loop {
                let next = {
                    let mut state = self.state();
                    let next = state.advance();
                    state.agenda.armed = next.unwrap_or(u64::MAX);
                    state.agenda.pump = Some(cx.waker().clone());
                    next.map(|at| state.start + Duration::from_nanos(at))
                };
                self.start_programs();
                let Some(next) = next else {
                    return Poll::Pending;
                };
                sleep.as_mut().reset(next);
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::<()>::Pending;
                }
            }
        })
        .await;
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Network")
            .field("hosts", &state.hosts.len())
            .field("connections", &state.connections.len())
            .finish_non_exhaustive()
    }
}

/// The state, locked. Tasks are woken and ended only when it is free again,
/// since what they drop may want it.
pub(super) struct Guard<'a>(Option<MutexGuard<'a, State>>);

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.0.as_deref().expect("taken only in drop")
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_deref_mut().expect("taken only in drop")
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let wakes = std::mem::take(&mut self.wakes);
        let aborts = std::mem::take(&mut self.aborts);
        self.0 = None;
        for waker in wakes {
            waker.wake();
        }
        for task in aborts {
            task.abort();
        }
    }
}
