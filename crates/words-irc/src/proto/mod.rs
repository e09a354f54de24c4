//! IRC without I/O: messages and their parts, as they are on the wire.
//!
//! Nothing here knows a socket, a clock or who is connected. Parsers borrow
//! from the line they are given and allocate nothing; what they return needs
//! no further check. Lines come without their CR LF.
//!
//! What to read first: <https://modern.ircdocs.horse>, which says what RFC 1459
//! and RFC 2812 have become, and <https://ircv3.net/irc/> for tags and
//! capabilities. Module by module:
//!
//! | module | subject |
//! | --- | --- |
//! | [`message`] | a line: tags, source, command, parameters; parsed and written |
//! | [`tags`] | message tags and their escapes |
//! | [`numeric`] | replies by number |
//! | [`casemap`] | which names are the same |
//! | [`mask`] | `nick!user@host` with wildcards |
//! | [`mode`] | mode changes |
//! | [`isupport`] | what a server says of itself |
//! | [`authenticate`] | SASL's messages, in pieces |
//! | [`capability`] | `CAP`: what both sides can do |
//! | [`ctcp`] | requests inside messages |
//! | [`chathistory`] | what is asked for of what was said |
//! | [`timestamp`] | points in time |
//! | [`format`](mod@format) | bold, colours, and none of them |
//! | [`split`] | long texts in several messages |

pub mod authenticate;
pub mod capability;
pub mod casemap;
pub mod chathistory;
#[cfg(feature = "client")]
pub mod client;
pub mod ctcp;
pub mod format;
pub mod isupport;
pub mod mask;
pub mod message;
pub mod mode;
pub mod numeric;
pub mod split;
pub mod tags;
pub mod timestamp;
