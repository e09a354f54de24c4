//! The servers that are compared: each on one thread, with a runtime of its own.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    process::Child,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use crate::meter::{self, CpuClock};

/// A server to measure, by name.
#[derive(Clone)]
pub struct Side {
    /// What the report calls it.
    pub name: &'static str,
    /// Serves, on a thread of its own.
    pub serve: fn(Told) -> Serving,
}

/// Serves until it is dropped.
pub type Serving = Pin<Box<dyn Future<Output = ()>>>;

/// Told once where a server listens.
pub type Told = mpsc::Sender<SocketAddr>;

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has used.
    pub cpu: CpuClock,
    end: End,
}

enum End {
    Thread(oneshot::Sender<()>, JoinHandle<()>),
    Process(Ended),
    Other(Box<dyn FnOnce()>),
}

/// A process that does not outlive a benchmark that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // One that is over already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl AsRef<str> for Side {
    fn as_ref(&self) -> &str {
        self.name
    }
}

impl Side {
    /// The same side under another name: what one measures of a side against
    /// itself is what the figures are worth.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            name: "the same once more",
            ..self.clone()
        }
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it does not say where it listens.
    pub fn start(&self) -> Running {
        let serve = self.serve;
        let (told, address) = mpsc::channel();
        let (clock, cpu) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        // Named, so that a profiler can tell the sides apart.
        let thread = thread::Builder::new().name(self.name.into());
        let serving = move || {
            clock.send(CpuClock::of_this_thread().unwrap()).unwrap();
            meter::count_this_thread(true);
            let runtime = runtime();
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(told) => {}
                }
            });
            drop(runtime);
            meter::count_this_thread(false);
        };
        let thread = thread.spawn(serving).unwrap();
        Running {
            address: address.recv().unwrap(),
            cpu: cpu.recv().unwrap(),
            end: End::Thread(stop, thread),
        }
    }
}

impl Running {
    /// A server of another kind: a process.
    pub fn process(child: Child, address: SocketAddr) -> Self {
        Self {
            address,
            cpu: CpuClock::Process(child.id()),
            end: End::Process(Ended(child)),
        }
    }

    /// A server that is ended in another way: one of several processes.
    pub fn other(address: SocketAddr, cpu: CpuClock, stop: impl FnOnce() + 'static) -> Self {
        Self {
            address,
            cpu,
            end: End::Other(Box::new(stop)),
        }
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Panics
    /// If it had failed.
    pub fn stop(self) {
        match self.end {
            End::Thread(stop, thread) => {
                // A server that has ended already shows when it is joined.
                let _ = stop.send(());
                thread.join().unwrap();
            }
            End::Process(child) => drop(child),
            End::Other(stop) => stop(),
        }
    }
}

/// The same for every server and every client: one thread, all drivers.
///
/// # Panics
/// Where the system gives it no descriptors.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The accept loop of everyone else.
///
/// # Panics
/// Where nothing can listen on loopback.
pub fn by_hand<F, Fut>(serve: F, told: Told) -> Serving
where
    F: Fn(TcpStream) -> Fut + 'static,
    Fut: Future<Output = io::Result<()>> + Send + 'static,
{
    Box::pin(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        told.send(listener.local_addr().unwrap()).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            // A task that is spawned keeps what it returns no longer than
            // ours do: nobody joins it. The client ends by hanging up.
            drop(tokio::spawn(serve(stream)));
        }
    })
}

/// A client's connection.
///
/// # Panics
/// If the server does not take it.
pub async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
