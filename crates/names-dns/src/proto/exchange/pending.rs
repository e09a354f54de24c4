//! The questions that are out on one socket or connection, and whose answer is whose.

use std::collections::HashMap;

use crate::proto::{Header, Opcode, Rcode, walk::Walk};

/// Questions that wait for their answers, by id.
///
/// What comes is an answer to one of them if it says that it is a response, has the id, and repeats
/// the question, letter by letter (RFC 5452, section 9.1). Where it came from is for the socket to
/// say.
pub(crate) struct Pending<T> {
    questions: HashMap<u16, (Box<[u8]>, T)>,
    strays: u64,
}

/// What something that arrived is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival<T> {
    /// The answer to this question, which waits no more.
    Answer(T),
    /// As an answer, but for the case of the letters: either the server does not keep it, or
    /// somebody guessed the rest. The question waits no more, and is to be asked where nobody can
    /// guess.
    WrongCase(T),
    /// Nobody's answer.
    Stray,
}

impl<T> Pending<T> {
    pub(crate) fn new() -> Self {
        Self {
            questions: HashMap::new(),
            strays: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.questions.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// How many arrivals were nobody's answer.
    pub(crate) fn strays(&self) -> u64 {
        self.strays
    }

    /// Gives a query a random id that is free here, and remembers who asks. Gives `who` back if
    /// half of all ids are taken, or the query is none.
    pub(crate) fn add(
        &mut self,
        query: &mut [u8],
        who: T,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<u16, T> {
        let Ok(walk) = Walk::read(query) else {
            return Err(who);
        };
        if self.len() > usize::from(u16::MAX / 2) {
            return Err(who);
        }
        let question = walk.question().into();
        let mut bits = random();
        let mut id;
        loop {
            id = low16(bits);
            if !self.questions.contains_key(&id) {
                break;
            }
            bits = match bits >> 16 {
                0 => random(),
                rest => rest,
            };
        }
        query[..2].copy_from_slice(&id.to_be_bytes());
        self.questions.insert(id, (question, who));
        Ok(id)
    }

    /// Whose answer this is.
    pub(crate) fn arrived(&mut self, message: &[u8]) -> Arrival<T> {
        let verdict = self.verdict(message);
        let Some((id, keeps_case)) = verdict else {
            self.strays += 1;
            return Arrival::Stray;
        };
        match (self.questions.remove(&id), keeps_case) {
            (Some((_, who)), true) => Arrival::Answer(who),
            (Some((_, who)), false) => Arrival::WrongCase(who),
            (None, _) => Arrival::Stray,
        }
    }

    /// The id, and whether the case is kept.
    fn verdict(&self, message: &[u8]) -> Option<(u16, bool)> {
        let walk = Walk::read(message).ok()?;
        let header = walk.header();
        let (question, _) = self.questions.get(&header.id)?;
        if !header.has(Header::QR) || header.opcode() != Opcode::QUERY {
            return None;
        }
        if !walk.has_question() {
            // A server that could not read the question may leave it out: FORMERR and NOTIMP. All
            // that follows of it is that we ask more simply.
            let is_bare = message.len() == Header::LENGTH
                && matches!(header.rcode(), Rcode::FORMERR | Rcode::NOTIMP);
            return is_bare.then_some((header.id, true));
        }
        let name = walk.name().len();
        let echoed = walk.question();
        let is_same = echoed.len() == question.len()
            && echoed[name..] == question[name..]
            && echoed[..name].eq_ignore_ascii_case(&question[..name]);
        is_same.then(|| (header.id, echoed[..name] == question[..name]))
    }

    /// All who wait, in the order of their ids.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let mut all: Vec<_> = self.questions.drain().collect();
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, (_, who))| who).collect()
    }

    /// Forgets those of whom `keep` says no.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.questions.retain(|_, (_, who)| keep(who));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lowest bits are what is wanted"
)]
fn low16(bits: u64) -> u16 {
    bits as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Vec<u8> {
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03wWw\x07eXaMpLe\0\0\x01\0\x01");
        query
    }

    fn answer(query: &[u8]) -> Vec<u8> {
        let mut answer = query.to_vec();
        answer[2] |= 0x80;
        answer
    }

    #[test]
    fn only_the_whole_question_finds_who_asked() {
        let mut pending = Pending::new();
        let mut sent = query();
        let id = pending.add(&mut sent, "us", &mut || 0x1234).unwrap();
        assert_eq!((id, &sent[..2]), (0x1234, &[0x12, 0x34][..]));
        let good = answer(&sent);
        // Each of these has one thing wrong.
        for (at, with) in [
            (0, 0x13),
            (2, 0x01),
            (2, 0xa1),
            (13, b'v'),
            (27, 0x1c),
            (28, 3),
        ] {
            let mut forged = good.clone();
            forged[at] = with;
            assert_eq!(pending.arrived(&forged), Arrival::Stray, "{at}");
        }
        for end in 0..good.len() {
            assert_eq!(pending.arrived(&good[..end]), Arrival::Stray, "{end}");
        }
        assert_eq!(pending.arrived(&good), Arrival::Answer("us"));
        // It comes twice, and is nobody's.
        assert_eq!(pending.arrived(&good), Arrival::Stray);
        assert_eq!(pending.strays(), 6 + good.len() as u64 + 1);
    }

    #[test]
    fn another_case_is_told_apart() {
        let mut pending = Pending::new();
        let mut sent = query();
        pending.add(&mut sent, (), &mut || 7).unwrap();
        let lower = answer(&sent).to_ascii_lowercase();
        assert_eq!(pending.arrived(&lower), Arrival::WrongCase(()));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_bare_refusal_to_read_is_an_answer_and_nothing_else_bare_is() {
        let mut pending = Pending::new();
        let mut sent = query();
        pending.add(&mut sent, (), &mut || 7).unwrap();
        for code in [0, 2, 3, 5] {
            let bare = [0, 7, 0x81, code, 0, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(pending.arrived(&bare), Arrival::Stray, "{code}");
        }
        let bare = [0, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(pending.arrived(&bare), Arrival::Answer(()));
    }

    #[test]
    fn ids_are_drawn_among_those_that_are_free() {
        let mut pending = Pending::new();
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state
        };
        let mut ids = std::collections::BTreeSet::new();
        for n in 0..=32_767 {
            ids.insert(pending.add(&mut query(), n, &mut random).unwrap());
        }
        assert_eq!(ids.len(), 32_768);
        assert_eq!(pending.add(&mut query(), 9, &mut random), Err(9));
        assert_eq!(pending.drain().len(), 32_768);
    }
}
