//! Each client's line goes to all, itself included: `nc 127.0.0.1 1025`.
use ropewalk_core::*;
struct Publisher(Topic<Bytes>);
impl Protocol for Publisher {
    type Message = Bytes;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.subscribe(&self.0);
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(16_384) {
            self.0.publish(format!("<{}> {}\r\n", t.peer(), line?));
        }
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, line: Bytes) -> Result {
        t.write(line);
        Ok(())
    }
}
fn main() -> std::process::ExitCode {
    let topic = Topic::new();
    run(serve(
        "tcp:1025",
        protocol(move |_| Publisher(topic.clone())),
    ))
}
