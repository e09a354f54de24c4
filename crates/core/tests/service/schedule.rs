//! What happens later, again and again, or a little at a time.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    Result, Service,
    schedule::{First, LoopingCall, OnError, Stopped, Tick, call_later, cooperate, cooperate_over},
    testing::run,
};
use tokio::time::{Instant, sleep};

use crate::secs;

/// When each call began, in milliseconds, and how many ticks were missed.
type Notes = Arc<Mutex<Vec<(u64, u64)>>>;

/// A loop whose calls take so many seconds, one after the other; and what it
/// noted.
fn noting(interval: Duration, takes: &'static [u64]) -> (LoopingCall, Notes) {
    let began = Instant::now();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = notes.clone();
    let call = LoopingCall::new(interval, move |tick: Tick| {
        let since = began.elapsed().as_millis().try_into().unwrap();
        noted.lock().unwrap().push((since, tick.missed));
        let number = usize::try_from(tick.number).unwrap();
        let takes = takes.get(number - 1).copied().unwrap_or_default();
        async move {
            sleep(Duration::from_millis(takes)).await;
            Ok(())
        }
    });
    (call, notes)
}

#[test]
fn ticks_do_not_drift_and_those_missed_are_counted() {
    run(async {
        // The second call takes two ticks and a half, the fourth ends as the
        // next one is due.
        let (call, notes) = noting(secs(1), &[300, 2500, 0, 1000, 0]);
        let running = call.clone().start();
        sleep(Duration::from_millis(7500)).await;
        running.stop().await.unwrap();
        let expected = [
            (0, 0),
            (1000, 0),
            (3500, 1),
            (4000, 0),
            (5000, 0),
            (6000, 0),
            (7000, 0),
        ];
        assert_eq!(*notes.lock().unwrap(), expected);
        assert_eq!((call.calls(), call.missed()), (7, 1));
    });
}

#[test]
fn the_first_call_may_wait_for_its_interval() {
    run(async {
        let (call, notes) = noting(secs(10), &[]);
        let running = call.first(First::AfterInterval).start();
        sleep(secs(25)).await;
        running.stop().await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [(10_000, 0), (20_000, 0)]);
    });
}

#[test]
fn a_reset_counts_from_its_moment() {
    run(async {
        let (call, notes) = noting(secs(10), &[]);
        let running = call.clone().start();
        sleep(secs(14)).await;
        call.reset();
        sleep(secs(11)).await;
        running.stop().await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [(0, 0), (10_000, 0), (24_000, 0)]);
    });
}

#[test]
fn a_stop_waits_for_the_call_that_is_under_way() {
    run(async {
        let ended = Arc::new(AtomicU64::new(0));
        let noted = ended.clone();
        let call = LoopingCall::new(secs(1), move |_| {
            let noted = noted.clone();
            async move {
                sleep(secs(5)).await;
                noted.fetch_add(1, Relaxed);
                Ok(())
            }
        });
        let running = call.start();
        let began = Instant::now();
        sleep(secs(2)).await;
        running.stop().await.unwrap();
        assert_eq!((ended.load(Relaxed), began.elapsed()), (1, secs(5)));
    });
}

#[test]
fn a_call_ends_its_own_loop() {
    run(async {
        let itself = Arc::new(Mutex::new(None::<LoopingCall>));
        let held = itself.clone();
        let call = LoopingCall::new(secs(1), move |tick| {
            if tick.number == 3 {
                held.lock().unwrap().take().unwrap().stop();
            }
            async { Ok(()) }
        });
        *itself.lock().unwrap() = Some(call.clone());
        call.clone().start().ended().await.unwrap();
        assert_eq!(call.calls(), 3);
    });
}

#[test]
fn an_error_ends_the_loop_or_is_counted() {
    run(async {
        let odd = |tick: Tick| async move {
            if tick.number % 2 == 1 {
                return Err("odd".into());
            }
            Result::Ok(())
        };
        let call = LoopingCall::new(secs(1), odd).named("odd");
        let error = call.start().ended().await.unwrap_err();
        assert_eq!(error.to_string(), "odd: odd");
        let call = LoopingCall::new(secs(1), odd).on_error(OnError::Continue);
        let running = call.clone().start();
        sleep(Duration::from_millis(9500)).await;
        running.stop().await.unwrap();
        assert_eq!((call.calls(), call.errors()), (10, 5));
    });
}

#[test]
fn a_call_happens_later_and_can_be_moved_until_it_begins() {
    run(async {
        let began = Instant::now();
        let call = call_later(secs(5), async move { began.elapsed() });
        assert_eq!(call.due(), Some((began + secs(5)).into_std()));
        assert!(call.put_off(secs(5)));
        sleep(secs(8)).await;
        assert!(call.reset(secs(1)));
        assert_eq!(call.await, Some(secs(9)));

        let call = call_later(secs(1), sleep(secs(5)));
        sleep(secs(2)).await;
        assert!(!call.cancel() && !call.put_off(secs(1)) && !call.reset(secs(1)));
        assert_eq!((call.due(), call.await), (None, Some(())));

        let call = call_later(secs(1), async { panic!("it was cancelled") });
        assert!(call.cancel());
        assert!(!call.cancel() && !call.reset(secs(1)));
        assert_eq!(call.await, None::<()>);

        // Dropped, it leaves nothing behind.
        drop(call_later(secs(3600), async {}));
    });
}

#[test]
fn others_have_their_turn_between_slices() {
    run(async {
        let steps = Arc::new(AtomicU64::new(0));
        let taken = steps.clone();
        let work = tokio::spawn(cooperate_over(0..1_000_000, move |_| {
            taken.fetch_add(1, Relaxed);
        }));
        let mut turns = 0;
        let mut seen = 0;
        while !work.is_finished() {
            tokio::task::yield_now().await;
            let now = steps.load(Relaxed);
            assert!(now - seen <= 1000, "{} steps at a time", now - seen);
            seen = now;
            turns += 1;
        }
        assert!(turns >= 1000, "{turns}");
        work.await.unwrap().unwrap();
        assert_eq!(steps.load(Relaxed), 1_000_000);
    });
}

#[test]
fn a_slice_ends_with_its_time_however_few_its_steps() {
    // By the clock on the wall: steps that take long are alone in their slice.
    ropewalk_core::testing::run_in_real_time(async {
        let mut left = 5;
        let began = std::time::Instant::now();
        let work = tokio::spawn(cooperate(move || {
            let step = std::time::Instant::now();
            while step.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            }
            left -= 1;
            if left > 0 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break("done")
            }
        }));
        let mut turns = 0;
        while !work.is_finished() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        assert!(turns >= 5, "{turns}");
        assert_eq!(work.await.unwrap(), Ok("done"));
        assert!(began.elapsed() >= Duration::from_millis(10));
    });
}

#[test]
fn work_is_paused_resumed_and_stopped() {
    run(async {
        let work = cooperate_over(0.., |_: u64| {});
        let cooperator = work.cooperator();
        cooperator.pause();
        let work = tokio::spawn(work);
        sleep(secs(1)).await;
        assert_eq!(cooperator.steps(), 0);
        cooperator.resume();
        while cooperator.steps() < 10_000 {
            tokio::task::yield_now().await;
        }
        cooperator.pause();
        let paused = cooperator.steps();
        sleep(secs(1)).await;
        assert_eq!(cooperator.steps(), paused);
        cooperator.stop();
        cooperator.resume();
        assert_eq!(work.await.unwrap(), Err(Stopped));
        assert_eq!(cooperator.steps(), paused);
    });
}

#[test]
fn work_that_a_connection_defers_lets_it_go_on() {
    use ropewalk_core::{Input, Protocol, Schemes, ServerEndpoint, Transport, each};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Counts for `count`, echoes the rest.
    #[derive(Default)]
    struct Counting;

    impl Protocol for Counting {
        type Message = u64;
        type Timer = ();

        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            for line in data.lines(100) {
                match &*line? {
                    b"count" => {
                        let mut n = 0;
                        let work = cooperate(move || {
                            n += 1;
                            if n < 100_000 {
                                ControlFlow::Continue(())
                            } else {
                                ControlFlow::Break(n)
                            }
                        });
                        t.defer(async { work.await.unwrap_or_default() });
                    }
                    line => t.write(format_args!("{}\r\n", String::from_utf8_lossy(line))),
                }
            }
            Ok(())
        }

        fn message(&mut self, t: &mut Transport<Self>, n: u64) -> Result {
            t.write(format_args!("{n}\r\n"));
            Ok(())
        }
    }

    run(async {
        let schemes = Schemes::new();
        let endpoint: ServerEndpoint = "mem:counting".parse().unwrap();
        let server = endpoint.listen_with(each::<Counting>(), schemes.clone());
        let server = server.await.unwrap();
        let mut conn = schemes
            .connect(&"mem:counting".parse().unwrap())
            .await
            .unwrap();
        conn.write_all(b"count\r\n").await.unwrap();
        tokio::task::yield_now().await;
        conn.write_all(b"meanwhile\r\n").await.unwrap();
        let mut said = [0; 11 + 8];
        conn.read_exact(&mut said).await.unwrap();
        assert_eq!(std::str::from_utf8(&said), Ok("meanwhile\r\n100000\r\n"));
        drop(conn);
        server.drain(secs(0), secs(1)).await;
    });
}
