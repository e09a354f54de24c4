//! What only the system's own calls do: descriptors, interfaces, many datagrams
//! at a time, processes and their limits. All the `unsafe` of the engine stands here.
#![allow(unsafe_code, reason = "libc is called here, and nowhere else")]

use std::{
    ffi::CString,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
};

#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;

#[cfg(target_os = "linux")]
use socket2::{SockAddr, SockAddrStorage};
use tokio::io::{Interest, unix::AsyncFd};

/// Takes over an inherited descriptor, and has it closed on exec. Whoever calls
/// this knows that it is this process's to take, and takes it once.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD only changes a flag of the descriptor, for any
    // number.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, as was just seen. The service manager
    // made it for this process, which it named, and nothing in this process
    // but `systemd:` acts on that; it does so once, under a lock. So nobody
    // else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

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

/// A socket that does not block, watched by the runtime for `interest` alone.
pub(crate) fn watched_socket(
    socket: std::net::UdpSocket,
    interest: Interest,
) -> io::Result<AsyncFd<std::net::UdpSocket>> {
    // SAFETY: as of the file above: the socket owns its descriptor, and nobody
    // exchanges it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

/// Datagrams that one system call receives or sends at most.
#[cfg(target_os = "linux")]
const DATAGRAMS: usize = 64;

/// Receives what is there, up to `most` datagrams, each into `slot` bytes of
/// `buffer`; `each` is given their bytes, cut off there, and their senders.
/// Returns whether there may be more.
#[cfg(target_os = "linux")]
pub(crate) fn receive_datagrams(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    slot: usize,
    most: usize,
    mut each: impl FnMut(&[u8], Option<SocketAddr>),
) -> io::Result<bool> {
    let mut names = [const { MaybeUninit::<SockAddrStorage>::uninit() }; DATAGRAMS];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; DATAGRAMS];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; DATAGRAMS];
    let slots = buffer.chunks_exact_mut(slot).take(most);
    let mut count = 0;
    for (((slot, name), part), header) in slots.zip(&mut names).zip(&mut parts).zip(&mut headers) {
        let name = name.write(SockAddrStorage::zeroed());
        let part = part.write(libc::iovec {
            iov_base: slot.as_mut_ptr().cast(),
            iov_len: slot.len(),
        });
        header.write(message(name, SockAddrStorage::zeroed().size_of(), part));
        count += 1;
    }
    let asked = libc::c_uint::try_from(count).unwrap_or(libc::c_uint::MAX);
    // SAFETY: the first `count` headers are initialised. Each points to its own
    // name, part and slot, which outlive the call and are not touched
    // meanwhile. No time limit is given.
    let received = checked(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            asked,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    })?;
    let received = usize::try_from(received).unwrap_or(0).min(count);
    for (index, (name, header)) in names.into_iter().zip(headers).take(received).enumerate() {
        // SAFETY: those below `count` were initialised above, and the call
        // wrote an address of the length that it says.
        let (from, length) = unsafe {
            let header = header.assume_init();
            let from = SockAddr::new(name.assume_init(), header.msg_hdr.msg_namelen);
            (from, header.msg_len)
        };
        let length = usize::try_from(length).unwrap_or(slot).min(slot);
        each(&buffer[index * slot..][..length], from.as_socket());
    }
    Ok(received == count)
}

/// Sends datagrams, each to its address or else to the socket's peer. Returns
/// how many from the front were sent, at least one.
#[cfg(target_os = "linux")]
pub(crate) fn send_datagrams(
    socket: BorrowedFd<'_>,
    datagrams: &[(&[u8], Option<SocketAddr>)],
) -> io::Result<usize> {
    let mut names = [const { MaybeUninit::<SockAddr>::uninit() }; DATAGRAMS];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; DATAGRAMS];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; DATAGRAMS];
    let mut count = 0;
    for ((((data, to), name), part), header) in datagrams
        .iter()
        .zip(&mut names)
        .zip(&mut parts)
        .zip(&mut headers)
    {
        let part = part.write(libc::iovec {
            // The call reads only.
            iov_base: data.as_ptr().cast_mut().cast(),
            iov_len: data.len(),
        });
        header.write(match to {
            Some(to) => {
                let name = name.write(SockAddr::from(*to));
                message(name.as_ptr().cast_mut(), name.len(), part)
            }
            None => message(std::ptr::null_mut::<SockAddr>(), 0, part),
        });
        count += 1;
    }
    // SAFETY: the first `count` headers are initialised. Each points to its own
    // name, if it has one, and part, and the part to bytes that are borrowed
    // for longer than the call, which writes to none of these.
    let sent = checked(unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT,
        )
    })?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

/// A message of one part to or from one address.
#[cfg(target_os = "linux")]
fn message<N>(name: *mut N, length: libc::socklen_t, part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: zeros are a message with no name, no parts and no control data.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_name = name.cast();
    message.msg_hdr.msg_namelen = length;
    message.msg_hdr.msg_iov = part;
    message.msg_hdr.msg_iovlen = 1;
    message
}

/// Joins or leaves a group for what one source sends (RFC 3678, section 5).
#[cfg(target_os = "linux")]
pub(crate) fn source_membership(
    socket: BorrowedFd<'_>,
    group: IpAddr,
    source: IpAddr,
    interface: u32,
    joins: bool,
) -> io::Result<()> {
    let level = match group {
        IpAddr::V4(_) => libc::IPPROTO_IP,
        IpAddr::V6(_) => libc::IPPROTO_IPV6,
    };
    let name = match joins {
        true => libc::MCAST_JOIN_SOURCE_GROUP,
        false => libc::MCAST_LEAVE_SOURCE_GROUP,
    };
    let storage = |ip: IpAddr| {
        // SAFETY: both are the system's `sockaddr_storage`, in another name.
        unsafe {
            *SockAddr::from(SocketAddr::new(ip, 0))
                .as_storage()
                .view_as::<libc::sockaddr_storage>()
        }
    };
    let request = libc::group_source_req {
        gsr_interface: interface,
        gsr_group: storage(group),
        gsr_source: storage(source),
    };
    set_option(socket, level, name, &request)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn source_membership(
    _: BorrowedFd<'_>,
    _: IpAddr,
    _: IpAddr,
    _: u32,
    _: bool,
) -> io::Result<()> {
    let what = "groups of one source are known on Linux alone";
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}

/// The interface, by its index, that datagrams to IPv4 groups leave by.
pub(crate) fn set_multicast_interface_v4(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    let any = libc::in_addr { s_addr: 0 };
    let request = libc::ip_mreqn {
        imr_multiaddr: any,
        imr_address: any,
        imr_ifindex: libc::c_int::try_from(interface)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
    };
    set_option(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

/// Sets an option whose value is a plain C structure.
fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the system reads `length` bytes of `value`, which outlives the
    // call; the descriptor is open as long as it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    checked(result).map(drop)
}
