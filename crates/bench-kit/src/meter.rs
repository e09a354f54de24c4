//! What a thread costs: its processor time, its allocations, the heap it holds.
//!
//! C libraries allocate behind its back: what aws-lc takes for its keys and
//! ciphers is counted for nobody.

#![expect(
    unsafe_code,
    reason = "an allocator that counts and another thread's clock are not to be had without"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs, io, mem,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator, which counts on the threads that ask for it.
struct Counting;

impl Counting {
    fn count(allocations: u64, bytes: i64) {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(allocations, Relaxed);
            LIVE.fetch_add(bytes, Relaxed);
        }
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).expect("no allocation is larger")
}

// SAFETY: it passes every call on to the system's allocator as it came, and
// counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(1, signed(layout.size()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Self::count(0, -signed(layout.size()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Counts the allocations of this thread from now on, or no longer.
pub fn count_this_thread(yes: bool) {
    COUNTED.set(yes);
}

/// Allocations of the counted threads so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes that the counted threads hold.
pub fn live() -> i64 {
    LIVE.load(Relaxed)
}

/// Keeps this thread, and those that it starts, on one processor.
///
/// # Errors
/// The system's.
pub fn stay_on_one_core() -> io::Result<()> {
    // SAFETY: zeroes are an empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: it has no conditions; the processor is one that we are on.
    let core = usize::try_from(unsafe { libc::sched_getcpu() }).map_err(io::Error::other)?;
    // SAFETY: `set` is a set, and takes more processors than there are.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` is a set of the size given.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Keeps this thread, and those that it starts, off the processors that it was
/// kept on; where it was kept on none, or there is no other, it goes on as
/// before.
///
/// # Errors
/// The system's.
pub fn leave_this_core() -> io::Result<()> {
    // SAFETY: zeroes are an empty set.
    let mut now: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: zeroes are an empty set.
    let mut others: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `now` is a set of the size given.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&now), &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has no conditions.
    let all = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    for core in 0..usize::try_from(all).unwrap_or(0).min(size_of_val(&now) * 8) {
        // SAFETY: both are sets, and take more processors than there are.
        unsafe {
            if !libc::CPU_ISSET(core, &now) {
                libc::CPU_SET(core, &mut others);
            }
        }
    }
    // SAFETY: `others` is a set.
    if unsafe { libc::CPU_COUNT(&others) } == 0 {
        return Ok(());
    }
    // SAFETY: `others` is a set of the size given.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&others), &raw const others) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How much processor time someone has used.
#[derive(Clone, Copy, Debug)]
pub enum CpuClock {
    /// A thread of this process.
    Thread(libc::clockid_t),
    /// A process, with all of its threads.
    Process(u32),
}

impl CpuClock {
    /// That of the thread that asks, to be read by any.
    ///
    /// # Errors
    /// The system's.
    pub fn of_this_thread() -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: a thread is alive while it asks for itself, and `clock` is
        // a place to write to.
        match unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } {
            0 => Ok(Self::Thread(clock)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Nanoseconds so far, in user and system together.
    ///
    /// # Errors
    /// When the thread or process has ended.
    pub fn read(&self) -> io::Result<f64> {
        match self {
            Self::Thread(clock) => {
                // SAFETY: zeroes are a valid time.
                let mut time: libc::timespec = unsafe { mem::zeroed() };
                // SAFETY: `time` is a place to write to; a clock whose thread
                // has ended is an error.
                if unsafe { libc::clock_gettime(*clock, &raw mut time) } != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
            }
            Self::Process(id) => {
                let mut sum = 0.0;
                for thread in fs::read_dir(format!("/proc/{id}/task"))? {
                    let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
                    let time = stat.split_whitespace().next().unwrap_or_default();
                    sum += time.parse::<f64>().map_err(io::Error::other)?;
                }
                Ok(sum)
            }
        }
    }
}
