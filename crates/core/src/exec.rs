//! A child process's standard input and output as a stream.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    process::{ExitStatus, Stdio},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{ChildStdin, ChildStdout, Command},
};

/// A running child: what we write is its standard input, what we read its
/// standard output; its standard error is ours. It is killed when dropped.
pub(crate) struct Child {
    process: tokio::process::Child,
    /// None once we have said all; the child sees the end of its input.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
}

impl Child {
    /// Starts a program, the first of the words, with the rest as its
    /// arguments; no shell is involved.
    pub(crate) fn spawn<'a>(mut words: impl Iterator<Item = &'a String>) -> io::Result<Self> {
        let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        let mut process = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().expect("asked for as a pipe");
        Ok(Self {
            process,
            stdin,
            stdout,
        })
    }

    pub(crate) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Option<ExitStatus>> {
        // `wait` is cancel safe, so a fresh future each time loses nothing.
        // (It closes a standard input left inside the child; ours is outside.)
        self.stdin = None;
        pin!(self.process.wait()).poll(cx).map(Result::ok)
    }
}

impl AsyncRead for Child {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Child {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stdin) = &mut self.stdin {
            std::task::ready!(Pin::new(stdin).poll_shutdown(cx))?;
            self.stdin = None;
        }
        Poll::Ready(Ok(()))
    }
}
