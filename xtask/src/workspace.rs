//! Where things lie: the checkout, the built artefacts, and how our own cargo is called.
//!
//! Out: paths. Never: creates or removes anything.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::Cmd;

/// The host programs that users run.
pub(crate) const BINARIES: [&str; 3] = ["nodeplane-server", "nodeplane-agent", "nodeplane-dns"];

/// Which cargo profile the host programs are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

impl Profile {
    /// The directory below cargo's target directory.
    pub(crate) fn dir(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// The checkout and cargo's target directory.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout that this program was built from.
    ///
    /// # Errors
    /// When this crate does not lie in a workspace.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies outside a workspace")?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target"),
        };
        Ok(Self { root: root.to_owned(), target })
    }

    /// The checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the BPF build works and leaves its object: always in the checkout, as `node-agent/build.rs` knows only that.
    pub(crate) fn bpf_dir(&self) -> PathBuf {
        self.root.join("target/bpf")
    }

    /// The BPF object that the agent embeds.
    pub(crate) fn bpf_object(&self) -> PathBuf {
        self.bpf_dir().join("nodeplane.o")
    }

    /// The static program that holds a pod's namespaces; the agent embeds it.
    pub(crate) fn pause(&self) -> PathBuf {
        self.root.join("target/pause")
    }

    /// The sample HTTP server of `examples/hello`, beside the host programs.
    pub(crate) fn hello(&self, profile: Profile) -> PathBuf {
        self.bin_dir(profile).join("hello")
    }

    /// Where a tool that only the build needs is compiled.
    pub(crate) fn tools_dir(&self) -> PathBuf {
        self.root.join("target/tools")
    }

    /// Where cargo leaves the host programs of `profile`.
    pub(crate) fn bin_dir(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.dir())
    }
}

/// The cargo that started us, or the one on `PATH`.
///
/// It is not told about this crate: build scripts that look at such variables would run again after a call of cargo by
/// hand, and again after the next one by us.
pub(crate) fn cargo(workspace: &Workspace) -> Cmd {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let about_us = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let about_us: Vec<_> =
        about_us.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")).collect();
    let about_us: Vec<_> = about_us.iter().map(String::as_str).collect();
    Cmd::new(program).dir(workspace.root()).without_env(&about_us)
}
