//! argon2id (RFC 9106) in PHC strings.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use zeroize::Zeroizing;

use crate::{Random, Secret, prepare_password, secret};

/// What a new argon2id hash costs: 19 MiB, two passes and one lane, as OWASP
/// asks at least; some 20 ms on a machine of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Argon2Cost {
    fn default() -> Self {
        Self::with(19 * 1024, 2, 1)
    }
}

impl Argon2Cost {
    /// This memory in KiB, passes over it, and lanes.
    pub const fn with(memory_kib: u32, passes: u32, lanes: u32) -> Self {
        Self {
            memory_kib,
            passes,
            lanes,
        }
    }

    /// Memory, in KiB. Default 19,456.
    pub fn memory_kib(self, memory_kib: u32) -> Self {
        Self { memory_kib, ..self }
    }

    /// Passes over it. Default 2.
    pub fn passes(self, passes: u32) -> Self {
        Self { passes, ..self }
    }

    /// Lanes. They are computed one after the other. Default 1.
    pub fn lanes(self, lanes: u32) -> Self {
        Self { lanes, ..self }
    }

    /// The hash of a password, with a new salt, as a PHC string. An error says
    /// that the cost is outside of what [`PasswordHash`](crate::PasswordHash)
    /// reads.
    pub fn hash(self, password: &[u8]) -> Result<String, CostError> {
        self.hash_with(&Random::system(), password)
    }

    /// The same with a salt from `random`, which a simulation brings.
    pub fn hash_with(self, random: &Random, password: &[u8]) -> Result<String, CostError> {
        let salt = random.bytes::<16>();
        let argon2 = self.algorithm(Algorithm::Argon2id).ok_or(CostError)?;
        let mut out = Zeroizing::new([0; 32]);
        let password = prepare_password(password);
        argon2
            .hash_password_into(password.expose(), &salt, &mut *out)
            .map_err(|_| CostError)?;
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        let (salt, out) = (BASE64.encode(salt), BASE64.encode(*out));
        Ok(format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${out}"
        ))
    }

    /// Limits keep a slip of the pen in a file from costing gigabytes a login:
    /// at most 1 GiB, 100 passes, 64 lanes.
    fn algorithm(self, algorithm: Algorithm) -> Option<Argon2<'static>> {
        if self.memory_kib > 1 << 20 || self.passes > 100 || self.lanes > 64 {
            return None;
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).ok()?;
        Some(Argon2::new(algorithm, Version::V0x13, params))
    }
}

/// The cost is out of bounds: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argon2id takes 8 KiB a lane to 1 GiB of memory, 1 to 100 passes, 1 to 64 lanes")]
pub struct CostError;

#[derive(Clone)]
pub(super) struct Hashed {
    algorithm: Algorithm,
    cost: Argon2Cost,
    salt: Vec<u8>,
    out: Secret,
}

impl Hashed {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "$argon2id$v=19$m=…,t=…,p=…$SALT$HASH";
        const COST: &str =
            "a cost of 8 KiB a lane to 1 GiB (m), 1 to 100 passes (t), 1 to 64 lanes (p)";
        let mut parts = text.split('$');
        let (Some(""), Some(name), Some(version), Some(params), Some(salt), Some(out), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(SHAPE);
        };
        let algorithm = if name == "argon2id" {
            Algorithm::Argon2id
        } else {
            Algorithm::Argon2i
        };
        if version != "v=19" {
            return Err("argon2 of version 19");
        }
        let mut numbers = params
            .split(',')
            .zip(["m=", "t=", "p="])
            .map(|(part, prefix)| part.strip_prefix(prefix)?.parse().ok());
        let (Some(Some(memory_kib)), Some(Some(passes)), Some(Some(lanes)), 3) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            params.split(',').count(),
        ) else {
            return Err(SHAPE);
        };
        let cost = Argon2Cost {
            memory_kib,
            passes,
            lanes,
        };
        cost.algorithm(algorithm).ok_or(COST)?;
        let [salt, out] = [salt, out].map(|it| BASE64.decode(it.trim_end_matches('=')));
        match (salt, out) {
            // RFC 9106, section 3.1; the upper bounds are ours.
            (Ok(salt), Ok(out))
                if (8..=64).contains(&salt.len()) && (16..=128).contains(&out.len()) =>
            {
                Ok(Self {
                    algorithm,
                    cost,
                    salt,
                    out: out.into(),
                })
            }
            _ => Err("a salt of 8 to 64 and a hash of 16 to 128 bytes, in base64"),
        }
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let Some(argon2) = self.cost.algorithm(self.algorithm) else {
            return false;
        };
        let mut out = Zeroizing::new(vec![0; self.out.len()]);
        argon2
            .hash_password_into(password, &self.salt, &mut out)
            .is_ok()
            && secret::same(&out, self.out.expose())
    }

    pub(super) fn name(&self) -> &'static str {
        if self.algorithm == Algorithm::Argon2id {
            "argon2id"
        } else {
            "argon2i"
        }
    }
}
