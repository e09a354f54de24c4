#![allow(clippy::unwrap_used, reason = "a test")]

use ropewalk_core::{Address, Peer, testing::run};
use tokio::io::DuplexStream;

use super::*;

fn connection(stream: DuplexStream) -> Connection {
    let address = Address::Memory("websocket".into());
    Connection::new(Stream::new(stream), Peer::new(address.clone()), address)
}

async fn pair(subprotocol: Subprotocol) -> (Connection, Connection) {
    // Narrow, so that frames and lines are cut anywhere.
    let (client, server) = tokio::io::duplex(37);
    let mut options = ConnectOptions::new("localhost");
    options.subprotocols = vec![subprotocol];
    let accept_options = AcceptOptions::default();
    let (client, server) = tokio::join!(
        connect(connection(client), &options),
        accept(connection(server), &accept_options)
    );
    (client.unwrap(), server.unwrap())
}

async fn read_all(mut connection: Connection) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    connection.read_to_end(&mut all).await?;
    Ok(all)
}

#[test]
fn lines_go_both_ways_whatever_the_pieces() {
    run(async {
        for subprotocol in [Subprotocol::Text, Subprotocol::Binary] {
            let (mut client, mut server) = pair(subprotocol).await;
            let write = async {
                for piece in [
                    "NICK a",
                    "da\r",
                    "\nUSER a 0 * :A\r\nPRIVMSG #é :hél",
                    "lo\n",
                ] {
                    client.write_all(piece.as_bytes()).await.unwrap();
                    client.flush().await.unwrap();
                }
                let mut welcome = [0; 11];
                client.read_exact(&mut welcome).await.unwrap();
                assert_eq!(&welcome, b"001 hello\r\n");
                client.shutdown().await.unwrap();
            };
            let read = async {
                server.write_all(b"001 hello\r\n").await.unwrap();
                server.flush().await.unwrap();
                read_all(server).await.unwrap()
            };
            let ((), read) = tokio::join!(write, read);
            let read = String::from_utf8(read).unwrap();
            assert_eq!(read, "NICK ada\r\nUSER a 0 * :A\r\nPRIVMSG #é :héllo\r\n");
        }
    });
}

#[test]
fn what_is_no_utf8_is_kept_where_that_can_be() {
    run(async {
        for (subprotocol, expected) in [
            (Subprotocol::Text, "X \u{fffd}\r\n".as_bytes()),
            (Subprotocol::Binary, b"X \xff\r\n".as_slice()),
        ] {
            let (mut client, server) = pair(subprotocol).await;
            let write = async {
                client.write_all(b"X \xff\r\n").await.unwrap();
                client.shutdown().await.unwrap();
            };
            let ((), read) = tokio::join!(write, read_all(server));
            assert_eq!(read.unwrap(), expected);
        }
    });
}

/// A message that pretends to be two lines, and one that is too long.
#[test]
fn a_message_is_one_line_and_no_longer_than_it_may_be() {
    run(async {
        for (message, what) in [
            ("PRIVMSG a :b\r\nQUIT".to_owned(), "several lines"),
            ("x".repeat(100_000), "payload"),
        ] {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let options = ConnectOptions::new("localhost");
            let key = handshake::Key::new(|| 1);
            let request = key.request(&options).unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            let options = AcceptOptions::default();
            let accepted = accept(connection(server), &options).await.unwrap();
            let mut stream = Stream::new(client);
            read_head(&mut stream).await.unwrap();
            let mut socket = tokio_websockets::ClientBuilder::new().take_over(stream);
            futures_util::future::poll_fn(|cx| {
                let mut socket = Pin::new(&mut socket);
                socket
                    .as_mut()
                    .start_send(Message::text(message.clone()))
                    .unwrap();
                socket.poll_flush(cx)
            })
            .await
            .unwrap();
            let error = read_all(accepted).await.unwrap_err();
            assert!(error.to_string().to_lowercase().contains(what), "{error}");
        }
    });
}

/// Bytes without end are no handshake; nor is what stops in the middle.
#[test]
fn a_handshake_has_an_end() {
    run(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(&vec![b'x'; 2 * HEAD]).await.unwrap();
        let options = AcceptOptions::default();
        let error = accept(connection(server), &options).await.unwrap_err();
        assert!(
            error.to_string().contains("more than 8192 bytes"),
            "{error}"
        );
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");

        let (client, server) = tokio::io::duplex(1 << 10);
        drop(client);
        assert!(accept(connection(server), &options).await.is_err());
    });
}
