//! A table of a configuration as the arguments of a command.
//!
//! Each key is an option without its dashes, and its value is parsed by clap as on the command
//! line; so names, values and what is said of bad ones are the same by construction. Here is only
//! what TOML adds: types, and where in the file something stands.

use std::cmp::Ordering;

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use ropewalk_core::ServerEndpoint;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::failure::one_line;

/// What is wrong, and where in the text.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) why: String,
}

/// A table, and where it begins.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) at: usize,
    pub(super) entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    /// Where a key's value stands, or one of several.
    pub(super) fn find(&self, key: &str, value: Option<&str>) -> Option<usize> {
        let found = self.get(key)?;
        if let (DeValue::Array(array), Some(value)) = (found.get_ref(), value) {
            // An endpoint that was parsed prints itself in its canonical form.
            let is_it = |it: &str| {
                it == value
                    || it
                        .parse::<ServerEndpoint>()
                        .is_ok_and(|it| it.to_string() == value)
            };
            let one = array
                .iter()
                .find(|it| it.get_ref().as_str().is_some_and(is_it));
            return one.or(Some(found)).map(|it| it.span().start);
        }
        Some(found.span().start)
    }

    /// Reads the table as arguments, but for keys in `apart`. `elsewhere` says where else a key
    /// that is not known here may stand.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn arguments(
        &self,
        mut command: Command,
        apart: &[&str],
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> Result<ArgMatches, Vec<Fault>> {
        command = command.no_binary_name(true).disable_help_flag(true);
        // Keys that are not known say nothing about those that are; values do.
        let (mut faults, mut wrong) = (Vec::new(), Vec::new());
        let mut words = Vec::new();
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name: &str = key.get_ref();
            if apart.contains(&name) {
                continue;
            }
            let known = command
                .get_arguments()
                .find(|arg| arg.get_long() == Some(name));
            let Some(arg) = known else {
                let why = elsewhere(name).unwrap_or_else(|| unknown(name, &command, apart));
                faults.push(Fault {
                    at: key.span().start,
                    why,
                });
                continue;
            };
            for given in option(arg, value) {
                match given {
                    Ok(word) => words.push(word),
                    Err(fault) => wrong.push(fault),
                }
            }
        }
        // Each by itself first, so that the place of what is wrong is known, and all of it is found.
        let alone = command.clone().mut_args(|arg| arg.required(false));
        for (at, word) in &words {
            if let Err(error) = alone.clone().try_get_matches_from([word])
                && let Some(why) = bad_value(word, &error)
            {
                wrong.push(Fault { at: *at, why });
            }
        }
        if !wrong.is_empty() {
            faults.append(&mut wrong);
            return Err(faults);
        }
        let words = words.iter().map(|(_, word)| word);
        match command.try_get_matches_from(words) {
            Ok(matches) if faults.is_empty() => Ok(matches),
            Ok(_) => Err(faults),
            Err(error) => {
                faults.push(Fault {
                    at: self.at,
                    why: of_all(&error),
                });
                Err(faults)
            }
        }
    }
}

/// An option as words of a command line, each with its place.
fn option(arg: &Arg, value: &Spanned<DeValue<'_>>) -> Vec<Result<(usize, String), Fault>> {
    let name = arg.get_long().unwrap_or_default();
    let wrong = |it: &Spanned<DeValue<'_>>, expected: &str| Fault {
        at: it.span().start,
        why: format!(
            "{name}: found {}, expected {expected}",
            it.get_ref().type_str()
        ),
    };
    let word = |it: &Spanned<DeValue<'_>>, expected: &str| match text(it.get_ref()) {
        Some(text) => Ok((it.span().start, format!("--{name}={text}"))),
        None => Err(wrong(it, expected)),
    };
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value.get_ref().as_bool() {
            Some(true) => vec![Ok((value.span().start, format!("--{name}")))],
            Some(false) => Vec::new(),
            None => vec![Err(wrong(value, "true or false"))],
        };
    }
    let several = matches!(arg.get_action(), ArgAction::Append);
    match value.get_ref() {
        DeValue::Array(array) if several => array
            .iter()
            .map(|it| word(it, "a string or a number"))
            .collect(),
        _ if several => vec![word(value, "a string, a number, or an array of them")],
        _ => vec![word(value, "one string or number")],
    }
}

/// A string or a number, as on a command line.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What is wrong with the value of one option; none if that shows only together with others.
fn bad_value(word: &str, error: &clap::Error) -> Option<String> {
    let (name, value) = word.trim_start_matches('-').split_once('=')?;
    let expected = match error.kind() {
        ErrorKind::ValueValidation => std::error::Error::source(error)?.to_string(),
        ErrorKind::InvalidValue => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(valid)) if !valid.is_empty() => {
                format!("expected one of {}", valid.join(", "))
            }
            _ => one_line(&error.to_string()),
        },
        _ => return None,
    };
    Some(format!("{name} \"{value}\": {expected}"))
}

/// What is wrong with all of them together: something is missing, or does not go with another.
fn of_all(error: &clap::Error) -> String {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
            let keys: Vec<_> = missing.iter().map(|it| key_of(it)).collect();
            format!("expected {} in this table", keys.join(" and "))
        }
        _ => one_line(&error.to_string()),
    }
}

/// The key of an option as clap shows it: `--listen <ENDPOINT>`.
fn key_of(shown: &str) -> &str {
    let shown = shown.trim_start_matches('-');
    shown.split(' ').next().unwrap_or(shown)
}

fn unknown(name: &str, command: &Command, apart: &[&str]) -> String {
    let known = command.get_arguments().filter_map(Arg::get_long);
    let known = known.chain(apart.iter().copied());
    match nearest(name, known) {
        Some(nearest) => format!("unknown key \"{name}\"; the nearest known one is \"{nearest}\""),
        None => format!("unknown key \"{name}\"; no key is known here"),
    }
}

/// The known name that is most like this one.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase().replace('_', "-");
    let likeness = |known: &str| strsim::jaro_winkler(&name, known);
    known.max_by(|a, b| {
        let order = likeness(a).partial_cmp(&likeness(b));
        order.unwrap_or(Ordering::Equal)
    })
}
