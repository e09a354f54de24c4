//! A message through an echo costs no allocation. Counted by the allocator of
//! this binary, which has no other test.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use ropewalk_core::{
    Input, Limits, Protocol, Result, ServerEndpoint, ServerOptions, Transport, each, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Counting;

thread_local! {
    /// Of this thread alone: the harness has its own, which it may wake.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; it only counts"
)]
// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

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

#[test]
fn an_echoed_message_costs_no_allocation() {
    testing::run_in_real_time(async {
        let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
        let options = ServerOptions::from(Limits::default());
        let server = endpoint.listen_with(each::<Echo>(), options).await.unwrap();
        let address = server.local_address().inet().unwrap();
        let mut peer = TcpStream::connect(address).await.unwrap();
        let mut heard = [0; 3];
        let mut round = async || {
            for (at, letter) in [b"a", b"b", b"c"].into_iter().enumerate() {
                peer.write_all(letter).await.unwrap();
                peer.read_exact(&mut heard[at..=at]).await.unwrap();
            }
            assert_eq!(&heard, b"abc");
        };
        for _ in 0..10 {
            round().await;
        }
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            round().await;
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "in 300 messages");
    });
}
