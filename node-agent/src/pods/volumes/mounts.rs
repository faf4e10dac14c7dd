//! Mounts below a directory, and a removal that stays on this side of them.
//!
//! What containers leave behind may be anything: names with spaces, trees deeper than a path or a
//! stack, a mount that came by propagation. Nothing of the node is ever removed through a mount.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::{ffi::OsStringExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2, renameat},
    mount::{MntFlags, umount2},
    unistd::{UnlinkatFlags, unlinkat},
};

/// Rounds of unmounting; a second one is for what was mounted meanwhile.
const ROUNDS: usize = 3;
/// Directories that are held open at once while a tree is removed.
const DEEPEST: usize = 64;

/// Unmounts all that is mounted at `dir` or below it. Blocking.
///
/// # Errors
/// When something stays mounted.
pub(crate) fn unmount_below(dir: &Path) -> io::Result<()> {
    let dir = match dir.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Mounts are known by their true paths.
        other => other?,
    };
    let mut last = Ok(());
    for _ in 0..ROUNDS {
        let points = points(&fs::read("/proc/self/mountinfo")?);
        let below: Vec<&PathBuf> = points.iter().filter(|point| point.starts_with(&dir)).collect();
        if below.is_empty() {
            return Ok(());
        }
        // The newest first: it may lie in an older one.
        for point in below.into_iter().rev() {
            last = unmount(point).map_err(|error| io::Error::other(format!("{}: {error}", point.display())));
        }
    }
    last
}

/// Takes one mount away, in use or not. One that is not there is no error.
pub(super) fn unmount(point: &Path) -> nix::Result<()> {
    match umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// The mount points that `/proc/self/mountinfo` lists.
fn points(mountinfo: &[u8]) -> Vec<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape).collect()
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(text: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let code = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(out))
}

/// Removes a directory with all that is in it. Blocking.
///
/// # Errors
/// When something is mounted in it, and for whatever the file system refuses. One that does not
/// exist is no error.
pub(super) fn remove_tree(dir: &Path) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let top = match File::options().read(true).custom_flags(flags.bits()).open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    while clear(top.as_fd(), top.as_fd(), 0)? {}
    fs::remove_dir(dir)
}

/// Empties a directory; whether something too deep was moved to the top, where it is found again.
fn clear(top: BorrowedFd<'_>, dir: BorrowedFd<'_>, depth: usize) -> io::Result<bool> {
    let mut moved = false;
    for entry in fs::read_dir(own_path(dir))? {
        let name = entry?.file_name();
        match unlinkat(dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => continue,
            Err(Errno::EISDIR) => {}
            Err(error) => return Err(refused(dir, &name, error)),
        }
        if depth == DEEPEST {
            let fresh = uuid::Uuid::new_v4().simple().to_string();
            renameat(dir, name.as_os_str(), top, fresh.as_str()).map_err(|error| refused(dir, &name, error))?;
            moved = true;
            continue;
        }
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let below = openat2(dir, name.as_os_str(), how).map_err(|error| refused(dir, &name, error))?;
        moved |= clear(top, below.as_fd(), depth + 1)?;
        let removed = unlinkat(dir, name.as_os_str(), UnlinkatFlags::RemoveDir);
        removed.map_err(|error| refused(dir, &name, error))?;
    }
    Ok(moved)
}

/// The way to an open file, wherever it is.
pub(super) fn own_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn refused(dir: BorrowedFd<'_>, name: &std::ffi::OsStr, error: Errno) -> io::Error {
    let path = fs::read_link(own_path(dir)).unwrap_or_default().join(name);
    match error {
        Errno::EXDEV | Errno::EBUSY => {
            io::Error::other(format!("{} is a mount point, and nothing behind it is removed", path.display()))
        }
        error => io::Error::other(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests;
