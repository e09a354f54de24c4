//! A program that is kept running: a command as a service.

use futures_util::future::{join, join3};

use super::{
    Command, ProcessError,
    child::{Child, log_lines},
};
use crate::{
    Result,
    service::{Life, Service},
};

/// As a service, a command runs in a group of its own and with nothing on its
/// standard input; what it says on either output is logged, a line each. It is
/// ready as soon as it runs. A status other than success is a failure.
///
/// Whether it is run again, and after what time, its
/// [`ServiceOptions`](crate::service::ServiceOptions) say. To stop it, it is
/// sent SIGTERM, and killed with all that it started if it is still there at
/// the end of its time.
///
/// ```
/// use ropewalk_core::{Services, process::Command, service::Restart};
///
/// let services = Services::new()
///     .add_with(Command::new("worker").arg("--queue=mail"), Restart::Always);
/// ```
impl Service for Command {
    fn name(&self) -> String {
        self.program_name()
    }

    async fn run(&self, life: Life) -> Result {
        let program = self.program_name();
        let command = self.clone().own_group();
        let started = match command.terminal {
            Some(_) => command
                .launch()
                .map(|(process, child)| (process, child, None)),
            None => command.start_with_pipes(true),
        };
        let (process, child, stderr) = started.map_err(|source| ProcessError::Start {
            program: program.clone(),
            source,
        })?;
        life.ready();
        let said = log_lines(
            program.clone(),
            process.watch(),
            Child::without_input(child),
        );
        let (name, watch) = (program.clone(), process.watch());
        let complained = async move {
            if let Some(stderr) = stderr {
                log_lines(name, watch, stderr).await;
            }
        };
        let ended = join3(process.exited(), said, complained);
        let mut ended = std::pin::pin!(ended);
        let stop = tokio::select! {
            (status, (), ()) = &mut ended => return match status.success() {
                true => Ok(()),
                false => Err(ProcessError::Failed { program, status }.into()),
            },
            stop = life.stopping() => stop,
        };
        join(process.terminate(stop.total()), ended).await;
        Ok(())
    }
}
