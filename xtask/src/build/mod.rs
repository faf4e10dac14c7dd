//! `cargo xtask build`: everything that runs, in the order in which one thing embeds another.
//!
//! BPF object and pause program first (the agent embeds both), then the host programs and the sample. Out: files below
//! `target/`. Never: starts anything.

pub(crate) mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cmd::Cmd;
use crate::workspace::{BINARIES, Profile, Workspace, cargo};
use toolchain::{BpfToolchain, TARGET, Verb};

/// Programs of one file that belong to no crate.
pub(crate) const STATIC_PROGRAMS: [&str; 2] = [PAUSE, HELLO];
const PAUSE: &str = "node-agent/pause/main.rs";
const HELLO: &str = "examples/hello/main.rs";

/// Builds everything.
///
/// # Errors
/// When a toolchain is missing or a build fails.
pub(crate) fn all(workspace: &Workspace, profile: Profile) -> Result<()> {
    embedded(workspace)?;
    host(workspace, profile)?;
    static_program(workspace, HELLO, &workspace.hello(profile))?;
    let bin_dir = workspace.bin_dir(profile);
    println!("built: {} in {}", BINARIES.join(", "), bin_dir.display());
    Ok(())
}

/// Builds everything that tests are and everything that they run, with the features that tests need.
///
/// # Errors
/// When a toolchain is missing or a build fails.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    embedded(workspace)?;
    cargo(workspace).args(["build", "--workspace", "--all-targets"]).stream()?;
    static_program(workspace, HELLO, &workspace.hello(Profile::Debug))
}

/// Builds what the agent embeds.
///
/// # Errors
/// When a toolchain is missing or a build fails.
pub(crate) fn embedded(workspace: &Workspace) -> Result<()> {
    static_program(workspace, PAUSE, &workspace.pause())?;
    bpf(workspace)
}

/// Builds the BPF object and puts it where `node-agent/build.rs` looks for it.
fn bpf(workspace: &Workspace) -> Result<()> {
    let toolchain = BpfToolchain::find(workspace)?;
    println!("BPF toolchain: {}", toolchain.describe());
    toolchain.cargo(Verb::Build, workspace)?.stream()?;
    let linked = workspace.bpf_dir().join(TARGET).join("release/nodeplane-bpf");
    let lean = linked.with_file_name("nodeplane-bpf.lean");
    toolchain.without_dwarf(&linked, &lean)?;
    require_btf(&lean)?;
    replace_if_changed(&lean, &workspace.bpf_object())?;
    println!("built: {}", workspace.bpf_object().display());
    Ok(())
}

/// Without BTF the kernel refuses typed maps and program names are lost; a profile that strips it must not pass unseen.
fn require_btf(object: &Path) -> Result<()> {
    let bytes = std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    // The names may be the ends of longer ones: an ELF string table shares common ends.
    if !has(b".BTF\0") || !has(b".BTF.ext\0") {
        bail!("{} holds no BTF: was its debug information stripped?", object.display());
    }
    Ok(())
}

/// Builds the agent alone, which `down` needs; gives the directory in which it lies.
///
/// # Errors
/// When a toolchain is missing or a build fails.
pub(crate) fn agent(workspace: &Workspace) -> Result<PathBuf> {
    // After a `cargo clean` there is nothing to build into.
    std::fs::create_dir_all(workspace.bpf_dir())?;
    embedded(workspace)?;
    cargo(workspace).args(["build", "--bin", "nodeplane-agent"]).stream()?;
    Ok(workspace.bin_dir(Profile::Debug))
}

fn host(workspace: &Workspace, profile: Profile) -> Result<()> {
    let mut build = cargo(workspace).arg("build");
    for binary in BINARIES {
        build = build.args(["--bin", binary]);
    }
    if profile == Profile::Release {
        build = build.arg("--release");
    }
    build.stream()
}

/// Compiles a program of one file, without dependencies, into a static executable that runs in an empty image.
///
/// The C library comes along (`crt-static`), so no other target has to be installed.
fn static_program(workspace: &Workspace, source: &str, out: &Path) -> Result<()> {
    let source = workspace.root().join(source);
    if is_newer(out, &source)? {
        return Ok(());
    }
    let name = out.file_name().context("an output without a name")?;
    let work = tempfile::tempdir_in(out.parent().context("an output without a directory")?)?;
    let fresh = work.path().join(name);
    Cmd::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Ctarget-feature=+crt-static"])
        .arg("-o")
        .arg(&fresh)
        .arg(&source)
        .run()?;
    std::fs::rename(&fresh, out).with_context(|| format!("cannot write {}", out.display()))?;
    println!("built: {}", out.display());
    Ok(())
}

fn is_newer(out: &Path, source: &Path) -> Result<bool> {
    let made = source.metadata().with_context(|| format!("cannot read {}", source.display()))?.modified()?;
    Ok(out.metadata().and_then(|meta| meta.modified()).is_ok_and(|built| built >= made))
}

/// Copies only a different file, in one step: the agent is rebuilt when the object changes, not whenever it is built.
fn replace_if_changed(from: &Path, to: &Path) -> Result<()> {
    let fresh = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    let part = to.with_extension("part");
    std::fs::write(&part, fresh).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, to).with_context(|| format!("cannot write {}", to.display()))
}
