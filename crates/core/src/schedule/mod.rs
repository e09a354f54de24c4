//! What happens later, again and again, or a little at a time.
//!
//! - [`LoopingCall`] calls an async function at an interval.
//! - [`DelayedCall`] does something once, unless it is put off or cancelled.
//! - [`cooperate`] splits long work, so that everything else has its turn.
//!
//! Time is tokio's, which tests may pause. A protocol's own deadlines are no
//! business of these: it has [`Transport::set_timer`].
//!
//! # Long work: which way?
//!
//! A task that computes for long without an `await` holds up every connection
//! of its thread.
//!
//! - Work in many small steps (walk a table, expire a cache, hash a list):
//!   [`cooperate`]. It stays on its task, borrows nothing from other threads,
//!   and can be paused.
//! - One step that takes long (hash a password, compress a file), or a call
//!   that blocks (the system's resolver, a database without async):
//!   [`tokio::task::spawn_blocking`]. It has threads of its own; remember that
//!   nothing can cancel it, so bound how much of it may wait.
//! - Work that should use every core: a pool made for that (rayon), with a
//!   `oneshot` for the answer.
//!
//! All of them fit [`Transport::defer`], whose output comes back as a message.
//!
//! [`Transport::defer`]: crate::Transport::defer
//! [`Transport::set_timer`]: crate::Transport::set_timer

mod cooperate;
mod delayed;
mod looping;

pub use cooperate::{Cooperation, Cooperator, Stopped, cooperate, cooperate_over};
pub use delayed::{DelayedCall, call_later};
pub use looping::{First, LoopingCall, OnError, Tick};
