//! A program as a peer: `sort` gets our lines through a pipe, as a protocol.
//! Run: cargo run -p ropewalk-core --example process_pipe
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]
use ropewalk_core::{process::Command, *};

struct Sorting(Vec<&'static str>);

impl Protocol for Sorting {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(self.0.join("\n"));
        t.finish(); // its input ends here; its output is still to come
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(1024) {
            println!("{}", line?);
        }
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    run(async {
        let (_, pipe) = Command::new("sort").arg("-r").spawn()?;
        let (_, ended) = pipe.run(Sorting(vec!["hemp", "strand", "rope\n"])).await;
        println!("{ended}");
        Ok(())
    })
}
