//! The laws of the house, checked from `cargo metadata`, the manifests and the names in the sources.
//!
//! In: dependency lists, manifest texts, source texts. Out: one sentence per broken law. The checks are pure.

mod paths;
mod rooms;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::report;
use crate::workspace::{Workspace, cargo};

/// Which of our crates each crate may be built from; a crate that is not listed may be built from none of them.
const MAY_DEPEND: [(&str, &[&str]); 6] = [
    ("nodeplane-client", &["nodeplane-api", "nodeplane-metrics"]),
    ("nodeplane-control-plane", &["nodeplane-api", "nodeplane-client", "nodeplane-metrics"]),
    ("nodeplane-dns", &["nodeplane-api", "nodeplane-client"]),
    ("nodeplane-ebpf", &["nodeplane-ebpf-abi"]),
    ("nodeplane-node-agent", &["nodeplane-api", "nodeplane-client", "nodeplane-dns", "nodeplane-ebpf-abi"]),
    // The scenarios may look at everything.
    (
        "nodeplane-tests",
        &[
            "nodeplane-api",
            "nodeplane-client",
            "nodeplane-control-plane",
            "nodeplane-dns",
            "nodeplane-ebpf",
            "nodeplane-ebpf-abi",
            "nodeplane-node-agent",
        ],
    ),
];

/// The prefix of our own crates' names.
const OURS: &str = "nodeplane-";

/// Names that say nothing about what passes through a room.
const EMPTY_NAMES: [&str; 5] = ["common", "shared", "utils", "helpers", "types"];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for an ordinary dependency.
    kind: Option<String>,
}

/// Checks every law.
///
/// # Errors
/// When cargo or a file cannot be read, and when a law is broken.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let metadata = cargo(workspace).args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata is not what it was")?;
    let mut broken = Vec::new();
    for package in &metadata.packages {
        broken.extend(dependencies(package));
        broken.extend(lints(&package.name, &read(&package.manifest_path)?));
        let source = package.manifest_path.with_file_name("src");
        for file in rust_files(&source)? {
            let place = file.strip_prefix(workspace.root()).unwrap_or(&file);
            broken.extend(name(place));
            if !is_test(place) {
                broken.extend(rooms::check(place, &read(&file)?));
            }
        }
    }
    report(&broken)
}

/// A crate is built only from those that the table allows it; its tests may use others.
fn dependencies(package: &Package) -> Vec<String> {
    let allowed = MAY_DEPEND.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |(_, allowed)| allowed);
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
        .filter(|dependency| dependency.name.starts_with(OURS) && !allowed.contains(&dependency.name.as_str()))
        .map(|dependency| format!("{} must not depend on {}", package.name, dependency.name))
        .collect()
}

/// Every crate takes part in the workspace's lint table.
fn lints(name: &str, manifest: &str) -> Option<String> {
    let mut section = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    let wired = section.by_ref().take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true");
    (!wired).then(|| format!("{name} is not wired to the lint table: [lints] workspace = true"))
}

/// Rooms are named for what passes through them.
fn name(place: &Path) -> Option<String> {
    let empty = place
        .iter()
        .filter_map(|part| part.to_str())
        .find(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))?;
    Some(format!("{}: `{empty}` does not say what passes through it", place.display()))
}

/// Tests may hold what their room may not: golden cases go from objects to bytes, beds need clocks and files.
fn is_test(place: &Path) -> bool {
    place.iter().any(|part| part == "tests" || part == "tests.rs")
}

fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) })
            .collect();
        Package { name: name.to_owned(), manifest_path: PathBuf::new(), dependencies }
    }

    #[test]
    fn a_forbidden_dependency_is_told() {
        let broken = dependencies(&package("nodeplane-dns", &[("nodeplane-control-plane", None), ("serde", None)]));
        assert_eq!(broken, ["nodeplane-dns must not depend on nodeplane-control-plane"]);
        assert_eq!(dependencies(&package("nodeplane-ebpf", &[("nodeplane-api", Some("build"))])).len(), 1);
        assert_eq!(dependencies(&package("xtask", &[("nodeplane-api", None)])).len(), 1);
    }

    #[test]
    fn allowed_dependencies_and_those_of_tests_are_not() {
        let agent = package("nodeplane-node-agent", &[("nodeplane-dns", None), ("nodeplane-ebpf", Some("dev"))]);
        assert!(dependencies(&agent).is_empty());
    }

    #[test]
    fn a_crate_outside_the_lint_table_is_told() {
        assert_eq!(lints("a", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n"), None);
        assert!(lints("a", "[package]\nversion.workspace = true\n").is_some());
        assert!(lints("a", "[lints]\n[dependencies.b]\nworkspace = true\n").is_some());
    }

    #[test]
    fn the_house_keeps_its_laws() {
        check(&Workspace::find().unwrap()).unwrap();
    }

    #[test]
    fn a_name_that_says_nothing_is_told() {
        assert!(name(Path::new("client/src/utils.rs")).is_some());
        assert!(name(Path::new("api/src/types/mod.rs")).is_some());
        assert_eq!(name(Path::new("api/src/kinds.rs")), None);
    }
}
