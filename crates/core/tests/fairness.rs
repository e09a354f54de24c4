//! Whatever keeps a connection busy, the rest of it and everybody else have
//! their turn.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{sync::Arc, time::Duration};

use ropewalk_core::{
    Address, Connection, Handle, Input, Overflow, Peer, Protocol, Result, Schemes, Server,
    ServerEndpoint, ServerOptions, Topic, Transport, protocol, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

async fn serve<P: Protocol>(make: impl Fn() -> P + Send + Sync + 'static) -> (Server, Schemes) {
    let options = ServerOptions::from(Schemes::new());
    let schemes = options.schemes.clone();
    let endpoint: ServerEndpoint = "mem:fairness".parse().unwrap();
    let server = endpoint.listen_with(protocol(move |_| make()), options);
    (server.await.unwrap(), schemes)
}

async fn dial(schemes: &Schemes) -> Connection {
    schemes
        .connect(&"mem:fairness".parse().unwrap())
        .await
        .unwrap()
}

/// What is heard until the peer was served, which has to be soon: on the wall's
/// clock, since what never rests leaves no virtual time to pass.
async fn hear(peer: &mut Connection, expected: &str) {
    let mut heard = vec![0; expected.len()];
    let read = peer.read_exact(&mut heard);
    timeout(Duration::from_secs(10), read)
        .await
        .expect("it starves")
        .unwrap();
    heard.sort_unstable();
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

/// Its inbox is never empty: each message sends the next one.
struct Restless {
    handle: Option<Handle<char>>,
    topic: Topic<Tick>,
}

#[derive(Clone)]
struct Tick;

impl ropewalk_core::Item for Tick {}

impl From<Tick> for char {
    fn from(_: Tick) -> Self {
        't'
    }
}

impl Protocol for Restless {
    type Message = char;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let handle = self.handle.insert(t.handle());
        for _ in 0..64 {
            assert!(handle.try_send('.').is_ok());
        }
        t.subscribe(&self.topic);
        t.defer(async {
            // It wants the runtime, which lets a task do so much a poll.
            for _ in 0..5 {
                sleep(Duration::from_millis(1)).await;
            }
            'd'
        });
        t.set_timer((), Duration::from_millis(1));
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, message: char) -> Result {
        if message == '.' {
            let handle = self.handle.as_ref().expect("connected");
            assert!(handle.try_send('.').is_ok());
        } else {
            t.write([message as u8]);
        }
        Ok(())
    }
    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        t.write("c");
        Ok(())
    }
    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("z");
        t.close();
        Ok(())
    }
}

#[test]
fn a_busy_inbox_starves_nobody() {
    testing::run_in_real_time(async {
        let topic = Topic::with(1000, Overflow::Disconnect);
        let shared = topic.clone();
        let (server, schemes) = serve(move || Restless {
            handle: None,
            topic: shared.clone(),
        })
        .await;
        let mut peer = dial(&schemes).await;
        peer.write_all(b"x").await.unwrap();
        while topic.publish(Tick) == 0 {
            tokio::task::yield_now().await;
        }
        hear(&mut peer, "cdtx").await;
        // Another connection of the same thread, and the drain.
        let mut other = dial(&schemes).await;
        other.write_all(b"y").await.unwrap();
        hear(&mut other, "cdy").await;
        let drain = server.drain(Duration::from_secs(10), Duration::ZERO);
        let hears = async {
            hear(&mut peer, "z").await;
            hear(&mut other, "z").await;
            drop((peer, other));
        };
        let (left, ()) = tokio::join!(drain, hears);
        assert_eq!(left.cut, 0);
    });
}

/// Sets its timer for now, again and again, and says when it was a thousand
/// times.
struct Hasty(u32);

impl Protocol for Hasty {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.set_timer((), Duration::ZERO);
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        self.0 += 1;
        if self.0 == 1000 {
            t.write("c");
        }
        t.set_timer((), Duration::ZERO);
        Ok(())
    }
}

#[test]
fn a_timer_set_for_now_again_and_again_starves_nobody() {
    testing::run_in_real_time(async {
        let (_server, schemes) = serve(|| Hasty(0)).await;
        let mut peer = dial(&schemes).await;
        peer.write_all(b"x").await.unwrap();
        hear(&mut peer, "cx").await;
    });
}

/// Takes whole lines, and the last one also without its end.
#[derive(Default)]
struct Lines {
    ends: bool,
}

impl Protocol for Lines {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        // Whoever calls this where it is not needed must do no harm.
        t.resume();
        while let Some(line) = data.line(100)? {
            let length = line.len();
            t.write(format_args!("{length}"));
        }
        if self.ends {
            let rest = data.take_all();
            t.write(format_args!("+{}", rest.len()));
            t.close();
        }
        Ok(())
    }
    fn half_closed(&mut self, _: &mut Transport<Self>) -> Result {
        self.ends = true;
        Ok(())
    }
}

#[test]
fn a_last_line_without_its_end_is_offered_after_the_end() {
    let mut rig = testing::Rig::new(Lines::default());
    rig.receive("one\nthree");
    assert_eq!(rig.sent(), b"3");
    rig.eof();
    assert_eq!(rig.sent(), b"+5");
    assert!(rig.is_closed());
}

/// One that closes takes no more items, and must not hold up who publishes.
#[test]
fn who_closes_holds_no_topic_up() {
    struct Leaver(Arc<Topic<bytes::Bytes>>);
    impl Protocol for Leaver {
        type Message = bytes::Bytes;
        type Timer = ();
        fn connected(&mut self, t: &mut Transport<Self>) -> Result {
            t.subscribe(&self.0);
            Ok(())
        }
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            // The peer reads nothing: what is left to say takes its time.
            data.take_all();
            t.write(vec![b'.'; 200_000]);
            t.close();
            Ok(())
        }
    }
    testing::run(async {
        let topic = Arc::new(Topic::with(1000, Overflow::Wait(Duration::from_secs(60))));
        let shared = topic.clone();
        let (server, schemes) = serve(move || Leaver(shared.clone())).await;
        let mut peer = dial(&schemes).await;
        peer.write_all(b"x").await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.counts().open, 1, "it is still closing");
        assert_eq!(topic.publish(vec![b'x'; 2000]), 0);
        topic.room().await;
    });
}

/// It waits in one task first and in another then, which is the one to wake.
#[test]
fn a_connection_may_move_from_task_to_task() {
    struct Waiter;
    impl Protocol for Waiter {
        type Message = ();
        type Timer = ();
        fn connected(&mut self, t: &mut Transport<Self>) -> Result {
            t.set_timer((), Duration::from_secs(5));
            Ok(())
        }
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            t.write(data);
            Ok(())
        }
        fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
            t.write("5 s");
            Ok(())
        }
    }
    testing::run(async {
        let (mut near, far) = tokio::io::duplex(100);
        let here = Address::Memory("here".into());
        let connection = Connection::new(far.into(), Peer::new(here.clone()), here);
        let mut run = Box::pin(connection.run(Waiter));
        assert!(timeout(Duration::from_secs(1), &mut run).await.is_err());
        let run = tokio::spawn(run);
        sleep(Duration::from_secs(1)).await;
        near.write_all(b"x").await.unwrap();
        let mut heard = [0; 4];
        let read = near.read_exact(&mut heard);
        timeout(Duration::from_secs(9), read)
            .await
            .expect("it sleeps")
            .unwrap();
        assert_eq!(&heard, b"x5 s");
        drop(near);
        run.await.unwrap();
    });
}
