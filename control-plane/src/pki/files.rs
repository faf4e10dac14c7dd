//! Files that hold secrets: written whole or not at all, readable by their owner alone.
//!
//! In: a path and its content. Out: a file with mode 0600 that survives a power failure.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::PkiError;

/// Makes a directory that only its owner can enter, with its parents.
pub(super) fn private_dir(dir: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700))).map_err(PkiError::file(dir))
}

/// Replaces a file: a new one next to it, then a rename. A reader sees the old or the new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    let fresh = fresh_name(path);
    let result = write_new(&fresh, content).and_then(|()| fs::rename(&fresh, path)).and_then(|()| sync_dir(path));
    if result.is_err() {
        // The rename may have happened already; then there is nothing to remove.
        let _ = fs::remove_file(&fresh);
    }
    result.map_err(PkiError::file(path))
}

/// Writes a file that must not exist; never touches one that does.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<(), PkiError> {
    let fresh = fresh_name(path);
    let result = write_new(&fresh, content).and_then(|()| fs::hard_link(&fresh, path)).and_then(|()| sync_dir(path));
    // Linked under its name or useless: the fresh name goes in both cases.
    let _ = fs::remove_file(&fresh);
    result.map_err(PkiError::file(path))
}

/// The content of a file, `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PkiError::file(path)(error)),
    }
}

/// Waits until no other process works in the directory; the lock ends with the file.
pub(super) fn lock(dir: &Path) -> Result<File, PkiError> {
    let path = dir.join(".lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = open.map_err(PkiError::file(&path))?;
    file.lock().map_err(PkiError::file(&path))?;
    Ok(file)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A rename is durable when its directory is.
fn sync_dir(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    path.with_file_name(name)
}
