//! Zone files (RFC 1035, section 5), read in one pass into a [`ZoneBuilder`].
//!
//! All forms that BIND reads: parentheses, quotes and escapes, comments, blank
//! owners, `@`, TTLs with units and classes in either order, `$ORIGIN`,
//! `$INCLUDE`, `$TTL` (RFC 2308), `$GENERATE`, types and data by number (RFC
//! 3597), lines that end with CR LF or not at all. An error names file, line and
//! column and what is expected there, and reading goes on behind it.
//!
//! A file is held a piece at a time, and has limits: [`ReadOptions`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::builder::{Place, RecordError, ZoneBuilder, ZoneError, ZoneRule};
use super::generate::{GenerateError, Range, Template};
use super::store::Zone;
use crate::proto::name::{self, Name, NameError, NameRef};
use crate::proto::rdata::{self, RdataError, Words};
use crate::proto::words::{self, Word};
use crate::proto::{Class, RecordType};

/// What zone files may be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The zone's class; IN by default. A record of another is an error.
    pub class: Class,
    /// The most octets of an entry, comments and lines within parentheses
    /// included; 1 MiB by default, four times what the largest record takes with each octet
    /// escaped. Also what of a file is held at once.
    pub longest_entry: usize,
    /// How deep files may include files; 10 by default, as NSD has it.
    pub include_depth: usize,
    /// How many files may be included in all; 1,000 by default, since files that
    /// include one another twice at each depth would otherwise never end.
    pub included_files: usize,
    /// The most records that one `$GENERATE` makes; 65,536 by default, a reverse zone of a /16.
    pub generated: u32,
    /// After how many errors reading ends; 20 by default.
    pub errors: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            class: Class::IN,
            longest_entry: 1 << 20,
            include_depth: 10,
            included_files: 1_000,
            generated: 65_536,
            errors: 20,
        }
    }
}

/// Something that is wrong with a zone file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ReadError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: u32,
    /// The column in octets, from 1; 0 where it is about the whole line.
    pub column: u32,
    /// What is wrong.
    pub problem: ReadProblem,
}

/// What is wrong with a zone file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// Quotes, parentheses or escapes that do not match.
    #[error("{0}")]
    Words(String),
    /// A word that is not what is expected at its place.
    #[error("{expected} expected, not `{found}`")]
    Word {
        /// What is expected.
        expected: &'static str,
        /// The word.
        found: String,
    },
    /// The entry ends too early.
    #[error("{0} expected, and the entry ends")]
    Missing(&'static str),
    /// There is more than expected.
    #[error("the entry's end expected, not `{0}`")]
    Trailing(String),
    /// A name that is none.
    #[error("a domain name expected: {0}")]
    Name(#[from] NameError),
    /// Data that the record's type does not allow.
    #[error("{0}: {1}")]
    Rdata(RecordType, #[source] RdataError),
    /// A record that no zone takes.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A rule for zones as a whole.
    #[error("{0}: {1}")]
    Rule(Name, ZoneRule),
    /// A line, or an entry in parentheses, that has no end within the limit.
    #[error("an entry of more than {0} octets")]
    TooLong(usize),
    /// A `$GENERATE` that is none, or makes too much.
    #[error("$GENERATE: {0}")]
    Generate(#[from] GenerateError),
    /// A file that must not be included.
    #[error("$INCLUDE: {0}")]
    Include(&'static str),
    /// A file that cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Reading ended, since so many errors were found.
    #[error("too many errors; the rest was not read")]
    TooMany,
}

/// All that is wrong with a zone's files, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ReadErrors(pub Vec<ReadError>);

fn lines(errors: &[ReadError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Zone {
    /// Reads a zone's file, with what it includes from its own folder.
    ///
    /// # Errors
    ///
    /// All that is wrong with it; a zone with an error is not served.
    pub fn from_file(path: &Path, origin: Name, options: &ReadOptions) -> Result<Self, ReadErrors> {
        let mut reader = ZoneReader::new(origin, options.clone());
        reader.read_file(path);
        reader.finish()
    }

    /// Reads a zone of a text, which cannot include files.
    ///
    /// ```
    /// use ropewalk_names_dns::zone::Zone;
    ///
    /// let zone = Zone::from_text("example.org".parse()?, "
    /// $TTL 1h
    /// @    SOA ns hostmaster 2026010100 4h 1h 2w 5m
    ///      NS  ns
    /// ns   A   192.0.2.1
    /// www  CNAME ns
    /// ")?;
    /// assert_eq!((zone.len(), zone.serial()), (4, 2026010100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn from_text(origin: Name, text: &str) -> Result<Self, ReadErrors> {
        let mut reader = ZoneReader::new(origin, ReadOptions::default());
        reader.read("text", text.as_bytes());
        reader.finish()
    }
}

/// Reads the files of a zone.
pub struct ZoneReader {
    options: ReadOptions,
    pub(super) builder: ZoneBuilder,
    pub(super) errors: Vec<ReadError>,
    pub(super) ignored: Vec<(Place, Name)>,
    /// The names of all files met, by the numbers in [`Place`].
    files: Vec<String>,
    /// What is included stands below this folder.
    folder: Option<PathBuf>,
    depth: usize,
    state: State,
    /// Scratch, kept for its room.
    rdata: Vec<u8>,
    done: bool,
}

/// What an entry has from those before it.
struct State {
    origin: Name,
    /// The owner, in wire form; empty before the first.
    owner: Vec<u8>,
    /// `$TTL`.
    default_ttl: Option<u32>,
    /// The last that was written with a record.
    last_ttl: Option<u32>,
}

/// An error within an entry: what, and at which word.
struct Fault {
    word: usize,
    problem: ReadProblem,
}

type Outcome<T = ()> = Result<T, Fault>;

fn at<E: Into<ReadProblem>>(word: usize) -> impl FnOnce(E) -> Fault {
    move |problem| Fault {
        word,
        problem: problem.into(),
    }
}

impl ZoneReader {
    /// A reader for a zone.
    pub fn new(origin: Name, options: ReadOptions) -> Self {
        Self {
            builder: ZoneBuilder::new(origin.clone(), options.class),
            options,
            errors: Vec::new(),
            ignored: Vec::new(),
            files: Vec::new(),
            folder: None,
            depth: 0,
            state: State {
                origin,
                owner: Vec::new(),
                default_ttl: None,
                last_ttl: None,
            },
            rdata: Vec::new(),
            done: false,
        }
    }

    /// Reads a file; what it includes must stand in its folder or below.
    pub fn read_file(&mut self, path: &Path) {
        let file = self.file(path.display().to_string());
        let opened = File::open(path).and_then(|input| {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            self.folder = Some(folder.canonicalize()?);
            Ok(input)
        });
        match opened {
            Ok(input) => self.read_source(Source::new(input, file)),
            Err(error) => self.error(Place { file, line: 0 }, 0, error.into()),
        }
    }

    /// Reads what comes from anywhere; `name` stands for it in errors. It cannot include files.
    pub fn read(&mut self, name: &str, input: impl Read) {
        let file = self.file(name.to_owned());
        self.read_source(Source::new(input, file));
    }

    /// Makes the zone.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn finish(mut self) -> Result<Zone, ReadErrors> {
        if !self.errors.is_empty() {
            return Err(ReadErrors(self.errors));
        }
        match self.builder.finish() {
            Ok(zone) => Ok(zone),
            Err(errors) => {
                let (files, collected) = (&self.files, &mut self.errors);
                collected.extend(errors.0.into_iter().map(|error| rule_error(files, error)));
                Err(ReadErrors(self.errors))
            }
        }
    }

    fn file(&mut self, name: String) -> u16 {
        let number = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        self.files.push(name);
        number
    }

    /// The name of a file.
    pub(super) fn file_name(&self, place: Place) -> &str {
        file_name(&self.files, place)
    }

    fn error(&mut self, place: Place, column: u32, problem: ReadProblem) {
        if self.done {
            return;
        }
        let file = self.file_name(place).to_owned();
        self.errors.push(ReadError {
            file: file.clone(),
            line: place.line,
            column,
            problem,
        });
        if self.errors.len() >= self.options.errors.max(1) {
            self.done = true;
            self.errors.push(ReadError {
                file,
                line: place.line,
                column: 0,
                problem: ReadProblem::TooMany,
            });
        }
    }

    fn read_source<R: Read>(&mut self, mut source: Source<R>) {
        let mut words = Vec::new();
        while !self.done {
            let line = source.line;
            let place = Place {
                file: source.file,
                line,
            };
            match source.next(self.options.longest_entry, &mut words) {
                Ok(None) => return,
                Ok(Some((text, blank))) => {
                    if words.is_empty() {
                        continue;
                    }
                    if let Err(fault) = self.entry(text, &words, blank, place) {
                        let word = words.get(fault.word).or(words.last());
                        let (below, column) = word.map_or((0, 0), |w| (w.line, w.column));
                        let place = Place {
                            line: line.saturating_add(below),
                            ..place
                        };
                        self.error(place, column, fault.problem);
                    }
                }
                Err(SourceError::Words(error)) => {
                    let place = Place {
                        line: line.saturating_add(error.line),
                        ..place
                    };
                    let problem = ReadProblem::Words(error.problem.to_string());
                    self.error(place, error.column, problem);
                }
                Err(SourceError::Fatal(problem)) => {
                    self.error(place, 0, problem);
                    self.done = true;
                }
            }
        }
    }

    fn entry(&mut self, text: &[u8], words: &[Word], blank: bool, place: Place) -> Outcome {
        let first = words[0];
        if blank || first.quoted || !first.of(text).starts_with(b"$") {
            return self.record(text, words, blank, place);
        }
        let word = |index: usize, expected| {
            words
                .get(index)
                .map(|word| word.of(text))
                .ok_or(ReadProblem::Missing(expected))
                .map_err(at(index))
        };
        let ends = |index: usize| match words.get(index) {
            Some(word) => Err(at(index)(ReadProblem::Trailing(shown(word.of(text))))),
            None => Ok(()),
        };
        let directive = first.of(text);
        if directive.eq_ignore_ascii_case(b"$ORIGIN") {
            let origin = word(1, "a domain name")?;
            ends(2)?;
            self.state.origin =
                Name::from_text(origin, Some(self.state.origin.as_ref())).map_err(at(1))?;
        } else if directive.eq_ignore_ascii_case(b"$TTL") {
            let ttl = word(1, "a TTL")?;
            ends(2)?;
            self.state.default_ttl = Some(ttl_of(ttl).map_err(at(1))?);
        } else if directive.eq_ignore_ascii_case(b"$INCLUDE") {
            let path = word(1, "a file")?;
            let origin = match words.get(2) {
                Some(origin) => Name::from_text(origin.of(text), Some(self.state.origin.as_ref()))
                    .map_err(at(2))?,
                None => self.state.origin.clone(),
            };
            ends(3)?;
            self.include(path, origin)?;
        } else if directive.eq_ignore_ascii_case(b"$GENERATE") {
            self.generate(text, words, place)?;
        } else {
            return Err(at(0)(ReadProblem::Word {
                expected: "$ORIGIN, $TTL, $INCLUDE, $GENERATE or an owner",
                found: shown(directive),
            }));
        }
        Ok(())
    }

    fn record(&mut self, text: &[u8], words: &[Word], blank: bool, place: Place) -> Outcome {
        let mut next = 0;
        if !blank {
            self.state.owner.clear();
            let owner = words[0].of(text);
            let written = name::write_from_text(
                owner,
                Some(self.state.origin.as_ref()),
                &mut self.state.owner,
            );
            if let Err(error) = written {
                // Those that follow with a blank would go to a name that nobody wrote.
                self.state.owner.clear();
                return Err(at(0)(error));
            }
            next = 1;
        }
        if self.state.owner.is_empty() {
            return Err(at(0)(ReadProblem::Missing("an owner before this record")));
        }
        let (ttl, record_type) = self.head(text, words, &mut next)?;
        let data = &words[next..];
        self.rdata.clear();
        let mut fields = Words::new(text, data, Some(self.state.origin.as_ref()));
        rdata::parse(
            self.options.class,
            record_type,
            &mut fields,
            &mut self.rdata,
        )
        .map_err(|error| Fault {
            word: next + fields.taken().saturating_sub(1),
            problem: ReadProblem::Rdata(record_type, error),
        })?;
        let ttl = match ttl.or(self.state.default_ttl).or(self.state.last_ttl) {
            Some(ttl) => ttl,
            // RFC 1035 leaves it open; as BIND has it, what the SOA says of negative answers.
            None => match (record_type, self.rdata.last_chunk::<4>()) {
                (RecordType::SOA, Some(minimum)) => u32::from_be_bytes(*minimum),
                _ => {
                    return Err(at(next - 1)(ReadProblem::Missing(
                        "a TTL, or `$TTL` before this record,",
                    )));
                }
            },
        };
        self.state.last_ttl = Some(ttl);
        let pushed = self.builder.push_checked(
            NameRef::trusted(&self.state.owner),
            record_type,
            ttl,
            &self.rdata,
            place,
        );
        match pushed {
            // As the other servers do: it is nobody's, and does no harm.
            Err(RecordError::OutOfZone { owner, .. }) => {
                if self.ignored.len() < MAX_IGNORED {
                    self.ignored.push((place, owner));
                }
                Ok(())
            }
            other => other.map_err(at(0)),
        }
    }

    /// TTL and class in either order, each of which may be missing, and the type.
    fn head(
        &self,
        text: &[u8],
        words: &[Word],
        next: &mut usize,
    ) -> Outcome<(Option<u32>, RecordType)> {
        let (mut ttl, mut class) = (None, None);
        loop {
            let index = *next;
            let word = words
                .get(index)
                .map(|word| word.of(text))
                .ok_or(ReadProblem::Missing("a record type"))
                .map_err(at(index))?;
            *next += 1;
            if word.first().is_some_and(u8::is_ascii_digit) && ttl.is_none() {
                ttl = Some(ttl_of(word).map_err(at(index))?);
                continue;
            }
            if let Some(record_type) = record_type(word) {
                return Ok((ttl, record_type));
            }
            let found: Option<Class> = std::str::from_utf8(word).ok().and_then(|w| w.parse().ok());
            match found {
                Some(found) if found == self.options.class && class.is_none() => {
                    class = Some(found);
                }
                Some(_) if class.is_none() => {
                    return Err(at(index)(ReadProblem::Word {
                        expected: "the zone's class",
                        found: shown(word),
                    }));
                }
                _ => {
                    return Err(at(index)(ReadProblem::Word {
                        expected: match (ttl, class) {
                            (None, None) => "a TTL, a class or a record type",
                            (Some(_), None) => "a class or a record type",
                            (None, Some(_)) => "a TTL or a record type",
                            (Some(_), Some(_)) => "a record type",
                        },
                        found: shown(word),
                    }));
                }
            }
        }
    }

    fn include(&mut self, path: &[u8], origin: Name) -> Outcome {
        let refuse = |reason| Err(at(1)(ReadProblem::Include(reason)));
        let Some(folder) = &self.folder else {
            return refuse("this zone is of no file, and includes none");
        };
        if self.depth >= self.options.include_depth {
            return refuse("files are included too deep, perhaps in a circle");
        }
        if self.files.len() > self.options.included_files {
            return refuse("too many files are included");
        }
        let Ok(path) = std::str::from_utf8(path) else {
            return refuse("a file's name in UTF-8 expected");
        };
        let wanted = folder.join(path);
        let real = wanted.canonicalize().map_err(at(1))?;
        if !real.starts_with(folder) {
            return refuse("a file in the zone's own folder or below expected");
        }
        // Nothing that would block, or never end.
        if !real.is_file() {
            return refuse("a regular file expected");
        }
        let input = File::open(&real).map_err(at(1))?;
        let file = self.file(wanted.display().to_string());
        // RFC 1035, 5.1: neither origin nor owner of the including file change.
        let outer_origin = std::mem::replace(&mut self.state.origin, origin);
        let outer_owner = self.state.owner.clone();
        self.depth += 1;
        self.read_source(Source::new(input, file));
        self.depth -= 1;
        self.state.origin = outer_origin;
        self.state.owner = outer_owner;
        Ok(())
    }

    /// `$GENERATE range owner [ttl] [class] type data`, as BIND has it.
    fn generate(&mut self, text: &[u8], words: &[Word], place: Place) -> Outcome {
        let word = |index: usize, expected| {
            words
                .get(index)
                .map(|word| word.of(text))
                .ok_or(ReadProblem::Missing(expected))
                .map_err(at(index))
        };
        let range = word(1, "a range as `1-254` or `0-255/2`")?;
        let range = Range::parse(range, self.options.generated).map_err(at(1))?;
        let owner = Template::parse(word(2, "an owner")?).map_err(at(2))?;
        let mut next = 3;
        let (ttl, record_type) = self.head(text, words, &mut next)?;
        let data = match &words[next..] {
            [] => return Err(at(next)(ReadProblem::Missing("the record's data"))),
            // BIND wants data of several words in quotes, and means what is within.
            [one] if one.quoted && !is_text(record_type) => one.of(text).to_vec(),
            several => {
                let mut data = Vec::new();
                for word in several {
                    if !data.is_empty() {
                        data.push(b' ');
                    }
                    let quote: &[u8] = if word.quoted { b"\"" } else { b"" };
                    data.extend([quote, word.of(text), quote].concat());
                }
                data
            }
        };
        let data = Template::parse(&data).map_err(at(next))?;
        let mut line = Vec::new();
        let mut made = Vec::new();
        for value in range {
            line.clear();
            owner.write(value, &mut line).map_err(at(2))?;
            if let Some(ttl) = ttl {
                line.extend(format!(" {ttl}").bytes());
            }
            line.extend(format!(" {record_type} ").bytes());
            data.write(value, &mut line).map_err(at(next))?;
            let entry = words::split(&line, true, &mut made)
                .map_err(|error| at(next)(ReadProblem::Words(error.problem.to_string())))?;
            if entry.is_none_or(|entry| entry.length < line.len()) || made.is_empty() {
                return Err(at(next)(GenerateError::Words));
            }
            self.record(&line, &made, false, place)
                .map_err(|fault| Fault {
                    word: if fault.word == 0 { 2 } else { next },
                    problem: fault.problem,
                })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ZoneReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneReader")
            .field("builder", &self.builder)
            .field("files", &self.files)
            .field("errors", &self.errors.len())
            .finish_non_exhaustive()
    }
}

fn file_name(files: &[String], place: Place) -> &str {
    files
        .get(usize::from(place.file))
        .map_or("", String::as_str)
}

fn rule_error(files: &[String], error: ZoneError) -> ReadError {
    ReadError {
        file: file_name(files, error.place).to_owned(),
        line: error.place.line,
        column: 0,
        problem: ReadProblem::Rule(error.owner, error.rule),
    }
}

/// Types whose data is quoted in itself.
fn is_text(record_type: RecordType) -> bool {
    matches!(
        record_type,
        RecordType::TXT | RecordType::SPF | RecordType::NINFO | RecordType::AVC
    )
}

/// A word, as much of it as a message has room for.
fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(&word[..word.len().min(80)]).into_owned()
}

fn ttl_of(word: &[u8]) -> Result<u32, ReadProblem> {
    rdata::period(word)
        .filter(|&ttl| ttl <= super::MAX_TTL)
        .ok_or_else(|| ReadProblem::Word {
            expected: "a TTL, as `3600` or `1h30m` up to 2147483647 seconds,",
            found: shown(word),
        })
}

/// A type by name; those that zones are made of without a search.
fn record_type(word: &[u8]) -> Option<RecordType> {
    Some(match word {
        b"A" => RecordType::A,
        b"AAAA" => RecordType::AAAA,
        b"NS" => RecordType::NS,
        b"CNAME" => RecordType::CNAME,
        b"MX" => RecordType::MX,
        b"TXT" => RecordType::TXT,
        b"PTR" => RecordType::PTR,
        b"DS" => RecordType::DS,
        b"SRV" => RecordType::SRV,
        b"RRSIG" => RecordType::RRSIG,
        b"NSEC" => RecordType::NSEC,
        b"NSEC3" => RecordType::NSEC3,
        b"IN" => return None,
        _ => std::str::from_utf8(word).ok()?.parse().ok()?,
    })
}

/// A file, a piece at a time.
struct Source<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    ended: bool,
    /// The number of the line at `at`.
    line: u32,
    file: u16,
}

enum SourceError {
    /// An entry that cannot be split; it was skipped.
    Words(words::WordsError),
    /// Nothing more can be read.
    Fatal(ReadProblem),
}

impl<R: Read> Source<R> {
    fn new(input: R, file: u16) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            filled: 0,
            ended: false,
            line: 1,
            file,
        }
    }

    /// The next entry's text, with its words, and whether it begins with a blank.
    fn next(
        &mut self,
        longest: usize,
        words: &mut Vec<Word>,
    ) -> Result<Option<(&[u8], bool)>, SourceError> {
        loop {
            if self.ended && self.at == self.filled {
                return Ok(None);
            }
            match words::split(&self.buffer[self.at..self.filled], self.ended, words) {
                Ok(Some(entry)) => {
                    let start = self.at;
                    self.at += entry.length;
                    self.line = self.line.saturating_add(entry.lines);
                    return Ok(Some((&self.buffer[start..self.at], entry.blank)));
                }
                Ok(None) => self.fill(longest)?,
                Err(error) => {
                    self.skip_lines(error.line + 1, longest)?;
                    return Err(SourceError::Words(error));
                }
            }
        }
    }

    /// Goes behind so many lines.
    fn skip_lines(&mut self, lines: u32, longest: usize) -> Result<(), SourceError> {
        for _ in 0..lines {
            loop {
                let rest = &self.buffer[self.at..self.filled];
                if let Some(end) = memchr::memchr(b'\n', rest) {
                    self.at += end + 1;
                    self.line = self.line.saturating_add(1);
                    break;
                }
                if self.ended {
                    self.at = self.filled;
                    return Ok(());
                }
                self.fill(longest)?;
            }
        }
        Ok(())
    }

    /// Reads more behind what has not been taken yet.
    fn fill(&mut self, longest: usize) -> Result<(), SourceError> {
        let held = self.filled - self.at;
        if held > longest {
            return Err(SourceError::Fatal(ReadProblem::TooLong(longest)));
        }
        self.buffer.copy_within(self.at..self.filled, 0);
        (self.at, self.filled) = (0, held);
        // Twice as much each time, so that a long entry is looked at a few times only.
        let room = (held * 2).max(CHUNK);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        while self.filled < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SourceError::Fatal(error.into())),
            }
        }
        Ok(())
    }
}

/// What is read of a file at once.
const CHUNK: usize = 1 << 18;

/// The most records outside a zone that are told.
const MAX_IGNORED: usize = 1_000;
