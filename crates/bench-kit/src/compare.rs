//! Sides taken in turn, so that they share whatever else the machine does.

use std::{future::Future, time::Instant};

use crate::{
    meter,
    program::Options,
    report::Sample,
    side::{Running, Side, runtime},
};

/// What clients do to a server.
pub trait Load {
    /// The clients, connected.
    type Clients;

    /// Connects them all, and makes them ready.
    fn connect(&self, server: &Running) -> impl Future<Output = Self::Clients>;

    /// Turns that each side has in a round: short ones, since what disturbs a
    /// machine lasts longer than that, and then disturbs all of them.
    fn turns(&self) -> usize {
        20
    }

    /// Some milliseconds of work, to its end; says how many messages that were.
    fn work(&self, clients: &mut Self::Clients) -> impl Future<Output = usize>;
}

/// Samples of each side, one a round; those of a round belong together.
///
/// # Panics
/// Where something cannot be measured.
pub fn compare(sides: &[Side], load: &impl Load, options: &Options) -> Vec<Vec<Sample>> {
    let start: Vec<_> = sides.iter().map(|side| || side.start()).collect();
    compare_servers(&start, load, options)
}

/// The same of anything that can be started, processes for example.
///
/// # Panics
/// Where something cannot be measured.
pub fn compare_servers(
    servers: &[impl Fn() -> Running],
    load: &impl Load,
    options: &Options,
) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); servers.len()];
    for round in 0..options.rounds {
        // The runtime goes last: clients hang up while they still have it.
        let runtime = runtime();
        let mut running = Vec::new();
        for start in servers {
            let server = start();
            let mut clients = runtime.block_on(load.connect(&server));
            runtime.block_on(load.work(&mut clients));
            running.push((server, clients, Sum::default()));
        }
        for turn in 0..load.turns() {
            for i in 0..running.len() {
                // Another one first each time.
                let next = (i + turn + round) % running.len();
                let (server, clients, sum) = &mut running[next];
                sum.measure(server, || runtime.block_on(load.work(clients)));
            }
        }
        for (samples, (server, clients, sum)) in samples.iter_mut().zip(running) {
            samples.push(sum.sample());
            drop(clients);
            server.stop();
        }
    }
    samples
}

#[derive(Default)]
struct Sum {
    messages: f64,
    wall: f64,
    cpu: f64,
    allocations: f64,
}

impl Sum {
    fn measure(&mut self, server: &Running, work: impl FnOnce() -> usize) {
        let (cpu, allocations) = (server.cpu.read().unwrap(), meter::allocations());
        let start = Instant::now();
        self.messages += work() as f64;
        self.wall += start.elapsed().as_secs_f64();
        self.cpu += server.cpu.read().unwrap() - cpu;
        self.allocations += (meter::allocations() - allocations) as f64;
    }

    fn sample(&self) -> Sample {
        Sample {
            rate: self.messages / self.wall,
            cpu: self.cpu / self.messages,
            allocations: self.allocations / self.messages,
        }
    }
}
