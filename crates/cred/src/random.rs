//! Where nonces and salts come from.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{sasl::ScramHash, secret};

type Fill = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What fills nonces, challenges and salts: the system, unless a test or a
/// simulation that must replay says otherwise.
///
/// A server's and a client's options have one
/// ([`ServerOptions::random`](crate::sasl::ServerOptions::random),
/// [`ClientOptions::random`](crate::sasl::ClientOptions::random)). Clones share
/// their state, so that one seed serves a whole simulation.
///
/// ```
/// use ropewalk_cred::Random;
/// let (one, other) = (Random::predictable(7), Random::predictable(7));
/// assert_eq!(one.bytes::<24>(), other.bytes::<24>());
/// assert_ne!(one.bytes::<24>(), Random::default().bytes::<24>());
/// ```
#[derive(Clone, Default)]
pub struct Random(Option<Fill>);

impl Random {
    /// The system's randomness: the default.
    pub fn system() -> Self {
        Self(None)
    }

    /// Whatever `fill` writes. For anything but a simulation that has to be
    /// unpredictable, and never twice the same.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(fill)))
    }

    /// The same bytes for the same seed, in the order of the calls. Only for
    /// simulations: who knows the seed can replay any exchange.
    pub fn predictable(seed: u64) -> Self {
        let next = AtomicU64::new(0);
        Self::from_fn(move |out| {
            for part in out.chunks_mut(32) {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let block = ScramHash::Sha256.hmac(&seed.to_be_bytes(), &n.to_be_bytes());
                part.copy_from_slice(&block[..part.len()]);
            }
        })
    }

    /// Fresh bytes.
    ///
    /// # Panics
    ///
    /// If the system has no randomness, which no program can go on without.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        match &self.0 {
            None => secret::random(),
            Some(fill) => {
                let mut bytes = [0; N];
                fill(&mut bytes);
                bytes
            }
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Random(given)"
        } else {
            "Random(system)"
        })
    }
}

/// The same source, not the same bytes.
impl PartialEq for Random {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Random {}
