//! `cargo xtask test`: the tests of every crate, then the scenarios on real clusters.
//!
//! The scenarios come last, so the output ends in their summary. Every step builds for the whole workspace and with what
//! tests need: cargo then compiles each dependency once, and not once more per step with other features. Never: skips
//! what it lacks the privilege for.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::build;
use crate::setup;
use crate::workspace::{Profile, Workspace, cargo};

/// The test binary of scenarios, which drives built programs.
const SCENARIOS: &str = "it";

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Sets up, builds and tests; `filter` is a part of a test's name.
///
/// # Errors
/// When a step before the tests fails, or a test does.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    setup::require_root("run the scenarios, which make network namespaces and load BPF programs")?;
    setup::run(workspace)?;
    build::for_tests(workspace)?;
    let metadata = cargo(workspace).args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata is not what it was")?;
    let others = integration_tests(&metadata).into_iter().flat_map(|name| ["--test", name]);
    cargo(workspace).args(["test", "--workspace", "--lib", "--bins"]).args(others).args(filter).stream()?;
    cargo(workspace)
        .args(["test", "--workspace", "--test", SCENARIOS])
        .args(filter)
        .env("NODEPLANE_BIN_DIR", workspace.bin_dir(Profile::Debug))
        .stream()
}

/// The test binaries beside the scenarios.
fn integration_tests(metadata: &Metadata) -> Vec<&str> {
    let targets = metadata.packages.iter().flat_map(|package| &package.targets);
    let tests = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
    tests.map(|target| target.name.as_str()).filter(|name| *name != SCENARIOS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_test_binaries_run_before_the_scenarios() {
        let target = |name: &str, kind: &str| Target { name: name.to_owned(), kind: vec![kind.to_owned()] };
        let store = Package { targets: vec![target("store", "lib"), target("contract", "test")] };
        let scenarios = Package { targets: vec![target("tests", "lib"), target(SCENARIOS, "test")] };
        assert_eq!(integration_tests(&Metadata { packages: vec![store, scenarios] }), ["contract"]);
    }
}
