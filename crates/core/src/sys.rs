//! What only the system's own calls do: descriptors, interfaces, process
//! limits. All the `unsafe` of the engine stands here.
#![allow(unsafe_code, reason = "libc is called here, and nowhere else")]

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
};

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
