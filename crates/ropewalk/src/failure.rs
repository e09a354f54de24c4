//! Why the command ends other than well, in one line; a configuration may be wrong in several.

use std::{fmt, fmt::Display, process::ExitCode};

use ropewalk_core::{Error, ListenError, ServerEndpoint};

/// Why it ends, and so with which exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument: whoever wrote it is at fault.
    Usage(Usage),
    /// Files of the operator's, wrong in as many places as there are lines. Each names the file and
    /// what is expected.
    Files(Vec<String>),
    /// All else: a port in use, a drain cut short.
    Run(Error),
}

/// What is wrong with an argument.
#[derive(Debug)]
pub(crate) struct Usage {
    /// The option, as `--listen`; none where several or none at all are concerned.
    pub(crate) option: Option<&'static str>,
    /// Its value, where that is at fault.
    pub(crate) value: Option<String>,
    /// Why, and what is expected.
    pub(crate) why: String,
}

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.option, &self.value) {
            (Some(option), Some(value)) => write!(f, "{option} \"{value}\": {}", self.why),
            (Some(option), None) => write!(f, "{option}: {}", self.why),
            (None, _) => f.write_str(&self.why),
        }
    }
}

impl Failure {
    /// What is wrong with the value of an option.
    pub(crate) fn usage(option: &'static str, value: impl Display, why: impl Display) -> Self {
        Self::Usage(Usage {
            option: Some(option),
            value: Some(value.to_string()),
            why: why.to_string(),
        })
    }

    /// What is wrong with an option, where that says all of its value.
    pub(crate) fn option(option: &'static str, why: impl Display) -> Self {
        Self::Usage(Usage {
            option: Some(option),
            value: None,
            why: why.to_string(),
        })
    }

    /// What is wrong with the arguments as a whole.
    pub(crate) fn arguments(why: impl Display) -> Self {
        Self::Usage(Usage {
            option: None,
            value: None,
            why: why.to_string(),
        })
    }

    /// Why nothing listens on an endpoint that an option names.
    pub(crate) fn listen(
        option: &'static str,
        endpoint: &ServerEndpoint,
        error: ListenError,
    ) -> Self {
        match error {
            ListenError::Tls(error) => {
                let why = format!("{error}, expected a certificate chain and its key in PEM");
                Self::usage(option, endpoint, why)
            }
            ListenError::Endpoint(_) | ListenError::Unsupported { .. } => {
                Self::option(option, error)
            }
            error => Self::run(error),
        }
    }

    /// What went wrong, where arguments and configuration are right.
    pub(crate) fn run(error: impl Into<Error>) -> Self {
        Self::Run(error.into())
    }

    /// Several as one.
    pub(crate) fn of(several: Vec<Self>) -> Self {
        let lines = several.into_iter().flat_map(|failure| match failure {
            Self::Files(lines) => lines,
            failure => vec![failure.text()],
        });
        Self::Files(lines.collect())
    }

    /// What it says, in one line.
    pub(crate) fn text(&self) -> String {
        let text = match self {
            Self::Usage(usage) => usage.to_string(),
            Self::Files(lines) => lines.join("; "),
            Self::Run(why) => why.to_string(),
        };
        printable(&text)
    }

    /// Says it, in one line for each fault on standard error, and returns the exit status.
    pub(crate) fn say(&self) -> ExitCode {
        // The log may not be set up yet, or be for a machine; what is wrong with what somebody
        // wrote is for whoever wrote it.
        match self {
            Self::Usage(usage) => {
                eprintln!("ropewalk: {}", printable(&usage.to_string()));
                ExitCode::from(2)
            }
            Self::Files(lines) => {
                for line in lines {
                    eprintln!("ropewalk: {}", printable(line));
                }
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
