//! `cargo xtask lint`: form, lints, laws of the house, and the dependencies' licences.
//!
//! Out: the first failing check's own words. What the checks need is installed and built as by `setup` and `build`;
//! never: changes a source.

mod dependencies;
mod laws;

use anyhow::{Result, bail};

use crate::build::toolchain::{BpfToolchain, Verb};
use crate::build::{self, STATIC_PROGRAMS};
use crate::cmd::Cmd;
use crate::setup;
use crate::workspace::{Workspace, cargo};
use dependencies::Advisories;

/// Runs every check.
///
/// # Errors
/// At the first check that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    form(workspace)?;
    laws::check(workspace)?;
    dependencies::check(workspace)?;
    setup::tools(workspace)?;
    build::embedded(workspace)?;
    println!("lint: clippy for the host");
    cargo(workspace).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).stream()?;
    println!("lint: clippy for the BPF target");
    BpfToolchain::find(workspace)?.cargo(Verb::Clippy, workspace)?.args(["--", "-D", "warnings"]).stream()?;
    println!("{}", verdict(dependencies::advisories(workspace)?));
    Ok(())
}

fn form(workspace: &Workspace) -> Result<()> {
    println!("lint: rustfmt");
    cargo(workspace).args(["fmt", "--all", "--check"]).stream()?;
    // Programs of one file belong to no crate.
    Cmd::new("rustfmt").args(["--edition", "2024", "--check"]).args(STATIC_PROGRAMS).dir(workspace.root()).stream()
}

/// A check that was left out is the last thing that a reader sees.
fn verdict(advisories: Advisories) -> &'static str {
    match advisories {
        Advisories::Checked => "lint: everything holds",
        Advisories::NotChecked => {
            "lint: everything that was checked holds. NOT checked: advisories about dependencies, as cargo-deny is not \
             installed (`cargo install cargo-deny`)"
        }
    }
}

/// Fails with all the broken laws, one per line.
fn report(broken: &[String]) -> Result<()> {
    if broken.is_empty() {
        println!("lint: the laws of the house hold");
        return Ok(());
    }
    bail!("the laws of the house are broken:\n  {}", broken.join("\n  "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_was_left_out_does_not_look_green() {
        assert_eq!(verdict(Advisories::Checked), "lint: everything holds");
        let told = verdict(Advisories::NotChecked);
        assert!(told.contains("NOT checked: advisories") && !told.contains("everything holds"), "{told}");
    }
}
