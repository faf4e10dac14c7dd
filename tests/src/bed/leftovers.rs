//! What test processes left behind that were killed before they could clean up.
//!
//! Everything a bed makes is named `np<letter><pid>-<number>` ([`unique`](super::netns::unique)).
//! Whoever makes the first bed in a process takes away what carries the number of a process that is
//! no more. Never: touches what a living process made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

use nix::mount::{MntFlags, umount2};

use super::cgroup;

/// Where `ip` keeps the names of network namespaces.
const NETNS_DIR: &str = "/run/netns";
/// Where pins are.
const BPFFS: &str = "/sys/fs/bpf";

static SWEPT: Once = Once::new();

/// Sweeps once in a process. What cannot be removed is named; the next process tries again.
pub(super) fn sweep() {
    SWEPT.call_once(|| {
        for name in of_the_dead() {
            remove(&name);
        }
    });
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
    eprintln!("removing what an ended test process left: {name}");
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

/// Removes a folder with all that is mounted in it.
pub(super) fn remove_dir(dir: &Path) {
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
