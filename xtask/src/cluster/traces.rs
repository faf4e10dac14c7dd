//! What an engine leaves outside the directories that it is given: its key, and directories for plug-ins and sockets.
//!
//! In: which of these were absent before our engine ran. Out: what was removed, and what stays with the reason. Others
//! may have begun to use the same places since, so absence alone makes nothing ours. Never: removes a file that our
//! engine did not write, a directory that holds one, or anything while another engine runs.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::engine::SOCKET;

/// The traces; a file stands before the directory that holds it. The socket stays when an engine is killed.
const TRACES: [&str; 6] =
    [SOCKET, "/etc/docker/key.json", "/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker"];

/// How the processes of engines begin, as the kernel tells names: 15 bytes.
const ENGINES: [&str; 2] = ["dockerd", "containerd"];

/// What became of the traces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What is gone.
    pub(crate) removed: Vec<PathBuf>,
    /// What stays, and why.
    pub(crate) kept: Vec<(PathBuf, String)>,
}

/// Those traces of an engine that are not there, so that they may be ours when they are.
pub(crate) fn absent() -> Vec<PathBuf> {
    TRACES.into_iter().map(PathBuf::from).filter(|path| path.symlink_metadata().is_err()).collect()
}

/// Removes what our engine left of the traces that were absent before it ran; our engine must have ended.
///
/// # Errors
/// When something that is ours cannot be removed.
pub(crate) fn remove(absent_before: &[PathBuf]) -> Result<Outcome> {
    remove_unless(running_engine(Path::new("/proc")).as_deref(), absent_before)
}

fn remove_unless(engine: Option<&str>, absent_before: &[PathBuf]) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    // An earlier order of the record had directories first.
    let files_first = |path: &&PathBuf| path.is_dir();
    let mut there: Vec<_> = absent_before.iter().filter(|path| path.symlink_metadata().is_ok()).collect();
    there.sort_by_key(files_first);
    for path in there {
        match engine.map(|engine| format!("{engine} runs")).or_else(|| foreign_in(path)) {
            Some(reason) => outcome.kept.push((path.clone(), reason)),
            None => {
                remove_tree(path).with_context(|| format!("cannot remove {}", path.display()))?;
                outcome.removed.push(path.clone());
            }
        }
    }
    Ok(outcome)
}

/// Why a trace is not, or no longer, ours alone. A file among the traces is the engine's by its name.
fn foreign_in(trace: &Path) -> Option<String> {
    match trace.symlink_metadata() {
        Ok(meta) if meta.is_dir() => first_foreign(trace),
        Ok(meta) if meta.is_file() => None,
        Ok(meta) if meta.file_type().is_socket() => (!is_dead(trace)).then(|| "somebody listens there".to_owned()),
        _ => Some("it is not what an engine makes".to_owned()),
    }
}

fn first_foreign(dir: &Path) -> Option<String> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return Some(format!("{}: {error}", dir.display())),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let found = match path.symlink_metadata().map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_dir() => first_foreign(&path),
            Ok(kind) if kind.is_socket() && is_dead(&path) => None,
            _ => Some(format!("{} is not ours", path.display())),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// A socket that nobody listens at: what a killed shim leaves behind.
fn is_dead(socket: &Path) -> bool {
    UnixStream::connect(socket).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// From the leaves, and directories only while they are empty: what somebody puts there in this moment stays.
fn remove_tree(path: &Path) -> std::io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return std::fs::remove_file(path);
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_socket() && is_dead(&entry.path()) {
            remove_tree(&entry.path())?;
        }
    }
    std::fs::remove_dir(path)
}

/// The name and id of some engine's process.
fn running_engine(proc: &Path) -> Option<String> {
    let processes = std::fs::read_dir(proc).ok()?;
    processes.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        let name = name.trim();
        if has_ended(&process.path()) {
            return None;
        }
        ENGINES.iter().any(|engine| name.starts_with(engine)).then(|| format!("{name} (process {pid})"))
    })
}

/// A killed process is listed until its parent has looked.
fn has_ended(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests;
