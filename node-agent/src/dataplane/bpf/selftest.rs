//! Does the connect hook act on a process in the cgroup? Try it.
//!
//! A child process moves into a cgroup of its own below the one to test, and connects to a loopback
//! address that nobody listens at but that the maps lead to a listener here. Only the accepted
//! connection is proof; and the child must believe to talk to the address that it asked for.

use std::{
    ffi::CString,
    fs, io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use crate::{dataplane::Dataplane, plan::Probe};

/// How long the whole probe may take; it needs well under a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// Exit code of a child that could not enter its cgroup.
const NOT_MOVED: i32 = 254;
/// Exit code of a child that was connected, and told whom it really talks to.
const WRONG_PEER: i32 = 252;
/// Exit code of a child that met an error without a number.
const UNKNOWN: i32 = 253;

/// Probes the hooks of `dataplane` in `cgroup`. The error says what happened instead.
pub(super) fn run(dataplane: &dyn Dataplane, cgroup: &Path) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no listener: {error}"))?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let probe = Probe { vip: probe_vip(port), listener: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port) };

    dataplane.apply(&probe.added()).map_err(|error| error.to_string())?;
    let connected = connect_in(cgroup, probe.vip, &listener);
    dataplane.apply(&probe.removed()).map_err(|error| error.to_string())?;
    connected
}

/// An address of 127.0.0.0/8, so that nothing leaves the machine, and one for each agent. Its port
/// differs from the listener's, which could otherwise be reached without any hook if it were bound
/// to all addresses.
fn probe_vip(listener_port: u16) -> SocketAddrV4 {
    let [_, _, upper, lower] = process::id().to_be_bytes();
    let port = if listener_port == 1 { 2 } else { listener_port ^ 1 };
    SocketAddrV4::new(Ipv4Addr::new(127, 254, upper, lower), port)
}

fn connect_in(cgroup: &Path, vip: SocketAddrV4, listener: &TcpListener) -> Result<(), String> {
    let leaf = Leaf::below(cgroup).map_err(|error| format!("cannot make a cgroup: {error}"))?;
    let procs = CString::new(leaf.0.join("cgroup.procs").as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // The socket's address is made here: a child of a process with threads may only make system
    // calls.
    let mut child = Child::fork(|| connect(&procs, vip)).map_err(|error| format!("cannot fork: {error}"))?;
    let verdict = child.wait().map_err(|error| format!("the probe did not end: {error}"))?;
    match verdict {
        0 if accepted(listener) => Ok(()),
        0 => Err(format!("the probe for {vip} was connected, but not to us")),
        WRONG_PEER => Err(format!("the probe for {vip} was connected, but getpeername gave it another address")),
        NOT_MOVED => Err("the probe process could not move into the cgroup: missing privilege?".into()),
        code => Err(format!(
            "the probe for {vip} was not translated: {}; is another cgroup hierarchy in use for this process, or does \
             net_cls or net_prio (cgroup v1) interfere on a kernel before 5.14?",
            if code == UNKNOWN { "unknown error".into() } else { io::Error::from_raw_os_error(code).to_string() }
        )),
    }
}

/// Whether somebody has connected to us. The client hears of it first, so it may take a moment.
fn accepted(listener: &TcpListener) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok(_) => return true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(_) => return false,
        }
    }
}

/// Runs in the child: moves, connects, and says how it went. System calls only.
fn connect(procs: &CString, vip: SocketAddrV4) -> i32 {
    // SAFETY: the strings and structures outlive the calls, and their lengths are as said.
    unsafe {
        let file = libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 || libc::write(file, b"0".as_ptr().cast(), 1) != 1 {
            return NOT_MOVED;
        }
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let addr = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: vip.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(vip.ip().octets()) },
            sin_zero: [0; 8],
        };
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        if socket >= 0 && libc::connect(socket, (&raw const addr).cast(), length) == 0 {
            let mut peer = addr;
            peer.sin_port = 0;
            let mut peer_length = length;
            let told = libc::getpeername(socket, (&raw mut peer).cast(), &raw mut peer_length) == 0;
            let right = peer.sin_addr.s_addr == addr.sin_addr.s_addr && peer.sin_port == addr.sin_port;
            return if told && right { 0 } else { WRONG_PEER };
        }
        let errno = *libc::__errno_location();
        if (1..WRONG_PEER).contains(&errno) { errno } else { UNKNOWN }
    }
}

/// A process that must not be left behind.
struct Child(libc::pid_t);

impl Child {
    fn fork(act: impl FnOnce() -> i32) -> io::Result<Self> {
        // SAFETY: the child makes system calls only and then ends without unwinding or running
        // exit handlers, as a child of a process with threads must.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let code = act();
                // SAFETY: ends this process.
                unsafe { libc::_exit(code) }
            }
            pid => Ok(Self(pid)),
        }
    }

    /// The exit code.
    fn wait(&mut self) -> io::Result<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut status = 0;
            // SAFETY: the process is our child and was not waited for yet.
            match unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } {
                0 => std::thread::sleep(PAUSE),
                -1 => return Err(io::Error::last_os_error()),
                _ => {
                    self.0 = -1;
                    return Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { UNKNOWN });
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 > 0 {
            // SAFETY: the process is our child and was not waited for yet, so the number is its.
            unsafe {
                libc::kill(self.0, libc::SIGKILL);
                libc::waitpid(self.0, std::ptr::null_mut(), 0);
            }
        }
    }
}

const LEAF: &str = "nodeplane-probe-";

/// Removes what probes left whose agents were killed meanwhile.
pub(super) fn sweep(cgroup: &Path) {
    let Ok(entries) = fs::read_dir(cgroup) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let agent = name.strip_prefix(LEAF).filter(|agent| agent.parse::<u32>().is_ok());
        if agent.is_some_and(|agent| !Path::new("/proc").join(agent).exists()) {
            // One that a process is still in stays: another agent's turn will come.
            let _ = fs::remove_dir(cgroup.join(name));
        }
    }
}

/// A cgroup that is removed again.
struct Leaf(PathBuf);

impl Leaf {
    fn below(cgroup: &Path) -> io::Result<Self> {
        sweep(cgroup);
        let path = cgroup.join(format!("{LEAF}{}", process::id()));
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Self(path)),
        }
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // A process that has just ended may be counted for a moment longer.
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY)) {
            if Instant::now() > deadline {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}
