//! Files that change all at once (upstream `pkg/volume/util/atomic_writer.go`).
//!
//! The files lie in a directory with a new name for each version; `..data` is a symbolic link to
//! the current one, replaced by a rename, and what a container reads are links through `..data`.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use super::payload::Payload;

const CURRENT: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Makes `dir` show exactly the payload. `group` may read everything, and owns it.
pub(super) fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    let current = current(dir);
    if current.as_ref().is_none_or(|current| !shows(&dir.join(current), payload)) {
        make_current(dir, payload, group)?;
    }
    // Also when nothing changed: an agent may have ended before it came here.
    link_names(dir, payload)?;
    remove_others(dir)
}

/// The directory with the files that are shown.
fn current(dir: &Path) -> Option<PathBuf> {
    fs::read_link(dir.join(CURRENT)).ok()
}

/// Writes a version and shows it.
fn make_current(dir: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    let version = format!("..{}", uuid::Uuid::new_v4().simple());
    let fresh = dir.join(&version);
    fs::create_dir(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    for (path, file) in &payload.0 {
        let target = fresh.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.content)?;
        // The group must be able to read what it is given.
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        if let Some(group) = group {
            chown(&target, None, Some(group))?;
        }
    }
    match fs::remove_file(dir.join(NEXT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&version, dir.join(NEXT))?;
    fs::rename(dir.join(NEXT), dir.join(CURRENT))
}

/// Versions that are not shown: the one before, and those that were never finished.
fn remove_others(dir: &Path) -> io::Result<()> {
    let current = current(dir);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_version = entry.file_type()?.is_dir() && name.as_encoded_bytes().starts_with(b"..");
        if is_version && current.as_deref() != Some(Path::new(&name)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a version holds exactly these files.
fn shows(version: &Path, payload: &Payload) -> bool {
    let same = |(path, file): (&String, &super::payload::File)| {
        fs::read(version.join(path)).is_ok_and(|content| content == file.content)
    };
    payload.0.iter().all(same) && count_files(version).is_ok_and(|count| count == payload.0.len())
}

fn count_files(dir: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        count += if entry.file_type()?.is_dir() { count_files(&entry.path())? } else { 1 };
    }
    Ok(count)
}

/// One link for each first part of a path, and none besides.
fn link_names(dir: &Path, payload: &Payload) -> io::Result<()> {
    let names: BTreeSet<&str> = payload.0.keys().filter_map(|path| path.split('/').next()).collect();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        // What a sub-path made in the volume is not ours.
        let is_ours = fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(CURRENT));
        if is_ours && !names.contains(name.to_string_lossy().as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    for name in names {
        match symlink(Path::new(CURRENT).join(name), dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
