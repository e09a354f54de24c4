//! Endpoints other than sockets of the Internet: processes, Unix sockets,
//! inherited descriptors, standard input and output, and schemes of one's own.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{
    io::{self, Write},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use ropewalk_core::{
    Accepted, Address, Bound, BoxFuture, Client, ClientEndpoint, Closed, ConnectError,
    ConnectOptions, Connection, Credentials, Input, ListenError, Listener, Peer, Protocol, Result,
    Route, Scheme, Schemes, Server, ServerEndpoint, ServerOptions, Stream, Transport, each,
    endpoint::Description, protocol, testing,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Default)]
struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

async fn listen(endpoint: &str) -> Result<Server, ListenError> {
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    endpoint.listen(each::<Echo>()).await
}

/// A round of echo over an endpoint.
async fn check(endpoint: &str) {
    let endpoint: ClientEndpoint = endpoint.parse().unwrap();
    let mut peer = endpoint.connect().await.unwrap();
    peer.write_all(b"hello").await.unwrap();
    peer.shutdown().await.unwrap();
    let mut heard = String::new();
    peer.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello");
}

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("ropewalk-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Says something, ends its side, and hears how the other end ended.
struct Caller {
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Protocol for Caller {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        self.heard
            .lock()
            .unwrap()
            .extend_from_slice(&data.take_all());
        if self.heard.lock().unwrap().ends_with(b"over\n") {
            t.close();
        }
        Ok(())
    }
}

#[test]
fn a_process_is_a_peer() {
    testing::run_in_real_time(async {
        check("exec:cat").await;
        for (command, said, status) in [
            (r"exec:sh -c 'echo one; echo two; exit 3'", "one\ntwo\n", 3),
            (r"exec:sh -c 'echo over; cat; exit 4'", "over\n", 4),
            ("exec:true", "", 0),
        ] {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let endpoint: ClientEndpoint = command.parse().unwrap();
            let caller = Caller {
                heard: heard.clone(),
            };
            let client = endpoint.start(caller).await.unwrap();
            let Closed::Exit(exit) = client.closed().await else {
                panic!("{command}")
            };
            assert_eq!(exit.code(), Some(status), "{command}");
            assert_eq!(String::from_utf8_lossy(&heard.lock().unwrap()), said);
        }
        let missing: ClientEndpoint = "exec:/no/such/program".parse().unwrap();
        let error = missing.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Io { .. }), "{error}");
    });
}

#[test]
fn a_unix_socket_by_path() {
    let folder = Folder::new("unix");
    let path = folder.0.join("s.sock");
    let endpoint = format!("unix:{}", path.display());
    testing::run_in_real_time(async {
        let seen = Arc::new(Mutex::new(None));
        let shared = seen.clone();
        let make = protocol(move |peer: &Peer| {
            *shared.lock().unwrap() = peer.credentials;
            Echo
        });
        let moded: ServerEndpoint = format!("{endpoint}:mode=620").parse().unwrap();
        let server = moded.listen(make).await.unwrap();
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(file.mode() & 0o777, 0o620);
        assert_eq!(server.local_endpoint(), endpoint);
        check(&endpoint).await;
        let Some(Credentials { uid, pid, .. }) = *seen.lock().unwrap() else {
            panic!("the kernel says who it is")
        };
        assert_eq!(
            (uid, pid.map(i32::cast_unsigned)),
            (file.uid(), Some(std::process::id()))
        );

        let taken = listen(&endpoint).await;
        assert!(matches!(taken, Err(ListenError::InUse { .. })), "{taken:?}");
        check(&endpoint).await;
        server.drain(Duration::ZERO, Duration::ZERO).await;
        assert!(!path.exists(), "it is removed at the end");

        // What another one has bound in its place meanwhile is not its to remove.
        let server = listen(&endpoint).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        server.drain(Duration::ZERO, Duration::ZERO).await;
        assert!(path.exists(), "the other one is still reached");
        drop(other);
        std::fs::remove_file(&path).unwrap();

        // A server that was killed leaves its file; nobody listens there.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let server = listen(&endpoint).await.unwrap();
        check(&endpoint).await;
        drop(server);
        while path.exists() {
            tokio::task::yield_now().await;
        }

        // What is no socket is not ours to remove.
        std::fs::write(&path, "precious").unwrap();
        let taken = listen(&endpoint).await;
        assert!(matches!(taken, Err(ListenError::InUse { .. })), "{taken:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    });
}

#[test]
fn a_unix_socket_by_an_abstract_name() {
    testing::run_in_real_time(async {
        let endpoint = format!("unix:@ropewalk-{}", std::process::id());
        let _server = listen(&endpoint).await.unwrap();
        check(&endpoint).await;
        let taken = listen(&endpoint).await;
        assert!(matches!(taken, Err(ListenError::InUse { .. })), "{taken:?}");
    });
}

#[test]
fn inherited_descriptors() {
    testing::run_in_real_time(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = listen(&format!("fd:{}", listener.as_raw_fd()))
            .await
            .unwrap();
        assert_eq!(server.local_address().inet(), Some(address));
        check(&format!("tcp:{address}")).await;

        let stream = std::net::TcpStream::connect(address).unwrap();
        check(&format!("fd:{}", stream.as_raw_fd())).await;
        drop(stream);

        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let echo = std::thread::spawn(move || io::copy(&mut &far, &mut &far));
        check(&format!("fd:{}", near.as_raw_fd())).await;
        drop(near);
        echo.join().unwrap().unwrap();

        let file = std::fs::File::open("/dev/null").unwrap();
        for (number, why) in [
            (file.as_raw_fd(), "it is no socket"),
            (1 << 20, "was inherited"),
        ] {
            let error = listen(&format!("fd:{number}"))
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    });
}

const IN_A_CHILD: &str = "ROPEWALK_STDIO";

/// It runs itself as a child that serves its own standard input and output,
/// until that ends.
#[test]
fn standard_input_and_output() {
    const NAME: &str = "standard_input_and_output";
    if std::env::var_os(IN_A_CHILD).is_some() {
        return testing::run_in_real_time(async {
            let mut server = listen("stdio:").await.unwrap();
            server.until_exhausted().await;
        });
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(IN_A_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"[a line that nobody else says]").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("[a line that nobody else says]"), "{text}");
}

/// `shout:NAME`, which leads to `mem:NAME`: a scheme over another endpoint, as
/// a jump is.
struct Shout;

impl Scheme for Shout {
    fn name(&self) -> &str {
        "Shout"
    }
    fn connect<'a>(
        &'a self,
        description: &'a Description,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let name = description.positionals().next().unwrap_or_default();
            let inner: ClientEndpoint = format!("mem:{name}").parse()?;
            let inner = route.connect(&inner).await?;
            let (stream, _) = inner.into_parts();
            let (near, far) = tokio::io::duplex(1000);
            tokio::spawn(async move {
                let (mut far, mut stream) = (far, stream);
                tokio::io::copy_bidirectional(&mut far, &mut stream).await
            });
            let peer = Peer::new(Address::Other(name.into()));
            Ok(Connection::new(
                Stream::new(near),
                peer,
                Address::Other("here".into()),
            ))
        })
    }
}

/// A socket that somebody else has shut down: accept fails for ever.
struct Broken(Arc<AtomicUsize>);

impl Scheme for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn listen<'a>(
        &'a self,
        _: &'a Description,
        _: &'a Schemes,
    ) -> BoxFuture<'a, Result<Bound, ListenError>> {
        Box::pin(async move { Ok(Bound::new(Self(self.0.clone()))) })
    }
}

impl Listener for Broken {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        // A test that fails should end.
        match self.0.fetch_add(1, Relaxed) {
            ..100_000 => Poll::Ready(Some(Err(io::ErrorKind::InvalidInput.into()))),
            _ => Poll::Pending,
        }
    }
    fn local(&self) -> Address {
        Address::Other("broken".into())
    }
}

#[test]
fn a_listener_that_is_broken_takes_no_processor() {
    testing::run(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let schemes = Schemes::new().add(Broken(asked.clone()));
        let endpoint: ServerEndpoint = "broken:".parse().unwrap();
        let server = endpoint.listen_with(each::<Echo>(), schemes).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let asked = asked.load(Relaxed);
        assert!((60..300).contains(&asked), "{asked} times in a minute");
        server.drain(Duration::ZERO, Duration::ZERO).await;
    });
}

#[test]
fn a_scheme_of_ones_own() {
    testing::run(async {
        let schemes = Schemes::new().add(Shout);
        let server: ServerEndpoint = "mem:inner".parse().unwrap();
        let options = ServerOptions::from(schemes.clone());
        let _server = server.listen_with(each::<Echo>(), options).await.unwrap();
        let mut options = ConnectOptions::default();
        options.schemes = schemes.clone();
        let endpoint: ClientEndpoint = "SHOUT:inner".parse().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connection = endpoint.connect_with(&options).await.unwrap();
        assert_eq!(connection.peer().to_string(), "inner");
        let (mut read, mut write) = tokio::io::split(connection);
        write.write_all(b"over\n").await.unwrap();
        read.read_exact(&mut [0; 5]).await.unwrap();
        drop((read, write));
        let connection = endpoint.connect_with(&options).await.unwrap();
        let client = Client::start(connection, Caller { heard });
        client.close();
        assert!(matches!(client.closed().await, Closed::Local));

        let only_connects: ServerEndpoint = "shout:inner".parse().unwrap();
        let options = ServerOptions::from(schemes);
        let error = only_connects
            .listen_with(each::<Echo>(), options)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("only connects"), "{error}");
        let unknown: ClientEndpoint = "whisper:inner".parse().unwrap();
        let error = unknown.connect().await.unwrap_err().to_string();
        assert!(error.contains("the schemes are tcp, tls"), "{error}");
    });
}
