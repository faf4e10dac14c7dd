//! What this machine is, and how full it is.
//!
//! In: files of the kernel and the system. Out: plain facts. What cannot be read is empty or zero and never an error:
//! a node with a strange machine id is a node all the same.

use std::{fs, path::Path};

use nix::sys::statvfs::statvfs;

/// Bytes that must stay available, or memory is short (the kubelet's `memory.available<100Mi`).
pub const MEMORY_RESERVE: u64 = 100 << 20;
/// Percent of the disk that must stay available (`nodefs.available<10%`).
const DISK_RESERVE: u64 = 10;
/// Percent of the disk's inodes that must stay free (`nodefs.inodesFree<5%`).
const INODE_RESERVE: u64 = 5;
/// Percent of process numbers that must stay free.
const PROCESS_RESERVE: u64 = 5;

/// What does not change while the machine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Such as `amd64`.
    pub architecture: &'static str,
    /// Kernel release.
    pub kernel: String,
    /// Name of the distribution and its version.
    pub os_image: String,
    /// Of the installation.
    pub machine_id: String,
    /// Of the hardware.
    pub system_uuid: String,
    /// Of this boot.
    pub boot_id: String,
    /// Processors.
    pub processors: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of the disk that pods' files are on.
    pub disk: u64,
}

/// Whether the machine is short of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory.
    pub memory: bool,
    /// Disk, or its inodes.
    pub disk: bool,
    /// Process numbers.
    pub processes: bool,
}

impl Facts {
    /// Reads them. `folder` is where pods' files go.
    pub fn read(folder: &Path) -> Self {
        let machine_id = text("/etc/machine-id");
        let hardware = text("/sys/class/dmi/id/product_uuid").to_lowercase();
        Self {
            architecture: architecture(),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            system_uuid: if hardware.is_empty() { machine_id.clone() } else { hardware },
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory: meminfo(&text("/proc/meminfo"), "MemTotal"),
            disk: statvfs(folder).map_or(0, |disk| disk.blocks() * disk.fragment_size()),
        }
    }
}

impl Pressure {
    /// Reads it. `folder` is where pods' files go.
    pub fn read(folder: &Path) -> Self {
        let memory = text("/proc/meminfo");
        let threads = threads(&text("/proc/loadavg"));
        let most = text("/proc/sys/kernel/pid_max").parse().unwrap_or(0);
        Self {
            memory: memory.contains("MemAvailable:") && meminfo(&memory, "MemAvailable") < MEMORY_RESERVE,
            disk: statvfs(folder).is_ok_and(|disk| {
                is_short(disk.blocks_available(), disk.blocks(), DISK_RESERVE)
                    || is_short(disk.files_available(), disk.files(), INODE_RESERVE)
            }),
            processes: is_short(u64::saturating_sub(most, threads), most, PROCESS_RESERVE),
        }
    }
}

/// Whether less than so many percent are left. Of what has no size nothing is ever short.
fn is_short(left: u64, all: u64, percent: u64) -> bool {
    u128::from(left) * 100 < u128::from(all) * u128::from(percent)
}

/// The name that container images have for this processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `PRETTY_NAME` of os-release(5).
fn os_image(file: &str) -> String {
    let name = file.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches(['"', '\'']).to_owned())
}

/// Bytes of a line of `/proc/meminfo`, which counts in KiB.
fn meminfo(file: &str, name: &str) -> u64 {
    let line = file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Threads of the whole machine: the second number of the fourth field of `/proc/loadavg`.
fn threads(file: &str) -> u64 {
    let field = file.split_whitespace().nth(3);
    field.and_then(|field| field.split_once('/')?.1.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_something() {
        let facts = Facts::read(Path::new("/"));
        assert!(facts.processors >= 1 && facts.memory > MEMORY_RESERVE && facts.disk > 0, "{facts:?}");
        assert!(!facts.kernel.is_empty() && !facts.boot_id.is_empty() && !facts.os_image.is_empty(), "{facts:?}");
    }

    #[test]
    fn files_are_read_as_they_are_written() {
        assert_eq!(
            os_image("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(os_image(""), "Linux");
        let file = "MemTotal:       24689764 kB\nMemFree: 1 kB\nMemAvailable:    2 kB\n";
        assert_eq!((meminfo(file, "MemTotal"), meminfo(file, "MemAvailable")), (24_689_764 * 1024, 2048));
        assert_eq!(meminfo(file, "Mem"), 0);
        assert_eq!(threads("0.55 0.60 0.37 2/345 11206"), 345);
        assert_eq!(threads(""), 0);
    }

    #[test]
    fn short_is_below_the_reserve() {
        assert!(is_short(9, 100, 10) && !is_short(10, 100, 10));
        assert!(!is_short(0, 0, 10), "a file system without inodes is not short of them");
        assert!(!is_short(u64::MAX, u64::MAX, 99));
    }
}
