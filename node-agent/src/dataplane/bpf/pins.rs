//! The folder of pins on the BPF file system.
//!
//! `DIR/v<abi>/` holds the maps by their names and `links/` below it. One folder for each ABI
//! version: an agent of a new version fills its own beside the old one, and removes the old one
//! when its maps are complete. The names hold no dot, which this file system does not allow.
//!
//! The folder is the agent's own, and locked as long as it is at work: two agents would undo each
//! other's work. What bears a name that no agent gives is never removed.

use std::{
    fs, io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use aya::maps::{MapInfo, MapType};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};
use nodeplane_ebpf_abi::{
    ABI_VERSION,
    maps::{Kind, MapSpec},
};
use tracing::info;

use super::{Error, Result, chain, links::is_link, sys};

const MOUNT_POINT: &str = "/sys/fs/bpf";
const LINKS: &str = "links";
/// Every map of ours begins so.
const MAP: &str = "NP_";

/// The pins of this ABI version.
pub(super) struct Pins {
    root: PathBuf,
    dir: PathBuf,
    /// As long as this agent is at work.
    _alone: Flock<fs::File>,
}

impl Pins {
    /// Mounts the file system if need be, and makes the folders.
    pub(super) fn prepare(root: &Path) -> Result<Self> {
        refuse_shared(root)?;
        ensure_bpffs(root)?;
        let dir = root.join(version_name(ABI_VERSION));
        let links = dir.join(LINKS);
        fs::create_dir_all(&links).map_err(|error| pin_error(&links, &error))?;
        Ok(Self { root: root.to_owned(), dir, _alone: lock(root)? })
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
        let kind = info.map_type().map_err(|error| Error::Map { map: spec.name, reason: chain(&error) })?;
        let shape = |kind: MapType, flags, key, value, entries| {
            format!("type {kind:?} with flags {flags}, {key}-byte keys, {value}-byte values, {entries} entries")
        };
        let found = shape(kind, info.map_flags(), info.key_size(), info.value_size(), info.max_entries());
        let wanted = shape(map_type(spec.kind), spec.kind.flags(), spec.key_size, spec.value_size, spec.capacity);
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
/// [`Error::Pins`] with the first path that could not be removed, or because an agent is at work.
pub fn cleanup(root: &Path) -> Result<()> {
    refuse_shared(root)?;
    if !root.exists() {
        return Ok(());
    }
    let _alone = lock(root)?;
    for name in list(root)? {
        if is_version(&name) {
            drop_version(&root.join(name))?;
        }
    }
    remove_empty(root)
}

/// Keeps other agents out.
fn lock(root: &Path) -> Result<Flock<fs::File>> {
    let folder = fs::File::open(root).map_err(|error| pin_error(root, &error))?;
    Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Error::Pins {
            path: root.display().to_string(),
            reason: "another agent is at work with these pins: stop it first, or use another --bpffs".into(),
        },
        errno => pin_error(root, &errno.into()),
    })
}

/// The place where everybody's pins are is nobody's own folder.
fn refuse_shared(root: &Path) -> Result<()> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    let is_mount_point = match (device(root), root.parent().map(device)) {
        (Ok(here), Some(Ok(above))) => here != above,
        (Ok(_), None) => true,
        _ => false,
    };
    if is_mount_point || root == Path::new(MOUNT_POINT) {
        let reason = "programs of others are pinned there, too: name a folder below it, for the agent alone".into();
        return Err(Error::Pins { path: root.display().to_string(), reason });
    }
    Ok(())
}

fn drop_version(dir: &Path) -> Result<()> {
    let links = dir.join(LINKS);
    if links.exists() {
        for name in list(&links)?.iter().filter(|name| is_link(name)) {
            drop_link(&links.join(name))?;
        }
        remove_empty(&links)?;
    }
    for name in list(dir)?.iter().filter(|name| name.starts_with(MAP)) {
        let map = dir.join(name);
        fs::remove_file(&map).map_err(|error| pin_error(&map, &error))?;
    }
    remove_empty(dir)
}

/// Removes a folder, unless somebody else has put something there.
fn remove_empty(dir: &Path) -> Result<()> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(pin_error(dir, &error)),
        _ => Ok(()),
    }
}

fn map_type(kind: Kind) -> MapType {
    match kind {
        Kind::Hash => MapType::Hash,
        Kind::LruHash => MapType::LruHash,
        Kind::Array => MapType::Array,
        Kind::PerCpuArray => MapType::PerCpuArray,
    }
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
