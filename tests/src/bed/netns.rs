//! Network namespaces and cgroups, and ways to run a piece of a test inside them.
//!
//! In: closures. Out: what they return. [`Netns::run`] is enough for what needs only another
//! network; a socket hook sees processes, so [`Cell`] runs a closure in a process of its own, in a
//! cgroup and a namespace. A namespace has a loopback interface, no other and no way out, unless a
//! test [wires](Netns::wire) two of them.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    os::unix::process::ExitStatusExt as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    unistd::{ForkResult, Pid, fork, pipe2, read, write},
};
use serde::{Serialize, de::DeserializeOwned};

pub use super::cgroup::Cgroup;
use super::leftovers;

/// How long a closure in a [`Cell`] may take.
const PATIENCE: Duration = Duration::from_secs(60);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name that is unique on this machine, short enough for an interface. The label is `np` and a
/// letter: by that, and by the process that made it, what a killed process left is known.
pub fn unique(label: &str) -> String {
    format!("{label}{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace with its loopback interface up.
    ///
    /// # Errors
    /// Says what is missing; usually privilege.
    pub fn new(label: &str) -> Result<Self> {
        leftovers::sweep();
        Self::named(unique(label))
    }

    pub(super) fn named(name: String) -> Result<Self> {
        // SAFETY: geteuid has no preconditions.
        ensure!(unsafe { libc::geteuid() } == 0, "test beds need root (namespaces, cgroups, BPF)");
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let netns = Self { name };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Runs `ip` with these arguments, separated by blanks, inside.
    ///
    /// # Errors
    /// What it said.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// Sets a kernel parameter inside, given as a path below `/proc/sys`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        let file = Path::new("/proc/sys").join(path);
        self.run(|| fs::write(&file, value)).with_context(|| format!("writing {}", file.display()))
    }

    /// Runs a closure on a thread inside. Sockets that it makes belong to this namespace for good.
    /// A panic goes on in the caller.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        run_in(&self.path(), act)
    }

    /// Lays a pair of interfaces between this namespace (`mine`) and another (`theirs`), both up
    /// and without addresses.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn wire(&self, mine: &str, other: &Self, theirs: &str) -> Result<()> {
        self.ip(&format!("link add {mine} type veth peer name {theirs} netns {}", other.name))?;
        self.ip(&format!("link set {mine} up"))?;
        other.ip(&format!("link set {theirs} up"))
    }

    /// Index and Ethernet address of an interface.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn interface(&self, name: &str) -> Result<(u32, [u8; 6])> {
        let output = Command::new("ip").args(["-n", &self.name, "-j", "link", "show", name]).output()?;
        let links: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let index = links[0]["ifindex"].as_u64().ok_or_else(|| anyhow!("no interface {name}"))?;
        let text = links[0]["address"].as_str().unwrap_or_default();
        let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
        let mac = bytes.try_into().map_err(|_| anyhow!("interface {name} has no Ethernet address: {text}"))?;
        Ok((u32::try_from(index)?, mac))
    }

    /// Takes the calling thread inside, for good.
    fn enter(&self) -> Result<()> {
        enter(&self.path())
    }
}

/// Runs a closure on a thread in the network namespace that a file stands for, as [`Netns::run`].
pub fn run_in<T: Send>(netns: &Path, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(netns).expect("entering the namespace");
            act()
        });
        inside.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Takes the calling thread into a namespace, for good.
fn enter(netns: &Path) -> Result<()> {
    let file = fs::File::open(netns).with_context(|| netns.display().to_string())?;
    Ok(setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?)
}

impl Drop for Netns {
    fn drop(&mut self) {
        let deleted = run(Command::new("ip").args(["netns", "delete", &self.name]));
        if let Err(error) = deleted {
            eprintln!("network namespace {} is left behind: {error:#}", self.name);
        }
    }
}

/// Where a process runs: a namespace and a cgroup. What a pod is to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// Its network.
    pub netns: &'a Netns,
    /// Its cgroup.
    pub cgroup: &'a Cgroup,
}

/// Tells a closure in a [`Cell`] that it should come to an end.
pub struct Stop(OwnedFd);

impl Stop {
    /// Whether it should.
    pub fn requested(&self) -> bool {
        readable(&self.0, Duration::ZERO).unwrap_or(true)
    }
}

/// A closure at work in a [`Cell`]; killed when dropped.
#[derive(Debug)]
pub struct Running {
    pid: Option<Pid>,
    result: OwnedFd,
    stop: OwnedFd,
}

impl Cell<'_> {
    /// Runs a closure inside, in a process of its own, and returns what it returned. A panic inside
    /// is an error here.
    ///
    /// The process is a fork of the test: the closure should keep to system calls and its own
    /// memory, and print nothing.
    ///
    /// # Errors
    /// The process could not be made, did not end in time, or panicked.
    pub fn run<T: Serialize + DeserializeOwned>(&self, act: impl FnOnce() -> T) -> Result<T> {
        self.start(|_| act())?.join()
    }

    /// Like [`Self::run`], but does not wait.
    ///
    /// # Errors
    /// The process could not be made.
    pub fn start<T: Serialize>(&self, act: impl FnOnce(&Stop) -> T) -> Result<Running> {
        let (result, answer) = pipe2(OFlag::O_CLOEXEC)?;
        let (stop_signal, stop) = pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: the child keeps to what `run` documents, and leaves by `_exit`.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Running { pid: Some(child), result, stop }),
            ForkResult::Child => {
                std::panic::set_hook(Box::new(|_| {}));
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    self.enter().expect("entering namespace and cgroup");
                    act(&Stop(stop_signal))
                }));
                let _ = tell(&answer, &outcome.map_err(|panic| panic_text(&*panic)));
                // SAFETY: ends this process without running what belongs to its parent.
                unsafe { libc::_exit(0) }
            }
        }
    }

    fn enter(&self) -> Result<()> {
        fs::write(self.cgroup.path().join("cgroup.procs"), "0")?;
        self.netns.enter()
    }
}

impl Running {
    /// Tells the closure to stop, and returns what it returned.
    ///
    /// # Errors
    /// As [`Cell::run`].
    pub fn stop<T: DeserializeOwned>(self) -> Result<T> {
        write(&self.stop, &[1])?;
        self.join()
    }

    /// Waits for the closure to end, and returns what it returned.
    ///
    /// # Errors
    /// As [`Cell::run`].
    pub fn join<T: DeserializeOwned>(mut self) -> Result<T> {
        let bytes = hear(&self.result)?;
        self.end();
        let outcome: Result<T, String> = serde_json::from_slice(&bytes)?;
        outcome.map_err(|panic| anyhow!("panic inside: {panic}"))
    }

    fn end(&mut self) {
        if let Some(pid) = self.pid.take() {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Other forks may hold the pipe open, so its end says nothing: the message says how long it is.
fn tell<T: Serialize>(pipe: &OwnedFd, outcome: &Result<T, String>) -> Result<()> {
    let bytes = serde_json::to_vec(outcome)?;
    let mut message = u32::try_from(bytes.len())?.to_ne_bytes().to_vec();
    message.extend(bytes);
    let mut rest = &message[..];
    while !rest.is_empty() {
        rest = &rest[write(pipe, rest)?..];
    }
    Ok(())
}

fn hear(pipe: &OwnedFd) -> Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let length = take(pipe, size_of::<u32>(), deadline)?;
    let length = u32::from_ne_bytes(length.try_into().map_err(|_| anyhow!("short message"))?);
    take(pipe, length as usize, deadline)
}

fn take(pipe: &OwnedFd, length: usize, deadline: Instant) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        ensure!(readable(pipe, deadline.saturating_duration_since(Instant::now()))?, "no answer in {PATIENCE:?}");
        match read(pipe.as_fd(), &mut bytes[filled..])? {
            0 => bail!("the process ended without an answer"),
            count => filled += count,
        }
    }
    Ok(bytes)
}

fn readable(pipe: &OwnedFd, patience: Duration) -> Result<bool> {
    let timeout = PollTimeout::try_from(patience.as_millis()).unwrap_or(PollTimeout::MAX);
    let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut polled, timeout).with_context(|| format!("descriptor {}", pipe.as_raw_fd()))? > 0)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "unknown".into())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let failed = |status: ExitStatus| status.code().or(status.signal());
    ensure!(
        output.status.success(),
        "{command:?} ended with {:?}: {}",
        failed(output.status),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
