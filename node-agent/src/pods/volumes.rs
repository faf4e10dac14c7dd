//! Volumes of pods: directories and files on the node.
//!
//! In: a pod's volumes and the objects they project. Out: the directories that containers mount.
//! Everything may be repeated: what is right already stays untouched.

mod atomic;
mod payload;

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Pod, Volume};
use nix::mount::{MsFlags, mount};

use self::payload::Payload;
pub use self::payload::{Tokens, references};
use super::{downward::Downward, env::Found, paths::PodPaths, pod::PodExt, resources};

/// Why a volume is not there.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The node's file system refused.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    Io {
        /// Volume.
        volume: String,
        /// What happened.
        source: io::Error,
    },
    /// Nor for the pod as a whole.
    #[error("the pod's directory: {source}")]
    Pod {
        /// What happened.
        source: io::Error,
    },
    /// Something that the volume refers to is missing or wrong.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {reason}")]
    Content {
        /// Volume.
        volume: String,
        /// The sentence.
        reason: String,
    },
}

/// Where a volume lies on the node.
pub fn path(volume: &Volume, paths: &PodPaths) -> PathBuf {
    if let Some(source) = &volume.host_path {
        return PathBuf::from(&source.path);
    }
    let plugin = match volume {
        Volume { config_map: Some(_), .. } => "configmap",
        Volume { secret: Some(_), .. } => "secret",
        Volume { downward_api: Some(_), .. } => "downward-api",
        Volume { projected: Some(_), .. } => "projected",
        _ => "empty-dir",
    };
    paths.volume(plugin, &volume.name)
}

/// Makes all volumes of a pod ready. `found` holds what they refer to, `tokens` the content of
/// projected service account tokens by volume and path. Blocking.
///
/// # Errors
/// The first volume that cannot be made ready.
pub fn prepare(
    pod: &Pod,
    paths: &PodPaths,
    found: &Found,
    tokens: &Tokens,
    downward: &Downward<'_>,
) -> Result<(), VolumeError> {
    let group = PodExt::spec(pod).security_context.as_ref().and_then(|context| context.fs_group);
    let group = group.and_then(|group| u32::try_from(group).ok());
    paths.make().map_err(|source| VolumeError::Pod { source })?;
    for volume in PodExt::spec(pod).volumes.iter().flatten() {
        let dir = path(volume, paths);
        let io = |source| VolumeError::Io { volume: volume.name.clone(), source };
        let content = |reason| VolumeError::Content { volume: volume.name.clone(), reason };
        if let Some(source) = &volume.host_path {
            host_path(source).map_err(content)?;
        } else if let Some(source) = &volume.empty_dir {
            empty_dir(source, &dir, group).map_err(io)?;
        } else if let Some(payload) = Payload::of(volume, found, tokens, downward).map_err(content)? {
            atomic::write(&dir, &payload, group).map_err(io)?;
        } else {
            return Err(content("this kind of volume is not supported on this node".to_owned()));
        }
    }
    Ok(())
}

/// The place of a `subPath` below the volume at `root`: made when it is not there, and never
/// outside, wherever links that a container left may point. Blocking.
///
/// # Errors
/// When it lies outside or cannot be made.
pub fn sub_path(root: &Path, full: &Path) -> io::Result<PathBuf> {
    let root = root.canonicalize()?;
    let below = |path: &Path| -> io::Result<PathBuf> {
        let real = path.canonicalize()?;
        let outside =
            || io::Error::other(format!("subpath {} is not within volume path {}", real.display(), root.display()));
        if real.starts_with(&root) { Ok(real) } else { Err(outside()) }
    };
    if !full.exists() {
        // What exists of the way must be inside before anything is made at its end.
        let known = full.ancestors().find(|path| path.exists()).unwrap_or(&root);
        below(known)?;
        fs::create_dir_all(full)?;
    }
    below(full)
}

/// Removes a pod's directory with its volumes. Blocking.
///
/// # Errors
/// When something cannot be unmounted or removed.
pub fn remove(paths: &PodPaths) -> io::Result<()> {
    let below = paths.volumes();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    for point in points.into_iter().rev().filter(|point| Path::new(point).starts_with(&below)) {
        nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH)?;
    }
    match fs::remove_dir_all(paths.dir()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn empty_dir(source: &EmptyDirVolumeSource, dir: &Path, group: Option<u32>) -> io::Result<()> {
    let is_new = !dir.exists();
    fs::create_dir_all(dir)?;
    if source.medium.as_deref() == Some("Memory") && !is_mounted(dir)? {
        let limit = source.size_limit.as_ref().and_then(|limit| resources::units(&limit.0)).filter(|limit| *limit > 0);
        let options = limit.map(|limit| format!("size={limit}"));
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), options.as_deref())?;
    } else if !is_new {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777))?;
    if let Some(group) = group {
        std::os::unix::fs::chown(dir, None, Some(group))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o2777))?;
    }
    Ok(())
}

/// Whether a file system of its own is there.
fn is_mounted(dir: &Path) -> io::Result<bool> {
    let parent = dir.parent().unwrap_or(dir);
    Ok(fs::metadata(dir)?.dev() != fs::metadata(parent)?.dev())
}

/// Checks or makes what `hostPath.type` says (upstream `pkg/volume/hostpath`).
fn host_path(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    let kind = fs::metadata(path).ok().map(|meta| meta.file_type());
    let wrong = |what: &str| Err(format!("hostPath type check failed: {} is not a {what}", source.path));
    match (source.type_.as_deref().unwrap_or_default(), kind) {
        ("", Some(_)) | ("DirectoryOrCreate" | "FileOrCreate", Some(_)) => Ok(()),
        // Docker would refuse a source that does not exist; upstream leaves a directory, too.
        ("" | "DirectoryOrCreate", None) => fs::create_dir_all(path).map_err(|error| error.to_string()),
        ("FileOrCreate", None) => fs::File::create(path).map(drop).map_err(|error| error.to_string()),
        ("Directory", kind) if !kind.is_some_and(|kind| kind.is_dir()) => wrong("directory"),
        ("File", kind) if !kind.is_some_and(|kind| kind.is_file()) => wrong("file"),
        ("Socket", kind) if !kind.is_some_and(|kind| kind.is_socket()) => wrong("socket file"),
        ("CharDevice", kind) if !kind.is_some_and(|kind| kind.is_char_device()) => wrong("character device"),
        ("BlockDevice", kind) if !kind.is_some_and(|kind| kind.is_block_device()) => wrong("block device"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
