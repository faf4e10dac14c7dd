//! Installs `bpf-linker` from crates.io against the LLVM of the BPF compiler.

use std::time::Duration;

use anyhow::Result;

use super::apt::Apt;
use super::done;
use super::rustc::Llvm;
use crate::build::toolchain::cargo_bin;
use crate::workspace::{Workspace, cargo};

/// The version that the project is tested with.
const VERSION: &str = "~0.13.0";

/// Installs the linker, and first the LLVM that it links.
///
/// A `bpf-linker` for another LLVM belongs to somebody: it stays, and ours goes below `target/tools`.
///
/// # Errors
/// When a package or the linker cannot be installed.
pub(crate) fn install(workspace: &Workspace, llvm: Llvm, apt: &mut Apt) -> Result<()> {
    let versioned = [format!("llvm-{}-dev", llvm.major), format!("libpolly-{}-dev", llvm.major)];
    let packages = [versioned[0].as_str(), versioned[1].as_str(), "zlib1g-dev", "libzstd-dev"];
    apt.install(&packages)?;

    let prefix = llvm.debian_prefix();
    let mut install = cargo(workspace)
        .args(["install", "bpf-linker", "--version", VERSION, "--force", "--no-default-features"])
        .args(["--features", &format!("llvm-{}", llvm.major)])
        .arg("--target-dir")
        .arg(workspace.tools_dir().join("build"))
        .env("RUSTFLAGS", format!("-L native={prefix}/lib"))
        .env(&llvm.prefix_variable(), &prefix);
    if cargo_bin("bpf-linker").is_some() {
        install = install.arg("--root").arg(workspace.tools_dir());
    }
    install.limit(Duration::from_secs(1800)).long_step("cargo install bpf-linker").run()?;
    done("bpf-linker", &format!("version {VERSION} for LLVM {llvm}"));
    Ok(())
}
