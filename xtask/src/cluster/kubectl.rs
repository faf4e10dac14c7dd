//! The unmodified kubectl, pointed at our cluster.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::state::StateDir;
use crate::cmd::Cmd;

/// Calls kubectl as the cluster's administrator.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    config: PathBuf,
}

impl Kubectl {
    /// For the cluster in `state`.
    pub(crate) fn new(state: &StateDir) -> Self {
        Self { config: state.kubeconfig() }
    }

    /// A kubectl command.
    pub(crate) fn cmd<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(&self, args: I) -> Cmd {
        Cmd::new("kubectl").env("KUBECONFIG", &self.config).args(args)
    }

    /// One field of one object; empty when the field is not there.
    ///
    /// # Errors
    /// When the object does not exist or the server does not answer.
    pub(crate) fn field(&self, object: &str, jsonpath: &str) -> Result<String> {
        self.cmd(["get", object, "--request-timeout=10s", "--output", &format!("jsonpath={jsonpath}")]).read()
    }

    /// Whether the server says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.config.exists()
            && self.cmd(["get", "--raw", "/readyz", "--request-timeout=10s"]).limit(Duration::from_secs(15)).succeeds()
    }
}
