//! Both ends of TLS show a certificate: the server knows who its client is,
//! and lets nobody in whom its authority does not vouch for. One program is
//! both sides; `cargo run -p ropewalk-core --features test-ca --example
//! tls_client_certs` prints what the server knows.

use std::{io::Write, process::ExitCode, time::Duration};

use ropewalk_core::{
    tls::{ClientCertificates, TestCa},
    *,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Says who is there, and then echoes.
#[derive(Default)]
struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let tls = t.peer().tls.as_ref();
        let who = tls.and_then(|tls| tls.identity()).ok_or("nobody")?;
        t.write(format_args!("hello, {}\n", who.dns_names.join(", ")));
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

fn main() -> ExitCode {
    run(async {
        let ca = TestCa::new()?;
        let mut options = ServerOptions::default();
        let server = ca.server(&["localhost"])?;
        options.tls =
            Some(server.client_certificates(ca.pem().as_bytes(), ClientCertificates::Required)?);
        let endpoint: ServerEndpoint = "tls:0".parse()?;
        let server = endpoint.listen_with(each::<Echo>(), options).await?;

        let (chain, key) = ca.issue(&["ada.test"])?;
        let mut options = ConnectOptions::default();
        options.tls = Some(ca.client()?.certificate(chain.as_bytes(), key.as_bytes())?);
        let port = server.port().ok_or("no port")?;
        let endpoint: ClientEndpoint = format!("tls:localhost:{port}").parse()?;
        let mut conn = endpoint.connect_with(&options).await?;
        conn.write_all(b"it echoes\n").await?;
        conn.shutdown().await?;
        let mut said = String::new();
        conn.read_to_string(&mut said).await?;
        write!(std::io::stdout(), "{said}")?;
        drop(conn);
        server.drain(Duration::ZERO, Duration::from_secs(5)).await;
        Ok(())
    })
}
