//! Services that belong together.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    BackOff, Input, Protocol, Result, Schemes, ServerEndpoint, Service, Services, Transport, each,
    service::{
        Life, Restart, Running, ServiceOptions, ServiceState, Status, Stop, listen, service_fn,
    },
    testing::run,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use crate::secs;

/// What happened, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: impl ToString) {
        self.0.lock().unwrap().push(what.to_string());
    }

    fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A service that notes its beginning, its reload and its end, and takes
    /// some time for the first and the last.
    fn service(&self, name: &'static str, starts: Duration, stops: Duration) -> Noted {
        Noted {
            name,
            starts,
            stops,
            diary: self.clone(),
        }
    }
}

struct Noted {
    name: &'static str,
    starts: Duration,
    stops: Duration,
    diary: Diary,
}

impl Service for Noted {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn run(&self, life: Life) -> Result {
        self.diary.note(format_args!("{} starts", self.name));
        sleep(self.starts).await;
        self.diary.note(format_args!("{} is ready", self.name));
        life.ready();
        life.stopping().await;
        self.diary.note(format_args!("{} stops", self.name));
        sleep(self.stops).await;
        self.diary.note(format_args!("{} has stopped", self.name));
        Ok(())
    }

    async fn reload(&self) -> Result {
        self.diary.note(format_args!("{} reloads", self.name));
        match self.name {
            "stubborn" => Err("no".into()),
            _ => Ok(()),
        }
    }
}

/// A service each run of which fails after so long.
fn failing(diary: &Diary, after: Duration) -> impl Service {
    let diary = diary.clone();
    service_fn("failing", move |life| {
        let diary = diary.clone();
        async move {
            diary.note("runs");
            life.ready();
            sleep(after).await;
            Err("no luck".into())
        }
    })
}

/// Options with a back-off that leaves nothing to chance.
fn restart(restart: Restart, attempts: u32) -> ServiceOptions {
    let mut options = ServiceOptions::from(restart);
    options.back_off.jitter = 0.0;
    options.back_off.attempts = Some(attempts);
    options
}

fn status(running: &Running) -> Status {
    running.status()
}

#[test]
fn services_start_in_order_and_stop_in_reverse() {
    run(async {
        let diary = Diary::default();
        let inner = Services::named("inner")
            .add(diary.service("b", secs(1), secs(1)))
            .add(diary.service("c", secs(1), secs(1)));
        let services = Services::new()
            .add(diary.service("a", secs(1), secs(1)))
            .add(inner)
            .add(diary.service("d", secs(1), secs(1)))
            .start();
        services.ready().await.unwrap();
        let expected = ["a starts", "a is ready", "b starts", "b is ready"];
        let further = ["c starts", "c is ready", "d starts", "d is ready"];
        assert_eq!(diary.read(), [expected, further].concat());
        assert!(status(&services).is_ready());
        services.stop().await.unwrap();
        let expected = ["d stops", "d has stopped", "c stops", "c has stopped"];
        let further = ["b stops", "b has stopped", "a stops", "a has stopped"];
        assert_eq!(diary.read(), [expected, further].concat());
    });
}

#[test]
fn services_that_stop_together_begin_to_at_the_same_time() {
    run(async {
        let diary = Diary::default();
        let services = Services::new()
            .together()
            .add(diary.service("a", secs(0), secs(2)))
            .add(diary.service("b", secs(0), secs(1)))
            .start();
        services.ready().await.unwrap();
        diary.read();
        let before = Instant::now();
        services.stop().await.unwrap();
        let mut read = diary.read();
        read[..2].sort();
        let expected = ["a stops", "b stops", "b has stopped", "a has stopped"];
        assert_eq!(read, expected);
        assert_eq!(before.elapsed(), secs(2));
    });
}

#[test]
fn a_stop_while_they_start_stops_those_that_did() {
    run(async {
        let diary = Diary::default();
        let services = Services::new()
            .add(diary.service("a", secs(1), secs(1)))
            .add(diary.service("b", secs(1), secs(1)))
            .add(diary.service("c", secs(1), secs(1)))
            .start();
        let second = |s: &_| matches!(s, ServiceState::Starting);
        let tree = status(&services);
        tree.until(|tree| second(&tree.children[1].state)).await;
        services.stop().await.unwrap();
        // Who starts is let to its end, within its grace.
        let expected = ["a starts", "a is ready", "b starts", "b is ready"];
        let further = ["b stops", "b has stopped", "a stops", "a has stopped"];
        assert_eq!(diary.read(), [expected, further].concat());
        let tree = tree.snapshot();
        let states: Vec<_> = tree.children.iter().map(|c| c.state).collect();
        let [ended, idle] = [ServiceState::Ended, ServiceState::Idle];
        assert_eq!(states, [ended, ended, idle]);
    });
}

#[test]
fn a_failure_takes_the_set_down_and_says_who_it_was() {
    run(async {
        let diary = Diary::default();
        let mut services = Services::new()
            .add(diary.service("a", secs(0), secs(1)))
            .add(Services::named("inner").add(failing(&diary, secs(60))))
            .add(diary.service("b", secs(0), secs(1)))
            .start();
        services.ready().await.unwrap();
        diary.read();
        let error = services.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "failing: no luck");
        let expected = ["b stops", "b has stopped", "a stops", "a has stopped"];
        assert_eq!(diary.read(), expected);
        expect_test::expect![[r#"
            services: failed, last error: failing: no luck
              a: ended
              inner: failed, last error: failing: no luck
                failing: failed, last error: failing: no luck
              b: ended
        "#]]
        .assert_eq(&status(&services).snapshot().to_string());
    });
}

#[test]
fn a_failure_while_they_start_keeps_the_rest_from_starting() {
    run(async {
        let diary = Diary::default();
        let refuses = service_fn("refuses", async |_| Err("cannot".into()));
        let mut services = Services::new()
            .add(diary.service("a", secs(0), secs(0)))
            .add(refuses)
            .add(diary.service("b", secs(0), secs(0)))
            .start();
        let error = services.ready().await.unwrap_err();
        assert_eq!(error.to_string(), "refuses: cannot");
        let error = services.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "refuses: cannot");
        let expected = ["a starts", "a is ready", "a stops", "a has stopped"];
        assert_eq!(diary.read(), expected);
    });
}

#[test]
fn a_service_is_restarted_with_longer_and_longer_waits_until_it_has_failed() {
    run(async {
        let diary = Diary::default();
        let options = restart(Restart::OnFailure, 4);
        let mut services = Services::new()
            .add_with(failing(&diary, secs(10)), options)
            .start();
        let tree = status(&services);
        services.ready().await.unwrap();
        let began = Instant::now();
        for wait in [1, 2, 4] {
            let waits = |state| matches!(state, ServiceState::Waiting { .. });
            let now = tree.until(|tree| waits(tree.children[0].state)).await;
            let until = Instant::now() + secs(wait);
            let until = until.into_std();
            assert_eq!(now.children[0].state, ServiceState::Waiting { until });
            assert!(!now.is_healthy() && !now.is_ready());
            let now = tree.until(|tree| !waits(tree.children[0].state)).await;
            assert!(now.is_healthy());
        }
        let error = services.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "failing: no luck");
        assert_eq!(began.elapsed(), secs(4 * 10 + 1 + 2 + 4));
        assert_eq!(diary.read().len(), 4);
        assert_eq!(tree.snapshot().children[0].restarts, 3);
    });
}

#[test]
fn a_run_that_held_long_enough_makes_the_next_failure_the_first() {
    run(async {
        let diary = Diary::default();
        let options = restart(Restart::OnFailure, 2);
        let services = Services::new()
            .add_with(failing(&diary, secs(61)), options)
            .start();
        let tree = status(&services);
        tree.until(|tree| tree.children[0].restarts == 5).await;
        services.stop().await.unwrap();
    });
}

#[test]
fn an_end_is_an_end_unless_it_is_always_to_run() {
    run(async {
        let diary = Diary::default();
        let ends = || {
            let diary = diary.clone();
            service_fn("ends", move |_| {
                diary.note("runs");
                async { Ok(()) }
            })
        };
        // It ends before it was ready: its work is done.
        let mut once = Services::new()
            .add_with(ends(), Restart::OnFailure)
            .add(ends())
            .start();
        once.ended().await.unwrap();
        assert_eq!(diary.read().len(), 2);
        let mut always = Services::new()
            .add_with(ends(), restart(Restart::Always, 3))
            .start();
        let error = always.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "ends ended 3 times in a row; giving up");
        assert_eq!(diary.read().len(), 3);
    });
}

#[test]
fn a_panic_is_a_failure_like_others() {
    run(async {
        let panics = service_fn("panics", |life| async move {
            life.ready();
            if !life.is_stopping() {
                panic!("on purpose");
            }
            Ok(())
        });
        let mut services = Services::new()
            .add_with(panics, restart(Restart::OnFailure, 2))
            .start();
        let error = services.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "panics panicked: on purpose");
        assert_eq!(status(&services).snapshot().children[0].restarts, 1);
    });
}

#[test]
fn who_is_not_ready_in_time_has_failed() {
    run(async {
        let diary = Diary::default();
        let mut options = ServiceOptions::default();
        options.start = secs(5);
        let mut services = Services::new()
            .add_with(diary.service("slow", secs(6), secs(0)), options)
            .start();
        let began = Instant::now();
        let error = services.ended().await.unwrap_err();
        assert_eq!(error.to_string(), "slow was not ready within 5s");
        assert_eq!(began.elapsed(), secs(5));
    });
}

#[test]
fn who_does_not_stop_is_cut_and_the_others_have_their_time() {
    run(async {
        let diary = Diary::default();
        let mut options = ServiceOptions::default();
        options.stop = Some(Stop::new(secs(1), secs(2)));
        let services = Services::new()
            .add(diary.service("a", secs(0), secs(9)))
            .add_with(diary.service("b", secs(0), secs(3600)), options)
            .start();
        services.ready().await.unwrap();
        diary.read();
        let began = Instant::now();
        services.stop().await.unwrap();
        assert_eq!(diary.read(), ["b stops", "a stops", "a has stopped"]);
        // A second more than it was given, in which it might have ended.
        assert_eq!(began.elapsed(), secs(1 + 2 + 1 + 9));
    });
}

#[test]
fn a_stop_while_one_waits_to_be_restarted_does_not_wait_for_that() {
    run(async {
        let diary = Diary::default();
        let services = Services::new()
            .add_with(failing(&diary, secs(0)), restart(Restart::OnFailure, 10))
            .start();
        let tree = status(&services);
        tree.until(|tree| tree.children[0].restarts == 5).await;
        tree.until(|tree| !tree.is_healthy()).await;
        let before = Instant::now();
        services.stop().await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_reload_goes_to_all_in_order_and_a_failed_one_ends_nothing() {
    run(async {
        let diary = Diary::default();
        let services = Services::new()
            .add(diary.service("a", secs(0), secs(0)))
            .add(diary.service("stubborn", secs(0), secs(0)))
            .add(Services::new().add(diary.service("b", secs(0), secs(0))));
        let services = Arc::new(services);
        // Who does not run has nothing to reload.
        services.reload().await.unwrap();
        assert!(diary.read().is_empty());
        let running = services.clone().start();
        running.ready().await.unwrap();
        diary.read();
        services.reload().await.unwrap();
        let expected = ["a reloads", "stubborn reloads", "b reloads"];
        assert_eq!(diary.read(), expected);
        running.stop().await.unwrap();
    });
}

#[test]
fn dropped_services_leave_nothing_behind() {
    run(async {
        let diary = Diary::default();
        let services = Services::new()
            .add(diary.service("a", secs(0), secs(1)))
            .add(Services::new().add(diary.service("b", secs(0), secs(1))))
            .start();
        services.ready().await.unwrap();
        drop(services);
    });
}

#[test]
fn a_set_runs_again_with_all_that_is_in_it() {
    run(async {
        let diary = Diary::default();
        let set = Services::named("set")
            .add(diary.service("a", secs(0), secs(0)))
            .add(failing(&diary, secs(1)));
        let mut services = Services::new()
            .add_with(set, restart(Restart::OnFailure, 2))
            .start();
        services.ended().await.unwrap_err();
        let once = ["a starts", "a is ready", "runs", "a stops", "a has stopped"];
        assert_eq!(diary.read(), [once, once].concat());
    });
}

/// Says goodbye when it drains, and waits for its peer's.
#[derive(Default)]
struct Polite;

impl Protocol for Polite {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("bye");
        Ok(())
    }
}

#[test]
fn servers_announce_together_and_stop_accepting_together() {
    run(async {
        let schemes = Schemes::new();
        let one = listen("mem:one", each::<Polite>()).options(schemes.clone());
        let two: ServerEndpoint = "mem:two".parse().unwrap();
        let two = two.listen_with(each::<Polite>(), schemes.clone());
        let services = Services::named("servers")
            .together()
            .stop(Stop::new(secs(1), secs(4)))
            .add(one)
            .add(two.await.unwrap())
            .start();
        services.ready().await.unwrap();
        let mut stay = Vec::new();
        for name in ["mem:one", "mem:two"] {
            let mut conn = schemes.connect(&name.parse().unwrap()).await.unwrap();
            conn.write_all(b"hi").await.unwrap();
            conn.read_exact(&mut [0; 2]).await.unwrap();
            stay.push((name, conn));
        }
        let began = Instant::now();
        let drained = services.stop();
        let watched = async {
            for (_, conn) in &mut stay {
                let mut bye = [0; 3];
                conn.read_exact(&mut bye).await.unwrap();
                assert_eq!((&bye, began.elapsed()), (b"bye", secs(0)));
            }
            // New ones are still accepted, until all stop.
            sleep(Duration::from_millis(999)).await;
            for (name, _) in &stay {
                let mut conn = schemes.connect(&name.parse().unwrap()).await.unwrap();
                conn.write_all(b"hi").await.unwrap();
                conn.read_exact(&mut [0; 2]).await.unwrap();
            }
            sleep(Duration::from_millis(2)).await;
            for (name, _) in &stay {
                schemes.connect(&name.parse().unwrap()).await.unwrap_err();
            }
        };
        let (drained, ()) = tokio::join!(drained, watched);
        drained.unwrap();
        assert_eq!(began.elapsed(), secs(5));
    });
}

#[test]
fn a_server_that_is_in_the_way_of_another_is_waited_for() {
    run(async {
        let schemes = Schemes::new();
        let endpoint: ServerEndpoint = "mem:taken".parse().unwrap();
        let first = endpoint.listen_with(each::<Polite>(), schemes.clone());
        let first = first.await.unwrap();
        let second = listen("mem:taken", each::<Polite>()).options(schemes.clone());
        let second = Arc::new(second.named("second"));
        let services = Services::new()
            .add_with(second.clone(), restart(Restart::OnFailure, 10))
            .start();
        let tree = status(&services);
        let failed = tree.until(|tree| !tree.is_healthy()).await;
        assert_eq!(
            failed.children[0].last_error.as_deref(),
            Some("second: cannot listen on mem:taken: the address is in use")
        );
        assert!(second.server().is_none());
        first.drain(secs(0), secs(0)).await;
        services.ready().await.unwrap();
        assert_eq!(second.server().unwrap().local_endpoint(), "mem:taken");
        // A server that was drained is no service any more.
        services.stop().await.unwrap();
        assert!(second.server().is_none());
    });
}

#[test]
fn what_is_not_ready_any_more_says_so() {
    run(async {
        // A clone of an earlier run's life has nothing to say about this one.
        let lives = Arc::new(Mutex::new(Vec::<Life>::new()));
        let kept = lives.clone();
        let service = service_fn("forgetful", move |life| {
            let earlier = kept.lock().unwrap().pop();
            kept.lock().unwrap().push(life.clone());
            async move {
                match earlier {
                    None => life.ready(),
                    Some(earlier) => earlier.ready(),
                }
                sleep(secs(1)).await;
                Err("again".into())
            }
        });
        let mut back_off = BackOff::default();
        back_off.attempts = Some(2);
        let mut options = restart(Restart::OnFailure, 2);
        options.back_off = back_off;
        let mut services = Services::new().add_with(service, options).start();
        services.ready().await.unwrap();
        let tree = status(&services);
        tree.until(|tree| tree.children[0].restarts == 1).await;
        assert!(!tree.is_ready());
        services.ended().await.unwrap_err();
        lives.lock().unwrap().clear();
    });
}
