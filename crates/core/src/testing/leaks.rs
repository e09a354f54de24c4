//! Tests that leave nothing behind.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    ConnectionId,
    ambient::world::{self, World},
    registry::Entry,
};

/// Turns that what is about to end has to do so.
const TURNS: usize = 1000;

/// Milliseconds that a thread has besides, which reads a file, say.
const PATIENCE: usize = 500;

thread_local! {
    /// The connections of the test on this thread, if one runs: programs that
    /// merely have this feature pay nothing for it.
    static OPEN: RefCell<Option<BTreeMap<ConnectionId, String>>> = const { RefCell::new(None) };
}

pub(crate) fn opened(entry: &Entry) {
    OPEN.with_borrow_mut(|open| {
        if let Some(open) = open {
            let what = format!("{} from {} to {}", entry.id, entry.peer(), entry.local());
            open.insert(entry.id, what);
        }
    });
}

pub(crate) fn closed(entry: &Entry) {
    // A connection may outlive the thread's own list, at its very end.
    let _ = OPEN.try_with(|open| open.borrow_mut().as_mut()?.remove(&entry.id));
}

/// Runs an async test in virtual time: a wait ends at once when nothing else
/// is left to do. For tests over `mem:`; real sockets have real time
/// ([`run_in_real_time`]).
///
/// The [wall clock](crate::wall_clock) moves with it.
///
/// # Panics
/// If the test leaves a connection or a task (and with it a timer) behind:
/// what it starts, it must end.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    run_on(test, true)
}

/// As [`run`], by the clock on the wall.
///
/// # Panics
/// As [`run`].
pub fn run_in_real_time<T>(test: impl Future<Output = T>) -> T {
    run_on(test, false)
}

fn run_on<T>(test: impl Future<Output = T>, paused: bool) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build()
        .expect("a test can have a runtime");
    let watch = Watch::begin();
    let (result, left) = runtime.block_on(async {
        let _world = paused.then(|| {
            world::enter(World {
                epoch: SystemTime::now(),
                start: Instant::now(),
                random: None,
            })
        });
        (test.await, watch.until_clean().await)
    });
    if let Some(left) = left {
        panic!("{left}");
    }
    result
}

/// Looks at what is opened on this thread, from now on.
pub(super) struct Watch(());

impl Watch {
    pub(super) fn begin() -> Self {
        OPEN.set(Some(BTreeMap::new()));
        Self(())
    }

    /// Waits for what is about to end; says what is left. The test's own
    /// runtime is to run this.
    pub(super) async fn until_clean(self) -> Option<String> {
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        for turn in 0..TURNS + PATIENCE {
            if tasks() == 0 {
                break;
            }
            if turn >= TURNS {
                // What runs on a blocking thread ends by the clock on the wall.
                std::thread::sleep(Duration::from_millis(1));
            }
            tokio::task::yield_now().await;
        }
        let open: Vec<String> = OPEN.take().unwrap_or_default().into_values().collect();
        let tasks = tasks();
        (tasks > 0 || !open.is_empty()).then(|| {
            format!(
                "the test left {tasks} tasks and {} connections behind: {open:?}",
                open.len()
            )
        })
    }
}
