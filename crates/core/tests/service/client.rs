//! A client that connects again, and the servers that make it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    AttemptError, Client, ClientService, ClientServiceOptions, ClientState, ClientStatus, Closed,
    Connection, GiveUp, Handler, Input, NotConnected, Protocol, Reply, Result, Schemes, Server,
    ServerEndpoint, Service, Services, Transport, each, service::ServiceState, testing::run,
};
use tokio::time::{Instant, sleep, timeout};

use crate::secs;

/// Answers lines; `hang` is not answered, and `die` closes.
#[derive(Default)]
struct Answering;

impl Protocol for Answering {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(100) {
            match &*line? {
                b"hang" => {}
                b"die" => t.close(),
                line => t.write(format_args!("{}!\r\n", String::from_utf8_lossy(line))),
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Asking(Option<Reply<String>>);

struct Ask(&'static str, Reply<String>);

impl Protocol for Asking {
    type Message = Ask;
    type Timer = ();

    fn message(&mut self, t: &mut Transport<Self>, ask: Ask) -> Result {
        self.0 = Some(ask.1);
        t.write(format_args!("{}\r\n", ask.0));
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(100) {
            if let Some(reply) = self.0.take() {
                reply.send(line?.to_string());
            }
        }
        Ok(())
    }
}

async fn ask(client: &Client<Asking>, what: &'static str) -> Result<String, Closed> {
    client.ask(|reply| Ask(what, reply)).await
}

/// Options within these schemes, with nothing left to chance.
fn options(schemes: &Schemes) -> ClientServiceOptions {
    let mut options = ClientServiceOptions::default();
    options.connect.schemes = schemes.clone();
    options.back_off.jitter = 0.0;
    options
}

fn service(schemes: &Schemes) -> ClientService<Asking> {
    ClientService::new("mem:server".parse().unwrap(), Asking::default).options(options(schemes))
}

async fn serve(schemes: &Schemes, handler: impl Handler) -> Server {
    let endpoint: ServerEndpoint = "mem:server".parse().unwrap();
    endpoint
        .listen_with(handler, schemes.clone())
        .await
        .unwrap()
}

async fn end(server: Server) {
    server.drain(secs(0), secs(0)).await;
}

fn is_waiting(status: &ClientStatus) -> bool {
    matches!(status.state, ClientState::Waiting { .. })
}

fn last_error(status: &ClientStatus) -> String {
    status.last_error.as_ref().unwrap().to_string()
}

#[test]
fn callers_wait_for_a_server_that_comes_later() {
    run(async {
        let schemes = Schemes::new();
        let service = service(&schemes);
        assert_eq!(service.state().state, ClientState::Idle);
        let began = Instant::now();
        // They may wait before it is started.
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let service = service.clone();
                tokio::spawn(async move { service.connected().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let running = service.clone().start();
        // At 0, 1, 3 and 7 seconds nobody is there.
        let status = service
            .until(|status| status.failures == 4 && is_waiting(status))
            .await;
        assert_eq!(began.elapsed(), secs(7));
        assert_eq!(
            last_error(&status),
            "cannot connect to mem:server: connection refused"
        );
        let until = (began + secs(15)).into_std();
        assert_eq!(status.state, ClientState::Waiting { until });
        assert!(service.client().is_none());
        let server = serve(&schemes, each::<Answering>()).await;
        for client in waiting {
            let client = client.await.unwrap().unwrap();
            assert_eq!(ask(&client, "hello").await.unwrap(), "hello!");
        }
        assert_eq!(began.elapsed(), secs(15));
        let since = (began + secs(15)).into_std();
        assert_eq!(service.state().state, ClientState::Connected { since });
        assert_eq!(service.state().failures, 0);
        assert_eq!(server.counts().accepted, 1, "all have the same connection");
        running.stop().await.unwrap();
        end(server).await;
    });
}

#[test]
fn a_lost_connection_is_replaced_and_nobody_gets_the_dead_one() {
    run(async {
        let schemes = Schemes::new();
        let server = serve(&schemes, each::<Answering>()).await;
        let service = service(&schemes);
        let running = service.clone().start();
        for _ in 0..5 {
            let client = service.connected().await.unwrap();
            assert_eq!(ask(&client, "one").await.unwrap(), "one!");
            let lost = ask(&client, "die").await.unwrap_err();
            assert!(matches!(lost, Closed::Peer), "{lost:?}");
            // In the same turn in which the end was heard of.
            assert!(service.client().is_none());
        }
        let status = service.until(is_waiting).await;
        assert_eq!(
            last_error(&status),
            "the connection to mem:server ended: closed by the peer"
        );
        running.stop().await.unwrap();
        assert!(matches!(
            service.connected().await,
            Err(NotConnected::Stopped)
        ));
        end(server).await;
    });
}

#[test]
fn a_server_that_closes_at_once_is_left_alone_for_longer_and_longer() {
    run(async {
        let schemes = Schemes::new();
        let server = serve(&schemes, async |_: Connection| Ok(())).await;
        let service = service(&schemes);
        let running = service.clone().start();
        sleep(Duration::from_millis(31_500)).await;
        // At 0, 1, 3, 7, 15 and 31 seconds.
        assert_eq!(server.counts().accepted, 6);
        end(server).await;
        // One that stays is a success, and its loss is the first failure.
        let server = serve(&schemes, each::<Answering>()).await;
        let client = service.connected().await.unwrap();
        sleep(secs(61)).await;
        ask(&client, "die").await.unwrap_err();
        let lost = Instant::now();
        service.connected().await.unwrap();
        assert_eq!(lost.elapsed(), secs(1));
        running.stop().await.unwrap();
        end(server).await;
    });
}

#[test]
fn nobody_gets_a_connection_before_it_is_prepared() {
    run(async {
        let schemes = Schemes::new();
        let server = serve(&schemes, each::<Answering>()).await;
        let attempts = Arc::new(AtomicU64::new(0));
        let made = attempts.clone();
        let service = service(&schemes).prepare(move |client| {
            let attempt = made.fetch_add(1, Relaxed);
            async move {
                let question = match attempt {
                    0 => return Err("the login was refused".into()),
                    // The server hangs up, or hangs.
                    1 => "die",
                    2 => "hang",
                    _ => "login",
                };
                ask(&client, question).await?;
                Ok(())
            }
        });
        let began = Instant::now();
        let running = service.clone().start();
        let expected = [
            (
                secs(0),
                "cannot prepare the connection to mem:server: the login was refused",
            ),
            (
                secs(1),
                "cannot prepare the connection to mem:server: closed by the peer",
            ),
            (
                secs(1 + 2 + 30),
                "the connection to mem:server was not made and prepared within 30s",
            ),
        ];
        for (failures, (after, error)) in (1..).zip(expected) {
            let status = service.until(|status| status.failures == failures && is_waiting(status));
            assert_eq!(last_error(&status.await), error);
            assert_eq!(began.elapsed(), after);
            assert!(service.client().is_none());
        }
        let client = service.connected().await.unwrap();
        assert_eq!(ask(&client, "hello").await.unwrap(), "hello!");
        assert_eq!(attempts.load(Relaxed), 4);
        // What was prepared in vain is not left open.
        assert_eq!(server.counts().open, 1);
        running.stop().await.unwrap();
        end(server).await;
    });
}

#[test]
fn a_step_that_gives_up_ends_the_service() {
    run(async {
        let schemes = Schemes::new();
        let server = serve(&schemes, each::<Answering>()).await;
        let service =
            service(&schemes).prepare(async |_| Err(GiveUp::new("the password is wrong").into()));
        let mut running = service.clone().start();
        let error = service.connected().await.unwrap_err();
        let what = "gave up: cannot prepare the connection to mem:server: the password is wrong";
        assert_eq!(error.to_string(), what);
        let error = running.ended().await.unwrap_err();
        assert_eq!(error.to_string(), format!("mem:server: {what}"));
        assert_eq!(server.counts().accepted, 1);
        end(server).await;
    });
}

#[test]
fn attempts_end_where_they_cannot_help_or_are_too_many() {
    run(async {
        let schemes = Schemes::new();
        let mut options = options(&schemes);
        options.back_off.attempts = Some(3);
        let service = service(&schemes).options(options.clone());
        let mut running = service.clone().start();
        let error = service.connected().await.unwrap_err();
        assert!(matches!(error, NotConnected::GaveUp(_)), "{error}");
        assert_eq!(service.state().failures, 3);
        running.ended().await.unwrap_err();
        let nowhere = "nowhere:at:all".parse().unwrap();
        let service = ClientService::new(nowhere, Asking::default).options(options);
        let mut running = service.clone().start();
        let error = service.connected().await.unwrap_err();
        assert!(
            matches!(&error, NotConnected::GaveUp(why) if matches!(**why, AttemptError::Connect(_)))
        );
        assert_eq!(service.state().failures, 1, "{error}");
        running.ended().await.unwrap_err();
    });
}

#[test]
fn a_caller_may_give_up_after_some_attempts_and_others_wait_on() {
    run(async {
        let schemes = Schemes::new();
        let service = service(&schemes);
        let running = service.clone().start();
        let began = Instant::now();
        let failing = service.connected_within(3).await.unwrap_err();
        assert!(matches!(failing, NotConnected::Failing { attempts: 3, .. }));
        assert_eq!(began.elapsed(), secs(3));
        // They count from the call on.
        let failing = service.connected_within(1).await.unwrap_err();
        assert_eq!(began.elapsed(), secs(7));
        let text = "1 attempts failed: cannot connect to mem:server: connection refused";
        assert_eq!(failing.to_string(), text);
        let server = serve(&schemes, each::<Answering>()).await;
        service.connected().await.unwrap();
        running.stop().await.unwrap();
        end(server).await;
    });
}

#[test]
fn callers_that_wait_are_limited_and_a_cancelled_one_makes_room() {
    run(async {
        let schemes = Schemes::new();
        let mut options = options(&schemes);
        options.waiting = 2;
        let service = service(&schemes).options(options);
        let one = service.connected();
        let two = service.connected();
        {
            let (mut one, two) = (Box::pin(one), Box::pin(two));
            assert!(timeout(secs(1), &mut one).await.is_err());
            let second = timeout(secs(1), two);
            tokio::pin!(second);
            tokio::select! {
                biased;
                _ = &mut second => panic!("there is nothing to be had yet"),
                () = async {} => {}
            }
            let third = service.connected().await.unwrap_err();
            assert!(matches!(third, NotConnected::TooManyWaiting(2)));
        }
        let running = service.clone().start();
        let server = serve(&schemes, each::<Answering>()).await;
        service.connected().await.unwrap();
        running.stop().await.unwrap();
        end(server).await;
    });
}

/// Says goodbye and waits for the server's, which never comes.
#[derive(Default)]
struct Stuck;

impl Protocol for Stuck {
    type Message = ();
    type Timer = ();

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("hang\r\n");
        Ok(())
    }
}

#[test]
fn a_stop_parts_politely_and_in_time() {
    run(async {
        let schemes = Schemes::new();
        let server = serve(&schemes, each::<Answering>()).await;
        let endpoint = "mem:server".parse().unwrap();
        let service = ClientService::new(endpoint, Stuck::default).options(options(&schemes));
        let running = service.clone().start();
        let client = service.connected().await.unwrap();
        let began = Instant::now();
        running.stop().await.unwrap();
        assert_eq!(began.elapsed(), secs(10), "announce and grace");
        assert!(client.is_closed());
        assert!(matches!(client.closed().await, Closed::Aborted));
        end(server).await;
    });
}

#[test]
fn dropped_in_any_state_it_leaves_nothing_behind() {
    for moment in [1, 100, 1500, 35_000, 37_000] {
        run(async {
            let schemes = Schemes::new();
            let attempts = Arc::new(AtomicU64::new(0));
            let service = service(&schemes).prepare(move |client| {
                let attempt = attempts.fetch_add(1, Relaxed);
                async move {
                    if attempt == 0 {
                        ask(&client, "hang").await?;
                    }
                    Ok(())
                }
            });
            let running = service.clone().start();
            // Refused at 0, hangs from 1 to 31, connected from 33.
            let server = async {
                sleep(Duration::from_millis(500)).await;
                serve(&schemes, each::<Answering>()).await
            };
            let dropped = async {
                sleep(Duration::from_millis(moment)).await;
                drop(running);
                tokio::task::yield_now().await;
                assert!(matches!(
                    service.connected().await,
                    Err(NotConnected::Stopped)
                ));
            };
            let (server, ()) = tokio::join!(server, dropped);
            server.until_connections(|open| open == 0).await;
            end(server).await;
        });
    }
}

#[test]
fn services_behind_it_may_wait_for_the_connection() {
    run(async {
        let schemes = Schemes::new();
        let mut options = options(&schemes);
        options.ready_when_connected = true;
        let client = service(&schemes).options(options).named("database");
        let services = Services::new().add(client.clone()).start();
        let tree = services.status();
        client.until(is_waiting).await;
        assert_eq!(tree.snapshot().children[0].state, ServiceState::Starting);
        let server = serve(&schemes, each::<Answering>()).await;
        services.ready().await.unwrap();
        assert_eq!(tree.snapshot().children[0].name, "database");
        assert!(client.client().is_some());
        services.stop().await.unwrap();
        end(server).await;
    });
}
