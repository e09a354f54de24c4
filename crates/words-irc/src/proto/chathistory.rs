//! `CHATHISTORY`: what a client asks for of what was said
//! (<https://ircv3.net/specs/extensions/chathistory>), read and written.

use std::fmt;

use super::timestamp::Timestamp;

/// One point of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// `timestamp=2026-11-22T20:00:00.000Z`.
    Time(Timestamp),
    /// `msgid=…`.
    Msgid(Box<str>),
}

impl Selector {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        match key {
            "timestamp" => value.parse().ok().map(Self::Time),
            "msgid" if !value.is_empty() && value.len() <= LONGEST_MSGID => {
                Some(Self::Msgid(value.into()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "timestamp={time}"),
            Self::Msgid(msgid) => write!(f, "msgid={msgid}"),
        }
    }
}

/// Which part of a history is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Range {
    /// The last ones; behind a point, if there is one.
    Latest(Option<Selector>),
    /// The last ones before a point.
    Before(Selector),
    /// The first ones behind a point.
    After(Selector),
    /// Those on both sides of a point, and what is there.
    Around(Selector),
    /// Those between two points, without these, counted from the first.
    Between(Selector, Selector),
}

/// A `CHATHISTORY`, read.
///
/// ```
/// use ropewalk_words_irc::proto::chathistory::{Range, Request};
///
/// let request = Request::parse(&["LATEST", "#rope", "*", "50"])?;
/// let Request::Messages { target, range, limit } = request else { panic!() };
/// assert_eq!((&*target, range, limit), ("#rope", Range::Latest(None), 50));
/// # Ok::<(), ropewalk_words_irc::proto::chathistory::RequestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Messages of a channel, or of a conversation.
    Messages {
        /// The channel or the nick.
        target: Box<str>,
        /// Which.
        range: Range,
        /// How many at most.
        limit: usize,
    },
    /// `TARGETS`: the channels and conversations whose last message is between
    /// two points in time.
    Targets {
        /// One of them.
        from: Timestamp,
        /// The other.
        to: Timestamp,
        /// How many at most.
        limit: usize,
    },
}

/// A `CHATHISTORY` that cannot be. The peer is at fault, and is told by
/// `FAIL CHATHISTORY` with [`code`](Self::code) and
/// [`context`](Self::context).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no such sub-command.
    #[error("Unknown command")]
    UnknownCommand(Box<str>),
    /// It has too few parameters.
    #[error("Insufficient parameters")]
    NeedMoreParams(Box<str>),
    /// A parameter is not what stands there.
    #[error("Invalid parameters")]
    InvalidParams {
        /// The sub-command.
        command: Box<str>,
        /// What was found.
        found: Box<str>,
    },
}

impl RequestError {
    /// Its code in a `FAIL`: one for all, as the specification has it.
    pub fn code(&self) -> &'static str {
        "INVALID_PARAMS"
    }

    /// What stands between the code and the text. Each can be a parameter in the
    /// middle of a line.
    pub fn context(&self) -> Vec<&str> {
        match self {
            Self::UnknownCommand(command) | Self::NeedMoreParams(command) => vec![command],
            Self::InvalidParams { command, found } => vec![command, found],
        }
    }
}

impl Request {
    /// Reads the parameters of a `CHATHISTORY`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(params: &[&str]) -> Result<Self, RequestError> {
        let (name, params) = params
            .split_first()
            .ok_or_else(|| RequestError::NeedMoreParams("*".into()))?;
        let name = name.to_ascii_uppercase();
        let wanted = match &*name {
            "LATEST" | "BEFORE" | "AFTER" | "AROUND" | "TARGETS" => 3,
            "BETWEEN" => 4,
            _ => return Err(RequestError::UnknownCommand(middle(&name))),
        };
        let Some(params) = params.get(..wanted) else {
            return Err(RequestError::NeedMoreParams(name.into()));
        };
        let wrong = |found: &str| RequestError::InvalidParams {
            command: name.as_str().into(),
            found: middle(found),
        };
        let (limit, params) = params.split_last().ok_or_else(|| wrong(""))?;
        // A number that is too great is as much as there may be.
        let limit = match limit.parse::<u64>() {
            Ok(0) => return Err(wrong(limit)),
            Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => usize::MAX,
            Err(_) => return Err(wrong(limit)),
        };
        let selector = |text: &&str| Selector::parse(text).ok_or_else(|| wrong(text));
        let range = match (&*name, params) {
            ("TARGETS", [from, to]) => {
                let time = |text: &&str| match selector(text)? {
                    Selector::Time(time) => Ok(time),
                    Selector::Msgid(_) => Err(wrong(text)),
                };
                return Ok(Self::Targets {
                    from: time(from)?,
                    to: time(to)?,
                    limit,
                });
            }
            ("LATEST", [_, "*"]) => Range::Latest(None),
            ("LATEST", [_, point]) => Range::Latest(Some(selector(point)?)),
            ("BEFORE", [_, point]) => Range::Before(selector(point)?),
            ("AFTER", [_, point]) => Range::After(selector(point)?),
            ("AROUND", [_, point]) => Range::Around(selector(point)?),
            ("BETWEEN", [_, one, other]) => Range::Between(selector(one)?, selector(other)?),
            _ => return Err(wrong("")),
        };
        let target = params.first().copied().unwrap_or_default();
        if target.is_empty() {
            return Err(wrong(target));
        }
        Ok(Self::Messages {
            target: target.into(),
            range,
            limit,
        })
    }

    /// Its sub-command.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Targets { .. } => "TARGETS",
            Self::Messages { range, .. } => match range {
                Range::Latest(_) => "LATEST",
                Range::Before(_) => "BEFORE",
                Range::After(_) => "AFTER",
                Range::Around(_) => "AROUND",
                Range::Between(..) => "BETWEEN",
            },
        }
    }

    /// The parameters of a `CHATHISTORY`, for who asks.
    pub fn params(&self) -> Vec<String> {
        let mut params = vec![self.name().to_owned()];
        match self {
            Self::Targets { from, to, limit } => {
                params.push(Selector::Time(*from).to_string());
                params.push(Selector::Time(*to).to_string());
                params.push(limit.to_string());
            }
            Self::Messages {
                target,
                range,
                limit,
            } => {
                params.push(target.to_string());
                match range {
                    Range::Latest(None) => params.push("*".to_owned()),
                    Range::Latest(Some(point))
                    | Range::Before(point)
                    | Range::After(point)
                    | Range::Around(point) => params.push(point.to_string()),
                    Range::Between(one, other) => {
                        params.push(one.to_string());
                        params.push(other.to_string());
                    }
                }
                params.push(limit.to_string());
            }
        }
        params
    }
}

/// What was found, so that it can stand in the middle of a line, and not be long
/// there.
fn middle(text: &str) -> Box<str> {
    let shown: String = text
        .chars()
        .take(40)
        .map(|c| if c == ' ' { '_' } else { c })
        .collect();
    if shown.is_empty() || shown.starts_with(':') {
        return "*".into();
    }
    shown.into()
}

/// The bytes of a message's identifier at most, which are in a tag.
const LONGEST_MSGID: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, RequestError> {
        Request::parse(&line.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn requests_are_read_and_written() {
        for line in [
            "LATEST #rope * 50",
            "LATEST #rope msgid=abc 1",
            "BEFORE ada timestamp=2026-11-22T20:00:00.000Z 100",
            "AFTER #rope msgid=a=b 100",
            "AROUND #rope msgid=abc 3",
            "BETWEEN #rope msgid=abc timestamp=2026-11-22T20:00:00.000Z 3",
            "TARGETS timestamp=2026-11-22T20:00:00.000Z timestamp=2026-11-23T20:00:00.000Z 3",
        ] {
            let request = parse(line).unwrap();
            assert_eq!(request.params().join(" "), line);
            assert_eq!(parse(&line.replace("LATEST", "latest")), Ok(request));
        }
        let huge = parse("LATEST #rope * 99999999999999999999").unwrap();
        assert!(matches!(huge, Request::Messages { limit, .. } if limit == usize::MAX));
    }

    #[test]
    fn what_is_no_request_is_told_by_its_code() {
        let refused = |line: &str| {
            let error = parse(line).unwrap_err();
            format!("{} {}", error.code(), error.context().join(" "))
        };
        assert_eq!(
            RequestError::NeedMoreParams("*".into()),
            Request::parse(&[]).unwrap_err()
        );
        assert_eq!(refused("LATEST #rope *"), "INVALID_PARAMS LATEST");
        assert_eq!(refused("between #rope * *"), "INVALID_PARAMS BETWEEN");
        assert_eq!(refused("NEWEST #rope * 5"), "INVALID_PARAMS NEWEST");
        assert_eq!(refused(":x"), "INVALID_PARAMS *");
        assert_eq!(refused("LATEST #rope * 0"), "INVALID_PARAMS LATEST 0");
        assert_eq!(refused("LATEST #rope * -5"), "INVALID_PARAMS LATEST -5");
        assert_eq!(refused("BEFORE #rope * 5"), "INVALID_PARAMS BEFORE *");
        assert_eq!(
            refused("BEFORE #rope msgid= 5"),
            "INVALID_PARAMS BEFORE msgid="
        );
        assert_eq!(
            refused("AFTER #rope timestamp=yesterday 5"),
            "INVALID_PARAMS AFTER timestamp=yesterday"
        );
        assert_eq!(
            refused("TARGETS msgid=a msgid=b 5"),
            "INVALID_PARAMS TARGETS msgid=a"
        );
        assert_eq!(refused("LATEST  * 5"), "INVALID_PARAMS LATEST *");
    }
}
