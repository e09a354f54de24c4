//! STARTTLS on both sides: a server that says a secret only under TLS, and a
//! client that asks for it. It runs on loopback, prints the secret, and ends.
use std::{io::Write, process::ExitCode, time::Duration};

use ropewalk_core::{
    tls::{ServerName, TestCa, TlsClient, TlsServer},
    *,
};

struct Keeper(TlsServer);

impl Protocol for Keeper {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        while let Some(line) = data.line(80)? {
            match line {
                b"STARTTLS" if t.peer().tls.is_none() => {
                    t.write("220 go ahead\r\n");
                    t.start_tls(&self.0);
                    // What is unread now would come from before the handshake,
                    // and ends the connection.
                    return Ok(());
                }
                b"SECRET" if t.peer().tls.is_some() => t.write("250 open sesame\r\n"),
                b"SECRET" => t.write("538 not without TLS\r\n"),
                _ => t.write("500 what?\r\n"),
            }
        }
        Ok(())
    }
}

struct Asker {
    tls: TlsClient,
    waiting: Option<Reply<String>>,
}

impl Protocol for Asker {
    type Message = Reply<String>;
    type Timer = ();
    fn message(&mut self, t: &mut Transport<Self>, reply: Reply<String>) -> Result {
        self.waiting = Some(reply);
        t.write("STARTTLS\r\n");
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let Some(line) = data.line(80)? else {
            return Ok(());
        };
        match (line, self.waiting.take()) {
            (b"220 go ahead", waiting) => {
                self.waiting = waiting;
                t.start_tls_client(&self.tls, &ServerName::try_from("localhost")?);
            }
            (line, Some(reply)) => reply.send(String::from_utf8_lossy(line).into_owned()),
            (_, None) => return Err("an answer to no question".into()),
        }
        Ok(())
    }
    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("SECRET\r\n");
        Ok(())
    }
}

fn main() -> ExitCode {
    run(async {
        let ca = TestCa::new()?;
        let tls = ca.server(&["localhost"])?;
        let endpoint: ServerEndpoint = "tcp:0".parse()?;
        let server = endpoint
            .listen(protocol(move |_| Keeper(tls.clone())))
            .await?;

        let endpoint: ClientEndpoint = server.local_endpoint().parse()?;
        let tls = ca.client()?;
        let client = endpoint.start(Asker { tls, waiting: None }).await?;
        let secret = client.ask(|reply| reply).await?;
        writeln!(std::io::stdout(), "{secret}")?;
        drop(client);
        server.drain(Duration::ZERO, Duration::from_secs(5)).await;
        Ok(())
    })
}
