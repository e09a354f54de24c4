//! One transcript, over the bench, memory, TCP and TLS alike.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use expect_test::{Expect, expect};
use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Input, Protocol, Result, Schemes, ServerEndpoint,
    ServerOptions, Transport, each,
    testing::{Dialogue, Pair, Rig, run, run_in_real_time},
    tls::TestCa,
};

/// Counts what it is told to, and gives up after a minute of silence.
#[derive(Default)]
struct Adder(u64);

impl Protocol for Adder {
    type Message = u64;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.set_timer((), Duration::from_secs(60));
        t.write("200 add what?\r\n");
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let Some(line) = data.line(20)? else {
            return Ok(());
        };
        t.set_timer((), Duration::from_secs(60));
        match std::str::from_utf8(line).unwrap_or_default() {
            "QUIT" => {
                t.write("221 bye\r\n");
                t.close();
            }
            "TOTAL" => {
                // The answer is looked up, and what comes behind the question
                // waits for it.
                t.pause();
                let total = self.0;
                t.defer(async move { total });
            }
            number => match number.parse::<u64>() {
                Ok(number) => {
                    self.0 += number;
                    t.write("250 added\r\n");
                }
                Err(_) => t.write("500 that is no number\r\n"),
            },
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, total: u64) -> Result {
        t.write(format_args!("250 {total}\r\n"));
        t.resume();
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        t.write("421 too slow\r\n");
        t.close();
        Ok(())
    }
}

fn talk() -> Expect {
    expect![[r"
        S: 200 add what?
        C: 4
        S: 250 added
        C: four
        S: 500 that is no number
        # Three at once: the answers come in order.
        C: 3\r\nTOTAL\r\n1
        S: 250 added
        S: 250 7
        S: 250 added
        C: QUIT
        S: 221 bye
        (closed)
    "]]
}

#[test]
fn over_a_rig() {
    let dialogue: Dialogue = talk().data().parse().unwrap();
    let mut rig = Rig::new(Adder::default());
    talk().assert_eq(&dialogue.over_rig(&mut rig));
    rig.finish();
}

#[test]
fn time_passes_on_a_rig() {
    let text = expect![[r"
        S: 200 add what?
        (59s)
        C: 1
        S: 250 added
        (59s)
        (1s)
        S: 421 too slow
        (closed)
    "]];
    let dialogue: Dialogue = text.data().parse().unwrap();
    text.assert_eq(&dialogue.over_rig(&mut Rig::new(Adder::default())));
}

#[test]
fn over_memory_in_virtual_time() {
    run(async {
        let schemes = Schemes::new();
        let endpoint: ServerEndpoint = "mem:adder".parse().unwrap();
        let server = endpoint
            .listen_with(each::<Adder>(), schemes.clone())
            .await
            .unwrap();
        let slow = "S: 200 add what?\n(60s)\nS: 421 too slow\n(closed)\n";
        for text in [talk().data(), slow] {
            let dialogue: Dialogue = text.parse().unwrap();
            let conn = schemes
                .connect(&"mem:adder".parse().unwrap())
                .await
                .unwrap();
            let said = dialogue.over(conn).await.unwrap();
            assert_eq!(said.trim(), text.trim().replace("        ", ""));
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

#[test]
fn over_tcp_and_tls() {
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let mut options = ServerOptions::default();
        options.tls = Some(ca.server(&["127.0.0.1"]).unwrap());
        let mut connect = ConnectOptions::default();
        connect.tls = Some(ca.client().unwrap());
        for endpoint in ["tcp:0", "tls:0"] {
            let endpoint: ServerEndpoint = endpoint.parse().unwrap();
            let server = endpoint
                .listen_with(each::<Adder>(), options.clone())
                .await
                .unwrap();
            let endpoint: ClientEndpoint = server.local_endpoint().parse().unwrap();
            let conn = endpoint.connect_with(&connect).await.unwrap();
            let dialogue: Dialogue = talk().data().parse().unwrap();
            talk().assert_eq(&dialogue.over(conn).await.unwrap());
            server.drain(Duration::ZERO, Duration::from_secs(5)).await;
        }
    });
}

/// Asks for a sum; a client in a few lines.
struct Sum(&'static [u8], Vec<String>);

impl Protocol for Sum {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(80) {
            self.1.push(line?.to_string());
            match self.0.split_first() {
                Some((next, rest)) => {
                    self.0 = rest;
                    t.write(format_args!("{next}\r\n"));
                }
                None => t.write(if self.1.len() < 5 {
                    "TOTAL\r\n"
                } else {
                    "QUIT\r\n"
                }),
            }
        }
        Ok(())
    }
}

#[test]
fn client_and_server_agree_whatever_the_segments() {
    for segment in [1, 2, 3, 7, usize::MAX] {
        let client = Sum(&[20, 21, 1], Vec::new());
        let mut pair = Pair::new(client, Adder::default()).segments(segment);
        pair.run();
        assert!(pair.client.is_closed() && pair.server.is_closed());
        let lines = pair.client.finish().1;
        assert_eq!(lines[4..], ["250 42", "221 bye"], "segments of {segment}");
    }
}

#[test]
fn a_cut_at_any_byte_ends_both() {
    for cut in 0..80 {
        let client = Sum(&[20, 21, 1], Vec::new());
        let mut pair = Pair::new(client, Adder::default()).cut_after(cut);
        pair.run();
        assert!(
            pair.client.is_closed() && pair.server.is_closed(),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_client_of_ours_is_tried_against_a_script() {
    let text = "S: 200 hello\nC: 5\nS: 250 ok\nC: TOTAL\n(eof)\n(closed)\n";
    let dialogue = Dialogue::of_client(text).unwrap();
    let mut rig = Rig::new(Sum(&[5], Vec::new()));
    assert_eq!(dialogue.over_rig(&mut rig), text);
}
