//! What the operator is told when certificates, keys or trust cannot be used.

use std::{io, path::PathBuf};

/// A certificate, key or trust that cannot be used. The operator is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file, or a piece of PEM, does not hold what it should.
    #[error("{place}: {expected}")]
    Pem {
        /// The file, or "PEM" where there is none.
        place: String,
        /// What should be there.
        expected: &'static str,
    },
    /// Certificate and key do not fit, or the configuration cannot be.
    #[error("{place}: {source}")]
    Config {
        /// The file, or "PEM" where there is none.
        place: String,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A file in a folder of certificates, or the folder itself, cannot be
    /// used as it is.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate that should replace another one is not valid now, and
    /// the other one is.
    #[error("{place}: the certificate {why}")]
    NotValid {
        /// The file.
        place: String,
        /// "expired on …" or "is not valid before …".
        why: String,
    },
    /// The platform has no certificate that could be trusted.
    #[error(
        "the platform trusts no certificate authority: install ca-certificates, or name one by ca="
    )]
    NoPlatformTrust,
    /// A certificate cannot be made: a name that cannot stand in one, or no
    /// randomness.
    #[cfg(feature = "test-ca")]
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A `tls:` server with no certificate.
    #[error("{0} needs a certificate: name it by cert= and key=, or a folder of them by certs=")]
    NoCertificate(String),
    /// A configuration of rustls that was handed in says itself whose
    /// certificates it takes. The program is at fault.
    #[error("whose client certificates are taken is said in the configuration that was handed in")]
    OwnConfig,
}
