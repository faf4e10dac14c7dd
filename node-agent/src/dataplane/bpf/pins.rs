//! The folder of pins on the BPF file system.
//!
//! `DIR/v<abi>/` holds the maps by their names and `links/` below it. One folder for each ABI
//! version: an agent of a new version fills its own beside the old one, and removes the old one
//! when its maps are complete. The names hold no dot, which this file system does not allow.

use std::{
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::maps::MapInfo;
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use nodeplane_ebpf_abi::{ABI_VERSION, maps::MapSpec};
use tracing::info;

use super::{Error, Result, chain, sys};

const MOUNT_POINT: &str = "/sys/fs/bpf";
const LINKS: &str = "links";

/// The pins of this ABI version.
pub(super) struct Pins {
    root: PathBuf,
    dir: PathBuf,
}

impl Pins {
    /// Mounts the file system if need be, and makes the folders.
    pub(super) fn prepare(root: &Path) -> Result<Self> {
        ensure_bpffs(root)?;
        let pins = Self { root: root.to_owned(), dir: root.join(version_name(ABI_VERSION)) };
        let links = pins.dir.join(LINKS);
        fs::create_dir_all(&links).map_err(|error| pin_error(&links, &error))?;
        Ok(pins)
    }

    /// Where the maps are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the link of this name is, or would be.
    pub(super) fn link(&self, name: &str) -> PathBuf {
        self.dir.join(LINKS).join(name)
    }

    /// The names of all pinned links.
    pub(super) fn links(&self) -> Result<Vec<String>> {
        list(&self.dir.join(LINKS))
    }

    /// Removes the pin of a link, and with it the link. It is no error that it was not there.
    pub(super) fn drop_link(&self, name: &str) -> Result<()> {
        drop_link(&self.link(name))
    }

    /// Checks that a map, if it is pinned, is what this agent expects.
    pub(super) fn check_map(&self, spec: MapSpec) -> Result<()> {
        let path = self.dir.join(spec.name);
        if !path.exists() {
            return Ok(());
        }
        let info = MapInfo::from_pin(&path).map_err(|error| Error::Map { map: spec.name, reason: chain(&error) })?;
        let shape = |key, value, entries| format!("{key}-byte keys, {value}-byte values, {entries} entries");
        let found = shape(info.key_size(), info.value_size(), info.max_entries());
        let wanted = shape(spec.key_size, spec.value_size, spec.capacity);
        if found == wanted { Ok(()) } else { Err(Error::Layout { map: spec.name, found, wanted }) }
    }

    /// Removes what agents of other ABI versions left, programs included.
    pub(super) fn drop_other_versions(&self) -> Result<()> {
        for name in list(&self.root)? {
            if is_version(&name) && name != version_name(ABI_VERSION) {
                drop_version(&self.root.join(&name))?;
                info!(version = %name, "pins of another ABI version removed");
            }
        }
        Ok(())
    }
}

/// Removes every pin below `root`, of all versions: programs are detached, then maps are freed.
///
/// It is no error that there is nothing.
///
/// # Errors
/// [`Error::Pins`] with the first path that could not be removed.
pub fn cleanup(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    for name in list(root)? {
        if is_version(&name) {
            drop_version(&root.join(name))?;
        }
    }
    match fs::remove_dir(root) {
        // Somebody else's pins may be there as well.
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(pin_error(root, &error)),
        _ => Ok(()),
    }
}

fn drop_version(dir: &Path) -> Result<()> {
    let links = dir.join(LINKS);
    if links.exists() {
        for name in list(&links)? {
            drop_link(&links.join(name))?;
        }
    }
    fs::remove_dir_all(dir).map_err(|error| pin_error(dir, &error))
}

/// Detaches a link and removes its pin. Removal alone would let the programs run on until the
/// kernel has found that nobody holds the link.
fn drop_link(path: &Path) -> Result<()> {
    if let Ok(link) = sys::open_pin(path) {
        // What cannot be detached is attached to nothing any more.
        let _ = sys::detach_link(link.as_fd());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(pin_error(path, &error)),
        _ => Ok(()),
    }
}

fn version_name(version: u32) -> String {
    format!("v{version}")
}

fn is_version(name: &str) -> bool {
    name.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok())
}

fn list(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = read().map_err(|error| pin_error(dir, &error))?;
    names.sort();
    Ok(names)
}

fn ensure_bpffs(root: &Path) -> Result<()> {
    if is_bpffs(root)? {
        return Ok(());
    }
    let mount_point = Path::new(MOUNT_POINT);
    if !root.starts_with(mount_point) {
        let reason = format!("not on a BPF file system; mount one with `mount -t bpf bpf {}`", root.display());
        return Err(Error::Pins { path: root.display().to_string(), reason });
    }
    mount_bpffs(mount_point).map_err(|error| pin_error(mount_point, &error))
}

/// Two agents that start together must not mount twice: the second mount would hide the pins of
/// the first.
fn mount_bpffs(mount_point: &Path) -> io::Result<()> {
    let folder = fs::File::open(mount_point)?;
    let _lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    if statfs(mount_point)?.filesystem_type() == BPF_FS_MAGIC {
        return Ok(());
    }
    mount(Some("bpf"), mount_point, Some("bpf"), MsFlags::empty(), None::<&str>)?;
    info!(path = %mount_point.display(), "BPF file system mounted");
    Ok(())
}

/// Asks the nearest folder above that exists.
fn is_bpffs(path: &Path) -> Result<bool> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let stat = statfs(existing).map_err(|errno| pin_error(existing, &errno.into()))?;
    Ok(stat.filesystem_type() == BPF_FS_MAGIC)
}

pub(super) fn pin_error(path: &Path, error: &io::Error) -> Error {
    Error::Pins { path: path.display().to_string(), reason: error.to_string() }
}
