//! Whose certificates a server takes from its clients, and the sessions that
//! rest on them.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs::Ticketer},
    server::{
        NoClientAuth, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
        WebPkiClientVerifier, danger::ClientCertVerifier,
    },
};

use super::{
    TlsError,
    pem::{config_error, read, roots},
};

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Who shows none is refused.
    Required,
    /// Who shows none is served, and has no identity; one that is shown must
    /// be good.
    Optional,
}

/// Where the authorities are.
pub(super) enum Authorities {
    Pem(Vec<u8>),
    File(PathBuf),
}

/// What is asked of clients, and what that means at present.
pub(crate) struct Clients {
    asked: Option<(Authorities, ClientCertificates)>,
    present: RwLock<Arc<Present>>,
}

/// A verifier, and the sessions that only it may have admitted. Both change
/// together: a ticket holds the certificate of who got it, and is not verified
/// again when it comes back.
pub(super) struct Present {
    /// The file as it was read.
    pem: Vec<u8>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) ticketer: Arc<dyn ProducesTickets>,
    pub(super) sessions: Arc<dyn StoresServerSessions>,
}

impl Clients {
    /// Asks them for nothing.
    pub(super) fn nothing() -> Result<Self, TlsError> {
        let present = Present::new(Vec::new(), Arc::new(NoClientAuth))?;
        Ok(Self {
            asked: None,
            present: RwLock::new(Arc::new(present)),
        })
    }

    pub(super) fn certificates(
        of: Authorities,
        which: ClientCertificates,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let present = Present::of(&of, which, of.read()?, provider)?;
        Ok(Self {
            asked: Some((of, which)),
            present: RwLock::new(Arc::new(present)),
        })
    }

    pub(super) fn present(&self) -> Arc<Present> {
        self.present
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the authorities again. If they are others, nobody resumes what
    /// the old ones admitted.
    pub(super) fn reload(&self, provider: Arc<CryptoProvider>) -> Result<(), TlsError> {
        let Some((of @ Authorities::File(_), which)) = &self.asked else {
            return Ok(());
        };
        let pem = of.read()?;
        if pem == self.present().pem {
            return Ok(());
        }
        let new = Arc::new(Present::of(of, *which, pem, provider)?);
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

impl Present {
    fn of(
        of: &Authorities,
        which: ClientCertificates,
        pem: Vec<u8>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let place = match of {
            Authorities::Pem(_) => "PEM".to_owned(),
            Authorities::File(path) => path.display().to_string(),
        };
        let roots: Arc<RootCertStore> = Arc::new(roots(&place, &pem)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match which {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional => builder.allow_unauthenticated(),
        };
        let failed = |e: rustls::server::VerifierBuilderError| {
            config_error(&place, rustls::Error::General(e.to_string()))
        };
        Self::new(pem, builder.build().map_err(failed)?)
    }

    fn new(pem: Vec<u8>, verifier: Arc<dyn ClientCertVerifier>) -> Result<Self, TlsError> {
        Ok(Self {
            pem,
            verifier,
            ticketer: Ticketer::new().map_err(|e| config_error("session tickets", e))?,
            sessions: ServerSessionMemoryCache::new(SESSIONS),
        })
    }
}

impl Authorities {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Pem(pem) => Ok(pem.clone()),
            Self::File(path) => read(path),
        }
    }
}

/// Sessions of TLS 1.2 by their ids, which clients without tickets need; each
/// takes a few hundred bytes.
const SESSIONS: usize = 1024;
