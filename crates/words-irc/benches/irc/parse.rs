//! Messages read and written, as a client or a server has them: ours, which
//! borrows, beside those of the crate `irc-proto`.

use std::{hint::black_box, time::Instant};

use ropewalk_bench_kit::{Line, Options, Sample, Spread, Target, meter};
use ropewalk_words_irc::proto::message::Message;

/// What is on the wire on an ordinary day.
const LINES: [&str; 8] = [
    "PING :irc.example.net",
    ":irc.example.net 001 ada :Welcome to the Example network, ada!ada@host.example",
    ":irc.example.net 005 ada CASEMAPPING=ascii CHANTYPES=# NICKLEN=32 PREFIX=(qaohv)~&@%+ \
     STATUSMSG=~&@%+ TOPICLEN=390 :are supported by this server",
    ":irc.example.net 353 ada = #rope :@ada +grace alan edsger barbara donald john",
    ":grace!~grace@user/grace JOIN #rope grace :Grace",
    "@time=2026-11-22T20:00:00.000Z;msgid=ap3e8vfk2t;account=grace \
     :grace!~grace@user/grace PRIVMSG #rope :the rope is made of strands, each of them of yarns",
    ":ada!~ada@host.example MODE #rope +o-v grace alan",
    "PRIVMSG #rope :\u{1}ACTION hauls\u{1}",
];

pub(crate) fn parse(options: &Options) -> Vec<Line> {
    let mut theirs = Vec::new();
    let mut ours = Vec::new();
    let mut out = Vec::with_capacity(1024);
    meter::count_this_thread(true);
    for _ in 0..options.rounds {
        theirs.push(sample(|line| {
            // It wants the end of the line, as it comes from its codec.
            let message: irc_proto::Message = black_box(line).parse().unwrap();
            black_box(message.to_string());
        }));
        ours.push(sample(|line| {
            let message = Message::parse(black_box(line)).unwrap();
            out.clear();
            message.write(&mut out).unwrap();
            black_box(&out);
        }));
    }
    meter::count_this_thread(false);
    let median = |of: &[Sample], part: fn(&Sample) -> f64| Spread::of(of.iter().map(part)).median;
    let cost = |of: &[Sample]| {
        let (cpu, allocations) = (median(of, |s| s.cpu), median(of, |s| s.allocations));
        format!("{cpu:.0} ns, {allocations:.1} allocations")
    };
    let (ours_cost, theirs_cost) = (cost(&ours), cost(&theirs));
    println!(
        "a message parsed and written\n  ropewalk   {ours_cost}\n  irc-proto  {theirs_cost}\n"
    );
    assert_eq!(median(&ours, |s| s.allocations), 0.0, "ours allocates");
    vec![Line {
        what: "typical messages, parsed and written: a second (ratio: rates)".into(),
        peer: "irc-proto",
        ours: ours_cost,
        theirs: theirs_cost,
        ratio: Spread::of_ratios(&ours, &theirs, |s| s.rate),
        target: Target::AtLeast(5.0),
    }]
}

/// All lines, many times.
fn sample(mut work: impl FnMut(&str)) -> Sample {
    const TIMES: usize = 5000;
    let messages = (TIMES * LINES.len()) as f64;
    let (allocations, start) = (meter::allocations(), Instant::now());
    for _ in 0..TIMES {
        LINES.iter().for_each(|line| work(line));
    }
    let wall = start.elapsed().as_secs_f64();
    Sample {
        rate: messages / wall,
        cpu: wall * 1e9 / messages,
        allocations: (meter::allocations() - allocations) as f64 / messages,
    }
}
