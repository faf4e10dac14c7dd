//! Where the cgroup2 hierarchy is.
//!
//! In: `/proc/self/mountinfo`. Out: the mount point to attach to. On machines with both versions it
//! lies beside the version 1 controllers, often at `/sys/fs/cgroup/unified`; nothing is assumed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why there is no cgroup to attach to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/proc/self/mountinfo` is not readable.
    #[error("reading /proc/self/mountinfo: {0}")]
    Unreadable(#[source] io::Error),
    /// Nothing of the kind is mounted.
    #[error(
        "no cgroup2 hierarchy is mounted, only cgroup v1: mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    OnlyV1,
    /// Not even cgroup v1 is mounted.
    #[error("no cgroup hierarchy is mounted: mount one with `mount -t cgroup2 none /sys/fs/cgroup`")]
    None,
    /// The folder that was named is something else.
    #[error("{path} is not a folder in a cgroup2 hierarchy")]
    NotCgroup2 {
        /// Which folder.
        path: PathBuf,
    },
}

/// The root of the cgroup2 hierarchy as this process sees it.
///
/// # Errors
/// There is none.
pub fn mount_point() -> Result<PathBuf, Error> {
    find(&fs::read_to_string("/proc/self/mountinfo").map_err(Error::Unreadable)?)
}

/// Checks that `path` is a cgroup of version 2.
///
/// # Errors
/// It is not.
pub fn check(path: &Path) -> Result<(), Error> {
    // Every cgroup of version 2 but no folder elsewhere has this file.
    if path.join("cgroup.procs").is_file() && path.join("cgroup.controllers").is_file() {
        return Ok(());
    }
    Err(Error::NotCgroup2 { path: path.to_owned() })
}

/// Reads mountinfo (proc_pid_mountinfo(5)): the fifth field is the mount point, the first one after
/// the lonely dash is the file system. The last mount wins: it hides those before it.
fn find(mountinfo: &str) -> Result<PathBuf, Error> {
    let mut found = Err(Error::None);
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        match filesystem.split(' ').next() {
            Some("cgroup2") => {
                if let Some(point) = mount.split(' ').nth(4) {
                    found = Ok(unescape(point));
                }
            }
            Some("cgroup") if found.is_err() => found = Err(Error::OnlyV1),
            _ => {}
        }
    }
    found
}

/// Undoes the octal escapes of blanks and backslashes.
fn unescape(point: &str) -> PathBuf {
    let blanks = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(blanks.iter().fold(point.to_owned(), |text, (code, blank)| text.replace(code, blank)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "33 32 0:28 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n";
    const V2: &str = "42 32 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn finds_the_hierarchy_beside_version_1() {
        assert_eq!(find(&format!("{V1}{V2}{V1}")).expect("found"), Path::new("/sys/fs/cgroup/unified"));
    }

    #[test]
    fn says_what_is_missing() {
        assert!(matches!(find(V1), Err(Error::OnlyV1)));
        assert!(matches!(find(""), Err(Error::None)));
    }

    #[test]
    fn reads_escapes_and_optional_fields() {
        let line = "42 32 0:37 / /mnt/my\\040group rw shared:1 master:2 - cgroup2 none rw\n";
        assert_eq!(find(line).expect("found"), Path::new("/mnt/my group"));
    }

    #[test]
    fn a_folder_elsewhere_is_no_cgroup() {
        assert!(matches!(check(Path::new("/proc")), Err(Error::NotCgroup2 { .. })));
    }
}
