//! One running process: its handle, and its standard streams as one stream.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf},
    net::unix::pipe,
    process::{ChildStdin, ChildStdout},
    signal::unix::SignalKind,
    time::timeout,
};

use super::{Exit, ProcessError, terminal::Pty};
use crate::sys;

/// Bytes of a logged line; the rest of it is a line of its own.
const LINE: u64 = 8 * 1024;

/// How long the log listens for last words of what an ended process left
/// running with its standard error.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running process. Cheap to clone; it is killed when the last clone and its
/// connection are dropped, unless it has ended.
#[derive(Clone)]
pub struct Process(Arc<Handle>);

struct Handle {
    running: Arc<Running>,
    exit: Exit,
    /// Signals go to its group.
    group: bool,
    terminal: Option<Arc<Pty>>,
}

/// The process itself, asked and told under a lock: a number that was waited
/// for may be another process's a moment later.
struct Running(Mutex<tokio::process::Child>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, tokio::process::Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    pub(super) fn new(
        child: tokio::process::Child,
        group: bool,
        terminal: Option<Arc<Pty>>,
    ) -> Self {
        let running = Arc::new(Running(Mutex::new(child)));
        let asked = running.clone();
        let exit = poll_fn(move |cx| {
            // `wait` is cancel safe, so a fresh future each time loses nothing.
            let mut child = asked.lock();
            let status = ready!(pin!(child.wait()).poll(cx));
            // It fails only for what is no child of ours.
            Poll::Ready(status.unwrap_or_default())
        });
        let exit = exit.boxed().shared();
        Self(Arc::new(Handle {
            running,
            exit,
            group,
            terminal,
        }))
    }

    /// Its number, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.0.running.lock().id()
    }

    /// Waits until it has ended, and says how. Any number may wait.
    pub async fn exited(&self) -> ExitStatus {
        self.0.exit.clone().await
    }

    /// Sends it a signal; to its whole group where it has one.
    ///
    /// # Errors
    /// [`ProcessError::Ended`], or what the system says.
    pub fn signal(&self, signal: SignalKind) -> Result<(), ProcessError> {
        self.0.signal(signal.as_raw_value())
    }

    /// Asks it to end (SIGTERM), and kills it if it has not within `grace`.
    /// Returns how it ended.
    pub async fn terminate(&self, grace: Duration) -> ExitStatus {
        // One that has ended needs no telling.
        let _ = self.signal(SignalKind::terminate());
        if let Ok(status) = timeout(grace, self.exited()).await {
            return status;
        }
        let _ = self.0.signal(libc::SIGKILL);
        self.exited().await
    }

    /// Gives its terminal another size; the program is told (SIGWINCH).
    ///
    /// # Errors
    /// If it has no terminal, or what the system says.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<(), ProcessError> {
        match &self.0.terminal {
            Some(terminal) => Ok(terminal.resize(columns, rows)?),
            None => {
                let why = "the process has no terminal";
                Err(io::Error::new(io::ErrorKind::Unsupported, why).into())
            }
        }
    }

    /// Its end, for who must not keep it running.
    pub(super) fn watch(&self) -> (Exit, Option<u32>) {
        (self.0.exit.clone(), self.id())
    }
}

impl Handle {
    fn signal(&self, signal: i32) -> Result<(), ProcessError> {
        // The lock is held meanwhile, so that nobody waits for it in between.
        let child = self.running.lock();
        let id = child.id().ok_or(ProcessError::Ended)?;
        let id = i32::try_from(id).map_err(|_| ProcessError::Ended)?;
        Ok(sys::kill(if self.group { -id } else { id }, signal)?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The runtime waits for it later (see tokio's `Child`).
        let _ = self.signal(libc::SIGKILL);
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.id()).finish()
    }
}

/// Writes what a process says to the log.
pub(super) async fn log_lines(
    program: String,
    (exit, pid): (Exit, Option<u32>),
    said: impl AsyncRead + Unpin,
) {
    let mut lines = BufReader::new(said);
    let read = async {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut lines).take(LINE).read_until(b'\n', &mut line).await;
            if !matches!(read, Ok(1..)) {
                return;
            }
            let line = String::from_utf8_lossy(line.trim_ascii_end());
            tracing::info!(program, pid, "{}", line.escape_debug());
        }
    };
    let last = async {
        exit.await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        biased;
        () = read => {}
        () = last => {}
    }
}

/// A running process as a stream: what we write is its standard input, what we
/// read its standard output.
pub(crate) struct Child {
    process: Process,
    exit: Exit,
    ended: Option<ExitStatus>,
    ends: Ends,
}

/// Our ends of its standard streams.
pub(super) enum Ends {
    Pipes {
        /// None once we have said all; the child sees the end of its input.
        stdin: Option<ChildStdin>,
        stdout: Stdout,
    },
    Terminal(Arc<Pty>),
}

pub(super) enum Stdout {
    Own(ChildStdout),
    /// Of standard output and standard error together.
    Joined(pipe::Receiver),
}

impl Ends {
    pub(super) fn of(
        child: &mut tokio::process::Child,
        joined: Option<io::PipeReader>,
    ) -> io::Result<Self> {
        let stdout = match joined {
            Some(joined) => Stdout::Joined(pipe::Receiver::from_owned_fd(joined.into())?),
            None => Stdout::Own(child.stdout.take().expect("asked for as a pipe")),
        };
        Ok(Self::Pipes {
            stdin: child.stdin.take(),
            stdout,
        })
    }
}

impl Child {
    pub(super) fn new(process: Process, ends: Ends) -> Self {
        let exit = process.0.exit.clone();
        Self {
            process,
            exit,
            ended: None,
            ends,
        }
    }

    /// The same with nothing more on its standard input; a terminal stays open.
    pub(super) fn without_input(mut self) -> Self {
        if let Ends::Pipes { stdin, .. } = &mut self.ends {
            *stdin = None;
        }
        self
    }

    /// The end of its input.
    fn end_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.ends {
            Ends::Pipes { stdin, .. } => {
                if let Some(pipe) = stdin {
                    ready!(Pin::new(pipe).poll_shutdown(cx))?;
                    *stdin = None;
                }
                Poll::Ready(Ok(()))
            }
            // What a user would type. The program may have told the terminal
            // that it means something else; then nothing ends it but a signal.
            Ends::Terminal(pty) => pty.poll_write(cx, &[END_OF_FILE]).map_ok(drop),
        }
    }

    /// How it ended, once it has.
    pub(crate) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Option<ExitStatus>> {
        if let Ends::Pipes { stdin, .. } = &mut self.ends {
            *stdin = None;
        }
        if self.ended.is_none() {
            self.ended = Some(ready!(Pin::new(&mut self.exit).poll(cx)));
        }
        Poll::Ready(self.ended)
    }
}

/// Ctrl-D, which a terminal takes for the end of the file.
const END_OF_FILE: u8 = 4;

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.process.fmt(f)
    }
}

impl AsyncRead for Child {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.ends {
            Ends::Pipes { stdout, .. } => match stdout {
                Stdout::Own(stdout) => Pin::new(stdout).poll_read(cx, buf),
                Stdout::Joined(stdout) => Pin::new(stdout).poll_read(cx, buf),
            },
            Ends::Terminal(pty) => pty.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Child {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.ends {
            Ends::Pipes { stdin, .. } => match stdin {
                Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
                None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            },
            Ends::Terminal(pty) => pty.poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.ends {
            Ends::Pipes {
                stdin: Some(stdin), ..
            } => Pin::new(stdin).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end_input(cx)
    }
}
