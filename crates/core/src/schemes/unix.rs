//! `unix:`, by path or by abstract name.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::{Accepted, Listener, backlog};
use crate::{
    Address, Peer,
    endpoint::{UnixConnect, UnixListen, UnixPath},
};

pub(super) struct Unix {
    listener: UnixListener,
    local: Address,
    /// Removed when the listener ends.
    file: Option<SocketFile>,
}

/// The file of a socket that was bound here, removed when this is dropped. To be
/// dropped while the socket is open: as long as it is, its inode is no other
/// file's.
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl SocketFile {
    /// That of a socket that was just bound.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            inode: inode(path),
            path: path.to_owned(),
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(Some(Arc::from(self.path.as_path())))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it, and another server have bound another
        // one in its place.
        if self.inode.is_some() && inode(&self.path) == self.inode {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let data = fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

impl Unix {
    pub(super) fn new(listener: UnixListener, file: Option<SocketFile>) -> io::Result<Self> {
        let local = match &file {
            Some(file) => file.address(),
            None => listener.local_addr()?.into(),
        };
        Ok(Self {
            listener,
            local,
            file,
        })
    }

    fn accepted(&self, stream: UnixStream) -> Accepted {
        let mut peer = Peer::new(Address::Unix(None));
        peer.credentials = stream.peer_cred().ok().map(Into::into);
        Accepted::new(stream, peer, self.local.clone())
    }
}

impl Listener for Unix {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(Some(Ok(self.accepted(stream))))
    }

    fn local(&self) -> Address {
        self.local.clone()
    }

    fn finish(mut self: Box<Self>) -> Vec<Accepted> {
        self.file = None;
        let Ok(socket) = socket2::SockRef::from(&self.listener).try_clone() else {
            return Vec::new();
        };
        backlog(|| socket.accept())
            .filter_map(|(stream, _)| {
                stream.set_nonblocking(true).ok()?;
                Some(self.accepted(UnixStream::from_std(stream.into()).ok()?))
            })
            .collect()
    }
}

impl Drop for Unix {
    fn drop(&mut self) {
        // Before the socket is closed.
        self.file = None;
    }
}

pub(super) async fn listen(unix: &UnixListen) -> io::Result<Unix> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let backlog = i32::try_from(unix.backlog).unwrap_or(i32::MAX);
    let file = match &unix.path {
        UnixPath::Abstract(name) => {
            socket.bind(&abstract_address(name.as_bytes())?)?;
            None
        }
        UnixPath::File(path) => {
            remove_stale(path).await?;
            socket.bind(&SockAddr::unix(path)?)?;
            let file = SocketFile::new(path);
            if let Some(mode) = unix.mode {
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            }
            Some(file)
        }
    };
    // Only now can anybody connect, so the mode is in force from the first.
    socket.listen(backlog)?;
    Unix::new(UnixListener::from_std(socket.into())?, file)
}

/// Removes a socket file that nobody listens on any more. Anything else in its
/// place stays, and `bind` says that the address is in use.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket
        && let Err(error) = UnixStream::connect(path).await
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        fs::remove_file(path)?;
    }
    Ok(())
}

pub(super) async fn connect(unix: &UnixConnect) -> io::Result<Accepted> {
    let (stream, address) = match &unix.path {
        UnixPath::File(path) => (UnixStream::connect(path).await?, Some(path.as_path())),
        UnixPath::Abstract(name) => {
            // Connecting within one machine does not wait, unless the backlog
            // is full; then the system says so at once.
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&abstract_address(name.as_bytes())?)?;
            (UnixStream::from_std(socket.into())?, None)
        }
    };
    let mut peer = Peer::new(Address::Unix(address.map(Arc::from)));
    peer.credentials = stream.peer_cred().ok().map(Into::into);
    Ok(Accepted::new(stream, peer, Address::Unix(None)))
}

/// In the system's form an abstract name begins with a zero byte.
pub(crate) fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    if cfg!(not(any(target_os = "linux", target_os = "android"))) {
        let what = "only Linux has abstract names";
        return Err(io::Error::new(io::ErrorKind::Unsupported, what));
    }
    SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
}
