//! Logging in to our own server over TLS, by endpoint strings as users write
//! them.

use std::{fs, sync::Arc};

use ropewalk_core::{
    ConnectOptions, Server, ServerEndpoint, ServerOptions, factory,
    tls::{ClientCertificates, TestCa, TlsServer},
};
use ropewalk_cred::{NewHash, sasl::Login};
use ropewalk_words_irc::{
    client::{Builder, Client, Ended, Error, RegistrationError},
    server::{
        Network, NetworkOptions,
        accounts::{AccountOptions, Accounts},
        registered::{MemoryDisk, Store},
    },
};
use tempfile::TempDir;

use crate::talk::client;

/// A network with accounts, behind TLS, and the files that clients need.
struct Site {
    server: Server,
    folder: TempDir,
}

impl Site {
    async fn start(hash: NewHash) -> Self {
        let (ca, folder) = (TestCa::new().unwrap(), TempDir::new().unwrap());
        let (chain, key) = ca.issue(&["127.0.0.1"]).unwrap();
        let tls = TlsServer::from_pem(chain.as_bytes(), key.as_bytes())
            .unwrap()
            .client_certificates(ca.pem().as_bytes(), ClientCertificates::Optional)
            .unwrap();
        fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        let (chain, key) = ca.issue(&["ada.test"]).unwrap();
        fs::write(folder.path().join("ada.pem"), chain).unwrap();
        fs::write(folder.path().join("ada.key"), key).unwrap();

        let mut options = NetworkOptions::default();
        let store = Store::open_shared(Arc::new(MemoryDisk::new()), options.case_mapping).unwrap();
        let mut accounts = AccountOptions::default();
        accounts.hash = hash;
        options.accounts = Some(Arc::new(Accounts::new(store, accounts)));
        let endpoint: ServerEndpoint = "tls:0".parse().unwrap();
        let mut serve = ServerOptions::default();
        serve.tls = Some(tls);
        let handler = factory(Network::new(options));
        let server = endpoint.listen_with(handler, serve).await.unwrap();
        Self { server, folder }
    }

    /// Where a client connects; with a certificate of its own or none.
    fn endpoint(&self, certificate: bool) -> String {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let port = self.server.local_address().inet().unwrap().port();
        let mut endpoint = format!("tls:127.0.0.1:{port}:ca={}", file("ca.pem"));
        if certificate {
            endpoint += &format!(":cert={}:key={}", file("ada.pem"), file("ada.key"));
        }
        endpoint
    }

    /// Ada has an account, and her certificate is its.
    async fn register(&self) {
        let mut ada = start(
            client("ada", &ConnectOptions::default()),
            &self.endpoint(true),
        )
        .await;
        ada.send("REGISTER", &["*", "*", "sesame"]).await.unwrap();
        account(&mut ada, "ada").await;
        ada.send("PRIVMSG", &["NickServ", "CERT ADD"])
            .await
            .unwrap();
        while let Some(event) = ada.next().await {
            if event.text().is_some_and(|it| it.contains("logs you in")) {
                break;
            }
        }
        ada.quit("done").await;
    }

    /// What comes of a login.
    async fn log_in(&self, login: Login, certificate: bool) -> Result<Client, Error> {
        let builder = client("bob", &ConnectOptions::default());
        let builder = builder.login(login).without_reconnect();
        builder.connect(&self.endpoint(certificate)).await
    }
}

async fn start(builder: Builder, endpoint: &str) -> Client {
    builder.connect(endpoint).await.unwrap()
}

/// Reads until the client is logged in as this.
async fn account(client: &mut Client, name: &str) {
    while client
        .with(|state| state.account().map(str::to_owned))
        .as_deref()
        != Some(name)
    {
        client.next().await.expect("the connection is there");
    }
}

#[tokio::test]
async fn a_password_logs_in_by_scram_and_a_wrong_one_does_not() {
    let site = Site::start(NewHash::ScramSha256 { iterations: 4096 }).await;
    site.register().await;
    let mut client = site
        .log_in(Login::password("ada", "sesame"), false)
        .await
        .unwrap();
    account(&mut client, "ada").await;
    let refused = site.log_in(Login::password("ada", "wrong"), false).await;
    let Err(Error::Ended(Ended::Registration(why))) = refused else {
        panic!("a wrong password is told from what may pass");
    };
    assert!(
        matches!(why, RegistrationError::LoginRefused { .. }),
        "{why}"
    );
}

/// Where the server keeps what SCRAM cannot use, it is PLAIN, within TLS.
#[tokio::test]
async fn a_password_logs_in_by_plain() {
    let site = Site::start(NewHash::default()).await;
    site.register().await;
    let mut client = site
        .log_in(Login::password("ada", "sesame"), false)
        .await
        .unwrap();
    account(&mut client, "ada").await;
}

#[tokio::test]
async fn a_certificate_logs_in() {
    let site = Site::start(NewHash::ScramSha256 { iterations: 4096 }).await;
    site.register().await;
    let certificate = || Login::Certificate { act_as: None };
    let mut client = site.log_in(certificate(), true).await.unwrap();
    account(&mut client, "ada").await;
    let refused = site.log_in(certificate(), false).await;
    assert!(matches!(refused, Err(Error::Ended(Ended::Registration(_)))));
}
