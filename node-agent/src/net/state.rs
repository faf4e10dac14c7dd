//! What the machine was like before, in a file: for the day of the clean-up.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// The file. Written once, by the first agent on this machine.
#[derive(Clone, Debug)]
pub(super) struct State {
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Before {
    ip_forward: String,
}

impl State {
    /// In the agent's folder for state.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("network-before.json") }
    }

    /// Remembers what IPv4 forwarding was, unless that is remembered already.
    pub(super) fn remember_forwarding(&self, value: &str) -> Result<()> {
        if self.forwarding()?.is_some() {
            return Ok(());
        }
        let before = Before { ip_forward: value.to_owned() };
        let text = serde_json::to_vec(&before).map_err(|error| self.failed(error.into()))?;
        let write = || {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new("/")))?;
            // Whole or not at all: half a file would be taken for another value.
            let fresh = self.path.with_extension("new");
            fs::write(&fresh, text)?;
            fs::rename(&fresh, &self.path)
        };
        write().map_err(|error| self.failed(error))
    }

    /// What IPv4 forwarding was; nothing when no agent has run here.
    pub(super) fn forwarding(&self) -> Result<Option<String>> {
        match fs::read(&self.path) {
            Ok(text) => {
                let before: Before = serde_json::from_slice(&text).map_err(|error| self.failed(error.into()))?;
                Ok(Some(before.ip_forward))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Removes the file.
    pub(super) fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::State { path: self.path.clone(), source }
    }
}
