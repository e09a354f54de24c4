//! A network of one server: `irssi -c 127.0.0.1`, then `/join #rope`.
use ropewalk_core::{factory, run, serve};
use ropewalk_words_irc::server::{Network, NetworkOptions};

fn main() -> std::process::ExitCode {
    let endpoint = std::env::args().nth(1).unwrap_or("tcp:6667".into());
    let mut options = NetworkOptions::default();
    options.server = "irc.example.org".into();
    options.motd = vec!["Be kind.".into()];
    run(serve(&endpoint, factory(Network::new(options))))
}
