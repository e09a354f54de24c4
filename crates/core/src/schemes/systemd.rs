//! `systemd:`, sockets that the service manager opened and passed on (sd_listen_fds(3)).
//!
//! The manager says by three variables that descriptors from 3 on are sockets for this process, and
//! what they are called. They are read once, at the first use. From then on the sockets are closed
//! on exec, and [`VARIABLES`] says what else a child should not inherit. Each socket can be taken
//! once: two listeners on one would each have half of its connections.

use std::{
    env, io,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, OnceLock, PoisonError},
};

use socket2::{Domain, SockRef, Type};
use tokio::net::UdpSocket;

use super::{Listener, fd};
use crate::{endpoint::SystemdListen, sys};

/// What the manager tells this process, and it alone.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The first descriptor, which systemd calls `SD_LISTEN_FDS_START`.
const FIRST: i32 = 3;

/// More than anybody passes on; a larger number is no count of sockets.
const MOST: i32 = 4096;

/// What descriptors without a name are called.
const UNNAMED: &str = "unknown";

/// A descriptor that was passed on.
struct Passed {
    name: String,
    /// None once it is taken, and where there is none in truth.
    descriptor: Option<OwnedFd>,
}

/// Listens on a stream socket.
pub(super) fn listen(wanted: &SystemdListen) -> io::Result<Box<dyn Listener>> {
    let fits = |socket: &SockRef<'_>| Ok(socket.r#type()? == Type::STREAM && socket.is_listener()?);
    let descriptor = take(wanted, "a stream socket that listens", fits)?;
    fd::listener(descriptor.into())
}

/// A socket for datagrams.
pub(crate) fn datagrams(wanted: &SystemdListen) -> io::Result<UdpSocket> {
    let fits = |socket: &SockRef<'_>| {
        Ok(socket.r#type()? == Type::DGRAM && socket.domain()? != Domain::UNIX)
    };
    let descriptor = take(wanted, "a UDP socket", fits)?;
    let socket = std::net::UdpSocket::from(descriptor);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Takes the socket that is wanted, if it is fit.
fn take(
    wanted: &SystemdListen,
    expected: &str,
    fits: impl Fn(&SockRef<'_>) -> io::Result<bool>,
) -> io::Result<OwnedFd> {
    static PASSED: OnceLock<Mutex<Vec<Passed>>> = OnceLock::new();
    let passed = PASSED.get_or_init(|| Mutex::new(inherited()));
    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.is_empty() {
        let variables = VARIABLES.join(", ");
        return Err(unfit(format!(
            "the service manager passed no socket to this process ({variables})"
        )));
    }
    let place = pick(&passed, wanted)?;
    let Some(descriptor) = &passed[place].descriptor else {
        return Err(unfit("it was taken already, or is not open".to_owned()));
    };
    // What is no socket at all is not fit either.
    if !fits(&SockRef::from(&descriptor.as_fd())).unwrap_or(false) {
        return Err(unfit(format!("it is not {expected}")));
    }
    let taken = passed[place].descriptor.take();
    Ok(taken.expect("it was there a line ago, under the same lock"))
}

/// Which one is wanted: by number, among all or those of one name; else the first of that name that
/// is left.
fn pick(passed: &[Passed], wanted: &SystemdListen) -> io::Result<usize> {
    let named = |p: &&(usize, &Passed)| wanted.name.as_ref().is_none_or(|name| *name == p.1.name);
    let all: Vec<_> = passed.iter().enumerate().collect();
    let mut fitting = all.iter().filter(named);
    let found = match wanted.index {
        Some(index) => fitting.nth(index.into()),
        None => {
            let first = fitting.clone().next();
            fitting.find(|p| p.1.descriptor.is_some()).or(first)
        }
    };
    found.map(|(place, _)| *place).ok_or_else(|| {
        let names: Vec<_> = passed.iter().map(|p| p.name.as_str()).collect();
        let names = names.join(", ").escape_debug().to_string();
        unfit(format!("no such socket was passed on; there are: {names}"))
    })
}

/// What was passed to this process.
fn inherited() -> Vec<Passed> {
    let [process, count, names] = VARIABLES.map(|name| env::var(name).unwrap_or_default());
    numbered(&process, &count, &names)
        .into_iter()
        .map(|(number, name)| {
            let descriptor = sys::adopt(number)
                .inspect_err(
                    |error| tracing::warn!(number, %error, "a socket of the service manager"),
                )
                .ok();
            Passed { name, descriptor }
        })
        .collect()
}

/// The descriptors and their names, if the variables are for this process.
fn numbered(process: &str, count: &str, names: &str) -> Vec<(i32, String)> {
    if process.parse() != Ok(std::process::id()) {
        return Vec::new();
    }
    let count = count
        .parse()
        .ok()
        .filter(|count| (0..=MOST).contains(count));
    let names = names.split(':').map(str::to_owned);
    let names = names.chain(std::iter::repeat(String::new()));
    (FIRST..FIRST + count.unwrap_or(0))
        .zip(names)
        .map(|(number, name)| match name.is_empty() {
            true => (number, UNNAMED.to_owned()),
            false => (number, name),
        })
        .collect()
}

fn unfit(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_for_another_process_say_nothing() {
        let me = std::process::id().to_string();
        let named = |number, name: &str| (number, name.to_owned());
        assert_eq!(numbered("1", "2", "a:b"), []);
        assert_eq!(numbered("", "", ""), []);
        assert_eq!(numbered(&me, "2", "a:b"), [named(3, "a"), named(4, "b")]);
        assert_eq!(
            numbered(&me, "3", "a:"),
            [named(3, "a"), named(4, "unknown"), named(5, "unknown")]
        );
        for count in ["", "-1", "0", "x", "4097", "99999999999"] {
            assert_eq!(numbered(&me, count, "a"), [], "{count}");
        }
    }

    #[test]
    fn one_is_picked_by_name_or_number_or_both() {
        let passed = |name: &str, there: bool| Passed {
            name: name.to_owned(),
            descriptor: there.then(|| std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        };
        let all = [
            passed("web", false),
            passed("dns", true),
            passed("web", true),
        ];
        let picked = |name: Option<&str>, index| {
            let name = name.map(str::to_owned);
            pick(&all, &SystemdListen { name, index }).ok()
        };
        assert_eq!(picked(Some("dns"), None), Some(1));
        // The first that is left.
        assert_eq!(picked(Some("web"), None), Some(2));
        assert_eq!(picked(Some("web"), Some(0)), Some(0));
        assert_eq!(picked(Some("web"), Some(1)), Some(2));
        assert_eq!(picked(Some("web"), Some(2)), None);
        assert_eq!(picked(None, Some(1)), Some(1));
        assert_eq!(picked(Some("mail"), None), None);
    }
}
