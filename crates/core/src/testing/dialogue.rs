//! Transcripts that are test and document in one.

use std::{fmt::Write as _, io, str::FromStr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

use crate::{Protocol, testing::Rig};

/// How long an answer may take over a real stream.
const PATIENCE: Duration = Duration::from_secs(5);

/// A conversation in plain text:
///
/// ```text
/// # A comment.
/// S: 220 hello
/// C: QUIT
/// S: 221 bye
/// (30s)
/// (closed)
/// ```
///
/// `C:` lines are the client's and `S:` lines the server's; each ends in
/// CR LF, which a `\` at the end takes away. `\r`, `\n`, `\t`, `\\` and `\xHH`
/// stand for themselves. `(30s)` or `(100ms)` lets time pass, `(eof)` ends the
/// other side, `(finished)` says that ours has ended its sending side and goes on
/// receiving, and `(closed)` that it is over. Over a stream, where no peer can
/// tell these two apart, both wait for the end of what we send.
///
/// A transcript may be indented as a whole, as in `expect![[…]]`.
///
/// Running it gives the transcript as it really is, with our lines where they
/// came: compare the two, or let expect-test do so and update the file.
///
/// ```
/// # use ropewalk_core::{Input, Protocol, Result, Transport};
/// use ropewalk_core::testing::{Dialogue, Rig};
/// # struct Echo;
/// # impl Protocol for Echo {
/// #     type Message = (); type Timer = ();
/// #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result { t.write(data); Ok(()) }
/// # }
///
/// let text = "C: hello\nS: hello\n(eof)\n(closed)\n";
/// let dialogue: Dialogue = text.parse()?;
/// assert_eq!(dialogue.over_rig(&mut Rig::new(Echo)), text);
/// # Ok::<(), ropewalk_core::testing::DialogueError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dialogue {
    steps: Vec<Step>,
    ours: char,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Theirs { text: String, bytes: Vec<u8> },
    Ours { bytes: Vec<u8> },
    Wait { text: String, time: Duration },
    End,
    Finished,
    Closed,
    Comment(String),
}

/// A line of a transcript that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: {text:?} is none of `C: …`, `S: …`, `(30s)`, `(eof)`, `(finished)`, `(closed)`, `# …`"
)]
pub struct DialogueError {
    /// The line's number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl FromStr for Dialogue {
    type Err = DialogueError;

    /// Reads a transcript in which the protocol under test is the server.
    fn from_str(text: &str) -> Result<Self, DialogueError> {
        Self::parse(text, 'S')
    }
}

impl Dialogue {
    /// Reads a transcript in which the protocol under test is the client.
    ///
    /// # Errors
    /// [`DialogueError`] names the line.
    pub fn of_client(text: &str) -> Result<Self, DialogueError> {
        Self::parse(text, 'C')
    }

    fn parse(text: &str, ours: char) -> Result<Self, DialogueError> {
        let mut steps = Vec::new();
        // As it stands in a source file: a line break first, and indented.
        let indent = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start_matches(' ').len())
            .min()
            .unwrap_or(0);
        let body = text
            .strip_prefix('\n')
            .unwrap_or(text)
            .trim_end_matches(' ');
        for (index, line) in body.lines().enumerate() {
            let line = line.get(indent..).unwrap_or_default();
            let step = parse_line(line, ours).ok_or_else(|| DialogueError {
                line: index + 1,
                text: line.to_owned(),
            })?;
            steps.push(step);
        }
        Ok(Self { steps, ours })
    }

    /// Runs it on a rig; returns what was really said.
    pub fn over_rig<P: Protocol>(&self, rig: &mut Rig<P>) -> String {
        let mut out = Said::new(self.ours);
        let mut told = Told::Nothing;
        out.ours(&rig.sent());
        out.end(rig, &mut told);
        for step in &self.steps {
            match step {
                Step::Theirs { text, bytes } => {
                    out.line(text);
                    rig.receive(bytes);
                }
                Step::Wait { text, time } => {
                    out.line(text);
                    rig.advance(*time);
                }
                Step::End => {
                    out.line("(eof)");
                    rig.eof();
                }
                Step::Comment(text) => out.line(text),
                Step::Ours { .. } | Step::Finished | Step::Closed => continue,
            }
            out.ours(&rig.sent());
            out.end(rig, &mut told);
        }
        out.text
    }

    /// Runs it over a stream to the protocol under test: a `mem:` endpoint
    /// under a paused clock, TCP, TLS. Each of our lines must come within five
    /// seconds; returns what was really said.
    ///
    /// # Errors
    /// Those of the stream, when theirs is to be written.
    pub async fn over(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<String> {
        let mut out = Said::new(self.ours);
        let mut steps = self.steps.iter().peekable();
        while let Some(step) = steps.next() {
            match step {
                Step::Theirs { text, bytes } => {
                    out.line(text);
                    stream.write_all(bytes).await?;
                    stream.flush().await?;
                }
                Step::Wait { text, time } => {
                    out.line(text);
                    sleep(*time).await;
                }
                Step::End => {
                    out.line("(eof)");
                    stream.shutdown().await?;
                }
                Step::Comment(text) => out.line(text),
                Step::Ours { bytes } => {
                    // What is said in one go is read in one go: as many bytes
                    // as are expected, or all there are.
                    let mut expected = bytes.len();
                    while let Some(Step::Ours { bytes }) =
                        steps.next_if(|s| matches!(s, Step::Ours { .. }))
                    {
                        expected += bytes.len();
                    }
                    let mut heard = Vec::new();
                    let mut part = (&mut stream).take(expected as u64);
                    let _ = timeout(PATIENCE, part.read_to_end(&mut heard)).await;
                    out.ours(&heard);
                }
                Step::Finished | Step::Closed => {
                    let mut rest = Vec::new();
                    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
                    out.ours(&rest);
                    if ended.is_ok() {
                        out.line(match step {
                            Step::Finished => "(finished)",
                            _ => "(closed)",
                        });
                    }
                }
            }
        }
        Ok(out.text)
    }
}

/// How much of our end a transcript has told.
#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Finished,
    Closed,
}

/// A transcript as it grows.
struct Said {
    text: String,
    ours: char,
}

impl Said {
    fn new(ours: char) -> Self {
        Self {
            text: String::new(),
            ours,
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Says, once each, that our side has ended.
    fn end<P: Protocol>(&mut self, rig: &Rig<P>, told: &mut Told) {
        if rig.is_closed() && *told != Told::Closed {
            *told = Told::Closed;
            self.line("(closed)");
        } else if rig.is_finished() && *told == Told::Nothing {
            *told = Told::Finished;
            self.line("(finished)");
        }
    }

    fn ours(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr::memmem::find(bytes, b"\r\n");
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let _ = write!(self.text, "{}: {}", self.ours, escape(line));
            if end.is_none() {
                self.text.push('\\');
            }
            self.text.push('\n');
            bytes = rest.get(2..).unwrap_or_default();
        }
    }
}

fn parse_line(line: &str, ours: char) -> Option<Step> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Some(Step::Comment(line.to_owned()));
    }
    match line {
        "(eof)" => return Some(Step::End),
        "(finished)" => return Some(Step::Finished),
        "(closed)" => return Some(Step::Closed),
        _ => {}
    }
    if let Some(time) = line.strip_prefix('(').and_then(|l| l.strip_suffix(')')) {
        let time = match time.strip_suffix("ms") {
            Some(millis) => Duration::from_millis(millis.parse().ok()?),
            None => Duration::from_secs(time.strip_suffix('s')?.parse().ok()?),
        };
        return Some(Step::Wait {
            text: line.to_owned(),
            time,
        });
    }
    let (who, said) = line.split_once(':')?;
    let bytes = unescape(said.strip_prefix(' ').unwrap_or(said))?;
    match who {
        "C" | "S" if who.starts_with(ours) => Some(Step::Ours { bytes }),
        "C" | "S" => Some(Step::Theirs {
            text: line.to_owned(),
            bytes,
        }),
        _ => None,
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            // At the very end: no CR LF.
            None => return Some(bytes),
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'\\') => bytes.push(b'\\'),
            Some(b'x') => {
                let digit = |b: u8| char::from(b).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                bytes.push(u8::try_from(value).ok()?);
            }
            Some(_) => return None,
        }
    }
    bytes.extend_from_slice(b"\r\n");
    Some(bytes)
}

fn escape(line: &[u8]) -> String {
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                c if c.is_ascii_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back() {
        let bytes: Vec<u8> = (0..=255).chain("é\u{fffd}".bytes()).collect();
        let mut expected = bytes.clone();
        expected.extend_from_slice(b"\r\n");
        assert_eq!(unescape(&escape(&bytes)), Some(expected));
        assert_eq!(unescape(r"a\"), Some(b"a".to_vec()));
        assert_eq!(unescape(r"\q"), None);
        assert_eq!(unescape(r"\x1"), None);
    }

    #[test]
    fn a_line_that_means_nothing_is_named() {
        let error = "C: hi\nX: what\n".parse::<Dialogue>().unwrap_err();
        assert_eq!((error.line, error.text.as_str()), (2, "X: what"));
    }
}
