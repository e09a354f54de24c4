//! Signing and verifying: one message, or the stream of a transfer (RFC 8945,
//! sections 4.3 and 5.3).

use std::time::SystemTime;

use subtle::ConstantTimeEq as _;

use super::{
    FUDGE, Malformed, Record, TsigError,
    key::{Hash, Key},
    record::{Fields, append},
    seconds,
};

/// Signs a request, and returns what verifies its answer.
///
/// # Panics
/// If the message is shorter than a header, or longer than leaves room in 64
/// KiB: whoever wrote it is at fault.
pub fn sign(message: &mut Vec<u8>, key: &Key, now: SystemTime) -> Verifier {
    let time = seconds(now);
    let mut hash = key.hmac();
    hash.update(message);
    let mac = finish(key, hash, &Variables::of(time, FUDGE, 0, &[]));
    let original_id = id(message);
    append(
        message,
        key,
        &Fields {
            time,
            fudge: FUDGE,
            mac: &mac,
            original_id,
            error: 0,
            other: &[],
        },
    );
    assert!(message.len() <= usize::from(u16::MAX), "room for a TSIG");
    Verifier {
        key: key.clone(),
        prior: mac,
        pending: None,
        unsigned: 0,
        first: true,
    }
}

/// Signs the answer to a request that was checked: one message, or many, one
/// after the other.
#[derive(Debug)]
pub struct Signer {
    pub(super) key: Key,
    /// The request's signature, then that of the message before.
    pub(super) prior: Vec<u8>,
    pub(super) first: bool,
}

impl Signer {
    /// The key it signs with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// How many bytes a message grows by when it is signed.
    pub fn room(&self) -> usize {
        self.key.signature_len()
    }

    /// Signs the next message. Every message of a transfer is signed, which
    /// the RFC allows and every client understands.
    ///
    /// # Panics
    /// If the message is shorter than a header, or does not leave
    /// [`room`](Self::room) in 64 KiB.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: SystemTime) {
        self.sign_as(message, seconds(now), 0, &[]);
    }

    /// Signs with an error and its other data.
    pub(super) fn sign_as(&mut self, message: &mut Vec<u8>, time: u64, error: u16, other: &[u8]) {
        let mut hash = start(&self.key, &self.prior);
        hash.update(message);
        let variables = match self.first {
            true => Variables::of(time, FUDGE, error, other),
            false => Variables::timers(time, FUDGE),
        };
        let mac = finish(&self.key, hash, &variables);
        let original_id = id(message);
        append(
            message,
            &self.key,
            &Fields {
                time,
                fudge: FUDGE,
                mac: &mac,
                original_id,
                error,
                other,
            },
        );
        assert!(message.len() <= usize::from(u16::MAX), "room for a TSIG");
        self.prior = mac;
        self.first = false;
    }
}

/// Verifies the answer to a request that was signed: one message, or many, one
/// after the other.
#[derive(Debug)]
pub struct Verifier {
    key: Key,
    /// The request's signature, then the last one that was verified.
    prior: Vec<u8>,
    /// The hash over messages that came without a signature since then.
    pending: Option<Box<Hash>>,
    unsigned: u32,
    first: bool,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// Messages of a stream that may follow each other without a signature
/// (section 5.3.1).
const UNSIGNED: u32 = 99;

impl Verifier {
    /// Verifies the next message, and takes the signature off it.
    ///
    /// In a stream, a message between signed ones may have none: that is
    /// `false`, and what it says is only to be believed once a later one has
    /// been verified. The first and the last must be signed; see
    /// [`is_complete`](Self::is_complete).
    ///
    /// # Errors
    /// [`VerifyError`]; nothing in the message is to be believed then. With
    /// the first message, one may wait for a better one where anybody can send
    /// (UDP); a stream is over.
    pub fn verify(&mut self, message: &mut Vec<u8>, now: SystemTime) -> Result<bool, VerifyError> {
        let Some(record) = Record::find(message)? else {
            if self.first {
                return Err(VerifyError::Unsigned);
            }
            self.unsigned += 1;
            if self.unsigned > UNSIGNED {
                return Err(VerifyError::Unsigned);
            }
            let start_over = || Box::new(start(&self.key, &self.prior));
            let hash = self.pending.get_or_insert_with(start_over);
            hash.update(message);
            return Ok(false);
        };
        if record.key != self.key.wire() || record.algorithm != self.key.algorithm().wire() {
            return Err(VerifyError::OtherKey);
        }
        let error = TsigError::from_code(record.error);
        if let Some(error @ (TsigError::BadSig | TsigError::BadKey)) = error {
            // Such an answer is not signed (section 5.3.2).
            return Err(VerifyError::Refused(error));
        }
        let mut hash = match self.pending.take() {
            Some(hash) => *hash,
            None => start(&self.key, &self.prior),
        };
        update_message(&mut hash, message, &record);
        let variables = match self.first {
            true => Variables::of(
                record.time,
                record.fudge,
                record.error,
                &message[record.other.clone()],
            ),
            false => Variables::timers(record.time, record.fudge),
        };
        let mac = finish(&self.key, hash, &variables);
        let theirs = &message[record.mac.clone()];
        is_mac(&self.key, &mac, theirs)?;
        if theirs.len() < self.key.least() {
            return Err(VerifyError::Truncated);
        }
        if let Some(error) = error {
            return Err(VerifyError::Refused(error));
        }
        if seconds(now).abs_diff(record.time) > u64::from(record.fudge.min(FUDGE)) {
            return Err(VerifyError::Time);
        }
        // What both sides go on with is the signature as it was sent.
        self.prior = theirs.to_vec();
        self.first = false;
        self.unsigned = 0;
        take_off(message, &record);
        Ok(true)
    }

    /// Whether the last message that came was verified, as the last of a
    /// stream must be.
    pub fn is_complete(&self) -> bool {
        !self.first && self.unsigned == 0
    }
}

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not well formed.
    #[error("a malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// It has no signature where it must have one.
    #[error("the answer is not signed, though the request was: does the server know the key?")]
    Unsigned,
    /// It is signed with another key or algorithm.
    #[error("the answer is signed with another key or algorithm than the request")]
    OtherKey,
    /// Its signature is wrong.
    #[error("the signature of the answer is wrong: the secrets differ, or somebody changed it")]
    Signature,
    /// Its signature is shorter than we take.
    #[error("the signature of the answer is cut too short")]
    Truncated,
    /// It was signed too long ago, or in the future.
    #[error("the answer was signed at another time: the clocks of both sides differ")]
    Time,
    /// The server refused our signature.
    #[error("the server refused our signature: {0}")]
    Refused(TsigError),
}

/// Compares a signature in constant time; it may be cut as far as the RFC
/// allows at all (section 5.2.2.1).
pub(super) fn is_mac(key: &Key, ours: &[u8], theirs: &[u8]) -> Result<(), VerifyError> {
    let algorithm = key.algorithm();
    if theirs.len() > algorithm.mac_len() || theirs.len() < algorithm.least_mac_len() {
        return Err(Malformed("a signature of a length that there cannot be").into());
    }
    match bool::from(ours[..theirs.len()].ct_eq(theirs)) {
        true => Ok(()),
        false => Err(VerifyError::Signature),
    }
}

/// Takes the signature off a message, and gives it back the id it was signed
/// with.
fn take_off(message: &mut Vec<u8>, record: &Record) {
    message.truncate(record.start);
    let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
    message[10..12].copy_from_slice(&count.to_be_bytes());
}

/// Begins with the signature before, and its length.
pub(super) fn start(key: &Key, prior: &[u8]) -> Hash {
    let mut hash = key.hmac();
    let length = u16::try_from(prior.len()).unwrap_or(u16::MAX);
    hash.update(&length.to_be_bytes());
    hash.update(prior);
    hash
}

/// Adds the message as it was before it was signed: without the record, with
/// its original id.
pub(super) fn update_message(hash: &mut Hash, message: &[u8], record: &Record) {
    let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
    hash.update(&record.original_id.to_be_bytes());
    hash.update(&message[2..10]);
    hash.update(&count.to_be_bytes());
    hash.update(&message[12..record.start]);
}

/// What is signed besides the message (section 4.3.3).
pub(super) enum Variables<'a> {
    All {
        time: u64,
        fudge: u16,
        error: u16,
        other: &'a [u8],
    },
    /// For all but the first message of a stream.
    Timers { time: u64, fudge: u16 },
}

impl<'a> Variables<'a> {
    pub(super) fn of(time: u64, fudge: u16, error: u16, other: &'a [u8]) -> Self {
        Self::All {
            time,
            fudge,
            error,
            other,
        }
    }

    fn timers(time: u64, fudge: u16) -> Self {
        Self::Timers { time, fudge }
    }
}

/// Adds the variables; the signature, as long as the algorithm's are.
pub(super) fn finish(key: &Key, mut hash: Hash, variables: &Variables<'_>) -> Vec<u8> {
    match *variables {
        Variables::All {
            time,
            fudge,
            error,
            other,
        } => {
            hash.update(key.wire());
            // Class ANY, TTL 0.
            hash.update(&[0, 255, 0, 0, 0, 0]);
            hash.update(&key.algorithm().wire());
            hash.update(&time.to_be_bytes()[2..]);
            hash.update(&fudge.to_be_bytes());
            hash.update(&error.to_be_bytes());
            let length = u16::try_from(other.len()).unwrap_or(u16::MAX);
            hash.update(&length.to_be_bytes());
            hash.update(other);
        }
        Variables::Timers { time, fudge } => {
            hash.update(&time.to_be_bytes()[2..]);
            hash.update(&fudge.to_be_bytes());
        }
    }
    let mut mac = hash.finish();
    mac.truncate(key.algorithm().mac_len());
    mac
}

fn id(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}
