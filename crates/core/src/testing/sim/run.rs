//! Running a test on a simulated network: once for a seed, or over many.

use std::{
    any::Any,
    cell::RefCell,
    future::poll_fn,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Once,
    task::{Poll, Waker},
    time::{Duration, SystemTime},
};

use tokio::time::sleep_until;

use super::{Network, Trace};
use crate::{
    Result,
    ambient::world::{self, World},
    testing::leaks,
};

/// Virtual time that a test has.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// When a simulation begins on the wall: 2026-01-01, midnight UTC.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Lines of the trace that a failure shows.
const SHOWN: usize = 40;

/// Runs a test over so many seeds: 0, 1, 2 and so on; where `ROPEWALK_DEEP` is
/// set, over fifty times as many. `ROPEWALK_SEEDS` says another number, or a
/// range such as `1000..2000`; `ROPEWALK_SEED` runs a single one, as the
/// report of a failure says to do.
///
/// The first seed runs twice: a test that does not replay is refused.
///
/// ```
/// use ropewalk_core::testing::sim::simulate;
///
/// simulate(10, async |net| {
///     let (client, server) = (net.host("client"), net.host("server"));
///     // Listen and connect with `server.schemes()` and `client.schemes()`.
/// #   let _ = (client, server);
///     Ok(())
/// });
/// ```
///
/// # Panics
/// If a seed fails: by an error or a panic anywhere, a program of a host that
/// fails, a connection or a task that is left behind, or a day of virtual time
/// that does not do. It names the seed and shows the end of its [`Trace`].
pub fn simulate(seeds: u64, test: impl AsyncFn(Network) -> Result) {
    Simulation::new().over(seeds, test);
}

/// How a test on a simulated network runs.
///
/// ```
/// use std::time::Duration;
/// use ropewalk_core::testing::sim::Simulation;
///
/// let elapsed = Simulation::from_seed(7).run(async |net| {
///     tokio::time::sleep(Duration::from_secs(3600)).await;
///     net.elapsed()
/// });
/// assert_eq!(elapsed, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it runs"]
pub struct Simulation {
    seed: u64,
    limit: Duration,
    epoch: SystemTime,
    replays: bool,
}

impl Simulation {
    /// With the defaults, and seed 0.
    pub fn new() -> Self {
        Self::from_seed(0)
    }

    /// Of this seed.
    pub fn from_seed(seed: u64) -> Self {
        Self {
            seed,
            limit: LIMIT,
            epoch: SystemTime::UNIX_EPOCH + EPOCH,
            replays: true,
        }
    }

    /// Virtual time that the test has; then it fails. Default a day.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// When it begins, for [`wall_clock`](crate::wall_clock). Default
    /// 2026-01-01, midnight UTC.
    pub fn begins(mut self, epoch: SystemTime) -> Self {
        self.epoch = epoch;
        self
    }

    /// For a test that cannot replay exactly, as one with TLS in it: its keys
    /// are not the seed's, nor are the sizes of what it sends.
    pub fn without_replay(mut self) -> Self {
        self.replays = false;
        self
    }

    /// Runs a test once.
    ///
    /// # Panics
    /// If it fails, as [`simulate`] says.
    pub fn run<T>(&self, test: impl AsyncFnOnce(Network) -> T) -> T {
        let (result, trace) = self.once(async move |net| Ok(test(net).await));
        match result {
            Ok(value) => value,
            Err(why) => panic!("{}", report(self.seed, &why, &trace)),
        }
    }

    /// Runs a test over many seeds, as [`simulate`].
    ///
    /// # Panics
    /// If one fails, as [`simulate`] says.
    pub fn over(&self, seeds: u64, test: impl AsyncFn(Network) -> Result) {
        let seeds = match chosen(|name| std::env::var(name).ok(), seeds) {
            Ok(seeds) => seeds,
            Err(why) => panic!("{why}"),
        };
        for (index, seed) in seeds.enumerate() {
            let simulation = Self {
                seed,
                ..self.clone()
            };
            let (result, trace) = simulation.once(&test);
            if let Err(why) = result {
                panic!("{}", report(seed, &why, &trace));
            }
            if index == 0 && self.replays {
                let (_, again) = simulation.once(&test);
                if let Some(difference) = trace.difference(&again) {
                    panic!("{}", report(seed, &unreplayable(&difference), &trace));
                }
            }
        }
    }

    fn once<T>(&self, test: impl AsyncFnOnce(Network) -> Result<T>) -> (Result<T, String>, Trace) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        // No I/O: a socket of the real world has no place in virtual time.
        builder.enable_time().start_paused(true);
        #[cfg(tokio_unstable)]
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(
            &self.seed.to_le_bytes(),
        ));
        let runtime = builder.build().expect("a test can have a runtime");
        let watch = Watch::begin();
        let leaks = leaks::Watch::begin();
        let net = runtime.block_on(async { Network::new(self.seed) });
        let start = net.state().start;
        let world = world::enter(World {
            epoch: self.epoch,
            start,
            random: Some(net.random()),
        });
        let ran = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let pump = tokio::spawn(net.clone().pump());
                let result = self.watched(&net, test(net.clone())).await;
                net.end();
                pump.abort();
                let left = leaks.until_clean().await;
                (result, left)
            })
        }));
        drop(world);
        let panics = watch.end();
        drop(runtime);
        let result = match (ran, panics) {
            (Err(payload), panics) => Err(match panics.into_iter().next() {
                Some(panic) => panic,
                None => format!("the test panicked: {}", message(&*payload)),
            }),
            (Ok(_), panics) if !panics.is_empty() => Err(panics.concat()),
            (Ok((Err(why), _)), _) => Err(why),
            (Ok((Ok(_), Some(left))), _) => Err(left),
            (Ok((Ok(value), None)), _) => Ok(value),
        };
        (result, net.trace())
    }

    /// Polls the test until it ends, something fails, or its time is over.
    async fn watched<T>(
        &self,
        net: &Network,
        test: impl Future<Output = Result<T>>,
    ) -> Result<T, String> {
        let mut test = pin!(test);
        let mut limit = pin!(sleep_until(net.state().start + self.limit));
        poll_fn(|cx| {
            {
                let mut state = net.state();
                state.root = Some(cx.waker().clone());
                if let Some(why) = state.failure.take() {
                    return Poll::Ready(Err(why));
                }
            }
            if Watch::saw_panic(cx.waker()) {
                return Poll::Ready(Err("a task panicked".to_owned()));
            }
            if limit.as_mut().poll(cx).is_ready() {
                let limit = self.limit;
                let quiet = Duration::from_nanos(net.state().trace.last());
                return Poll::Ready(Err(format!(
                    "it did not end within {limit:?} of virtual time; the network has been \
                     quiet since {quiet:?}, while tasks wait for each other or for a timer"
                )));
            }
            test.as_mut()
                .poll(cx)
                .map_err(|error| format!("the test failed: {error}"))
        })
        .await
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

fn unreplayable(difference: &str) -> String {
    format!(
        "two runs of this seed differ: {difference}\
         Something in it is not the seed's: `select!` without `biased`, the order of a HashMap, \
         a clock or randomness of the system's, a thread, TLS. \
         `Simulation::without_replay` is for what cannot be helped."
    )
}

fn report(seed: u64, why: &str, trace: &Trace) -> String {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "PACKAGE".to_owned());
    let thread = std::thread::current();
    let test = thread.name().filter(|n| *n != "main").unwrap_or("TEST");
    let (count, shown) = (trace.count(), trace.tail(SHOWN));
    let shown_count = shown.lines().count();
    format!(
        "simulation failed with seed {seed}: {why}\n\
         to replay it: ROPEWALK_SEED={seed} cargo test --all-features -p {package} -- --exact {test}\n\
         the last {shown_count} of {count} events:\n{shown}"
    )
}

/// The seeds to run, by the environment.
fn chosen(env: impl Fn(&str) -> Option<String>, seeds: u64) -> Result<Range<u64>, String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    if let Some(text) = env("ROPEWALK_SEED") {
        let seed = number(&text).filter(|seed| *seed < u64::MAX);
        let seed = seed.ok_or_else(|| format!("ROPEWALK_SEED={text} is no seed"))?;
        return Ok(seed..seed + 1);
    }
    if let Some(text) = env("ROPEWALK_SEEDS") {
        let range = match text.split_once("..") {
            Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..to),
            None => number(&text).map(|count| 0..count),
        };
        return range
            .filter(|range| !range.is_empty())
            .ok_or_else(|| format!("ROPEWALK_SEEDS={text} is neither a number nor a range A..B"));
    }
    let factor = if env("ROPEWALK_DEEP").is_some() {
        50
    } else {
        1
    };
    Ok(0..seeds.saturating_mul(factor).max(1))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something that is no text".to_owned())
}

thread_local! {
    static PANICS: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Panics {
    seen: Vec<String>,
    root: Option<Waker>,
}

/// Sees every panic on this thread, also those that a task or the driver
/// catches: in a simulation nothing may panic.
struct Watch;

impl Watch {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                before(info);
                let root = PANICS.try_with(|panics| {
                    let mut panics = panics.try_borrow_mut().ok()?;
                    let panics = panics.as_mut()?;
                    panics.seen.push(format!("{info}"));
                    panics.root.take()
                });
                if let Ok(Some(root)) = root {
                    root.wake();
                }
            }));
        });
        PANICS.set(Some(Panics::default()));
        Self
    }

    fn saw_panic(waker: &Waker) -> bool {
        PANICS.with_borrow_mut(|panics| {
            let Some(panics) = panics else { return false };
            panics.root = Some(waker.clone());
            !panics.seen.is_empty()
        })
    }

    fn end(self) -> Vec<String> {
        PANICS.take().unwrap_or_default().seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_chosen_by_the_environment() {
        let of = |vars: &[(&str, &str)]| {
            let find = |name: &str| {
                let var = vars.iter().find(|(n, _)| *n == name);
                var.map(|(_, value)| (*value).to_owned())
            };
            chosen(find, 20)
        };
        assert_eq!(of(&[]), Ok(0..20));
        assert_eq!(of(&[("ROPEWALK_DEEP", "1")]), Ok(0..1000));
        assert_eq!(
            of(&[("ROPEWALK_SEEDS", "7"), ("ROPEWALK_DEEP", "1")]),
            Ok(0..7)
        );
        assert_eq!(of(&[("ROPEWALK_SEEDS", "1000..2000")]), Ok(1000..2000));
        assert_eq!(
            of(&[("ROPEWALK_SEED", "0x10"), ("ROPEWALK_SEEDS", "7")]),
            Ok(16..17)
        );
        for wrong in ["", "x", "0", "5..5", "..3"] {
            assert!(of(&[("ROPEWALK_SEEDS", wrong)]).is_err(), "{wrong}");
        }
        assert!(of(&[("ROPEWALK_SEED", "-1")]).is_err());
    }
}
