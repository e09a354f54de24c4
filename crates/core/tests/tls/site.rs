//! A server in memory with TLS before it, and the folder it serves.

use std::{fs, io, path::Path, sync::Arc};

use ropewalk_core::{
    Connection, Input, Limits, Protocol, Result, Schemes, Server, ServerEndpoint, ServerOptions,
    Transport, protocol,
    tls::{Fingerprint, ServerName, TlsClient, TlsInfo, TlsServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

/// Answers with what it got.
#[derive(Default)]
pub(crate) struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

/// An echo behind TLS.
pub(crate) struct Site {
    pub(crate) schemes: Schemes,
    pub(crate) server: Server,
    /// What the server knows of each that came in.
    pub(crate) came: mpsc::UnboundedReceiver<Arc<TlsInfo>>,
}

impl Site {
    pub(crate) async fn new(tls: &TlsServer) -> Self {
        Self::with_limits(tls, Limits::default()).await
    }

    pub(crate) async fn with_limits(tls: &TlsServer, limits: Limits) -> Self {
        let schemes = Schemes::new();
        let (sender, came) = mpsc::unbounded_channel();
        let make = protocol(move |peer| {
            sender.send(peer.tls.clone().unwrap()).unwrap();
            Echo
        });
        let mut options = ServerOptions::from(limits);
        options.schemes = schemes.clone();
        options.layers.push(Arc::new(tls.clone()));
        let endpoint: ServerEndpoint = "mem:site".parse().unwrap();
        let server = endpoint.listen_with(make, options).await.unwrap();
        Self {
            schemes,
            server,
            came,
        }
    }

    pub(crate) async fn plain(&self) -> Connection {
        let endpoint = "mem:site".parse().unwrap();
        self.schemes.connect(&endpoint).await.unwrap()
    }

    pub(crate) async fn connect(&self, client: &TlsClient, name: &str) -> io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let plain = self.plain().await;
        plain.wrap(|stream| client.connect(stream, name)).await
    }

    /// The certificate that somebody new is served who asks for this name.
    pub(crate) async fn serves(&self, name: &str) -> Fingerprint {
        // A client that was here before would resume its session.
        let client = TlsClient::insecure_no_verify();
        let mut conn = self.connect(&client, name).await.unwrap();
        echoes(&mut conn).await.unwrap();
        Fingerprint::of(&conn.peer().tls.as_ref().unwrap().certificates[0])
    }
}

/// A round trip: only after it does the client of TLS 1.3 know that it came in.
pub(crate) async fn echoes(conn: &mut Connection) -> io::Result<()> {
    conn.write_all(b"hello").await?;
    conn.flush().await?;
    let mut heard = [0; 5];
    conn.read_exact(&mut heard).await?;
    assert_eq!(&heard, b"hello");
    Ok(())
}

/// Files in a folder of their own.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        files
            .iter()
            .for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
    }

    pub(crate) fn serve(&self) -> TlsServer {
        TlsServer::from_folder(self.path()).unwrap()
    }
}
