//! From a future to a program: the last line of a `main`.

#[cfg(feature = "run")]
use std::{future::IntoFuture, process::ExitCode};

use crate::{Handler, Result, ServerEndpoint};

/// Listens, says where in the log, and serves until the program is told to end
/// (SIGINT, SIGTERM); then drains.
///
/// # Errors
/// If it cannot listen, or a second signal cut the drain short.
pub async fn serve(endpoint: &str, handler: impl Handler) -> Result {
    let endpoint: ServerEndpoint = endpoint.parse()?;
    let server = endpoint.listen(handler).await?;
    tracing::info!("listening on {}", server.local_endpoint());
    server.until_signal().await
}

/// Runs a program: makes the runtime, logs to standard error (as `RUST_LOG`
/// says, `info` by default; [`log::init`](crate::log::init) has the rest), and
/// makes an exit status of the result; an error is said in one line.
///
/// ```no_run
/// use std::process::ExitCode;
/// use ropewalk_core::{Connection, run, serve};
///
/// fn main() -> ExitCode {
///     run(serve("tcp:1234", async |_: Connection| Ok(())))
/// }
/// ```
#[cfg(feature = "run")]
pub fn run(main: impl IntoFuture<Output = Result>) -> ExitCode {
    crate::log::init(None, None);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(main.into_future());
            // Reading standard input blocks a thread that nothing can wake.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
