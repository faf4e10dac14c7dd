//! Volumes of pods: directories and files on the node.
//!
//! In: a pod's volumes and the objects they project. Out: the directories that containers mount.
//! Everything may be repeated: what is right already stays untouched.

mod atomic;
pub(crate) mod mounts;
mod payload;
mod sub_path;

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Pod, Volume};
use nix::mount::{MsFlags, mount};

use self::payload::Payload;
pub use self::{
    payload::{Tokens, references},
    sub_path::SubPath,
};
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

/// Removes a pod's directory with its volumes. Blocking.
///
/// # Errors
/// When something cannot be unmounted or removed.
pub fn remove(paths: &PodPaths) -> io::Result<()> {
    mounts::unmount_below(paths.dir())?;
    mounts::remove_tree(paths.dir())
}

/// A new directory shows up with its mode and group, or not at all.
fn empty_dir(source: &EmptyDirVolumeSource, dir: &Path, group: Option<u32>) -> io::Result<()> {
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    if source.medium.as_deref() == Some("Memory") {
        fs::create_dir_all(dir)?;
        if is_mounted(dir)? {
            return Ok(());
        }
        let limit = source.size_limit.as_ref().and_then(|limit| resources::units(&limit.0)).filter(|limit| *limit > 0);
        let options = [
            Some(format!("mode={mode:o}")),
            group.map(|group| format!("gid={group}")),
            limit.map(|limit| format!("size={limit}")),
        ];
        let options = options.into_iter().flatten().collect::<Vec<_>>().join(",");
        return Ok(mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?);
    }
    if dir.exists() {
        return Ok(());
    }
    // No volume's name begins so.
    let new = dir.with_file_name(format!("..{}", dir.file_name().unwrap_or_default().display()));
    fs::create_dir_all(&new)?;
    std::os::unix::fs::chown(&new, None, group)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(new, dir)
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
    let wanted = source.type_.as_deref().unwrap_or_default();
    match (wanted, &kind) {
        // Docker would refuse a source that does not exist; upstream leaves a directory, too.
        ("" | "DirectoryOrCreate", None) => return fs::create_dir_all(path).map_err(|error| error.to_string()),
        ("FileOrCreate", None) => return fs::File::create(path).map(drop).map_err(|error| error.to_string()),
        _ => {}
    }
    let is = |test: fn(&fs::FileType) -> bool| kind.as_ref().is_some_and(test);
    let (fits, what) = match wanted {
        "Directory" | "DirectoryOrCreate" => (is(fs::FileType::is_dir), "directory"),
        "File" | "FileOrCreate" => (is(fs::FileType::is_file), "file"),
        "Socket" => (is(FileTypeExt::is_socket), "socket file"),
        "CharDevice" => (is(FileTypeExt::is_char_device), "character device"),
        "BlockDevice" => (is(FileTypeExt::is_block_device), "block device"),
        _ => return Ok(()),
    };
    if fits { Ok(()) } else { Err(format!("hostPath type check failed: {} is not a {what}", source.path)) }
}

#[cfg(test)]
mod tests;
