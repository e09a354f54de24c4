//! The log of a program, on standard error: text for a reader, JSON for a
//! machine. It needs the feature `run`.
//!
//! In JSON a record is one object a line: `timestamp` (RFC 3339, UTC), `level`,
//! `target` (the module that speaks), `message`, the fields of the record, and
//! `span` with those of the connection (`id`, `peer`) where it is logged in
//! detail (`debug`).

use std::{
    env, fmt,
    io::{self, IsTerminal},
    str::FromStr,
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Lines for a reader.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// As the variable `ROPEWALK_LOG_FORMAT` says (`text`, `json`); where it is
    /// not set, or says something else, text on a terminal and JSON elsewhere.
    pub fn from_env() -> Self {
        let named = env::var("ROPEWALK_LOG_FORMAT").ok();
        let named = named.and_then(|name| name.parse().ok());
        named.unwrap_or(match io::stderr().is_terminal() {
            true => Self::Text,
            false => Self::Json,
        })
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// That is no format of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected text or json")]
pub struct UnknownFormat;

/// Sets the log up, on standard error. A program that has one keeps it.
///
/// `filter` says what is logged, as `RUST_LOG` would: `info`,
/// `info,my_protocol=debug`. Without one `RUST_LOG` says it, and `info` where it
/// is not set. Without a `format` it is [`Format::from_env`]. Text has colours on
/// a terminal, unless `NO_COLOR` is set.
pub fn init(filter: Option<&str>, format: Option<Format>) {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let filter = match filter {
        Some(filter) => builder.parse_lossy(filter),
        None => builder.from_env_lossy(),
    };
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(!plain && io::stderr().is_terminal());
    // It fails only where a log is set up already.
    let _ = match format.unwrap_or_else(Format::from_env) {
        Format::Text => log.try_init(),
        Format::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
}
