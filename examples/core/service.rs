//! A server, and a timer that logs what it counted: services of one program.
use ropewalk_core::{schedule::*, service::listen, *};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed};
use std::{process::ExitCode, time::Duration};

struct Echo(Arc<AtomicU64>);

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        self.0.fetch_add(data.len() as u64, Relaxed);
        t.write(data);
        Ok(())
    }
}

fn main() -> ExitCode {
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    let minutely = LoopingCall::new(Duration::from_secs(60), move |tick| {
        let bytes = counted.swap(0, Relaxed);
        tracing::info!(minute = tick.number, bytes, "echoed");
        async { Ok(()) }
    });
    let server = listen("tcp:1235", protocol(move |_| Echo(bytes.clone())));
    run(Services::new().add(minutely.named("counts")).add(server))
}
