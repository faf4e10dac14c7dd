//! `cargo xtask lint`: form, lints, laws of the house, and the dependencies' licences.
//!
//! Out: the first failing check's own words. What the checks need is installed and built as by `setup` and `build`;
//! never: changes a source.

mod laws;

use anyhow::{Result, bail};

use crate::build::toolchain::{BpfToolchain, Verb, cargo_bin};
use crate::build::{self, STATIC_PROGRAMS};
use crate::cmd::{Cmd, find_program};
use crate::setup;
use crate::workspace::{Workspace, cargo};

/// Runs every check.
///
/// # Errors
/// At the first check that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    form(workspace)?;
    laws::check(workspace)?;
    setup::tools(workspace)?;
    build::embedded(workspace)?;
    println!("lint: clippy for the host");
    cargo(workspace).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).stream()?;
    println!("lint: clippy for the BPF target");
    BpfToolchain::find(workspace)?.cargo(Verb::Clippy, workspace)?.args(["--", "-D", "warnings"]).stream()?;
    dependencies(workspace)?;
    println!("lint: everything holds");
    Ok(())
}

fn form(workspace: &Workspace) -> Result<()> {
    println!("lint: rustfmt");
    cargo(workspace).args(["fmt", "--all", "--check"]).stream()?;
    // Programs of one file belong to no crate.
    Cmd::new("rustfmt").args(["--edition", "2024", "--check"]).args(STATIC_PROGRAMS).dir(workspace.root()).stream()
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    if find_program("cargo-deny").or_else(|| cargo_bin("cargo-deny")).is_none() {
        println!("lint: cargo-deny is not installed: licences and advisories were NOT checked");
        return Ok(());
    }
    println!("lint: cargo-deny");
    cargo(workspace).args(["deny", "--all-features", "check"]).stream()
}

/// Fails with all the broken laws, one per line.
fn report(broken: &[String]) -> Result<()> {
    if broken.is_empty() {
        println!("lint: the laws of the house hold");
        return Ok(());
    }
    bail!("the laws of the house are broken:\n  {}", broken.join("\n  "));
}
