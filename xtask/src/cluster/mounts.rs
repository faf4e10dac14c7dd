//! What is mounted below a directory: an engine leaves mounts behind, and a directory with mounts must not be removed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};

/// Unmounts everything below `dir`, innermost first; gives how many mounts there were.
///
/// # Errors
/// When the mounts cannot be read or one cannot be unmounted.
pub(crate) fn unmount_below(dir: &Path) -> Result<usize> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let points = below(&mountinfo, dir);
    for point in &points {
        umount2(point, MntFlags::MNT_DETACH).with_context(|| format!("cannot unmount {}", point.display()))?;
    }
    Ok(points.len())
}

/// The mount points (field 5 of proc_pid_mountinfo(5)) below `dir`, the latest first.
fn below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped).map(PathBuf::from);
    let mut points: Vec<_> = points.filter(|point| point.starts_with(dir) && point != dir).collect();
    points.reverse();
    points
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_comes_first_and_neighbours_stay() {
        let text = "30 1 0:1 / / rw - ext4 /dev/vda rw\n\
                    31 30 0:2 / /var/lib/np/docker rw - overlay o rw\n\
                    32 31 0:3 / /var/lib/np/docker/a\\040b rw - tmpfs t rw\n\
                    33 30 0:4 / /var/lib/np2 rw - tmpfs t rw\n";
        let points = below(text, Path::new("/var/lib/np"));
        assert_eq!(points, [PathBuf::from("/var/lib/np/docker/a b"), PathBuf::from("/var/lib/np/docker")]);
    }
}
