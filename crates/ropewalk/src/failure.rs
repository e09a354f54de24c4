//! Why the command ends other than well, in one line.

use std::{fmt::Display, process::ExitCode};

use ropewalk_core::{Error, ListenError, ServerEndpoint};

/// Why it ends, and so with which exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Arguments or configuration: whoever wrote them is at fault. The text names the option, the
    /// value and what is expected.
    Usage(String),
    /// All else: a port in use, a drain cut short.
    Run(Error),
}

impl Failure {
    /// What is wrong with the value of an option.
    pub(crate) fn usage(option: &str, value: impl Display, why: impl Display) -> Self {
        Self::Usage(format!("{option} \"{value}\": {why}"))
    }

    /// Why nothing listens on an endpoint.
    pub(crate) fn listen(endpoint: &ServerEndpoint, error: ListenError) -> Self {
        match error {
            ListenError::Tls(error) => {
                let why = format!("{error}, expected a certificate chain and its key in PEM");
                Self::usage("--listen", endpoint, why)
            }
            ListenError::Endpoint(_) | ListenError::Unsupported { .. } => {
                Self::Usage(format!("--listen: {error}"))
            }
            error => Self::run(error),
        }
    }

    /// What went wrong, where arguments and configuration are right.
    pub(crate) fn run(error: impl Into<Error>) -> Self {
        Self::Run(error.into())
    }

    /// Says it, in one line on standard error, and returns the exit status.
    pub(crate) fn say(&self) -> ExitCode {
        match self {
            // The log may not be set up yet, or be for a machine; this is for whoever typed.
            Self::Usage(why) => {
                eprintln!("ropewalk: {}", printable(why));
                ExitCode::from(2)
            }
            Self::Run(why) if tracing::dispatcher::has_been_set() => {
                tracing::error!("{}", printable(&why.to_string()));
                ExitCode::FAILURE
            }
            Self::Run(why) => {
                eprintln!("ropewalk: {}", printable(&why.to_string()));
                ExitCode::FAILURE
            }
        }
    }
}

/// One line of what clap says in several: the fault, what is possible and its tips, without the
/// usage and the hint at `--help`.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let mut line = String::new();
    for part in text.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        if part.is_empty() {
            continue;
        }
        if !line.is_empty() {
            let joint = match part.starts_with("tip:") {
                true => "; ",
                false => " ",
            };
            line.push_str(joint);
        }
        line.push_str(part);
    }
    line
}

/// Text that stays on its line, whatever a value in it holds.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_become_one() {
        let text = "error: invalid value 'x' for '--log <LEVEL>'\n  [possible values: error, warn]\n\n  \
                    tip: a similar value exists: 'y'\n\nUsage: ropewalk echo\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "invalid value 'x' for '--log <LEVEL>' [possible values: error, warn]; tip: a similar value exists: 'y'"
        );
    }

    #[test]
    fn a_value_cannot_begin_a_line() {
        assert_eq!(printable("a\nb\u{1b}[1m"), "a\u{fffd}b\u{fffd}[1m");
    }
}
