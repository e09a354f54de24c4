//! What is registered: accounts, channels and bans, and how it is kept.
//!
//! [`Registered`] is the data, in memory and as the lines of a file. A [`Store`]
//! has it in hand and on a [`Disk`]. There is one file, and it is written as a
//! whole, so that what a restart finds is always what there was at one time: no
//! channel whose founder's account is not there, and no half of a change.

mod data;
mod disk;
mod store;
#[cfg(test)]
mod tests;

pub use data::{Account, BadFile, Ban, Channel, ListedMask, Registered, Role, Topic};
pub use disk::{Disk, Folder, MemoryDisk};
pub use store::{Store, StoreError};
