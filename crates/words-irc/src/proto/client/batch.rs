//! Batches that are open (<https://ircv3.net/specs/extensions/batch>).
//!
//! Some hold what happens now (`netsplit`, `netjoin`, the answer to a request):
//! their messages count as they come. All others hold what happened elsewhere
//! or before, and are gathered.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    event::{Event, Kind, boxed},
    request::RequestId,
};
use crate::proto::{isupport::Isupport, message::Message};

/// How deep batches stand in each other; a deeper one counts as outside.
const DEPTH: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Batches {
    open: BTreeMap<Box<str>, Batch>,
    bytes: usize,
}

#[derive(Debug)]
struct Batch {
    kind: Box<str>,
    params: Vec<Box<str>>,
    depth: usize,
    /// The request that it answers, or that the batch around it does.
    answers: Option<RequestId>,
    /// The batch around it that gathers, or itself.
    gathers: Option<Box<str>>,
    lines: Vec<Box<str>>,
    bytes: usize,
    until: Instant,
}

/// What becomes of a message in a batch.
pub(super) enum Place {
    /// It counts now; perhaps as part of an answer.
    Now(Option<RequestId>),
    /// It was put away.
    Gathered(Option<Event>),
}

/// What a batch left behind at its end.
pub(super) struct Ended {
    /// What it gathered; those that belong to an answer go there.
    pub(super) lines: Vec<Box<str>>,
    pub(super) answers: Option<RequestId>,
    /// Whether the answer is whole with it.
    pub(super) is_answer: bool,
    kind: Box<str>,
    params: Vec<Box<str>>,
}

impl Ended {
    pub(super) fn event(self, complete: bool, isupport: &Isupport, me: &str) -> Event {
        let read = |line: &str| Some(Event::read(&Message::parse(line).ok()?, isupport, me));
        Event::own(Kind::Batch {
            kind: self.kind,
            params: self.params,
            events: self.lines.iter().filter_map(|line| read(line)).collect(),
            complete,
        })
    }

    pub(super) fn is_gathered(&self) -> bool {
        is_gathered(&self.kind)
    }
}

fn is_gathered(kind: &str) -> bool {
    !matches!(kind, "netsplit" | "netjoin" | "labeled-response")
}

impl Batches {
    /// `BATCH +name kind params`. False if there is no room for it.
    pub(super) fn begin(
        &mut self,
        name: &str,
        params: &[&str],
        around: Option<&str>,
        label: Option<RequestId>,
        until: Instant,
        most: usize,
    ) -> bool {
        let [kind, params @ ..] = params else {
            return false;
        };
        let around = around.and_then(|it| Some((it, self.open.get(it)?)));
        let depth = around.map_or(0, |(_, it)| it.depth + 1);
        if name.is_empty()
            || self.open.len() >= most
            || depth >= DEPTH
            || self.open.contains_key(name)
        {
            return false;
        }
        let answers = label.or(around.and_then(|(_, it)| it.answers));
        let gathers = around
            .and_then(|(_, it)| it.gathers.clone())
            .or_else(|| is_gathered(kind).then(|| name.into()));
        let batch = Batch {
            kind: (*kind).into(),
            params: boxed(params),
            depth,
            answers,
            gathers,
            lines: Vec::new(),
            bytes: 0,
            until,
        };
        self.open.insert(name.into(), batch);
        true
    }

    /// `BATCH -name`.
    pub(super) fn end(&mut self, name: &str) -> Option<Ended> {
        let batch = self.open.remove(name)?;
        self.bytes -= batch.bytes;
        // What stands in another that gathers went there.
        if batch.gathers.as_deref().is_some_and(|it| it != name) {
            return None;
        }
        Some(Ended {
            is_answer: batch.depth == 0,
            lines: batch.lines,
            answers: batch.answers,
            kind: batch.kind,
            params: batch.params,
        })
    }

    /// Where a message belongs that names a batch.
    pub(super) fn place(
        &mut self,
        name: &str,
        line: &str,
        most: usize,
        isupport: &Isupport,
        me: &str,
    ) -> Place {
        let Some(batch) = self.open.get(name) else {
            return Place::Now(None);
        };
        let Some(gathers) = batch.gathers.clone() else {
            return Place::Now(batch.answers);
        };
        let bytes = line.len() + size_of::<Box<str>>();
        let Some(batch) = self.open.get_mut(&gathers) else {
            // It ended before what stands in it.
            return Place::Gathered(None);
        };
        let mut part = None;
        if self.bytes + bytes > most && !batch.lines.is_empty() && batch.answers.is_none() {
            self.bytes -= batch.bytes;
            batch.bytes = 0;
            let part_of = Ended {
                lines: std::mem::take(&mut batch.lines),
                answers: None,
                is_answer: false,
                kind: batch.kind.clone(),
                params: batch.params.clone(),
            };
            part = Some(part_of.event(false, isupport, me));
        }
        // Past the limit with nothing to pass on: other batches hold it all.
        if self.bytes + bytes <= most {
            batch.lines.push(line.into());
            batch.bytes += bytes;
            self.bytes += bytes;
        } else {
            let ended = Ended {
                lines: vec![line.into()],
                answers: None,
                is_answer: false,
                kind: batch.kind.clone(),
                params: batch.params.clone(),
            };
            part.get_or_insert_with(|| ended.event(false, isupport, me));
        }
        Place::Gathered(part)
    }

    /// Those that should have ended.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Ended> {
        let late = self.open.iter().filter(|it| it.1.until <= now);
        let names: Vec<_> = late.map(|it| it.0.clone()).collect();
        names.iter().filter_map(|name| self.end(name)).collect()
    }

    /// All of them: the connection is over.
    pub(super) fn end_all(&mut self) -> Vec<Ended> {
        let names: Vec<_> = self.open.keys().cloned().collect();
        names.iter().filter_map(|name| self.end(name)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().map(|it| it.until).min()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.open.len(), self.bytes)
    }
}

/// As [`Instant::checked_add`]; a time too far to be said is thirty years away.
pub(super) fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after)
        .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400))
}
