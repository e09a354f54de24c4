//! Questions over HTTPS (RFC 8484): hyper's HTTP/2 over core's connections.
//!
//! One connection is kept with a server, and all questions share it. An answer's TTLs are lowered by
//! the age that caches on the way gave it (RFC 8484, section 5.1).

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, Uri, Version,
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    header,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ropewalk_core::{ClientEndpoint, ConnectOptions};
use tokio::task::JoinSet;

use super::Counters;
use crate::proto::{
    RecordType,
    exchange::{
        Trouble,
        pending::{Arrival, Pending},
    },
    walk::Walk,
};

/// The media type of a message (RFC 8484, section 6).
const MESSAGE: &str = "application/dns-message";

/// How long a server may be silent, while it owes answers, until it is asked whether it is there;
/// and for how long the answer to that is waited for.
const ASK_ALIVE: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// The URL of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) host: String,
    pub(super) port: u16,
    path: String,
    pub(super) by_get: bool,
}

impl Url {
    /// Reads `https://HOST[:PORT]/PATH`; of a template only `{?dns}` at its end.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let bare = text.strip_suffix("{?dns}").unwrap_or(text);
        let uri: Uri = bare.parse().map_err(|error| format!("{error}"))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("no host, expected https://HOST/PATH")?;
        if uri.query().is_some() || bare.contains(['{', '}']) {
            return Err("a template other than {?dns} at the end is not known".to_owned());
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(443),
            path: uri.path().to_owned(),
            by_get: false,
        })
    }

    fn authority(&self) -> String {
        match self.port {
            443 => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

/// The connection that is kept with one server.
pub(super) struct Https {
    url: Url,
    endpoint: ClientEndpoint,
    options: ConnectOptions,
    counters: Counters,
    tasks: Tasks,
    /// Held while connecting, so that the others wait for that connection.
    sender: tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Https {
    pub(super) fn new(
        url: Url,
        endpoint: ClientEndpoint,
        options: ConnectOptions,
        counters: Counters,
    ) -> Self {
        Self {
            url,
            endpoint,
            options,
            counters,
            tasks: Tasks::default(),
            sender: tokio::sync::Mutex::new(None),
        }
    }

    /// Sends a query, and waits for the answer for as long as the caller does.
    pub(super) async fn ask(&self, mut query: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        // The id is 0, so that equal questions look equal to caches (RFC 8484, section 4.1).
        let mut pending = Pending::new();
        let unreadable = |()| Trouble::Malformed;
        pending.add(&mut query, (), &mut || 0).map_err(unreadable)?;
        let query = Bytes::from(query);
        let response = loop {
            let (mut sender, is_new) = self.sender().await?;
            self.counters.sent.increment();
            match sender.send_request(self.request(&query)?).await {
                Ok(response) => break response,
                // It had been idle, and is gone.
                Err(_) if !is_new && sender.is_closed() => {}
                Err(error) => return Err(Trouble::Ended(error.to_string())),
            }
        };
        let message = read(response).await?;
        match pending.arrived(&message) {
            Arrival::Stray => Err(Trouble::Malformed),
            _ => Ok(message),
        }
    }

    fn request(&self, query: &Bytes) -> Result<Request<Full<Bytes>>, Trouble> {
        let url = &self.url;
        let (method, path, body) = match url.by_get {
            true => {
                let coded = URL_SAFE_NO_PAD.encode(query);
                let path = format!("{}?dns={coded}", url.path);
                (Method::GET, path, Bytes::new())
            }
            false => (Method::POST, url.path.clone(), query.clone()),
        };
        let request = Request::builder()
            .method(method)
            .version(Version::HTTP_2)
            .uri(format!("https://{}{path}", url.authority()))
            .header(header::ACCEPT, MESSAGE);
        let request = match url.by_get {
            true => request,
            false => request.header(header::CONTENT_TYPE, MESSAGE),
        };
        let request = request.body(Full::new(body));
        request.map_err(|error| Trouble::Unreachable(error.to_string()))
    }

    async fn sender(&self) -> Result<(SendRequest<Full<Bytes>>, bool), Trouble> {
        let mut kept = self.sender.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), false));
        }
        *kept = None;
        let connection = self.endpoint.connect_with(&self.options).await;
        let connection = connection.map_err(|error| Trouble::Unreachable(error.to_string()))?;
        let handshake = Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            // A connection that leads nowhere any more is noticed, and made anew.
            .keep_alive_interval(ASK_ALIVE)
            .keep_alive_timeout(ALIVE_WITHIN)
            .handshake(TokioIo::new(connection));
        let (sender, running) = handshake
            .await
            .map_err(|error| Trouble::Unreachable(error.to_string()))?;
        self.counters.connections.increment();
        self.tasks.spawn(async move {
            if let Err(error) = running.await {
                tracing::debug!(%error, "the connection to a server of DNS over HTTPS ended");
            }
        });
        *kept = Some(sender.clone());
        Ok((sender, true))
    }
}

async fn read(response: Response<Incoming>) -> Result<Vec<u8>, Trouble> {
    let ended = |what: String| Trouble::Ended(what);
    if response.status() != StatusCode::OK {
        return Err(ended(format!("HTTP status {}", response.status())));
    }
    let header = |name| {
        let value = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let media = header(header::CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default();
    if !media.trim().eq_ignore_ascii_case(MESSAGE) {
        return Err(ended(format!(
            "the media type {media:?}, expected {MESSAGE}"
        )));
    }
    let age = header(header::AGE).trim().parse().unwrap_or(0);
    let body = Limited::new(response.into_body(), usize::from(u16::MAX));
    let body = body
        .collect()
        .await
        .map_err(|error| ended(error.to_string()))?;
    let mut message = body.to_bytes().to_vec();
    grow_older(&mut message, age);
    Ok(message)
}

/// Lowers every TTL by so many seconds.
fn grow_older(message: &mut [u8], age: u32) {
    if age == 0 {
        return;
    }
    let Ok(walk) = Walk::read(message) else {
        return;
    };
    let ttls: Vec<_> = walk
        .records()
        .flatten()
        .filter(|record| record.record_type != RecordType::OPT)
        .map(|record| (record.ttl_at(), record.ttl))
        .collect();
    for (at, ttl) in ttls {
        message[at..at + 4].copy_from_slice(&ttl.saturating_sub(age).to_be_bytes());
    }
}

/// What runs for the connection, and ends with it.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        // The tasks hold the set through hyper, so it would not go by itself.
        self.tasks
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(async move {
            task.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_templates() {
        for (text, shown) in [
            (
                "https://dns.example/dns-query",
                "https://dns.example/dns-query",
            ),
            ("HTTPS://DNS.example:443/q{?dns}", "https://dns.example/q"),
            ("https://[::1]:8443", "https://[::1]:8443/"),
        ] {
            assert_eq!(Url::read(text).unwrap().to_string(), shown);
        }
        for text in ["https://", "https:///x", "https://a/?b=c", "https://a/{x}"] {
            assert!(Url::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn age_is_taken_off_every_ttl() {
        let mut message = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        message.extend([0, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
        grow_older(&mut message, 100);
        let ttl = |message: &[u8]| {
            let record = Walk::read(message).unwrap().records().next();
            record.unwrap().unwrap().ttl
        };
        assert_eq!(ttl(&message), 200);
        grow_older(&mut message, 1000);
        assert_eq!(ttl(&message), 0);
    }
}
