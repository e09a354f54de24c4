//! Requests that were seen before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use super::{Rejected, Signed, TsigError, seconds};

/// Remembers the signatures of requests for as long as they could be sent
/// again, and refuses those (RFC 8945, section 10.3).
///
/// It is for requests that came over a stream, where nothing is sent twice by
/// itself: over UDP an honest client repeats its datagram. The RFC would have
/// a server refuse each request that is older than the newest with its key;
/// two secondaries that share a key and not a clock could then not work. So
/// only the same request is refused, as BADTIME.
#[derive(Debug)]
pub struct Replays {
    most: usize,
    /// What is remembered, by the second until which it is good.
    until: BTreeSet<(u64, Vec<u8>)>,
    seen: BTreeMap<Vec<u8>, u64>,
}

impl Replays {
    /// Remembers at most `most` requests. When more come within their time,
    /// new ones are refused until old ones have expired: to forget would be to
    /// let them in again.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            until: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Lets a request through once.
    ///
    /// # Errors
    /// [`Rejected`] with BADTIME, if it was seen before.
    pub fn admit(&mut self, signed: Signed, now: SystemTime) -> Result<Signed, Rejected> {
        let now = seconds(now);
        while let Some((until, _)) = self.until.first()
            && *until < now
        {
            if let Some((_, mac)) = self.until.pop_first() {
                self.seen.remove(&mac);
            }
        }
        if self.seen.contains_key(signed.mac()) || self.seen.len() >= self.most {
            return Err(signed.reject(TsigError::BadTime, now));
        }
        let (until, mac) = (signed.valid_until(), signed.mac().to_vec());
        self.seen.insert(mac.clone(), until);
        self.until.insert((until, mac));
        Ok(signed)
    }
}

impl Default for Replays {
    /// Up to 65,536, about 10 MB: 200 transfers a second.
    fn default() -> Self {
        Self::new(65_536)
    }
}
