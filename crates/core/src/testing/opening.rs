//! The first words of a jump, on the bench.

use crate::jumps::{
    self, Destination, Login, http_connect::HttpConnect, proxy::Decoder, socks5::Socks5,
};

/// What is read at the start of a stream before the endpoint behind a jump
/// begins. For tests that feed it what nobody expects: it must take as much
/// however it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// The header of the PROXY protocol that a server reads.
    ProxyHeader,
    /// The answers of a SOCKS5 proxy to a client with a password.
    Socks5,
    /// The answer of an HTTP proxy to a client's CONNECT.
    HttpConnect,
}

impl Opening {
    /// Reads these pieces, as far as it goes: what came of it in words, and how
    /// many bytes it took if it is over well.
    pub fn read(self, pieces: &[&[u8]]) -> (String, Option<usize>) {
        let destination = Destination::Name("lab.test".to_owned());
        let login = Login {
            user: "user".to_owned(),
            password: "secret".to_owned(),
        };
        match self {
            Self::ProxyHeader => {
                let mut decoder = Decoder::default();
                let (said, taken) = read(&mut decoder, pieces);
                (said + &format!("{:?}", decoder.header()), taken)
            }
            Self::Socks5 => read(&mut Socks5::new(destination, 443, Some(login)), pieces),
            Self::HttpConnect => read(
                &mut HttpConnect::new(&destination, 443, Some(&login)),
                pieces,
            ),
        }
    }
}

fn read<O>(opening: &mut O, pieces: &[&[u8]]) -> (String, Option<usize>)
where
    O: jumps::Opening<Error: std::fmt::Debug>,
{
    let mut said = String::new();
    let mut taken = 0;
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            said += &opening.output().escape_ascii().to_string();
            let wants = opening.wants();
            if wants == 0 {
                return (said, Some(taken));
            }
            let (some, behind) = rest.split_at(wants.min(rest.len()));
            if let Err(error) = opening.received(some) {
                return (said + &format!("{error:?}"), None);
            }
            taken += some.len();
            rest = behind;
        }
    }
    said += &opening.output().escape_ascii().to_string();
    (said, (opening.wants() == 0).then_some(taken))
}
