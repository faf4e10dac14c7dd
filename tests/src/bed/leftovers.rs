//! What test processes would leave behind that end before they can clean up.
//!
//! Everything a bed makes is named `np<letter><pid>-<number>` ([`unique`](super::netns::unique)).
//! A process that is told to end takes its own beds away first. Where it could not, whoever makes the
//! first bed in another process takes away what carries the number of a process that is no more.
//! Never: touches what another living process made.

use std::{
    ffi::c_int,
    fs::{self, FileType},
    io::{self, Read as _},
    os::fd::IntoRawFd as _,
    os::unix::{fs::FileTypeExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        Once,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
};

use nix::{
    mount::{MntFlags, umount2},
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};

use super::cgroup;

/// Where `ip` keeps the names of network namespaces.
const NETNS_DIR: &str = "/run/netns";
/// Where pins are.
const BPFFS: &str = "/sys/fs/bpf";

static SWEPT: Once = Once::new();
/// The end of a pipe that the signal handler writes to.
static TELLER: AtomicI32 = AtomicI32::new(-1);
/// Whether this process was told to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Sweeps once in a process. What cannot be removed is named; the next process tries again.
pub(super) fn sweep() {
    SWEPT.call_once(|| {
        for name in of_the_dead() {
            remove(&name);
        }
    });
}

/// From now on SIGTERM and SIGINT remove all beds of this process before they end it.
///
/// # Errors
/// The kernel refuses.
pub fn remove_on_signal() -> io::Result<()> {
    let (mut told, teller) = io::pipe()?;
    TELLER.store(teller.into_raw_fd(), Ordering::SeqCst);
    // Not by a mask of signals: programs that a bed starts would inherit it, and never end when told.
    let action = SigAction::new(SigHandler::Handler(tell), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: the handler does nothing but what a signal handler may do.
        unsafe { sigaction(signal, &action) }?;
    }
    let wait = move || {
        let mut number = [0];
        if told.read_exact(&mut number).is_ok() {
            end(number[0]);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

extern "C" fn tell(signal: c_int) {
    // All signals have small numbers.
    let number = signal as u8;
    // SAFETY: write(2) may be called from a signal handler; the byte outlives the call.
    unsafe { libc::write(TELLER.load(Ordering::SeqCst), (&raw const number).cast(), 1) };
}

fn end(signal: u8) -> ! {
    ENDING.store(true, Ordering::SeqCst);
    eprintln!("signal {signal}: removing the test beds");
    for name in all_names().iter().filter(|name| maker(name) == Some(process::id())) {
        remove(name);
    }
    process::exit(128 + i32::from(signal));
}

/// Goes no further when this process was told to end: nothing new may be started on a bed then.
pub(super) fn stop_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// The names of beds whose makers have ended.
pub(super) fn of_the_dead() -> Vec<String> {
    all_names().into_iter().filter(|name| is_dead(name)).collect()
}

fn all_names() -> Vec<String> {
    let places = [Path::new(NETNS_DIR), Path::new(BPFFS), &std::env::temp_dir()];
    let entries = places.into_iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.extend(cgroup::names());
    names.sort();
    names.dedup();
    names
}

/// Whether it is a bed's name, and the process that made the bed has ended.
fn is_dead(name: &str) -> bool {
    maker(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

/// The process that a bed's name speaks of.
fn maker(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("np")?;
    let rest = rest.strip_prefix(|letter: char| letter.is_ascii_lowercase())?;
    let (pid, number) = rest.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// Removes everything that has this name, with the processes in it.
pub(super) fn remove(name: &str) {
    eprintln!("removing {name} and all that is in it");
    // Processes first: they hold everything else.
    if let Err(error) = cgroup::remove(name) {
        eprintln!("cgroup {name}: {error:#}");
    }
    if Path::new(NETNS_DIR).join(name).exists() {
        let _ = Command::new("ip").args(["netns", "delete", name]).status();
    }
    let _ = fs::remove_dir_all(Path::new(BPFFS).join(name));
    remove_dir(&std::env::temp_dir().join(name));
}

/// What a container engine makes outside the directories that it is given: its key, and empty
/// directories.
const TRACES: [&str; 5] = ["/etc/docker/key.json", "/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker"];
/// Where a host notes which of them were not there before its engine.
const TRACES_FILE: &str = "engine-traces";

/// Notes which traces of engines are not there yet.
///
/// # Errors
/// The note cannot be written.
pub(super) fn note_absent_traces(dir: &Path) -> io::Result<()> {
    let absent: Vec<&str> = TRACES.into_iter().filter(|path| !Path::new(path).exists()).collect();
    fs::write(dir.join(TRACES_FILE), absent.join("\n"))
}

/// Removes the traces that were noted, but for what an engine that came later uses.
fn remove_traces(dir: &Path) {
    for path in fs::read_to_string(dir.join(TRACES_FILE)).unwrap_or_default().lines().map(Path::new) {
        if path.is_dir() {
            remove_unused(path);
        } else {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes sockets that nobody listens at any more, and then directories with nothing in them.
fn remove_unused(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(FileType::is_dir) {
            remove_unused(&path);
        } else if kind.is_ok_and(|kind| kind.is_socket()) && UnixStream::connect(&path).is_err_and(is_refusal) {
            let _ = fs::remove_file(&path);
        }
    }
    let _ = fs::remove_dir(dir);
}

#[expect(clippy::needless_pass_by_value, reason = "what a Result gives away")]
fn is_refusal(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Removes a host's folder with all that is mounted in it, and what its engine left elsewhere.
pub(super) fn remove_dir(dir: &Path) {
    remove_traces(dir);
    unmount_below(dir);
    if let Err(error) = fs::remove_dir_all(dir)
        && dir.exists()
    {
        eprintln!("{} is left behind: {error}", dir.display());
    }
}

/// A killed engine leaves its overlay mounts behind, a killed agent its volumes.
fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points: Vec<PathBuf> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect();
    for point in points.iter().rev().filter(|point| point.starts_with(dir)) {
        let _ = umount2(point, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::{is_dead, maker};

    #[test]
    fn only_names_of_beds_are_known() {
        assert_eq!(maker("npt4711-0"), Some(4711));
        for other in ["np4711-0", "npt4711", "npt-0", "nptx-0", "npt1-x", "node1-0", "npt1-0-pods"] {
            assert_eq!(maker(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_living_process_made_stays() {
        assert!(!is_dead(&format!("npt{}-0", std::process::id())));
        // No process has this number: it is above the kernel's limit.
        assert!(is_dead("npt4194305-0"));
    }
}
