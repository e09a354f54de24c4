//! A pseudo-terminal as a stream.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    process::Stdio,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{ReadBuf, unix::AsyncFd},
    process::Command,
};

use super::{
    Process,
    child::{Child, Ends},
};
use crate::sys;

/// A terminal for a program: its size, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminal {
    /// Characters in a line. Default 80.
    pub columns: u16,
    /// Lines. Default 24.
    pub rows: u16,
    /// The program's `TERM`. Default `xterm-256color`, which is what most can
    /// do today; `dumb` for who only wants the text.
    pub name: String,
}

impl Terminal {
    /// A terminal of this size.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self {
            columns,
            rows,
            name: "xterm-256color".into(),
        }
    }

    /// Starts a program in a session of its own with this terminal.
    pub(super) fn start(&self, mut command: Command) -> io::Result<(Process, Child)> {
        let (ours, theirs) = sys::open_terminal(self.columns, self.rows)?;
        command
            .env("TERM", &self.name)
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs.try_clone()?))
            .stderr(Stdio::from(theirs));
        sys::with_terminal(command.as_std_mut());
        let child = command.spawn()?;
        // The last of our copies of the program's side: the end of the program
        // could not be seen otherwise.
        drop(command);
        let ours = Arc::new(Pty::new(ours)?);
        let process = Process::new(child, true, Some(ours.clone()));
        Ok((process.clone(), Child::new(process, Ends::Terminal(ours))))
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new(80, 24)
    }
}

/// Our side of a pseudo-terminal.
pub(super) struct Pty(AsyncFd<File>);

impl Pty {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(sys::watched(File::from(fd))?))
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        sys::resize_terminal(self.0.get_ref(), columns, rows)
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let read = ready.try_io(|file| file.get_ref().read(buf.initialize_unfilled()));
            match read {
                Ok(Ok(n)) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                // Nobody has the other side open any more: the end of the file.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            match ready.try_io(|file| file.get_ref().write(buf)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }
}
