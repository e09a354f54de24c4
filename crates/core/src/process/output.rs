//! Programs that are run to their end for what they say.

use std::process::ExitStatus;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{Command, ProcessError};

/// Bytes taken of each stream, unless told otherwise.
pub(super) const LIMIT: usize = 1024 * 1024;

/// What a program said, and how it ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// How it ended. A status other than success is not an error by itself:
    /// many programs say by it what they found.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Bytes,
    /// Its standard error, unless that went elsewhere.
    pub stderr: Bytes,
}

impl Output {
    /// Its standard output as text, with U+FFFD for what is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Command {
    /// Runs it to its end with this as its standard input, and returns what it
    /// said; its standard error too, where that would be
    /// [inherited](super::Stderr::Inherit). It is killed if it says more than its
    /// [limit](Self::limit), if its [deadline](Self::deadline) passes, or if
    /// this future is dropped.
    ///
    /// It runs with pipes, also where a terminal was asked for.
    ///
    /// # Errors
    /// [`ProcessError::Start`], [`TooMuchOutput`](ProcessError::TooMuchOutput)
    /// or [`TimedOut`](ProcessError::TimedOut).
    pub async fn output(&self, input: impl Into<Bytes>) -> Result<Output, ProcessError> {
        let input = input.into();
        let (process, mut child, stderr) =
            self.start_with_pipes(true)
                .map_err(|source| ProcessError::Start {
                    program: self.program_name(),
                    source,
                })?;
        let (mut stdout, mut stdin) = tokio::io::split(&mut child);
        let feed = async {
            // A program may end, or close its input, without having read all.
            let _ = stdin.write_all(&input).await;
            let _ = stdin.shutdown().await;
            Ok(())
        };
        let work = async {
            let (_, stdout, stderr) = tokio::try_join!(feed, self.collect(&mut stdout), async {
                match stderr {
                    Some(mut stderr) => self.collect(&mut stderr).await,
                    None => Ok(Bytes::new()),
                }
            })?;
            let status = process.exited().await;
            Ok(Output {
                status,
                stdout,
                stderr,
            })
        };
        match self.deadline {
            None => work.await,
            Some(after) => timeout(after, work).await.unwrap_or_else(|_| {
                Err(ProcessError::TimedOut {
                    program: self.program_name(),
                    after,
                })
            }),
        }
    }

    async fn collect(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, ProcessError> {
        let mut said = Vec::new();
        let most = u64::try_from(self.limit).unwrap_or(u64::MAX);
        from.take(most.saturating_add(1))
            .read_to_end(&mut said)
            .await?;
        match said.len() > self.limit {
            true => Err(ProcessError::TooMuchOutput {
                program: self.program_name(),
                limit: self.limit,
            }),
            false => Ok(said.into()),
        }
    }
}
