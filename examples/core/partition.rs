//! A client and a server on a simulated network that breaks between them: the
//! client tries again until each number is delivered. Give it a seed to see
//! another run, the same one every time.
//! Run: cargo run -p ropewalk-core --example partition --features testing [SEED]
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]
use std::{future::pending, time::Duration};

use ropewalk_core::{testing::sim::*, *};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// Answers each number once it has it.
async fn take(mut conn: Connection) -> Result {
    while let Ok(number) = conn.read_u8().await {
        conn.write_u8(number).await?;
    }
    Ok(())
}

/// Delivers a number: a connection each time, and ten seconds for the answer.
async fn deliver(host: &Host, number: u8) -> Result {
    let server = "sim:server:1:timeout=10".parse()?;
    let mut conn = host.schemes().connect(&server).await?;
    conn.write_u8(number).await?;
    let answer = timeout(Duration::from_secs(10), conn.read_u8()).await??;
    (answer == number)
        .then_some(())
        .ok_or("another number".into())
}

async fn story(net: Network) -> Result {
    net.host("server").start(|host| async move {
        let endpoint: ServerEndpoint = "sim:1".parse()?;
        let _server = endpoint.listen_with(take, host.schemes()).await?;
        pending().await
    });
    let client = net.host("client");
    for number in 1..=4 {
        if number == 2 {
            net.partition("client", "server");
            println!("{:6.2?}  cut", net.elapsed());
        }
        let mut back_off = Duration::from_secs(1);
        while let Err(error) = deliver(&client, number).await {
            println!("{:6.2?}  {number}: {error}", net.elapsed());
            sleep(back_off.mul_f64(1.0 + net.random().below(100) as f64 / 100.0)).await;
            back_off *= 2;
            if back_off > Duration::from_secs(8) {
                net.repair("client", "server");
                println!("{:6.2?}  repaired", net.elapsed());
            }
        }
        println!("{:6.2?}  {number} delivered", net.elapsed());
    }
    Ok(())
}

fn main() -> Result {
    let seed = std::env::args().nth(1).map_or(Ok(0), |seed| seed.parse())?;
    Simulation::from_seed(seed).run(story)
}
