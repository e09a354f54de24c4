//! Two connections made one: what comes from either goes to the other.
//!
//! Bytes are passed on as they come, with back-pressure and half-closes;
//! nothing is read into them.

use std::{future::pending, io, pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::timeout,
};

use crate::{Address, Connection};

/// Passes bytes on between two connections, both ways, until both have ended;
/// for forwards and proxies.
///
/// An end on one side becomes one on the other, which may still answer. If
/// `near` is standard input and output, all is over as soon as `far` has said
/// its last: whoever types has nothing more to say to it.
///
/// The idle limit of either connection is that of both, since nothing moves
/// on one that does not move on the other.
///
/// ```
/// # use ropewalk_core::*;
/// # async fn example() -> Result {
/// let to: ClientEndpoint = "tls:mail.example.com:993".parse()?;
/// let from: ServerEndpoint = "tcp:1143".parse()?;
/// let forward = move |near: Connection| {
///     let to = to.clone();
///     async move { Ok(relay(near, to.connect().await?).await?) }
/// };
/// from.listen(forward).await?.until_signal().await
/// # }
/// ```
///
/// # Errors
/// That of a side which could not be read; what the other had to say may not
/// have arrived then. A side that takes no more is none.
pub async fn relay(near: Connection, far: Connection) -> io::Result<()> {
    let netcat = near.peer().address == Address::Stdio;
    let (near_reader, near_writer) = split(near);
    let (far_reader, far_writer) = split(far);
    let mut there = pin!(pass_on(near_reader, far_writer));
    let mut back = pin!(pass_on(far_reader, near_writer));
    if netcat {
        let broken = async {
            match there.await {
                Ok(()) => pending().await,
                failed => failed,
            }
        };
        return tokio::select! {
            result = back => result,
            result = broken => result,
        };
    }
    tokio::try_join!(there.as_mut(), back.as_mut())?;
    Ok(())
}

/// Passes one direction on, and then its end.
///
/// A writer that takes no more is not the end of the other direction: a server may answer and close
/// before it has read all, and that answer must arrive. So this ends well then, having thrown away
/// a little of what still came. A reader that fails, a TLS stream without its close_notify among
/// them, fails the whole: passed on as an end it would look like all there was.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buffer).await?;
        let passed = async {
            if n == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..n]).await?;
            // TLS and standard output hold bytes back until then.
            to.flush().await
        };
        match passed.await {
            Ok(()) if n == 0 => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "one side takes no more");
                let mut rest = from.take(DISCARDED);
                let mut nowhere = tokio::io::sink();
                let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
                return Ok(());
            }
        }
    }
}

/// One record of TLS; two of these are most of what an idle connection costs.
const BUFFER: usize = 16 * 1024;

/// How long a side that is passed on no more may take to see the end; core's lingering is as long.
const LINGER: Duration = Duration::from_secs(2);

/// The bytes that are thrown away then, at most.
const DISCARDED: u64 = 256 * 1024;
