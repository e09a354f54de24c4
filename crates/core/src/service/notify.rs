//! What systemd wants to know: sd_notify(3).

use std::{
    env, fmt, io,
    os::unix::{ffi::OsStrExt, net::SocketAddr, net::UnixDatagram},
    path::PathBuf,
    time::Duration,
};

/// How long to wait for a service manager that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket of a service manager that wants to hear how its service is
/// doing; see sd_notify(3).
///
/// A [`Program`](super::Program) says what there is to say by itself.
#[derive(Clone)]
pub struct Notify {
    to: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notify {
    /// The one that started this process (`NOTIFY_SOCKET`), if it wants to
    /// know anything.
    ///
    /// # Errors
    /// If the variable names no socket that can be reached from here.
    pub fn from_env() -> io::Result<Option<Self>> {
        let Some(to) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let mut notify = Self::to(&to)?;
        notify.watchdog = watchdog(
            env::var("WATCHDOG_USEC").ok().as_deref(),
            env::var("WATCHDOG_PID").ok().as_deref(),
        );
        Ok(Some(notify))
    }

    /// A socket by its path; `@name` is an abstract name.
    ///
    /// # Errors
    /// If it is neither an absolute path nor an abstract name, or too long.
    pub fn to(socket: impl Into<PathBuf>) -> io::Result<Self> {
        let socket = socket.into();
        let to = match socket.as_os_str().as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(&socket)?,
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt;
                SocketAddr::from_abstract_name(name)?
            }
            _ => {
                let what = format!(
                    "NOTIFY_SOCKET is {}: neither an absolute path nor an abstract name (@…)",
                    socket.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        };
        Ok(Self { to, watchdog: None })
    }

    /// With a watchdog that wants to hear at least once in such a time.
    #[must_use]
    pub fn watchdog(mut self, within: Duration) -> Self {
        self.watchdog = Some(within);
        self
    }

    /// How often to say that all is well ([`alive`](Self::alive)), where the
    /// manager wants to hear it: twice as often as it asks for.
    pub fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|within| within / 2)
    }

    /// The service is ready, or has reloaded.
    ///
    /// # Errors
    /// What the system says; so for the others.
    pub async fn ready(&self) -> io::Result<()> {
        self.send("READY=1").await
    }

    /// The service reloads; [`ready`](Self::ready) says that it has.
    ///
    /// # Errors
    /// What the system says.
    pub async fn reloading(&self) -> io::Result<()> {
        // So that the manager can tell whether this is about its own signal
        // (Type=notify-reload).
        let now = monotonic()?.as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"))
            .await
    }

    /// The service stops.
    ///
    /// # Errors
    /// What the system says.
    pub async fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1").await
    }

    /// What the service is doing, in a line for people.
    ///
    /// # Errors
    /// What the system says.
    pub async fn status(&self, line: &str) -> io::Result<()> {
        // Another line would be another assignment.
        self.send(&format!("STATUS={}", line.replace('\n', " ")))
            .await
    }

    /// The service is alive and well.
    ///
    /// # Errors
    /// What the system says.
    pub async fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1").await
    }

    /// Sends assignments, one a line. Each message has a socket of its own: the
    /// manager may have begun anew meanwhile.
    async fn send(&self, message: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&self.to)?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixDatagram::from_std(socket)?;
        let sent = tokio::time::timeout(PATIENCE, socket.send(message.as_bytes()));
        sent.await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(())
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify")
            .field("to", &self.to)
            .field("watchdog", &self.watchdog)
            .finish()
    }
}

/// The clock that systemd measures by, and which [`std::time::Instant`] hides.
fn monotonic() -> io::Result<Duration> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(now.into())
}

/// The time within which the watchdog of this process wants to hear of it.
fn watchdog(within: Option<&str>, pid: Option<&str>) -> Option<Duration> {
    // Inherited from a parent, it is the parent's.
    if pid.is_some_and(|pid| pid != std::process::id().to_string()) {
        return None;
    }
    let within = Duration::from_micros(within?.parse().ok()?);
    (!within.is_zero()).then_some(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("something was sent");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    async fn check(to: Notify, socket: UnixDatagram) {
        to.ready().await.expect("there is a socket");
        assert_eq!(heard(&socket), "READY=1");
        to.status("two lines\nare one")
            .await
            .expect("there is a socket");
        assert_eq!(heard(&socket), "STATUS=two lines are one");
        let before = monotonic().expect("there is such a clock").as_micros();
        to.reloading().await.expect("there is a socket");
        let reloading = heard(&socket);
        let (_, at) = reloading
            .split_once("RELOADING=1\nMONOTONIC_USEC=")
            .expect(&reloading);
        let at: u128 = at.parse().expect("a number");
        let after = monotonic().expect("there is such a clock").as_micros();
        assert!((before..=after).contains(&at), "{before} {at} {after}");
    }

    #[tokio::test]
    async fn a_socket_by_its_path() {
        let folder = env::temp_dir().join(format!("ropewalk-notify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is a place for a test");
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("the folder is new");
        check(Notify::to(&path).expect("an absolute path"), socket).await;
        // Nobody listens any more: that is an error, and no more.
        let gone = Notify::to(&path).expect("an absolute path").ready().await;
        assert!(gone.is_err());
        std::fs::remove_dir_all(folder).expect("it is ours");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_by_its_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("ropewalk-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short enough");
        let socket = UnixDatagram::bind_addr(&address).expect("the name is ours");
        check(
            Notify::to(format!("@{name}")).expect("an abstract name"),
            socket,
        )
        .await;
    }

    #[test]
    fn other_addresses_are_refused_by_name() {
        let error = Notify::to("vsock:2:1").expect_err("not one that std knows");
        assert!(error.to_string().contains("vsock:2:1"), "{error}");
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None), second);
        assert_eq!(watchdog(Some("1000000"), Some(&own)), second);
        assert_eq!(watchdog(Some("1000000"), Some("1")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(Some("soon"), None), None);
        assert_eq!(watchdog(None, None), None);
    }
}
