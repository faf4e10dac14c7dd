//! `subPath` of mounts (upstream `pkg/volume/util/subpath`).
//!
//! Containers write to volumes, so what a path in one leads to may change at any moment. The way is
//! walked by the kernel once, and never out of the volume; what it led to is held, and mounted at a
//! place that no container can change. The engine is told that place.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    mount::{MsFlags, mount},
    sys::stat::{Mode, mkdirat},
};

use super::mounts::{own_path, unmount};

/// Somebody who renames directories all the time makes the kernel give up now and then.
const TRIES: usize = 64;
/// Mounts on top of each other that are taken away.
const STACKED: usize = 16;

/// A part of a volume that a container mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubPath {
    /// The volume on the node.
    pub root: PathBuf,
    /// The way from there.
    pub relative: PathBuf,
    /// Where it is mounted for the engine.
    pub place: PathBuf,
}

impl SubPath {
    /// Mounts it at its place, after making what is not there. May be repeated. Blocking.
    ///
    /// # Errors
    /// When it lies outside of the volume, cannot be made, or cannot be mounted.
    pub fn bind(&self) -> io::Result<()> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let root = File::options().read(true).custom_flags(flags.bits()).open(&self.root)?;
        let found = match beneath(root.as_fd(), &self.relative) {
            Err(Errno::ENOENT) => self.make(&root)?,
            other => other.map_err(|error| self.refused(error))?,
        };
        bind_at(&File::from(found), &self.place)
    }

    /// The directories of the way, like the volume itself in their mode and group.
    fn make(&self, root: &File) -> io::Result<OwnedFd> {
        let like = root.metadata()?;
        let mut parent = root.as_fd().try_clone_to_owned()?;
        let mut way = PathBuf::new();
        for part in self.relative.components() {
            let Component::Normal(name) = part else { continue };
            way.push(name);
            parent = match beneath(root.as_fd(), &way) {
                Err(Errno::ENOENT) => self.make_one(parent.as_fd(), Path::new(name), &like)?,
                other => other.map_err(|error| self.refused(error))?,
            };
        }
        Ok(parent)
    }

    fn make_one(&self, parent: BorrowedFd<'_>, name: &Path, like: &fs::Metadata) -> io::Result<OwnedFd> {
        let mode = like.mode() & 0o7777;
        let made = match mkdirat(parent, name, Mode::from_bits_truncate(mode & 0o777)) {
            Ok(()) => true,
            // Somebody else was faster, or a link that leads nowhere is there.
            Err(Errno::EEXIST) => false,
            Err(error) => return Err(self.refused(error)),
        };
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let dir = File::from(openat2(parent, name, how).map_err(|error| self.refused(error))?);
        if made {
            fchown(&dir, None, Some(like.gid()))?;
            dir.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        Ok(dir.into())
    }

    fn refused(&self, error: Errno) -> io::Error {
        let (way, root) = (self.relative.display(), self.root.display());
        match error {
            Errno::EXDEV | Errno::ELOOP => {
                io::Error::other(format!("subpath \"{way}\" is not within volume path \"{root}\""))
            }
            error => io::Error::other(format!("subpath \"{way}\" of volume path \"{root}\": {error}")),
        }
    }
}

/// What a path leads to, by links that stay below `root`.
fn beneath(root: BorrowedFd<'_>, path: &Path) -> nix::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut tries = 0;
    loop {
        match openat2(root, path, how) {
            Err(Errno::EAGAIN) if tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

fn bind_at(target: &File, place: &Path) -> io::Result<()> {
    let wanted = target.metadata()?;
    let is_there = |meta: &fs::Metadata| (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino());
    if fs::symlink_metadata(place).is_ok_and(|meta| is_there(&meta)) {
        return Ok(());
    }
    make_place(place, wanted.is_dir())?;
    Ok(mount(Some(&own_path(target.as_fd())), place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// An empty directory or file to mount on, with nothing mounted there.
fn make_place(place: &Path, is_dir: bool) -> io::Result<()> {
    for _ in 0..STACKED {
        if fs::symlink_metadata(place).is_err() {
            break;
        }
        unmount(place)?;
        let removed = fs::remove_file(place).or_else(|_| fs::remove_dir(place));
        if removed.is_ok() {
            break;
        }
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    if is_dir { fs::create_dir(place) } else { File::create_new(place).map(drop) }
}

#[cfg(test)]
mod tests;
