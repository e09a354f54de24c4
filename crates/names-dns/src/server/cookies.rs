//! Server cookies (RFC 7873), interoperable between servers that share a secret
//! (RFC 9018): who brings a good one receives at the address it sends from, so
//! it is no victim of somebody's forged questions.

use std::{
    fmt,
    hash::Hasher,
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use siphasher::sip::SipHasher24;

/// The key that cookies are made with: 128 bits that all servers of one name
/// share.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecret([u8; 16]);

impl CookieSecret {
    /// This one.
    pub fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// One that nobody knows, nor this server after a restart.
    pub fn random() -> Self {
        let mut secret = [0; 16];
        ropewalk_core::fill_random(&mut secret);
        Self(secret)
    }
}

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// What a COOKIE option holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// A length that no cookie has: FORMERR (RFC 7873, section 5.2.2).
    Malformed,
    /// The client's part, and whether the server's part is there and ours.
    Client([u8; 8], bool),
}

/// A cookie in an answer: the client's part and ours.
pub(crate) const LENGTH: usize = 24;

/// How old a cookie of ours may be, in seconds, and how far in the future: as
/// RFC 9018, section 4.3, has it.
const OLDEST: u32 = 3600;
const NEWEST: u32 = 300;

impl CookieSecret {
    /// Reads the option as it came from `from`.
    pub(crate) fn check(&self, option: &[u8], from: IpAddr, now: SystemTime) -> Cookie {
        let (Some((client, server)), 8 | 16..=40) = (option.split_first_chunk(), option.len())
        else {
            return Cookie::Malformed;
        };
        let fresh = || {
            let server: [u8; 16] = server.try_into().ok()?;
            let [1, _, _, _, t0, t1, t2, t3, ..] = server else {
                return None;
            };
            let made = u32::from_be_bytes([t0, t1, t2, t3]);
            // In serial arithmetic, as the RFC says: it wraps in 2106.
            let age = seconds(now).wrapping_sub(made);
            let in_time = age <= OLDEST || age.wrapping_neg() <= NEWEST;
            let [head @ .., _, _, _, _, _, _, _, _] = server;
            (in_time && self.make(*client, head, from) == server).then_some(())
        };
        Cookie::Client(*client, fresh().is_some())
    }

    /// Both parts, for an answer.
    pub(crate) fn answer(&self, client: [u8; 8], to: IpAddr, now: SystemTime) -> [u8; LENGTH] {
        let [t0, t1, t2, t3] = seconds(now).to_be_bytes();
        let server = self.make(client, [1, 0, 0, 0, t0, t1, t2, t3], to);
        let mut both = [0; LENGTH];
        both[..8].copy_from_slice(&client);
        both[8..].copy_from_slice(&server);
        both
    }

    fn make(&self, client: [u8; 8], head: [u8; 8], peer: IpAddr) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&client);
        hasher.write(&head);
        match peer {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        let mut server = [0; 16];
        server[..8].copy_from_slice(&head);
        server[8..].copy_from_slice(&hasher.finish().to_le_bytes());
        server
    }
}

fn seconds(now: SystemTime) -> u32 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Modulo 2^32, as the RFC says.
    u32::try_from(since.as_secs() & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// RFC 9018, appendix A.1 to A.4.
    #[test]
    fn cookies_are_those_of_the_rfc() {
        let secret = hex("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let secret = CookieSecret::new(secret.try_into().unwrap());
        let client: [u8; 8] = hex("2464c4abcf10c957").try_into().unwrap();
        let from = "198.51.100.100".parse().unwrap();
        let made = secret.answer(client, from, at(1_559_731_985));
        let expected = hex("2464c4abcf10c957 010000005cf79f111f8130c3eee29480");
        assert_eq!(made[..], expected);
        assert_eq!(
            secret.check(&made, from, at(1_559_731_985 + 3600)),
            Cookie::Client(client, true)
        );
        // A.2: the reserved octets are part of it, and need not be zero.
        let client: [u8; 8] = hex("fc93fc62807ddb86").try_into().unwrap();
        let from = "203.0.113.203".parse().unwrap();
        let theirs = hex("fc93fc62807ddb86 01abcdef5cf78f71a314227b6679ebf5");
        let check = secret.check(&theirs, from, at(1_559_727_985 + 1800));
        assert_eq!(check, Cookie::Client(client, true));
        // A.4: IPv6.
        let secret = hex("445536bcd2513298075a5d379663c962");
        let secret = CookieSecret::new(secret.try_into().unwrap());
        let from = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let client: [u8; 8] = hex("22681ab97d52c298").try_into().unwrap();
        let made = secret.answer(client, from, at(1_559_741_961));
        let expected = hex("22681ab97d52c298 010000005cf7c609a6bb79d16625507a");
        assert_eq!(made[..], expected);
    }

    #[test]
    fn a_cookie_is_for_its_address_and_its_hour() {
        let secret = CookieSecret::new([7; 16]);
        let from: IpAddr = "192.0.2.1".parse().unwrap();
        let now = at(1_700_000_000);
        let mine = secret.answer(*b"12345678", from, now);
        let good = |from, now| secret.check(&mine, from, now) == Cookie::Client(*b"12345678", true);
        assert!(good(from, now));
        assert!(good(from, now + Duration::from_secs(3600)));
        assert!(!good(from, now + Duration::from_secs(3601)));
        assert!(good(from, now - Duration::from_secs(300)));
        assert!(!good(from, now - Duration::from_secs(301)));
        assert!(!good("192.0.2.2".parse().unwrap(), now));
        let mut changed = mine;
        changed[23] ^= 1;
        let check = secret.check(&changed, from, now);
        assert_eq!(check, Cookie::Client(*b"12345678", false));
        for length in (0..8).chain(9..16).chain([41, 60]) {
            assert_eq!(
                secret.check(&vec![0; length], from, now),
                Cookie::Malformed,
                "{length}"
            );
        }
        let alone = secret.check(b"12345678", from, now);
        assert_eq!(alone, Cookie::Client(*b"12345678", false));
    }
}
