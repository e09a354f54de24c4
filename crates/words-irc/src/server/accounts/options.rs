//! What an operator decides of accounts.

use std::time::Duration;

use ropewalk_cred::{HashLimits, NewHash, sasl::ScramHash};

/// What an operator decides of accounts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccountOptions {
    /// Whether people may register accounts. Default true.
    pub registration: bool,
    /// Whether they may do so before they are registered with the network, as
    /// `before-connect` says. Default true; never so where the network has a
    /// password.
    pub before_connect: bool,
    /// Whether an account may have another name than one's nick
    /// (`custom-account-name`). Default false: the nick of an account's name is
    /// that account's.
    pub custom_account_name: bool,
    /// Whether a mail address must be given. Default false. Where there is a
    /// [`Courier`](super::Courier), it must, and is verified.
    pub email_required: bool,
    /// Accounts at most, after which nobody registers one. Default 100,000: the file is written as
    /// a whole, and addresses to register from are cheap.
    pub accounts: usize,
    /// Characters of a password at least. Default 6.
    pub shortest_password: usize,
    /// How passwords are kept. Default keys of SCRAM-SHA-256, so that clients
    /// which know it never show their password to anybody; argon2id is slower to
    /// guess from a file that was lost, and SCRAM is not offered then.
    pub hash: NewHash,
    /// How much is hashed at a time.
    pub hashing: HashLimits,
    /// Registrations from one address (an IPv6 /64) within an hour, before they
    /// are refused. Default 12; what asks whether a name is taken counts too.
    pub registrations: u32,
    /// Whether addresses of this machine are held to it, and to the back-off
    /// against guessing. Default true: a proxy on it speaks for everybody.
    pub loopback_exempt: bool,
    /// Certificates that log in one account. Default 8.
    pub certificates: usize,
    /// Channels that one account may register. Default 20.
    pub channels: usize,
    /// Accounts on the access list of one channel. Default 256.
    pub access: usize,
    /// Take passwords where others may read along: PLAIN without TLS, and
    /// `NickServ`. Default false. For loopback and laboratories.
    pub allow_passwords_without_tls: bool,
    /// What is done about somebody with another's nick.
    pub nicks: NickReservation,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            registration: true,
            before_connect: true,
            custom_account_name: false,
            email_required: false,
            accounts: 100_000,
            shortest_password: 6,
            hash: NewHash::ScramSha256 {
                iterations: ScramHash::ITERATIONS,
            },
            hashing: HashLimits::default(),
            registrations: 12,
            loopback_exempt: true,
            certificates: 8,
            channels: 20,
            access: 256,
            allow_passwords_without_tls: false,
            nicks: NickReservation::default(),
        }
    }
}

/// What is done about somebody whose nick is an account's that they are not
/// logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NickReservation {
    /// Nothing; nicks belong to who has them.
    Off,
    /// They are told to log in, and get another nick after so long. The default,
    /// with 60 s. An account may be stricter for itself.
    Rename(Duration),
    /// They do not get it.
    Strict,
}

impl Default for NickReservation {
    fn default() -> Self {
        Self::Rename(Duration::from_secs(60))
    }
}
