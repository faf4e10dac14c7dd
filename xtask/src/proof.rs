//! `cargo xtask test`: unit tests of every crate, then the scenarios on real clusters.
//!
//! The scenarios come last, so the output ends in their summary. Never: skips what it lacks the privilege for.

use anyhow::Result;

use crate::build;
use crate::setup;
use crate::workspace::{Profile, Workspace, cargo};

/// The crate of scenarios: one test binary that drives built programs.
const SCENARIOS: &str = "nodeplane-tests";

/// Sets up, builds and tests; `filter` is a part of a test's name.
///
/// # Errors
/// When a step before the tests fails, or a test does.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    setup::require_root("run the scenarios, which make network namespaces and load BPF programs")?;
    setup::run(workspace)?;
    build::all(workspace, Profile::Debug)?;
    cargo(workspace).args(["test", "--workspace", "--exclude", SCENARIOS]).args(filter).stream()?;
    cargo(workspace)
        .args(["test", "--package", SCENARIOS, "--lib", "--test", "it"])
        .args(filter)
        .env("NODEPLANE_BIN_DIR", workspace.bin_dir(Profile::Debug))
        .stream()
}
