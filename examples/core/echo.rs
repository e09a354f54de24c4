//! Echoes every byte: `nc 127.0.0.1 1234`.
use ropewalk_core::*;
#[derive(Default)]
struct Echo;
#[rustfmt::skip]
impl Protocol for Echo {
    type Message = (); type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result { t.write(data); Ok(()) }
}
fn main() -> std::process::ExitCode {
    run(serve("tcp:1234", each::<Echo>()))
}
