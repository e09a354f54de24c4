//! Files of keys: BIND's `key` statements, and dig's one-line form.
//!
//! ```text
//! // as tsig-keygen writes it
//! key "transfer.example." {
//!     algorithm hmac-sha256;
//!     secret "c2VjcmV0IG9mIHRoZSB0cmFuc2Zlcg==";
//! };
//! # as dig -y and kdig -y take it
//! hmac-sha256:other.example.:c2VjcmV0IG9mIHRoZSB0cmFuc2Zlcg==
//! ```

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::key::{Algorithm, Key};
use crate::proto::{Name, NameRef};

/// What is wrong with a file of keys, and where. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
#[non_exhaustive]
pub struct KeyFileError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what is expected.
    pub why: String,
}

/// Reads the keys of a text. BIND's statements and dig's lines may stand in
/// the same file; comments are `#`, `//`, `;` at the beginning of a line, and
/// `/* … */`.
///
/// ```
/// use ropewalk_names_dns::proto::tsig::{Algorithm, parse_keys};
///
/// let keys = parse_keys("key tx { algorithm hmac-sha512; secret \"c2VjcmV0\"; };")?;
/// assert_eq!(keys[0].algorithm(), Algorithm::HmacSha512);
/// assert_eq!(keys[0].name().to_string(), "tx.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`KeyFileError`]; a file without a key is one too.
pub fn parse_keys(text: &str) -> Result<Vec<Key>, KeyFileError> {
    let mut reader = Reader {
        text,
        rest: text,
        keys: Vec::new(),
    };
    while let Some(word) = reader.word()? {
        if word.is_mark() {
            return Err(reader.error(word.text, "expected `key \"NAME\" { … };` or NAME:SECRET"));
        }
        if word.text.eq_ignore_ascii_case("key") && !word.quoted {
            reader.statement()?;
        } else {
            reader.line(word.text)?;
        }
    }
    match reader.keys.is_empty() {
        true => Err(reader.error(
            reader.rest,
            "there is no key, expected `key \"NAME\" { algorithm hmac-sha256; secret \"BASE64\"; };`",
        )),
        false => Ok(reader.keys),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    keys: Vec<Key>,
}

#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    quoted: bool,
}

impl Word<'_> {
    fn is_mark(&self) -> bool {
        !self.quoted && matches!(self.text, "{" | "}" | ";")
    }
}

impl<'a> Reader<'a> {
    /// What is wrong with a part of the text.
    fn error(&self, part: &str, why: impl Into<String>) -> KeyFileError {
        let at = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let before = &self.text[..at];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        KeyFileError {
            line: before.matches('\n').count() + 1,
            column: before[line..].chars().count() + 1,
            why: why.into(),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), KeyFileError> {
        loop {
            let begins_line = self.rest.len() == self.text.len()
                || self.text[..self.text.len() - self.rest.len()].ends_with('\n');
            let trimmed = self.rest.trim_start();
            let newline = self.rest[..self.rest.len() - trimmed.len()].contains('\n');
            self.rest = trimmed;
            let comment = trimmed.starts_with('#')
                || trimmed.starts_with("//")
                || ((begins_line || newline) && trimmed.starts_with(';'));
            if comment {
                let end = trimmed.find('\n').unwrap_or(trimmed.len());
                self.rest = &trimmed[end..];
            } else if trimmed.starts_with("/*") {
                let Some(end) = trimmed.find("*/") else {
                    return Err(self.error(trimmed, "a comment without an end, expected */"));
                };
                self.rest = &trimmed[end + 2..];
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> Result<Option<Word<'a>>, KeyFileError> {
        self.skip_blanks()?;
        let rest = self.rest;
        let (length, skip, quoted) = match rest.chars().next() {
            None => return Ok(None),
            Some('{' | '}' | ';') => (1, 0, false),
            Some('"') => match rest[1..].find(['"', '\n']) {
                Some(end) if rest[1 + end..].starts_with('"') => (end, 1, true),
                _ => return Err(self.error(rest, "a quoted word without an end, expected \"")),
            },
            Some(_) => {
                let is_end = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"');
                (rest.find(is_end).unwrap_or(rest.len()), 0, false)
            }
        };
        self.rest = &rest[skip + length + skip..];
        let text = &rest[skip..skip + length];
        Ok(Some(Word { text, quoted }))
    }

    fn expect(&mut self, what: &str) -> Result<Word<'a>, KeyFileError> {
        match self.word()? {
            Some(word) if !word.is_mark() => Ok(word),
            Some(word) => Err(self.error(word.text, format!("expected {what}"))),
            None => Err(self.error(self.rest, format!("the file ends, expected {what}"))),
        }
    }

    fn mark(&mut self, mark: &str) -> Result<(), KeyFileError> {
        match self.word()? {
            Some(word) if word.is_mark() && word.text == mark => Ok(()),
            Some(word) => Err(self.error(word.text, format!("expected {mark}"))),
            None => Err(self.error(self.rest, format!("the file ends, expected {mark}"))),
        }
    }

    /// After `key`.
    fn statement(&mut self) -> Result<(), KeyFileError> {
        let name = self.expect("the key's name")?.text;
        self.mark("{")?;
        let (mut algorithm, mut secret) = (None, None);
        loop {
            let Some(word) = self.word()? else {
                return Err(self.error(self.rest, "the file ends, expected }"));
            };
            let is = |what: &str| word.text.eq_ignore_ascii_case(what);
            if word.is_mark() && word.text == "}" {
                break;
            } else if is("algorithm") && algorithm.is_none() {
                algorithm = Some(self.expect("an algorithm, such as hmac-sha256")?.text);
            } else if is("secret") && secret.is_none() {
                secret = Some(self.expect("the secret in base64")?.text);
            } else {
                return Err(self.error(word.text, "expected algorithm and secret, once each"));
            }
            self.mark(";")?;
        }
        let Some(secret) = secret else {
            return Err(self.error(name, "a key without a secret, expected secret \"BASE64\";"));
        };
        let Some(algorithm) = algorithm else {
            return Err(self.error(
                name,
                "a key without an algorithm, expected algorithm hmac-sha256;",
            ));
        };
        // BIND wants one behind the brace; others leave it out.
        let before = self.rest;
        if !self
            .word()?
            .is_some_and(|word| word.is_mark() && word.text == ";")
        {
            self.rest = before;
        }
        self.add(name, algorithm, secret)
    }

    /// `[ALGORITHM:]NAME:SECRET`, as dig has it.
    fn line(&mut self, word: &'a str) -> Result<(), KeyFileError> {
        let parts: Vec<_> = word.split(':').collect();
        match parts[..] {
            [algorithm, name, secret] => self.add(name, algorithm, secret),
            [name, secret] => self.add(name, "hmac-sha256", secret),
            _ => Err(self.error(
                word,
                "expected `key \"NAME\" { … };`, NAME:SECRET or ALGORITHM:NAME:SECRET",
            )),
        }
    }

    fn add(&mut self, name: &str, algorithm: &str, secret: &str) -> Result<(), KeyFileError> {
        let parsed = Name::from_text(name.as_bytes(), Some(NameRef::ROOT)).map_err(|error| {
            self.error(name, format!("\"{name}\": {error}, expected a domain name"))
        })?;
        let Some(algorithm) = Algorithm::from_name(algorithm) else {
            let known = Algorithm::ALL.map(Algorithm::name).join(", ");
            return Err(self.error(
                algorithm,
                format!("\"{algorithm}\" is not known, expected one of {known}"),
            ));
        };
        let bytes = STANDARD.decode(secret).map(Zeroizing::new);
        let Ok(bytes) = bytes else {
            return Err(self.error(secret, "the secret is not base64"));
        };
        if bytes.is_empty() {
            return Err(self.error(secret, "the secret is empty, expected 16 bytes or more"));
        }
        if self.keys.iter().any(|key| *key.name() == parsed) {
            return Err(self.error(name, format!("the key \"{name}\" stands here twice")));
        }
        self.keys.push(Key::new(parsed, algorithm, &bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn error(text: &str) -> String {
        parse_keys(text).expect_err("it is wrong").to_string()
    }

    #[test]
    fn bind_and_dig_forms_with_comments() {
        let text = "# a comment\n// another\n; a third\n/* a\nfourth */\n\
            key \"One.Example\" {\n\talgorithm HMAC-SHA512;\n\tsecret \"c2VjcmV0\";\n};\n\
            key two { secret c2VjcmV0; algorithm hmac-md5.sig-alg.reg.int; }\n\
            hmac-sha1:three:c2VjcmV0\nfour.:c2VjcmV0";
        let keys = parse_keys(text).unwrap();
        let all: Vec<_> = keys
            .iter()
            .map(|key| (key.name().to_string(), key.algorithm()))
            .collect();
        let expected = [
            ("One.Example.", Algorithm::HmacSha512),
            ("two.", Algorithm::HmacMd5),
            ("three.", Algorithm::HmacSha1),
            ("four.", Algorithm::HmacSha256),
        ];
        assert_eq!(
            all,
            expected.map(|(name, algorithm)| (name.to_owned(), algorithm))
        );
    }

    #[test]
    fn faults_are_told_with_line_and_column_and_no_secret() {
        assert!(error("").starts_with("line 1, column 1: there is no key"));
        assert!(
            error("\n\nkey x { algorithm foo; secret \"AAAA\"; };")
                .starts_with("line 3, column 19: \"foo\" is not known")
        );
        assert!(error("key x { algorithm hmac-sha256; };").contains("without a secret"));
        assert!(error("key x { secret \"AAAA\"; };").contains("without an algorithm"));
        let text = error("key x { algorithm hmac-sha256; secret \"hunter2!\"; };");
        assert!(
            text.starts_with("line 1, column 40: the secret is not base64"),
            "{text}"
        );
        assert!(!text.contains("hunter"));
        assert!(error("key x { algorithm hmac-sha256; secret \"AAAA").contains("without an end"));
        assert!(error("key x { algorithm hmac-sha256;").contains("expected }"));
        assert!(error("/* x").contains("expected */"));
        assert!(error("x:AAAA x:AAAA").contains("twice"));
        assert!(error("a:b:c:d").contains("expected `key"));
        assert!(error("} x").contains("expected `key"));
        let long = format!("{}:AAAA", "a".repeat(64));
        assert!(error(&long).contains("expected a domain name"));
    }
}
