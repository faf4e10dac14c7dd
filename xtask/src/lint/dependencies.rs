//! What may enter the dependency tree: licences, sources and version requirements, held against `deny.toml`.
//!
//! In: the tree as `cargo metadata` resolves it from the lock file. Out: one sentence per crate that may not be there.
//! Never: looks for advisories, which takes a database from the network; `cargo-deny` does that where it is installed.

mod policy;
mod spdx;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::build::toolchain::cargo_bin;
use crate::cmd::find_program;
use crate::workspace::{Workspace, cargo};
use policy::Policy;

/// The name of the policy, below the checkout.
const POLICY: &str = "deny.toml";

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Nothing for a crate of the checkout.
    source: Option<String>,
    /// The registries that it may go to; nothing for any, an empty list for none.
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

/// Whether known vulnerabilities were looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advisories {
    /// They were, and there is none.
    Checked,
    /// `cargo-deny` is not installed.
    NotChecked,
}

/// Checks the tree by the policy.
///
/// # Errors
/// When cargo or the policy cannot be read, and when a crate may not be in the tree.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    println!("lint: licences, sources and requirements of the dependencies");
    let file = workspace.root().join(POLICY);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let policy = Policy::parse(&text).context(POLICY)?;
    let platforms = policy.targets.iter().flat_map(|target| ["--filter-platform", target]);
    let metadata = cargo(workspace)
        .args(["metadata", "--locked", "--all-features", "--format-version", "1"])
        .args(platforms)
        .long_step("cargo metadata")
        .limit(std::time::Duration::from_secs(600))
        .read()?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata is not what it was")?;
    let broken: Vec<_> = metadata.packages.iter().flat_map(|package| faults(package, &policy)).collect();
    if !broken.is_empty() {
        bail!("{POLICY} forbids:\n  {}", broken.join("\n  "));
    }
    println!("lint: {} crates are as {POLICY} wants them", metadata.packages.len());
    Ok(())
}

/// Has `cargo-deny` look for advisories, where it is installed.
///
/// # Errors
/// When it finds something.
pub(super) fn advisories(workspace: &Workspace) -> Result<Advisories> {
    if find_program("cargo-deny").or_else(|| cargo_bin("cargo-deny")).is_none() {
        return Ok(Advisories::NotChecked);
    }
    println!("lint: cargo-deny");
    cargo(workspace).args(["deny", "--all-features", "check"]).stream()?;
    Ok(Advisories::Checked)
}

/// Why a crate may not be in the tree.
fn faults(package: &Package, policy: &Policy) -> Vec<String> {
    let told = |fault: String| format!("{} {}: {fault}", package.name, package.version);
    let wildcards = package.dependencies.iter().filter_map(|dependency| wildcard(package, dependency));
    licence(package, policy).into_iter().chain(source(package, policy)).chain(wildcards).map(told).collect()
}

fn licence(package: &Package, policy: &Policy) -> Option<String> {
    if policy.ignores_private && package.is_private() {
        return None;
    }
    let Some(expression) = &package.license else { return Some("it names no licence".to_owned()) };
    match spdx::is_satisfied(expression, &|licence| policy.licences.iter().any(|allowed| allowed == licence)) {
        Some(true) => None,
        Some(false) => Some(format!("the licence {expression} is not allowed")),
        None => Some(format!("the licence {expression:?} is no SPDX expression")),
    }
}

fn source(package: &Package, policy: &Policy) -> Option<String> {
    let source = package.source.as_ref()?;
    let registry = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
    let is_allowed = registry.is_some_and(|registry| policy.registries.iter().any(|allowed| allowed == registry));
    (!is_allowed).then(|| format!("it comes from {source}"))
}

/// A private crate may name its neighbours without a version.
fn wildcard(package: &Package, dependency: &Dependency) -> Option<String> {
    let is_neighbour = dependency.path.is_some() && package.is_private();
    (dependency.req == "*" && !is_neighbour).then(|| format!("it takes any version of {}", dependency.name))
}

impl Package {
    fn is_private(&self) -> bool {
        self.publish.as_ref().is_some_and(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests;
