//! The container engine: the one that answers, or one that we start for the cluster and take away with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::{Daemon, end_stray};
use super::state::{StateDir, make_private};
use super::wait;
use crate::cmd::{Cmd, find_program};

/// Where clients look for the engine.
pub(crate) const SOCKET: &str = "/var/run/docker.sock";

/// The cgroup below which our engine puts containers, in every hierarchy.
pub(crate) const CGROUP: &str = "nodeplane";

/// How long a live engine may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The name of our engine's process.
const NAME: &str = "dockerd";

/// Our engine, whether it runs or not.
pub(crate) fn daemon(state: &StateDir) -> Daemon {
    Daemon::new(state, NAME)
}

/// Whether an engine answers.
pub(crate) fn answers() -> bool {
    docker(["version", "--format", "{{.Server.Version}}"]).limit(ANSWERS_WITHIN).succeeds()
}

/// The socket at which our engine answers; nothing when it does not run, or hangs.
pub(crate) fn socket(state: &StateDir) -> Option<PathBuf> {
    daemon(state).pid()?;
    [PathBuf::from(SOCKET), aside(state)].into_iter().find(|socket| is_ours(state, socket))
}

/// Whether our engine answers where clients look for one.
pub(crate) fn is_up(state: &StateDir) -> bool {
    socket(state).is_some_and(|socket| socket == Path::new(SOCKET))
}

/// Where our engine listens when it only comes back to be emptied: another one may have the usual place by now.
fn aside(state: &StateDir) -> PathBuf {
    state.docker().join("down.sock")
}

fn is_ours(state: &StateDir, socket: &Path) -> bool {
    let answer = client(socket).args(["info", "--format", "{{.DockerRootDir}}"]).limit(ANSWERS_WITHIN).read();
    let data = state.docker().join("data").canonicalize();
    data.is_ok_and(|data| answer.is_ok_and(|dir| Path::new(&dir).canonicalize().is_ok_and(|dir| dir == data)))
}

/// A command of the engine's client, for the engine on this machine whatever the user's context says.
pub(crate) fn docker<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(args: I) -> Cmd {
    client(Path::new(SOCKET)).args(args)
}

fn client(socket: &Path) -> Cmd {
    Cmd::new("docker")
        .arg("--host")
        .arg(format!("unix://{}", socket.display()))
        .without_env(&["DOCKER_CONTEXT", "DOCKER_HOST"])
}

/// A cluster stays with the engine that holds its containers.
///
/// # Errors
/// When that one is ours and another one answers in its place, or is not ours and does not answer.
pub(crate) fn require_possible(state: &StateDir, is_ours: bool) -> Result<()> {
    let place = state.root().display();
    if is_ours && !is_up(state) && answers() {
        bail!(
            "another Docker engine answers at {SOCKET}, and the cluster in {place} has one of its own: stop that one, and \
             `cargo xtask up` starts the cluster's"
        );
    }
    if !is_ours && !answers() {
        bail!("the Docker engine that the cluster in {place} runs on does not answer at {SOCKET}: start it");
    }
    Ok(())
}

/// Starts our engine, which does not answer, at a place where none does, and waits until it answers.
///
/// # Errors
/// When there is no dockerd, or it does not answer in time.
pub(crate) fn start(state: &StateDir) -> Result<()> {
    start_at(state, Path::new(SOCKET))
}

/// Brings our engine back so that it can be emptied, whoever listens at the usual place; gives its socket.
///
/// # Errors
/// When there is no dockerd, or it does not answer in time.
pub(crate) fn start_aside(state: &StateDir) -> Result<PathBuf> {
    let socket = aside(state);
    start_at(state, &socket)?;
    Ok(socket)
}

/// It gets no bridge and no rules of its own: the node agent makes the pods' network.
fn start_at(state: &StateDir, socket: &Path) -> Result<()> {
    let program =
        find_program("dockerd").context("the cluster's Docker engine does not run and dockerd is not installed")?;
    let daemon = daemon(state);
    let docker_dir = state.docker();
    make_private(&docker_dir)?;
    // One that hangs would hold the data.
    daemon.stop(Duration::from_secs(20))?;
    forget_the_dead(&docker_dir);
    let command = Cmd::new(program)
        .arg("--host")
        .arg(format!("unix://{}", socket.display()))
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
        Ok(is_ours(state, socket).then_some(()))
    };
    wait::until("the Docker engine", Duration::from_secs(60), probe).map_err(|error| daemon.explain(&error))
}

/// Pid files of an engine that was killed or went with the machine: the ids in them are somebody else's by now, and an
/// engine would believe that it runs already. A containerd that did survive is found by its file.
fn forget_the_dead(docker_dir: &Path) {
    let containerd = docker_dir.join("exec/containerd/containerd.pid");
    std::fs::remove_file(docker_dir.join("dockerd.pid")).ok();
    let pid = std::fs::read_to_string(&containerd).unwrap_or_default();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap_or_default();
    if name.trim() != "containerd" {
        std::fs::remove_file(&containerd).ok();
    }
}

/// Ends what an engine of ours leaves running when it is killed: containerd and its shims. Gives how many there were.
///
/// # Errors
/// When one survives.
pub(crate) fn end_strays(state: &StateDir) -> Result<usize> {
    let strays = strays(Path::new("/proc"), &state.docker());
    for (name, pid) in &strays {
        end_stray(name, *pid, Duration::from_secs(10))?;
    }
    Ok(strays.len())
}

/// Processes of engines whose command lines name files below `docker_dir`.
fn strays(proc: &Path, docker_dir: &Path) -> Vec<(String, i32)> {
    let below = format!("{}/", docker_dir.display());
    let processes = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let stray = |process: std::fs::DirEntry| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?.trim().to_owned();
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let is_ours = String::from_utf8_lossy(&line).split('\0').any(|word| word.starts_with(&below));
        (is_ours && name.starts_with("containerd")).then_some((name, pid))
    };
    processes.filter_map(stray).collect()
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

    #[test]
    fn pid_files_from_before_a_reboot_do_not_keep_the_engine_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let containerd = dir.path().join("exec/containerd");
        std::fs::create_dir_all(&containerd).unwrap();
        // An id that somebody has, as ids after a reboot are.
        let taken = std::process::id().to_string();
        for file in [dir.path().join("dockerd.pid"), containerd.join("containerd.pid")] {
            std::fs::write(file, &taken).unwrap();
        }
        forget_the_dead(dir.path());
        assert!(!dir.path().join("dockerd.pid").exists() && !containerd.join("containerd.pid").exists());
        forget_the_dead(dir.path());
    }

    #[test]
    fn only_what_our_own_engine_left_is_a_stray() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: &str, name: &str, line: &str| {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("comm"), format!("{name}\n")).unwrap();
            std::fs::write(proc.path().join(pid).join("cmdline"), line).unwrap();
        };
        process("7", "containerd", "containerd\0--config\0/var/lib/np/docker/exec/containerd/containerd.toml\0");
        process("8", "containerd-shim", "/usr/bin/containerd-shim\0-address\0/run/containerd/containerd.sock\0");
        process("9", "containerd", "containerd\0--config\0/var/lib/np/docker2/exec/containerd/containerd.toml\0");
        process("10", "less", "less\0/var/lib/np/docker/exec/containerd/containerd.toml\0");
        assert_eq!(strays(proc.path(), Path::new("/var/lib/np/docker")), [("containerd".to_owned(), 7)]);
    }
}
