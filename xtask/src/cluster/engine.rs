//! The container engine: the one that answers, or one that we start for the cluster and take away with it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::Daemon;
use super::state::StateDir;
use super::wait;
use crate::cmd::{Cmd, find_program};

/// Where clients look for the engine.
const SOCKET: &str = "/var/run/docker.sock";

/// The cgroup below which our engine puts containers, in every hierarchy.
pub(crate) const CGROUP: &str = "nodeplane";

/// The name of our engine's process.
const NAME: &str = "dockerd";

/// Our engine, whether it runs or not.
pub(crate) fn daemon(state: &StateDir) -> Daemon {
    Daemon::new(state, NAME)
}

/// Whether an engine answers.
pub(crate) fn answers() -> bool {
    docker(["version", "--format", "{{.Server.Version}}"]).limit(Duration::from_secs(10)).succeeds()
}

/// A command of the engine's client, for the engine on this machine whatever the user's context says.
pub(crate) fn docker<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(args: I) -> Cmd {
    Cmd::new("docker")
        .arg("--host")
        .arg(format!("unix://{SOCKET}"))
        .args(args)
        .without_env(&["DOCKER_CONTEXT", "DOCKER_HOST"])
}

/// Starts an engine and waits until it answers.
///
/// It gets no bridge and no rules of its own: the node agent makes the pods' network.
///
/// # Errors
/// When there is no dockerd, or it does not answer in time.
pub(crate) fn start(state: &StateDir) -> Result<()> {
    let program = find_program("dockerd").context("no Docker engine answers and dockerd is not installed")?;
    let daemon = daemon(state);
    let docker_dir = state.docker();
    std::fs::create_dir_all(&docker_dir)?;
    let command = Cmd::new(program)
        .args(["--host", &format!("unix://{SOCKET}")])
        .arg("--data-root")
        .arg(docker_dir.join("data"))
        .arg("--exec-root")
        .arg(docker_dir.join("exec"))
        .arg("--pidfile")
        .arg(docker_dir.join("dockerd.pid"))
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"])
        .args(["--userland-proxy=false", "--exec-opt", "native.cgroupdriver=cgroupfs"])
        .arg(format!("--cgroup-parent=/{CGROUP}"));
    daemon.start(command)?;
    let probe = || {
        daemon.require_alive()?;
        Ok(answers().then_some(()))
    };
    wait::until("the Docker engine", Duration::from_secs(60), probe).map_err(|error| daemon.explain(&error))
}

/// Removes our engine's empty cgroups from every hierarchy; gives how many directories that were.
///
/// # Errors
/// When one still holds processes.
pub(crate) fn remove_cgroups() -> Result<usize> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
    let mut removed = 0;
    for mount in cgroup_mounts(&mountinfo) {
        removed += remove_tree(&Path::new(mount).join(CGROUP))?;
    }
    Ok(removed)
}

/// The mount points of cgroup hierarchies, version 1 and 2.
fn cgroup_mounts(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| {
        let (fields, tail) = line.split_once(" - ")?;
        tail.starts_with("cgroup").then(|| fields.split(' ').nth(4)).flatten()
    })
}

/// A cgroup directory is removed from its leaves; the files in it are the kernel's.
fn remove_tree(dir: &Path) -> Result<usize> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(0) };
    let mut removed = 0;
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        removed += remove_tree(&entry.path())?;
    }
    std::fs::remove_dir(dir).with_context(|| format!("cannot remove the cgroup {}", dir.display()))?;
    Ok(removed + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_found() {
        let text = "31 30 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw\n";
        let mounts: Vec<_> = cgroup_mounts(text).collect();
        assert_eq!(mounts, ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"]);
    }
}
