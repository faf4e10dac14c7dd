//! `cargo xtask setup`: makes this machine able to build, run and test Nodeplane.
//!
//! It looks first and installs only what is missing, so a second run changes nothing; each line it prints is one thing
//! found or done. Never: replaces what already works, starts a service, installs from anywhere but Debian and crates.io.

mod apt;
mod kubectl;
mod linker;
mod needs;
pub(crate) mod os;
pub(crate) mod rustc;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::build::toolchain::{self, BpfToolchain};
use crate::cmd::Cmd;
use crate::workspace::{Workspace, cargo};
use apt::Apt;
use needs::NEEDS;
use os::Os;

/// Where the kernel's pinned BPF objects live.
const BPFFS: &str = "/sys/fs/bpf";

/// Debian's compiler with a prebuilt BPF core, its cargo and its clippy.
const BPF_RUST: [&str; 4] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];

/// Finds or installs everything, and makes this machine able to load BPF programs.
///
/// # Errors
/// When this machine is not supported and something is missing, or a step fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tools(workspace)?;
    mount_bpffs()?;
    advise_components(workspace);
    Ok(())
}

/// Finds or installs the programs that builds and checks call; root is needed only when one is missing.
///
/// # Errors
/// As [`run`].
pub(crate) fn tools(workspace: &Workspace) -> Result<()> {
    require_architecture()?;
    let os = Os::parse(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    let mut apt = Apt::default();
    packages(&os, &mut apt)?;
    bpf_toolchain(workspace, &os, &mut apt)
}

/// One line about something that was already there.
fn found(what: &str, detail: &str) {
    println!("found      {what}: {detail}");
}

/// One line about something that was missing and now is not.
fn done(what: &str, detail: &str) {
    println!("installed  {what}: {detail}");
}

fn require_architecture() -> Result<()> {
    match std::env::consts::ARCH {
        "x86_64" | "aarch64" => Ok(()),
        other => bail!("Nodeplane runs on x86_64 and aarch64, and this machine is {other}"),
    }
}

/// Whether this process may install packages, mount file systems and load BPF programs.
///
/// # Errors
/// When it is not root; `purpose` completes the sentence.
pub(crate) fn require_root(purpose: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("only root can {purpose}: run it as root, for example with `sudo -E env \"PATH=$PATH\" cargo xtask …`");
    }
    Ok(())
}

fn packages(os: &Os, apt: &mut Apt) -> Result<()> {
    let (there, missing): (Vec<_>, Vec<_>) =
        NEEDS.iter().map(|need| (need, (need.find)())).partition(|(_, at)| at.is_some());
    for (need, at) in there {
        found(need.what, &at.unwrap_or_default());
    }
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<_> = missing.iter().flat_map(|(need, _)| need.packages.iter().copied()).collect();
    let list = missing.iter().map(|(need, _)| format!("  {} ({})", need.what, need.why)).collect::<Vec<_>>().join("\n");
    require_installable(os, &list, &wanted)?;
    apt.install(&wanted)?;
    for (need, _) in missing {
        let at = (need.find)()
            .with_context(|| format!("{} is still missing after its packages were installed", need.what))?;
        done(need.what, &at);
    }
    Ok(())
}

fn require_installable(os: &Os, missing: &str, packages: &[&str]) -> Result<()> {
    if !os.is_supported() {
        let system = if os.pretty.is_empty() { "this system" } else { &os.pretty };
        bail!(
            "setup installs packages on Debian 12 only, and this is {system}; install by hand what is missing:\n{missing}\n  \
             (Debian's packages for it: {})",
            packages.join(" ")
        );
    }
    require_root("install packages")
}

fn bpf_toolchain(workspace: &Workspace, os: &Os, apt: &mut Apt) -> Result<()> {
    let what = "BPF toolchain";
    if let Ok(toolchain) = BpfToolchain::find(workspace) {
        found(what, &toolchain.describe());
        return Ok(());
    }
    require_installable(
        os,
        "  a nightly of rustup with rust-src, and bpf-linker for its LLVM (compiles the BPF programs)",
        &BPF_RUST,
    )?;
    if toolchain::system_llvm().is_err() || !Path::new("/usr/bin/cargo-clippy").exists() {
        apt.install(&BPF_RUST)?;
    }
    let llvm = toolchain::system_llvm().context("Debian's BPF compiler is still not usable")?;
    if toolchain::linker(workspace, llvm).is_err() {
        linker::install(workspace, llvm, apt)?;
    }
    done(what, &BpfToolchain::find(workspace)?.describe());
    Ok(())
}

fn mount_bpffs() -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    if is_bpffs_mounted(&mounts) {
        found("bpffs", BPFFS);
        return Ok(());
    }
    require_root("mount the BPF file system")?;
    Cmd::new("mount").args(["-t", "bpf", "bpf", BPFFS]).run()?;
    println!("mounted    bpffs: {BPFFS}");
    Ok(())
}

/// Reads the lines of /proc/self/mounts: device, mount point, type, options.
fn is_bpffs_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| line.split_whitespace().skip(1).take(2).eq([BPFFS, "bpf"]))
}

/// `lint` needs these; rustup's own profile decides whether they are there, so this only says so.
fn advise_components(workspace: &Workspace) {
    for (component, verb) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if cargo(workspace).args([verb, "--version"]).succeeds() {
            found(component, "a component of the Rust toolchain");
        } else {
            println!(
                "missing    {component}: `cargo xtask lint` needs it; add it by `rustup component add {component}`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpffs_is_recognised_by_place_and_type() {
        assert!(is_bpffs_mounted("sysfs /sys sysfs rw 0 0\nbpf /sys/fs/bpf bpf rw,relatime,mode=700 0 0\n"));
        assert!(!is_bpffs_mounted("bpf /run/bpf bpf rw 0 0\n"));
        assert!(!is_bpffs_mounted("tmpfs /sys/fs/bpf tmpfs rw 0 0\n"));
    }

    #[test]
    fn another_system_is_told_what_to_install() {
        let os = Os::parse("ID=fedora\nPRETTY_NAME=\"Fedora Linux 41\"");
        let error =
            require_installable(&os, "  protoc (compiles etcd's interface)", &["protobuf-compiler"]).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("this is Fedora Linux 41"), "{told}");
        assert!(told.contains("protoc (compiles etcd's interface)"), "{told}");
    }
}
