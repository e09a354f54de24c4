//! One connection after the other.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{BackOff, ClientEndpoint, ConnectOptions, Connection, wall_clock};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tracing::Instrument;

use super::{
    Error, StsEntry, StsStore,
    protocol::Irc,
    shared::{Shared, now},
};
use crate::proto::client::{Ended, Kind};

/// All that a client needs to connect again and again.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: ClientEndpoint,
    pub(super) connect: ConnectOptions,
    /// None: a connection that is lost is the end.
    pub(super) back_off: Option<BackOff>,
    pub(super) sts: Arc<dyn StsStore>,
    #[cfg(feature = "websocket")]
    pub(super) websocket: Option<crate::websocket::ConnectOptions>,
}

/// Told how the first attempt ended, if anybody waits for that.
pub(super) type First = Option<oneshot::Sender<Result<(), Error>>>;

impl Runner {
    pub(super) async fn run(self, mut first: First) {
        let mut retry = self.back_off.as_ref().map(BackOff::start);
        // Where the server wants to be spoken to, by its own word just now.
        let mut upgraded: Option<ClientEndpoint> = None;
        loop {
            let endpoint = match upgraded.take() {
                Some(endpoint) => endpoint,
                None => self.preferred(),
            };
            let begun = Instant::now();
            let (result, welcomed) = self.attempt(&endpoint, &mut first).await;
            self.remember(&endpoint);
            if let Error::Ended(Ended::Sts(port)) = &result
                && let Some(secure) = secured(&endpoint, *port)
            {
                tracing::info!(%endpoint, %secure, "the server wants TLS");
                upgraded = Some(secure);
                self.shared.lock().session.disconnected();
                continue;
            }
            let stopped = self.shared.stop.is_cancelled();
            let is_first = first.is_some();
            let lasted = if welcomed {
                begun.elapsed()
            } else {
                Duration::ZERO
            };
            let wait = match &mut retry {
                Some(retry) if !(stopped || is_first || result.is_final()) => retry.after(lasted),
                _ => None,
            };
            tracing::debug!(%endpoint, why = %result, ?wait, "disconnected");
            {
                let mut inner = self.shared.lock();
                inner.session.disconnected();
                inner.session.tell(Kind::Disconnected {
                    why: result.to_string().into(),
                    again_in: wait,
                });
                self.shared.pass_on(&mut inner);
            }
            self.shared.room.notify_waiters();
            if let Some(first) = first.take() {
                // Whoever waited for it may have given up.
                let _ = first.send(Err(result));
            }
            let Some(wait) = wait else { break };
            if self
                .shared
                .stop
                .run_until_cancelled(sleep(wait))
                .await
                .is_none()
            {
                break;
            }
            // A quit that came meanwhile has ended it already.
            if matches!(self.shared.lock().session.ended(), Some(Ended::Quit)) {
                break;
            }
        }
        let mut inner = self.shared.lock();
        self.shared.finish(&mut inner);
    }

    /// One connection from beginning to end: how it ended, and whether the
    /// server had taken the client in.
    async fn attempt(&self, endpoint: &ClientEndpoint, first: &mut First) -> (Error, bool) {
        let connecting = self.shared.stop.run_until_cancelled(self.open(endpoint));
        let connection = match connecting.await {
            None => return (Ended::Quit.into(), false),
            Some(Err(error)) => return (error, false),
            Some(Ok(connection)) => connection,
        };
        let span = tracing::debug_span!("irc", id = %connection.id(), peer = %connection.peer());
        let (welcome, mut welcomed) = oneshot::channel();
        let protocol = Irc {
            shared: self.shared.clone(),
            welcome: Some(welcome),
            can_upgrade: secured(endpoint, 1).is_some(),
        };
        let mut running = std::pin::pin!(connection.run(protocol).instrument(span));
        let (mut is_online, mut is_stopped) = (false, false);
        let (_, closed) = loop {
            tokio::select! {
                biased;
                Ok(()) = &mut welcomed, if !is_online => {
                    is_online = true;
                    self.remember(endpoint);
                    if let Some(first) = first.take() {
                        // Whoever waited for it may have given up.
                        let _ = first.send(Ok(()));
                    }
                }
                () = self.shared.stop.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    self.shared.act(|session| session.quit(now(), ""));
                }
                ended = &mut running => break ended,
            }
        };
        let ended = self.shared.lock().session.ended().cloned();
        let why = match (ended, closed) {
            (Some(ended), _) => Error::Ended(ended),
            (None, _) if is_stopped => Error::Ended(Ended::Quit),
            (None, closed) => Error::Lost(closed),
        };
        (why, is_online)
    }

    async fn open(&self, endpoint: &ClientEndpoint) -> Result<Connection, Error> {
        let connection = endpoint.connect_with(&self.connect).await?;
        #[cfg(feature = "websocket")]
        if let Some(options) = &self.websocket {
            let deadline = self.connect.limits.handshake;
            let opening = crate::websocket::connect(connection, options);
            return match tokio::time::timeout(deadline, opening).await {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(error)) => Err(Error::WebSocket(error)),
                Err(_) => Err(Error::Slow(deadline)),
            };
        }
        Ok(connection)
    }

    /// The endpoint, or what its host is known to want instead.
    fn preferred(&self) -> ClientEndpoint {
        let policy = self.endpoint.host().and_then(|host| self.sts.policy(&host));
        let secure = policy
            .filter(|policy| policy.until > wall_clock())
            .and_then(|policy| secured(&self.endpoint, policy.port));
        secure.unwrap_or_else(|| self.endpoint.clone())
    }

    /// Keeps what the server has stated since this was asked last.
    fn remember(&self, endpoint: &ClientEndpoint) {
        let policy = self.shared.lock().session.take_sts();
        if let (Some(policy), Some(host), Some(port)) = (policy, endpoint.host(), endpoint.port()) {
            let until = wall_clock().checked_add(policy.duration);
            let until = until.filter(|_| !policy.duration.is_zero());
            self.sts
                .remember(&host, until.map(|until| StsEntry { port, until }));
        }
    }
}

/// The same endpoint over TLS, where it is TCP in the clear.
fn secured(endpoint: &ClientEndpoint, port: u16) -> Option<ClientEndpoint> {
    if !cfg!(feature = "tls") {
        return None;
    }
    let mut last = endpoint;
    while let Some(inner) = last.inner() {
        last = inner;
    }
    let host = last.host().filter(|_| last.scheme() == "tcp")?;
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    let whole = endpoint.to_string();
    let way = whole.strip_suffix(&last.to_string())?;
    format!("{way}tls:{host}:{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_becomes_tls_wherever_it_stands() {
        let secured = |text: &str| secured(&text.parse().ok()?, 6697).map(|it| it.to_string());
        let secure = |text: &str| Some(text.to_owned());
        if cfg!(feature = "tls") {
            assert_eq!(
                secured("tcp:irc.example.com:6667"),
                secure("tls:irc.example.com:6697")
            );
            assert_eq!(secured("tcp:[::1]:6667"), secure("tls:[::1]:6697"));
            assert_eq!(
                secured("socks5:proxy:1080/tcp:irc.example.com:6667"),
                secure("socks5:proxy:1080/tls:irc.example.com:6697")
            );
        }
        for other in ["tls:irc.example.com:6697", "mem:irc", "unix:/run/irc"] {
            assert_eq!(secured(other), None, "{other}");
        }
    }
}
