//! Zones: built of records, kept small, looked up fast, exchanged whole.
//!
//! A [`ZoneReader`] reads zone files into a [`ZoneBuilder`], which takes records
//! in any order and makes a [`Zone`], which never changes: who serves it shares it by `Arc`, and a reload or a transfer
//! puts another in its place in [`Zones`], where servers look up which zone a
//! question belongs to. All stays in wire form.
//!
//! What answers are made of a zone is not here: [`Zone::walk`] says what was met on the way to
//! a name, and the rest is the server's.

mod builder;
mod generate;
mod labels;
mod lint;
mod reader;
mod store;
mod writer;
mod zones;

pub use builder::{MAX_RRSET, MAX_TTL, RecordError, ZoneBuilder, ZoneError, ZoneErrors, ZoneRule};
pub use generate::GenerateError;
pub use lint::{Finding, Level, LintRule};
pub use reader::{ReadError, ReadErrors, ReadOptions, ReadProblem, ZoneReader};
pub use store::{Barrier, Node, RdataIter, Record, RrSet, Walk, Zone};
pub use zones::{Entry, ZoneMap, Zones, ZonesView};

#[cfg(test)]
mod lint_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod tests;
