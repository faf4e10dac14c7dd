//! One test host: a network namespace, a cgroup2 subtree, a folder, and the processes started in
//! them. Everything is gone when the value is dropped, also after a panic.
//!
//! The host has one link, to a second namespace that plays the rest of the world and leads nowhere.

#[cfg(test)]
mod tests;

use std::{
    ffi::OsStr,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::{cgroup::Cgroup, leftovers, netns::Netns, process::Process};

/// The host's address towards the world (TEST-NET-1: documentation only, routed nowhere).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The world's address on that link, and the host's gateway.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// A server far away, as the host sees it (TEST-NET-2). It lives in the world's namespace.
pub const FAR_AWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// How much of a log a failing test shows.
const LAST_LINES: usize = 25;

/// A host of its own on this machine.
#[derive(Debug)]
pub struct Host {
    processes: Vec<Process>,
    cgroup: Cgroup,
    netns: Netns,
    world: Netns,
    dir: Dir,
}

impl Host {
    /// Makes the namespaces, the link between them, the cgroups and the folder.
    ///
    /// # Errors
    /// Says which privilege or mount is missing.
    pub fn new() -> Result<Self> {
        Self::between(Netns::new("npt")?, Netns::new("npw")?)
    }

    fn between(netns: Netns, world: Netns) -> Result<Self> {
        netns.wire("eth0", &world, "eth0")?;
        netns.ip(&format!("address add {ADDRESS}/24 dev eth0"))?;
        netns.ip(&format!("route add default via {GATEWAY}"))?;
        world.ip(&format!("address add {GATEWAY}/24 dev eth0"))?;
        world.ip(&format!("address add {FAR_AWAY}/32 dev lo"))?;
        // A router without routes answers that a network is unreachable, where a host would be silent.
        world.sysctl("net/ipv4/ip_forward", "1")?;
        let cgroup = Cgroup::named(netns.name())?;
        // Processes and containers live in leaves, so that controllers could be enabled above.
        for leaf in ["host", "pods"] {
            fs::create_dir(cgroup.path().join(leaf)).context("creating the host's cgroup")?;
        }
        let dir = Dir::new(netns.name())?;
        Ok(Self { processes: Vec::new(), cgroup, netns, world, dir })
    }

    /// A name that is unique on this machine.
    pub fn name(&self) -> &str {
        self.netns.name()
    }

    /// The host's folder for state of any kind.
    pub fn dir(&self) -> &Path {
        &self.dir.0
    }

    /// The host's network.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The network at the other end of the host's only link.
    pub fn world(&self) -> &Netns {
        &self.world
    }

    /// The cgroup2 directory above all processes and containers of the host.
    pub fn cgroup(&self) -> &Path {
        self.cgroup.path()
    }

    /// The cgroup, relative to the cgroup2 mount, for the host's containers.
    pub fn container_cgroup_parent(&self) -> String {
        format!("/{}/pods", self.name())
    }

    /// A command that runs on this host: in its network namespace and cgroup.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_in(&self.netns.path(), program)
    }

    /// A command in the host's cgroup but another network namespace, such as a pod's.
    pub fn command_in(&self, netns: &Path, program: impl AsRef<OsStr>) -> Command {
        leftovers::stop_if_ending();
        let mut command = Command::new("sh");
        // `ip netns exec` would remount /sys and hide the cgroups.
        command
            .args(["-c", "echo 0 > \"$0\" && exec nsenter \"$@\""])
            .arg(self.cgroup().join("host/cgroup.procs"))
            .arg(format!("--net={}", netns.display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Starts a background process whose output goes to a file in the host's folder.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log_file(name);
        self.processes.push(Process::start(name, command, &log)?);
        Ok(())
    }

    /// Whether the process is running.
    pub fn is_running(&mut self, name: &str) -> bool {
        self.processes.iter_mut().any(|process| process.name() == name && process.is_running())
    }

    /// Sends a signal to the process and waits until it has ended.
    ///
    /// # Errors
    /// When there is no such process, or it does not end in time.
    pub fn end(&mut self, name: &str, signal: Signal) -> Result<()> {
        let index = self.processes.iter().position(|process| process.name() == name);
        self.processes.remove(index.with_context(|| format!("no process {name} on this host"))?).end(signal)
    }

    /// Everything that the process has written so far.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.dir().join(format!("{name}.log"))
    }

    /// The last lines of every process, for a failing test.
    pub fn logs(&self) -> String {
        let last_lines = |process: &Process| {
            let text = process.log();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {}\n{}\n", process.name(), lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
        };
        self.processes.iter().map(last_lines).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Last started ends first: the agent before the engine that it drives.
        while let Some(process) = self.processes.pop() {
            if let Err(error) = process.end(Signal::SIGTERM) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// A folder that goes with everything that is mounted in it.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        leftovers::remove_dir(&self.0);
    }
}
