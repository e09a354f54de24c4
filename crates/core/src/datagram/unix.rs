//! `unix-datagram:`, by path or by abstract name.
//!
//! Unlike UDP it loses nothing on its way: a receiver that does not keep up is
//! noticed. A connected socket waits for its peer; one that talks to many waits
//! for none of them, and tells the protocol
//! ([`Undelivered::Full`](crate::Undelivered::Full)).

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::Path,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::{io::ReadBuf, net::UnixDatagram};

use super::{DatagramSocket, Datagrams, UnsentDatagrams};
use crate::{
    Address,
    endpoint::{UnixDatagramConnect, UnixDatagramListen, UnixPath},
    schemes::{SocketFile, abstract_address},
};

pub(crate) struct Unix {
    socket: UnixDatagram,
    local: Address,
    peer: Option<Address>,
    /// Removed when the socket closes.
    file: Option<SocketFile>,
    buffer: Vec<u8>,
}

pub(crate) fn listen(unix: &UnixDatagramListen) -> io::Result<Unix> {
    let socket = socket()?;
    let file = bind(&socket, &unix.path, unix.mode)?;
    Unix::new(socket, None, file)
}

/// A client has a name, so that it can be answered: its own, or one that Linux
/// makes up.
pub(crate) fn connect(unix: &UnixDatagramConnect) -> io::Result<Unix> {
    let socket = socket()?;
    let file = match &unix.bind {
        Some(path) => bind(&socket, path, None)?,
        None if cfg!(target_os = "linux") => {
            socket.bind(&SockAddr::unix("")?)?;
            None
        }
        None => None,
    };
    // From here on it is removed if anything fails.
    let mut unix_socket = Unix::new(socket, None, file)?;
    SockRef::from(&unix_socket.socket).connect(&system_address(&unix.path)?)?;
    unix_socket.peer = Some(match &unix.path {
        UnixPath::File(path) => Address::Unix(Some(Arc::from(path.as_path()))),
        UnixPath::Abstract(name) => Address::Abstract(name.as_bytes().into()),
    });
    Ok(unix_socket)
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Binds a socket; returns the file to be removed.
fn bind(socket: &Socket, path: &UnixPath, mode: Option<u32>) -> io::Result<Option<SocketFile>> {
    let file = match path {
        UnixPath::File(path) => path,
        UnixPath::Abstract(_) => {
            socket.bind(&system_address(path)?)?;
            return Ok(None);
        }
    };
    remove_stale(file)?;
    if let Some(mode) = mode {
        // Anybody may send from the moment it is bound, so the mode is there
        // before; what the process's mask took away comes after.
        let descriptor = File::from(OwnedFd::from(socket.try_clone()?));
        // Where the system knows no mode of a socket, that fails.
        let _ = descriptor.set_permissions(Permissions::from_mode(mode));
    }
    socket.bind(&SockAddr::unix(file)?)?;
    let bound = SocketFile::new(file);
    if let Some(mode) = mode {
        fs::set_permissions(file, Permissions::from_mode(mode))?;
    }
    Ok(Some(bound))
}

/// Removes a socket file that nobody receives at any more. Anything else in its
/// place stays, and `bind` says that the address is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket
        && let Err(error) = socket()?.connect(&SockAddr::unix(path)?)
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn system_address(path: &UnixPath) -> io::Result<SockAddr> {
    match path {
        UnixPath::File(path) => SockAddr::unix(path),
        UnixPath::Abstract(name) => abstract_address(name.as_bytes()),
    }
}

impl Unix {
    fn new(socket: Socket, peer: Option<Address>, file: Option<SocketFile>) -> io::Result<Self> {
        let socket = UnixDatagram::from_std(OwnedFd::from(socket).into())?;
        let local = match &file {
            Some(file) => file.address(),
            None => socket.local_addr()?.into(),
        };
        Ok(Self {
            socket,
            local,
            peer,
            file,
            buffer: Vec::new(),
        })
    }

    /// Sends without a wait: the system does not say when a receiver that one
    /// is not connected to has room again.
    fn send_now(&self, data: &[u8], to: &Address) -> io::Result<()> {
        let to = match to {
            Address::Unix(Some(path)) => SockAddr::unix(path)?,
            Address::Abstract(name) => abstract_address(name)?,
            other => {
                let what = format!("{other} is no name of a Unix socket");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
        };
        SockRef::from(&self.socket).send_to(data, &to).map(drop)
    }
}

impl DatagramSocket for Unix {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Datagrams,
    ) -> Poll<io::Result<()>> {
        // One byte more, which shows that a datagram is longer.
        self.buffer.resize(batch.largest() + 1, 0);
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let from = match self.socket.poll_recv_from(cx, &mut buffer) {
            Poll::Ready(from) => from?,
            Poll::Pending => {
                self.buffer = Vec::new();
                return Poll::Pending;
            }
        };
        // Who has no name is nobody that could be answered, and said so.
        batch.push(buffer.filled(), from.into());
        Poll::Ready(Ok(()))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>> {
        if let Some((data, to)) = unsent.front() {
            match to {
                Some(to) if self.peer.as_ref() != Some(to) => self.send_now(data, to)?,
                _ => drop(ready!(self.socket.poll_send(cx, data))?),
            }
            unsent.sent(1);
        }
        Poll::Ready(Ok(()))
    }

    fn local(&self) -> Address {
        self.local.clone()
    }

    fn peer(&self) -> Option<Address> {
        self.peer.clone()
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        // Before the socket is closed.
        self.file = None;
    }
}
