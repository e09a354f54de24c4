//! What a protocol may take from the world around it: the time on the wall,
//! and randomness.
//!
//! Ask here, and not the system, wherever a certificate's dates, an
//! INTERNALDATE, a nonce or the jitter of a back-off is made: under test
//! ([`testing`](crate::testing)) the wall clock then moves with tokio's, and
//! in a simulation randomness comes from its seed, so that a run replays. In a
//! program built without the testing kit these are the system's own clock and
//! generator and nothing else.
//!
//! It is no clock for measuring: for that there is
//! [`Transport::now`](crate::Transport::now).

use std::time::SystemTime;

/// The time on the wall.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let now = ropewalk_core::wall_clock();
/// assert!(now > UNIX_EPOCH + Duration::from_secs(1_700_000_000));
/// ```
pub fn wall_clock() -> SystemTime {
    #[cfg(feature = "testing")]
    if let Some(now) = world::wall_clock() {
        return now;
    }
    SystemTime::now()
}

/// Fills `bytes` with random ones, good enough for keys and nonces.
///
/// # Panics
/// If the system has no randomness, which happens only to programs that run
/// before it has booted.
pub fn fill_random(bytes: &mut [u8]) {
    #[cfg(feature = "testing")]
    if world::fill_random(bytes) {
        return;
    }
    getrandom::fill(bytes).expect("the system gives random bytes");
}

/// A random number: 64 bits of [`fill_random`].
pub fn random() -> u64 {
    let mut bytes = [0; 8];
    fill_random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// What a test puts in the place of the system, on its own thread.
#[cfg(feature = "testing")]
pub(crate) mod world {
    use std::{cell::RefCell, time::SystemTime};

    use tokio::time::Instant;

    use crate::testing::sim::Random;

    pub(crate) struct World {
        /// The time on the wall when the clock showed `start`.
        pub(crate) epoch: SystemTime,
        pub(crate) start: Instant,
        /// None where randomness is the system's.
        pub(crate) random: Option<Random>,
    }

    thread_local! {
        static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    }

    /// Takes the world away when dropped, however the test ends.
    pub(crate) struct Entered;

    pub(crate) fn enter(world: World) -> Entered {
        WORLD.set(Some(world));
        Entered
    }

    impl Drop for Entered {
        fn drop(&mut self) {
            WORLD.set(None);
        }
    }

    pub(super) fn wall_clock() -> Option<SystemTime> {
        WORLD.with_borrow(|world| {
            let world = world.as_ref()?;
            Some(world.epoch + (Instant::now() - world.start))
        })
    }

    pub(super) fn fill_random(bytes: &mut [u8]) -> bool {
        WORLD.with_borrow_mut(|world| {
            let random = world.as_mut().and_then(|world| world.random.as_mut());
            random.map(|random| random.fill(bytes)).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random(), random());
        let mut bytes = [0; 33];
        fill_random(&mut bytes);
        assert_ne!(bytes, [0; 33]);
    }
}
