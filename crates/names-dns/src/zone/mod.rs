//! Zones: built of records, kept small, looked up fast, exchanged whole.
//!
//! A [`ZoneBuilder`] takes records in any order and makes a [`Zone`], which
//! never changes: who serves it shares it by `Arc`, and a reload or a transfer
//! puts another in its place in [`Zones`], where servers look up which zone a
//! question belongs to. All stays in wire form.
//!
//! What answers are made of a zone is not here: [`Zone::walk`] says what was met on the way to
//! a name, and the rest is the server's.

mod builder;
mod labels;
mod store;
mod zones;

pub use builder::{MAX_RRSET, MAX_TTL, RecordError, ZoneBuilder, ZoneError, ZoneErrors, ZoneRule};
pub use store::{Barrier, Node, RdataIter, Record, RrSet, Walk, Zone};
pub use zones::{Entry, ZoneMap, Zones, ZonesView};

#[cfg(test)]
mod tests;
