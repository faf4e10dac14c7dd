//! What the machine was like before, in a file: for the day of the clean-up.
//!
//! True for one start of the machine: whatever sets it up has spoken anew after the next one. A file that cannot be
//! read is as none: what is unknown is not restored, and keeps nobody from working.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Error, Result};

/// Says which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file. Written by the first agent after each start of the machine.
#[derive(Clone, Debug)]
pub(super) struct State {
    path: PathBuf,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Before {
    ip_forward: String,
    boot_id: String,
}

impl State {
    /// In the agent's folder for state.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("network-before.json") }
    }

    /// Remembers what IPv4 forwarding was, unless that is remembered already.
    pub(super) fn remember_forwarding(&self, value: &str) -> Result<()> {
        self.remember(value, &self.boot_id()?)
    }

    /// What IPv4 forwarding was; nothing when no agent has run here since the machine started.
    pub(super) fn forwarding(&self) -> Result<Option<String>> {
        Ok(self.at_boot(&self.boot_id()?))
    }

    /// Removes the file.
    pub(super) fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    fn remember(&self, value: &str, boot_id: &str) -> Result<()> {
        if self.at_boot(boot_id).is_some() {
            return Ok(());
        }
        let before = Before { ip_forward: value.to_owned(), boot_id: boot_id.to_owned() };
        self.write(&before).map_err(|error| self.failed(error))
    }

    /// Whole or not at all, also when the power fails: half a file would be taken for another value.
    fn write(&self, before: &Before) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(before)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()
    }

    fn at_boot(&self, boot_id: &str) -> Option<String> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(path = %self.path.display(), %error, "what the machine was like before is unknown");
                return None;
            }
        };
        match serde_json::from_slice::<Before>(&text) {
            Ok(before) => (before.boot_id == boot_id).then_some(before.ip_forward),
            Err(error) => {
                warn!(path = %self.path.display(), %error, "what the machine was like before is unknown");
                None
            }
        }
    }

    fn boot_id(&self) -> Result<String> {
        let text = fs::read_to_string(BOOT_ID);
        text.map(|text| text.trim().to_owned()).map_err(|source| Error::State { path: BOOT_ID.into(), source })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::State { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests;
