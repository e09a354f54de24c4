//! What a server makes of a signed request (RFC 8945, section 5.2).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    FUDGE, Malformed, Record, Replays, Signer, TsigError, VerifyError,
    key::Key,
    record::{Fields, append_for},
    seconds,
    sign::{Variables, finish, is_mac, update_message},
};
use crate::proto::Name;

/// The keys that a server knows, and the requests that it must not take twice.
/// Clones know the same requests.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: BTreeMap<Vec<u8>, Key>,
    replays: Arc<Mutex<Replays>>,
}

impl Keys {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key; one of the same name is replaced, and returned.
    pub fn insert(&mut self, key: Key) -> Option<Key> {
        self.keys.insert(key.wire().to_vec(), key)
    }

    /// The key of a name.
    pub fn get(&self, name: &Name) -> Option<&Key> {
        self.keys.get(name.to_lowercase().as_wire())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.values()
    }

    /// Looks for a signature and checks it: key, signature, time and length,
    /// in this order. `None` if the request has none.
    ///
    /// # Errors
    /// [`Rejected`]: the request is to be answered by that, and by nothing
    /// else.
    pub fn check(&self, request: &[u8], now: SystemTime) -> Result<Option<Signed>, Rejected> {
        let Some(record) = Record::find(request)? else {
            return Ok(None);
        };
        let known = self.keys.get(&record.key);
        let Some(key) = known.filter(|key| key.algorithm().wire() == record.algorithm) else {
            return Err(Rejected::unsigned(record, TsigError::BadKey));
        };
        let mut hash = key.hmac();
        update_message(&mut hash, request, &record);
        let other = &request[record.other.clone()];
        let variables = Variables::of(record.time, record.fudge, record.error, other);
        let mac = finish(key, hash, &variables);
        let theirs = request[record.mac.clone()].to_vec();
        match is_mac(key, &mac, &theirs) {
            Ok(()) => {}
            Err(VerifyError::Malformed(why)) => return Err(why.into()),
            Err(_) => return Err(Rejected::unsigned(record, TsigError::BadSig)),
        }
        let (start, time, fudge) = (record.start, record.time, record.fudge.min(FUDGE));
        let short = theirs.len() < key.least();
        let signed = Signed {
            start,
            original_id: record.original_id,
            time,
            fudge,
            signer: Signer {
                key: key.clone(),
                prior: theirs,
                first: true,
            },
        };
        let now = seconds(now);
        if now.abs_diff(time) > u64::from(fudge) {
            return Err(signed.reject(TsigError::BadTime, now));
        }
        if short {
            return Err(signed.reject(TsigError::BadTrunc, now));
        }
        Ok(Some(signed))
    }
}

impl Keys {
    /// As [`check`](Self::check), and refuses a request that was checked here
    /// before, while its time lasts ([`Replays`]): for requests over streams
    /// that do more than ask.
    ///
    /// # Errors
    /// As [`check`](Self::check); a request that came before has
    /// [`TsigError::BadTime`].
    pub fn check_once(&self, request: &[u8], now: SystemTime) -> Result<Option<Signed>, Rejected> {
        let Some(signed) = self.check(request, now)? else {
            return Ok(None);
        };
        // A panic elsewhere leaves it whole: it forgets and remembers one at a time.
        let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        replays.admit(signed, now).map(Some)
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut all = Self::new();
        for key in keys {
            all.insert(key);
        }
        all
    }
}

/// A request whose signature is good.
#[derive(Debug)]
pub struct Signed {
    start: usize,
    original_id: u16,
    time: u64,
    fudge: u16,
    signer: Signer,
}

impl Signed {
    /// The key it is signed with.
    pub fn key(&self) -> &Key {
        &self.signer.key
    }

    /// The request as it was before it was signed.
    ///
    /// # Panics
    /// If it is not the message that was checked.
    pub fn unsigned(&self, request: &[u8]) -> Vec<u8> {
        let mut message = request[..self.start].to_vec();
        message[..2].copy_from_slice(&self.original_id.to_be_bytes());
        let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
        message[10..12].copy_from_slice(&count.to_be_bytes());
        message
    }

    /// What signs the answer.
    pub fn into_signer(self) -> Signer {
        self.signer
    }

    /// The signature, which no other request has.
    pub(super) fn mac(&self) -> &[u8] {
        &self.signer.prior
    }

    /// The last second at which it is still taken.
    pub(super) fn valid_until(&self) -> u64 {
        self.time + u64::from(self.fudge)
    }

    /// Refuses it all the same.
    pub(super) fn reject(self, error: TsigError, now: u64) -> Rejected {
        Rejected(Why::Signed {
            signer: self.signer,
            error,
            time: self.time,
            now,
        })
    }
}

/// A request whose signature is not good, and the answer to it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.text())]
pub struct Rejected(Why);

#[derive(Debug)]
enum Why {
    Malformed(Malformed),
    /// The error is told without a signature, in the peer's own words.
    Unsigned {
        key: Vec<u8>,
        algorithm: Vec<u8>,
        original_id: u16,
        time: u64,
        fudge: u16,
        error: TsigError,
    },
    /// The error is signed, since the request was.
    Signed {
        signer: Signer,
        error: TsigError,
        time: u64,
        now: u64,
    },
}

impl Why {
    fn text(&self) -> String {
        match self {
            Self::Malformed(why) => why.to_string(),
            Self::Unsigned { error, .. } | Self::Signed { error, .. } => error.to_string(),
        }
    }
}

impl Rejected {
    fn unsigned(record: Record, error: TsigError) -> Self {
        Self(Why::Unsigned {
            key: record.key,
            algorithm: record.algorithm,
            original_id: record.original_id,
            time: record.time,
            fudge: record.fudge,
            error,
        })
    }

    /// What the answer's TSIG says; `None` if the message is malformed.
    pub fn error(&self) -> Option<TsigError> {
        match &self.0 {
            Why::Malformed(_) => None,
            Why::Unsigned { error, .. } | Why::Signed { error, .. } => Some(*error),
        }
    }

    /// The code of the answer: 1 (FORMERR) or 9 (NOTAUTH).
    pub fn rcode(&self) -> u8 {
        match self.0 {
            Why::Malformed(_) => 1,
            _ => 9,
        }
    }

    /// Adds to the answer what TSIG has to say of it. The answer has the code
    /// of [`rcode`](Self::rcode) and no records.
    pub fn sign(self, answer: &mut Vec<u8>) {
        match self.0 {
            Why::Malformed(_) => {}
            Why::Unsigned {
                key,
                algorithm,
                original_id,
                time,
                fudge,
                error,
            } => append_for(
                answer,
                &key,
                &algorithm,
                &Fields {
                    time,
                    fudge,
                    mac: &[],
                    original_id,
                    error: error.code(),
                    other: &[],
                },
            ),
            Why::Signed {
                mut signer,
                error,
                time,
                now,
            } => {
                // The client's time, so that it can verify this, and ours
                // beside it, so that it can see by how much they differ.
                let ours = now.to_be_bytes();
                let other = match error {
                    TsigError::BadTime => &ours[2..],
                    _ => &[],
                };
                signer.sign_as(answer, time, error.code(), other);
            }
        }
    }
}

impl From<Malformed> for Rejected {
    fn from(why: Malformed) -> Self {
        Self(Why::Malformed(why))
    }
}
