//! The vectors of <https://github.com/ircdocs/parser-tests>; `vectors/README.md` says whose they are.
#![allow(
    clippy::unwrap_used,
    reason = "an error in a test is a failure of the test"
)]

use ropewalk_words_irc::proto::{
    casemap::CaseMapping,
    mask::Mask,
    message::{Message, Source, Writer},
};
use serde_json::Value;

/// One object a line.
fn vectors(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// A list of texts; none where the key is absent.
fn list<'a>(of: &'a Value, key: &str) -> Vec<&'a str> {
    let list = of[key].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap()).collect()
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

#[test]
fn messages_are_taken_apart() {
    for vector in vectors(include_str!("vectors/msg-split.jsonl")) {
        let (input, atoms) = (text(&vector, "input"), &vector["atoms"]);
        let message = Message::parse(input).unwrap();
        assert_eq!(message.command, text(atoms, "verb"), "{input}");
        assert_eq!(message.params[..], list(atoms, "params"), "{input}");
        let source = message.source.map(Source::as_str);
        assert_eq!(source, atoms["source"].as_str(), "{input}");
        let none = serde_json::Map::new();
        let tags = atoms["tags"].as_object().unwrap_or(&none);
        for (key, value) in tags {
            assert_eq!(
                message.tags.get(key).as_deref(),
                value.as_str(),
                "{input}: {key}"
            );
        }
        // The last of those of a name counts, so there may be more than names.
        let known = message.tags.iter().all(|tag| tags.contains_key(tag.key));
        assert!(
            known && message.tags.is_empty() == tags.is_empty(),
            "{input}"
        );
    }
}

#[test]
fn messages_are_put_together() {
    for vector in vectors(include_str!("vectors/msg-join.jsonl")) {
        let atoms = &vector["atoms"];
        let mut out = Vec::new();
        let mut line = Writer::new(&mut out);
        for (key, value) in atoms["tags"].as_object().into_iter().flatten() {
            line.tag(key, value.as_str().unwrap());
        }
        if let Some(source) = atoms["source"].as_str() {
            line.source(source);
        }
        line.command(text(atoms, "verb"));
        for param in list(atoms, "params") {
            line.param(param);
        }
        line.end().unwrap();
        let line = String::from_utf8(out).unwrap();
        let matches = list(&vector, "matches");
        assert!(
            matches.contains(&line.trim_end_matches("\r\n")),
            "{line} is none of {matches:?}"
        );
    }
}

#[test]
fn sources_are_taken_apart() {
    for vector in vectors(include_str!("vectors/userhost-split.jsonl")) {
        let (source, atoms) = (Source::new(text(&vector, "source")), &vector["atoms"]);
        assert_eq!(source.nick(), text(atoms, "nick"), "{source}");
        assert_eq!(
            source.user().unwrap_or_default(),
            text(atoms, "user"),
            "{source}"
        );
        assert_eq!(
            source.host().unwrap_or_default(),
            text(atoms, "host"),
            "{source}"
        );
    }
}

#[test]
fn masks_fit_whom_they_should() {
    for vector in vectors(include_str!("vectors/mask-match.jsonl")) {
        let mask = Mask::parse(text(&vector, "mask"), CaseMapping::Ascii).unwrap();
        for (key, fits) in [("matches", true), ("fails", false)] {
            for who in list(&vector, key) {
                assert_eq!(mask.matches(who), fits, "{} and {who}", mask.as_str());
            }
        }
    }
}
