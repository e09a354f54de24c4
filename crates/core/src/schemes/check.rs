//! What is known of a server's endpoint before it listens.

use super::{ListenError, Schemes};
use crate::{ServerEndpoint, endpoint::ServerSpec};

impl Schemes {
    /// Finds what is wrong with an endpoint without listening on it: that its scheme is not known,
    /// or that a file which it names cannot be used. Whether the address is free shows only when
    /// it listens.
    ///
    /// # Errors
    /// What [`listen`](Self::listen) would say of these.
    pub fn check(&self, endpoint: &ServerEndpoint) -> Result<(), ListenError> {
        match &endpoint.spec {
            #[cfg(feature = "tls")]
            ServerSpec::Tls(tls) => Ok(crate::tls::Asked::of(tls).map(drop)?),
            #[cfg(not(feature = "tls"))]
            ServerSpec::Tls(_) => Err(ListenError::unsupported(endpoint, "built without TLS")),
            ServerSpec::Haproxy(haproxy) => self.check(&haproxy.inner),
            ServerSpec::Other(description) => {
                if !self.added.contains_key(description.scheme()) {
                    return Err(ListenError::unsupported(endpoint, self.known()));
                }
                match description.inner() {
                    Some(inner) => self.check(&inner.parse()?),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: &str) -> Result<(), String> {
        let endpoint = endpoint.parse().unwrap();
        Schemes::new().check(&endpoint).map_err(|e| e.to_string())
    }

    #[test]
    fn what_needs_no_listening_is_known_before() {
        assert_eq!(check("tcp:80"), Ok(()));
        // The program may supply a certificate.
        assert_eq!(check("tls:443"), Ok(()));
        let unknown = check("quic:443").unwrap_err();
        assert!(unknown.contains("the schemes are tcp, tls"), "{unknown}");
        assert_eq!(check("haproxy/quic:443").unwrap_err(), unknown);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_file_that_is_not_there_is_named() {
        let missing = check("tls:443:cert=/nowhere.pem").unwrap_err();
        assert!(missing.starts_with("/nowhere.pem: "), "{missing}");
        let missing = check("tls:443:certs=/nowhere").unwrap_err();
        assert!(missing.starts_with("/nowhere: "), "{missing}");
        let missing = check("tls:443:client-ca=/nowhere.pem").unwrap_err();
        assert!(missing.starts_with("/nowhere.pem: "), "{missing}");
    }
}
