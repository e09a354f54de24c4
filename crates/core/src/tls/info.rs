//! What two sides agreed upon, for whoever speaks over it.

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, pki_types::CertificateDer};
use tokio_rustls::TlsStream;

use super::Identity;
use crate::Stream;

/// What two sides agreed upon.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol chosen by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The name the client asked for; on the server's side only.
    pub sni: Option<String>,
    /// The version, as `TLSv1_3`.
    pub version: Option<ProtocolVersion>,
    /// The group of the key exchange, as `X25519MLKEM768`; none where a
    /// session of TLS 1.2 was resumed, which exchanges no keys.
    pub group: Option<NamedGroup>,
    /// Whether an earlier session was resumed: no certificate was shown again,
    /// and the ones here are those of that session.
    pub resumed: bool,
    /// The peer's certificates, its own first; verified, unless verification
    /// was turned off by name.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The channel binding `tls-exporter` (RFC 9266), where TLS 1.3 or an
    /// extended master secret gives one.
    pub exporter: Option<[u8; 32]>,
}

impl TlsInfo {
    /// Who the peer is, as its certificate says; none where it showed none.
    ///
    /// Read anew at each call, so that a connection whose peer nobody asks for
    /// pays nothing for it.
    pub fn identity(&self) -> Option<Identity> {
        self.certificates.first().and_then(Identity::of)
    }

    pub(crate) fn of(stream: &TlsStream<Stream>) -> Self {
        let (_, common) = stream.get_ref();
        let label = b"EXPORTER-Channel-Binding";
        let (sni, exporter) = match stream {
            TlsStream::Server(s) => {
                let connection = s.get_ref().1;
                let exporter = connection.export_keying_material([0; 32], label, None);
                (connection.server_name().map(str::to_owned), exporter)
            }
            TlsStream::Client(s) => {
                let exporter = s.get_ref().1.export_keying_material([0; 32], label, None);
                (None, exporter)
            }
        };
        Self {
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            sni,
            version: common.protocol_version(),
            group: common.negotiated_key_exchange_group().map(|g| g.name()),
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            certificates: common
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|c| c.clone().into_owned())
                .collect(),
            exporter: exporter.ok(),
        }
    }
}
