//! `systemd:…`, with sockets passed on as the service manager does it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ropewalk_core::{
    Connection, DatagramProtocol, DatagramTransport, Datagrams, Result, ServerEndpoint, process,
    testing::run_in_real_time,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

const IN_A_CHILD: &str = "ROPEWALK_SYSTEMD";

struct Echo;

impl DatagramProtocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, from) in batch {
            t.send(data, from);
        }
        Ok(())
    }
}

/// It runs itself as a child, with a listener as descriptor 3 and a UDP socket as 4.
#[test]
fn sockets_of_the_service_manager() {
    const NAME: &str = "systemd::sockets_of_the_service_manager";
    if std::env::var_os(IN_A_CHILD).is_some() {
        return in_a_child();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, udp) = (listener.local_addr().unwrap(), socket.local_addr().unwrap());
    let script = "exec 3<&0 4<&2 </dev/null 2>&1; \
        export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:dns; exec \"$0\" \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(IN_A_CHILD, format!("{tcp} {udp}"))
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The sockets listen already: what is sent now is answered when somebody serves.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    client.connect(udp).unwrap();
    client.send(b"question").unwrap();
    let mut answer = [0; 9];
    let answered = client.recv(&mut answer);
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = String::new();
    let read = stream.read_to_string(&mut heard);
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!(&answer[..answered.unwrap()], b"question");
    read.unwrap();
    assert_eq!(heard, "hello");
}

fn in_a_child() {
    let addresses = std::env::var(IN_A_CHILD).unwrap();
    let (tcp, udp) = addresses.split_once(' ').unwrap();
    let endpoint = |text: &str| text.parse::<ServerEndpoint>().unwrap();
    run_in_real_time(async {
        let served = Arc::new(Notify::new());
        let told = served.clone();
        let echo = move |mut conn: Connection| {
            let told = told.clone();
            async move {
                let mut heard = Vec::new();
                conn.read_to_end(&mut heard).await?;
                conn.write_all(&heard).await?;
                conn.shutdown().await?;
                told.notify_one();
                Ok(())
            }
        };
        let refused = async |text: &str| {
            let error = endpoint(text).listen(echo.clone()).await.unwrap_err();
            error.to_string()
        };
        let error = refused("systemd:name=dns").await;
        assert!(
            error.contains("it is not a stream socket that listens"),
            "{error}"
        );
        let error = refused("systemd:index=7").await;
        assert!(error.contains("there are: web, dns"), "{error}");
        let error = endpoint("systemd:name=web")
            .listen_datagrams(Echo)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("it is not a UDP socket"),
            "{error}"
        );

        let server = endpoint("systemd:name=web")
            .listen(echo.clone())
            .await
            .unwrap();
        assert_eq!(server.local_endpoint(), format!("tcp:{tcp}"));
        let error = refused("systemd:index=0").await;
        assert!(error.contains("taken already"), "{error}");
        let datagrams = endpoint("systemd:index=1")
            .listen_datagrams(Echo)
            .await
            .unwrap();
        assert_eq!(datagrams.local_endpoint(), format!("udp:{udp}"));

        // Children get neither the sockets nor the variables.
        let script = "echo $LISTEN_PID$LISTEN_FDS$LISTEN_FDNAMES; \
            test -e /proc/self/fd/3 || test -e /proc/self/fd/4 || echo none";
        let output = process::Command::new("sh")
            .args(["-c", script])
            .output("")
            .await
            .unwrap();
        assert_eq!(output.text(), "\nnone\n");

        served.notified().await;
        server.drain(Duration::ZERO, Duration::from_secs(5)).await;
        datagrams.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn without_a_service_manager_there_are_none() {
    if std::env::var_os(IN_A_CHILD).is_some() {
        return;
    }
    run_in_real_time(async {
        let endpoint: ServerEndpoint = "systemd:index=0".parse().unwrap();
        let error = endpoint
            .listen(async |_: Connection| Ok(()))
            .await
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("passed no socket to this process"),
            "{error}"
        );
    });
}
