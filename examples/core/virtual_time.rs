//! Half an hour's silence, tested at once: by hand on a `Rig`, and as a whole
//! server under `testing::run`.
//! Run: cargo run -p ropewalk-core --example virtual_time --features testing
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]
use std::time::{Duration, Instant};

use ropewalk_core::{testing::Rig, *};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(1800);

/// Echoes, and says goodbye to who is silent for too long.
#[derive(Default)]
struct Patient;

impl Protocol for Patient {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.set_timer((), PATIENCE);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.set_timer((), PATIENCE);
        t.write(data);
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        t.write("bye\r\n");
        t.close();
        Ok(())
    }
}

/// No runtime, no clock: time passes when told to.
fn by_rig() {
    let mut rig = Rig::new(Patient);
    rig.advance(PATIENCE / 2).receive("hello");
    rig.advance(PATIENCE / 2);
    assert_eq!(rig.sent(), b"hello");
    assert!(!rig.is_closed());
    rig.advance(PATIENCE / 2);
    assert_eq!(rig.sent(), b"bye\r\n");
    assert!(rig.is_closed());
}

/// A server and a client; the clock jumps when both have nothing to do.
async fn by_clock() -> Result {
    let schemes = Schemes::new();
    let endpoint: ServerEndpoint = "mem:patient".parse()?;
    let server = endpoint
        .listen_with(each::<Patient>(), schemes.clone())
        .await?;
    let started = tokio::time::Instant::now();
    let mut conn = schemes.connect(&"mem:patient".parse()?).await?;
    conn.write_all(b"hello").await?;
    let mut heard = String::new();
    conn.read_to_string(&mut heard).await?;
    println!("{heard:?} after {:?} of virtual time", started.elapsed());
    server.drain(Duration::ZERO, Duration::ZERO).await;
    Ok(())
}

fn main() -> Result {
    let started = Instant::now();
    by_rig();
    testing::run(by_clock())?;
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "that took real time"
    );
    Ok(())
}
