//! `fd:`, sockets that the program inherited.

use std::{io, os::fd::OwnedFd};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{Accepted, Listener, tcp::Tcp, unix::Unix};
use crate::{Address, Peer, sys};

/// Listens on an inherited descriptor. It is duplicated, and the original
/// stays open, so that the number can be used again after a restart within the
/// same process.
pub(super) fn listen(number: i32) -> io::Result<Box<dyn Listener>> {
    listener(socket(number)?)
}

/// Listens on a stream socket that is there.
pub(super) fn listener(socket: Socket) -> io::Result<Box<dyn Listener>> {
    socket.set_nonblocking(true)?;
    if !socket.is_listener()? {
        return Err(unfit("it is a socket, but it does not listen"));
    }
    match socket.domain()? {
        Domain::UNIX => {
            let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
            Ok(Box::new(Unix::new(listener, None)?))
        }
        _ => {
            let listener = TcpListener::from_std(OwnedFd::from(socket).into())?;
            Ok(Box::new(Tcp::new(listener)?))
        }
    }
}

/// Takes an inherited descriptor that is connected.
pub(super) fn connect(number: i32) -> io::Result<Accepted> {
    let socket = socket(number)?;
    socket.set_nonblocking(true)?;
    if socket.is_listener()? {
        return Err(unfit("it listens, and is not connected"));
    }
    match socket.domain()? {
        Domain::UNIX => {
            let stream = UnixStream::from_std(OwnedFd::from(socket).into())?;
            let peer = Address::from(stream.peer_addr()?);
            let local = stream.local_addr()?.into();
            Ok(Accepted::new(stream, Peer::new(peer), local))
        }
        _ => {
            let stream = TcpStream::from_std(OwnedFd::from(socket).into())?;
            let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
            stream.set_nodelay(true)?;
            Ok(Accepted::new(stream, Peer::new(peer), local.into()))
        }
    }
}

fn socket(number: i32) -> io::Result<Socket> {
    let socket = Socket::from(sys::duplicate(number)?);
    match socket.r#type() {
        Ok(Type::STREAM) => {}
        Ok(_) => return Err(unfit("it is no stream socket")),
        Err(_) => return Err(unfit("it is no socket")),
    }
    Ok(socket)
}

fn unfit(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
