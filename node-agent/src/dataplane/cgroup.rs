//! Where the cgroup2 hierarchy is.
//!
//! In: `/proc/self/mountinfo`, and later a pod's process. Out: the mount point to attach to, and
//! whether what is attached there sees that process. On machines with both versions it
//! lies beside the version 1 controllers, often at `/sys/fs/cgroup/unified`; nothing is assumed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Why there is no cgroup to attach to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/proc/self/mountinfo` is not readable.
    #[error("reading /proc/self/mountinfo: {0}")]
    Unreadable(#[source] io::Error),
    /// A process cannot be asked where it is.
    #[error("cgroup of process {pid}: {source}")]
    Process {
        /// Which one.
        pid: i32,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nothing of the kind is mounted.
    #[error(
        "no cgroup2 hierarchy is mounted, only cgroup v1: mount one with `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    OnlyV1,
    /// Not even cgroup v1 is mounted.
    #[error("no cgroup hierarchy is mounted: mount one with `mount -t cgroup2 none /sys/fs/cgroup`")]
    None,
    /// Only a part of one is mounted.
    #[error(
        "only a part of the cgroup2 hierarchy is mounted, {root} at {}: pods may be in another, so mount the whole, or \
         name a cgroup by --cgroup-root",
        point.display()
    )]
    OnlyPart {
        /// Which cgroup.
        root: String,
        /// Where.
        point: PathBuf,
    },
    /// A pod's process is where no hook sees it.
    #[error(
        "process {pid} of the pod is in cgroup {process}, outside of {}, where Services are translated: run the agent in \
         the cgroup namespace of the machine, with a --cgroup-root that holds the container engine's cgroups",
        attached.display()
    )]
    Outside {
        /// Which process.
        pid: i32,
        /// Where it is.
        process: String,
        /// Where the hooks are.
        attached: PathBuf,
    },
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

/// Checks that a process is in the cgroup `attached` or below it.
///
/// # Errors
/// It is not, or it has ended.
pub fn check_process(attached: &Path, pid: i32) -> Result<(), Error> {
    let path = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let process = fs::read_to_string(&path).map_err(|source| Error::Process { pid, source })?;
    let process = unified(&process).unwrap_or_default().to_owned();
    let wanted = fs::metadata(attached).map_err(|source| Error::Process { pid, source })?;
    let below = process.strip_prefix('/').filter(|below| !below.starts_with(".."));
    let is_inside = below.is_some_and(|below| {
        // A cgroup is one by its number: the same one may be mounted twice.
        mount_point().is_ok_and(|root| {
            let cgroup = root.join(below);
            let mut above = cgroup.ancestors().take_while(|folder| folder.starts_with(&root));
            above
                .any(|folder| fs::metadata(folder).is_ok_and(|it| (it.dev(), it.ino()) == (wanted.dev(), wanted.ino())))
        })
    });
    if is_inside { Ok(()) } else { Err(Error::Outside { pid, process, attached: attached.to_owned() }) }
}

/// The line of version 2 in `/proc/PID/cgroup` (cgroups(7)).
fn unified(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Reads mountinfo (proc_pid_mountinfo(5)): the fourth field is what is mounted, the fifth is where, the
/// first one after the lonely dash is the file system. The last mount wins: it hides those before it.
/// A mount of a part is none: containers and sandboxes of services have such, beside the whole.
fn find(mountinfo: &str) -> Result<PathBuf, Error> {
    let mut found = Err(Error::None);
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        match filesystem.split(' ').next() {
            Some("cgroup2") => {
                let mut fields = mount.split(' ').skip(3);
                match (fields.next(), fields.next()) {
                    (Some("/"), Some(point)) => found = Ok(unescape(point)),
                    (Some(root), Some(point)) if found.is_err() => {
                        found = Err(Error::OnlyPart { root: root.into(), point: unescape(point) });
                    }
                    _ => {}
                }
            }
            Some("cgroup") if matches!(found, Err(Error::None)) => found = Err(Error::OnlyV1),
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
    fn a_mount_of_a_part_is_not_the_hierarchy() {
        let part = "43 32 0:37 /system.slice/x /run/x/cgroup rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(find(&format!("{V2}{part}")).expect("found"), Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(find(&format!("{part}{V2}")).expect("found"), Path::new("/sys/fs/cgroup/unified"));
        let error = find(&format!("{V1}{part}{V1}")).expect_err("a part").to_string();
        assert!(error.starts_with("only a part of the cgroup2 hierarchy is mounted, /system.slice/x at "), "{error}");
    }

    #[test]
    fn a_process_is_inside_or_the_error_names_both() {
        let (own, root) = (i32::try_from(std::process::id()).expect("a number"), mount_point().expect("cgroup2"));
        check_process(&root, own).expect("everybody is below the root");
        let error = check_process(Path::new("/proc"), own).expect_err("no cgroup").to_string();
        assert!(error.contains(", outside of /proc, where Services are translated"), "{error}");
        assert!(matches!(check_process(&root, i32::MAX), Err(Error::Process { .. })));
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
