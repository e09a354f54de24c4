//! Datagrams: late, twice, in another order, or never.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use ropewalk_core::{
    ClientEndpoint, DatagramOptions, DatagramProtocol, DatagramServer, DatagramTransport,
    Datagrams, Undelivered,
    testing::sim::{Simulation, simulate},
};

use super::*;

type Seen = Arc<Mutex<Vec<u32>>>;

/// Sends a number every millisecond.
struct Counts {
    next: u32,
    end: u32,
    undelivered: Seen,
}

impl DatagramProtocol for Counts {
    type Message = ();
    type Timer = ();

    fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        t.set_timer((), ms(1));
        Ok(())
    }

    fn timeout(&mut self, t: &mut DatagramTransport<Self>, (): ()) -> Result {
        if self.next < self.end {
            t.send_to_peer(&self.next.to_be_bytes()[..]);
            self.next += 1;
            t.set_timer((), ms(1));
        }
        Ok(())
    }

    fn received(&mut self, _: &mut DatagramTransport<Self>, _: &Datagrams) -> Result {
        Ok(())
    }

    fn undelivered(&mut self, _: &mut DatagramTransport<Self>, _: &Undelivered) -> Result {
        self.undelivered.lock().unwrap().push(self.next);
        Ok(())
    }
}

/// Notes the numbers that it hears.
struct Hears(Seen);

impl DatagramProtocol for Hears {
    type Message = ();
    type Timer = ();
    fn received(&mut self, _: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        let numbers = batch
            .iter()
            .map(|(data, _)| u32::from_be_bytes(data.try_into().unwrap()));
        self.0.lock().unwrap().extend(numbers);
        Ok(())
    }
}

async fn counts(host: &Host, to: &str, end: u32) -> (DatagramServer<()>, Seen) {
    let undelivered = Seen::default();
    let protocol = Counts {
        next: 0,
        end,
        undelivered: undelivered.clone(),
    };
    let endpoint: ClientEndpoint = to.parse().unwrap();
    let options = DatagramOptions::from(host.schemes());
    let client = endpoint.start_datagrams_with(protocol, options).await;
    (client.unwrap(), undelivered)
}

fn hears(host: &Host) -> Seen {
    let seen = Seen::default();
    let given = seen.clone();
    host.start(move |host| {
        let seen = given.clone();
        async move {
            let endpoint: ServerEndpoint = "sim:53".parse()?;
            let options = DatagramOptions::from(host.schemes());
            let server = endpoint.listen_datagrams_with(Hears(seen), options).await?;
            assert_eq!(server.local_endpoint(), "sim:10.0.0.1:53");
            std::future::pending().await
        }
    });
    seen
}

#[test]
fn on_a_good_way_all_arrive_and_overtake_each_other() {
    Simulation::from_seed(1).run(async |net| {
        let seen = hears(&net.host("server"));
        let (client, _) = counts(&net.host("client"), "sim:server:53", 1000).await;
        tokio::time::sleep(ms(2000)).await;
        let mut seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 1000);
        assert!(!seen.is_sorted());
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..1000));
        drop(client);
    });
}

#[test]
fn on_a_bad_one_some_are_lost_and_some_come_twice() {
    simulate(3, async |net| {
        let seen = hears(&net.host("server"));
        let client = net.host("client");
        net.links(|link| {
            link.loss = 0.2;
            link.duplicate = 0.2;
        });
        let (client, undelivered) = counts(&client, "sim:server:53", 1000).await;
        tokio::time::sleep(ms(2000)).await;
        let seen = seen.lock().unwrap().clone();
        let different: BTreeSet<_> = seen.iter().collect();
        assert!((700..900).contains(&different.len()), "{}", different.len());
        let twice = seen.len() - different.len();
        assert!((100..220).contains(&twice), "{twice}");
        assert!(undelivered.lock().unwrap().is_empty());
        drop(client);
        Ok(())
    });
}

#[test]
fn a_partition_swallows_and_a_long_one_too() {
    Simulation::from_seed(1).run(async |net| {
        let seen = hears(&net.host("server"));
        let client = net.host("client");
        exact(&net, ms(5));
        let (client, _) = counts(&client, "sim:server:53", 100).await;
        tokio::time::sleep(ms(50)).await;
        net.partition("client", "server");
        tokio::time::sleep(ms(20)).await;
        net.repair("client", "server");
        net.links(|link| link.mtu = 3);
        tokio::time::sleep(ms(10)).await;
        net.links(|link| link.mtu = 4);
        tokio::time::sleep(ms(100)).await;
        let seen = seen.lock().unwrap().clone();
        // Twenty by the partition, ten too long for the way.
        assert_eq!(seen.len(), 70, "{seen:?}");
        assert!(seen.is_sorted());
        drop(client);
    });
}

#[test]
fn where_nobody_listens_who_is_connected_hears_of_it() {
    Simulation::from_seed(1).run(async |net| {
        let (server, client) = (net.host("server"), net.host("client"));
        let seen = hears(&server);
        exact(&net, ms(5));
        server.crash();
        let (client, undelivered) = counts(&client, "sim:server:53", 100).await;
        tokio::time::sleep(ms(50)).await;
        let refused = undelivered.lock().unwrap().len();
        assert!((35..45).contains(&refused), "{refused}");
        server.power_off();
        tokio::time::sleep(ms(20)).await;
        let so_far = undelivered.lock().unwrap().len();
        assert!(so_far < refused + 10, "{so_far}");
        server.restart();
        tokio::time::sleep(ms(100)).await;
        assert!(undelivered.lock().unwrap().len() < so_far + 10);
        assert!(seen.lock().unwrap().ends_with(&[98, 99]));
        drop(client);
    });
}
