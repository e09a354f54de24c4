//! What only the system's own calls do: descriptors, interfaces, process
//! limits. All the `unsafe` of the engine stands here.
#![allow(unsafe_code, reason = "libc is called here, and nowhere else")]

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
};

use tokio::io::unix::AsyncFd;

/// A copy of an inherited descriptor, closed on exec.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_GETFD only looks at the descriptor table, for any
    // number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        let what = format!("no descriptor {number} was inherited");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    // SAFETY: the descriptor is open, as was just seen, and is borrowed only
    // for the duplication below. Whoever passes `fd:N` says that it is theirs
    // to keep open; if another thread closed it in between, the system call
    // fails or copies what took its place, and no memory is touched.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.as_fd().try_clone_to_owned()
}

/// The index of a network interface, given by name or as a number.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    if let Ok(index) = name.parse() {
        return Ok(index);
    }
    let text = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `text` is a C string that outlives the call.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no network interface {name}"),
        )),
        index => Ok(index),
    }
}

/// Raises the limit of open files to the hard one; returns what it is now.
///
/// # Errors
/// What the system says.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the call to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is valid for the call to read from.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// A number that the system returned, or its error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(number),
    }
}

/// Sends a signal to a process, or to the group of a negative number. Whoever
/// calls knows that the number is still that process's.
pub(crate) fn kill(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill touches no memory of ours.
    checked(unsafe { libc::kill(process, signal) }).map(drop)
}

/// A pseudo-terminal of this size: our side, which does not block, and the
/// program's. Both are closed on exec.
pub(crate) fn open_terminal(columns: u16, rows: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = open_pair()?;
    resize_terminal(&ours, columns, rows)?;
    // SAFETY: F_GETFL and F_SETFL on a descriptor that `ours` keeps open.
    unsafe {
        let flags = checked(libc::fcntl(ours.as_raw_fd(), libc::F_GETFL))?;
        checked(libc::fcntl(
            ours.as_raw_fd(),
            libc::F_SETFL,
            flags | libc::O_NONBLOCK,
        ))?;
    }
    Ok((ours, theirs))
}

/// Both sides closed on exec from the first moment, so that no child which
/// another thread starts meanwhile keeps one open.
#[cfg(target_os = "linux")]
fn open_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: posix_openpt takes no pointers, and what it returns is ours
    // alone; the other calls take that descriptor while it is open, and
    // TIOCGPTPEER takes flags by value and returns one more of ours.
    unsafe {
        let ours = OwnedFd::from_raw_fd(checked(libc::posix_openpt(flags))?);
        checked(libc::grantpt(ours.as_raw_fd()))?;
        checked(libc::unlockpt(ours.as_raw_fd()))?;
        let theirs = checked(libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        Ok((ours, OwnedFd::from_raw_fd(theirs)))
    }
}

#[cfg(not(target_os = "linux"))]
fn open_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use std::ptr::null_mut;

    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: the two numbers are valid for the call to write to, and null is
    // allowed for the rest; what it returns is ours alone.
    let (ours, theirs) = unsafe {
        let (ours, theirs) = (&raw mut ours, &raw mut theirs);
        checked(libc::openpty(
            ours,
            theirs,
            null_mut(),
            null_mut(),
            null_mut(),
        ))?;
        (OwnedFd::from_raw_fd(*ours), OwnedFd::from_raw_fd(*theirs))
    };
    for fd in [&ours, &theirs] {
        // SAFETY: F_SETFD on an open descriptor.
        checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    Ok((ours, theirs))
}

/// Gives a terminal another size; the programs in it are told by SIGWINCH.
pub(crate) fn resize_terminal(terminal: &impl AsRawFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads a winsize, which outlives the call, and the
    // descriptor is borrowed from its owner.
    checked(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .map(drop)
}

/// Has a program begin a session of its own, with its standard input as the
/// terminal that controls it.
pub(crate) fn with_terminal(command: &mut std::process::Command) {
    // SAFETY: what runs between fork and exec are two system calls, both
    // async-signal-safe, and no memory is allocated.
    unsafe {
        command.pre_exec(|| {
            checked(libc::setsid())?;
            checked(libc::ioctl(0, libc::TIOCSCTTY as _, 0))?;
            Ok(())
        });
    }
}

/// A file that does not block, watched by the runtime.
pub(crate) fn watched(file: std::fs::File) -> io::Result<AsyncFd<std::fs::File>> {
    // SAFETY: a `File` owns its descriptor, which is open as long as it is and
    // is always the same; `AsyncFd` gives no way to exchange the file in it
    // that is used here.
    Ok(unsafe { AsyncFd::register(file) }?)
}
