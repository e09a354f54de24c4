//! The server over WebSocket: in memory with our own other side, in the clear and
//! within TLS, and with a client that browsers' servers are tested with.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{
    Connection, Schemes, Server, ServerEndpoint, ServerOptions, factory, testing::run, tls::TestCa,
};
use ropewalk_words_irc::{
    server::{Network, NetworkOptions},
    websocket::{Accept, AcceptOptions, ConnectOptions, Subprotocol, connect},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn listen(
    schemes: &Schemes,
    endpoint: &str,
    tls: Option<&TestCa>,
    accept: AcceptOptions,
) -> Server {
    let mut options = ServerOptions::default();
    options.schemes = schemes.clone();
    if let Some(ca) = tls {
        options
            .layers
            .push(Arc::new(ca.server(&["localhost"]).unwrap()));
    }
    options.layers.push(Arc::new(Accept(accept)));
    let network = Network::new(NetworkOptions::default());
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    endpoint
        .listen_with(factory(network), options)
        .await
        .unwrap()
}

/// Reads until `what` has come.
async fn hear(connection: &mut Connection, what: &str) -> String {
    let mut heard = Vec::new();
    let mut part = [0; 512];
    while !String::from_utf8_lossy(&heard).contains(what) {
        let n = connection.read(&mut part).await.unwrap();
        assert!(
            n > 0,
            "no {what:?} in {:?}",
            String::from_utf8_lossy(&heard)
        );
        heard.extend_from_slice(&part[..n]);
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn a_session_in_the_clear_and_within_tls() {
    run(async {
        let ca = TestCa::new().unwrap();
        for tls in [None, Some(&ca)] {
            for subprotocol in [Subprotocol::Text, Subprotocol::Binary] {
                let schemes = Schemes::new();
                let server = listen(&schemes, "mem:ws", tls, AcceptOptions::default()).await;
                let mut connection = schemes.connect(&"mem:ws".parse().unwrap()).await.unwrap();
                if let Some(ca) = tls {
                    let client = ca.client().unwrap();
                    let name = "localhost".to_owned().try_into().unwrap();
                    connection = connection
                        .wrap(|stream| client.connect(stream, name))
                        .await
                        .unwrap();
                }
                let mut options = ConnectOptions::new("localhost");
                options.subprotocols = vec![subprotocol];
                let mut connection = connect(connection, &options).await.unwrap();
                let lines = "NICK ada\r\nUSER ada 0 * :Ada\r\nJOIN #rope\r\n";
                connection.write_all(lines.as_bytes()).await.unwrap();
                connection.flush().await.unwrap();
                hear(&mut connection, " 366 ada #rope ").await;
                connection
                    .write_all("TOPIC #rope :é\r\nQUIT\r\n".as_bytes())
                    .await
                    .unwrap();
                connection.flush().await.unwrap();
                hear(&mut connection, "TOPIC #rope :é\r\n").await;
                hear(&mut connection, "ERROR :Closing Link").await;
                server.drain(Duration::ZERO, Duration::from_secs(1)).await;
            }
        }
    });
}

/// Who is no WebSocket, and whose page may not, is told so in HTTP.
#[test]
fn who_is_no_websocket_is_told_in_http() {
    run(async {
        let schemes = Schemes::new();
        let mut accept = AcceptOptions::default();
        accept.origins = vec!["https://chat.example.com".to_owned()];
        let server = listen(&schemes, "mem:ws", None, accept).await;
        let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "400 "),
            (format!("{upgrade}Sec-WebSocket-Version: 8\r\n\r\n"), "426 "),
            (
                format!("{upgrade}Sec-WebSocket-Version: 13\r\nOrigin: https://evil.test\r\n\r\n"),
                "403 ",
            ),
            ("NICK ada\r\nUSER ada 0 * :Ada\r\n\r\n".to_owned(), "400 "),
        ] {
            let mut connection = schemes.connect(&"mem:ws".parse().unwrap()).await.unwrap();
            connection.write_all(request.as_bytes()).await.unwrap();
            connection.flush().await.unwrap();
            let told = hear(&mut connection, "\r\n\r\n").await;
            assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

/// The Python package `websockets`.
mod with_python_websockets {
    use super::*;

    const SCRIPT: &str = r##"
import asyncio, sys, websockets

async def session(subprotocol):
    async with websockets.connect(sys.argv[1], subprotocols=[subprotocol]) as ws:
        assert ws.subprotocol == subprotocol, ws.subprotocol
        text = subprotocol.startswith("text")
        send = lambda line: ws.send(line if text else line.encode())
        async def hear(what):
            while True:
                line = await ws.recv()
                assert isinstance(line, str if text else bytes), line
                line = line if text else line.decode()
                assert not line.endswith("\n"), line
                if what in line:
                    return line
        await send("NICK ada")
        await send("USER ada 0 * :Ada")
        await hear(" 001 ada ")
        await send("JOIN #rope")
        await hear(" 366 ")
        await send("TOPIC #rope :h\u00e9llo")
        assert (await hear("TOPIC")).endswith(":h\u00e9llo")
        pong = await ws.ping()
        await pong
        await send("QUIT")
        await hear("ERROR")
        try:
            await ws.recv()
            raise SystemExit("it goes on after ERROR")
        except websockets.ConnectionClosed:
            pass

async def main():
    for subprotocol in ["text.ircv3.net", "binary.ircv3.net"]:
        await session(subprotocol)
    print("done")

asyncio.run(asyncio.wait_for(main(), 60))
"##;

    #[test]
    #[ignore = "needs the Python package websockets; cargo xtask test runs it where it is installed"]
    fn a_session_in_text_and_in_binary() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = listen(&Schemes::global(), "tcp:0", None, AcceptOptions::default()).await;
            let address = server.local_address().inet().unwrap();
            let python = std::env::var("ROPEWALK_PYTHON").expect("cargo xtask test says where");
            let script = tokio::task::spawn_blocking(move || {
                std::process::Command::new(python)
                    .args(["-c", SCRIPT, &format!("ws://{address}/")])
                    .output()
                    .unwrap()
            });
            let output = script.await.unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            assert_eq!(output.stdout, b"done\n");
            server.drain(Duration::ZERO, Duration::from_secs(1)).await;
        });
    }
}
