//! The Rust toolchain that compiles for the BPF target, and how its cargo is called.
//!
//! Two kinds will do: a rustup nightly with `rust-src` (it builds `core` itself), or Debian's `rustc-web` with a prebuilt
//! `core` beside rustup in the system prefix. Both need a `bpf-linker` that speaks the compiler's LLVM, because they hand
//! over bitcode. Never: installs anything (that is `setup`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cmd::{Cmd, find_program, path_with};
use crate::setup::rustc::{Llvm, nightly_in};
use crate::workspace::Workspace;

/// Debian's compiler; named by its path because rustup's proxies usually come first on `PATH`.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_CARGO: &str = "/usr/bin/cargo";
const SYSTEM_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// The target: BPF in the byte order of the supported machines.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Variables of the surrounding cargo that would lead a nested one astray.
const FOREIGN: [&str; 13] = [
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// A toolchain that can produce the BPF object.
#[derive(Clone, Debug)]
pub(crate) struct BpfToolchain {
    kind: Kind,
    linker: PathBuf,
    llvm: Llvm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Nightly(String),
    System,
}

impl BpfToolchain {
    /// The toolchain to use, nightly first.
    ///
    /// # Errors
    /// When neither kind is complete; the message says what each lacks.
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let nightly = match Self::nightly(workspace) {
            Ok(found) => return Ok(found),
            Err(lack) => lack,
        };
        Self::system(workspace).map_err(|system| {
            anyhow::anyhow!(
                "no toolchain compiles for {TARGET}; `cargo xtask setup` installs one\n  rustup: {nightly:#}\n  system: {system:#}"
            )
        })
    }

    fn nightly(workspace: &Workspace) -> Result<Self> {
        find_program("rustup").context("rustup is not installed")?;
        let list = Cmd::new("rustup").args(["toolchain", "list"]).read()?;
        let name = nightly_in(&list).context("there is no nightly")?;
        let sysroot = Cmd::new("rustup").args(["run", name, "rustc", "--print", "sysroot"]).read()?;
        if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists() {
            bail!("{name} has no rust-src");
        }
        let llvm = Llvm::of_rustc(&Cmd::new("rustup").args(["run", name, "rustc", "-vV"]).read()?)
            .context("its rustc names no LLVM")?;
        Ok(Self { kind: Kind::Nightly(name.to_owned()), linker: linker(workspace, llvm)?, llvm })
    }

    fn system(workspace: &Workspace) -> Result<Self> {
        let llvm = system_llvm()?;
        if !Path::new(SYSTEM_CLIPPY).exists() {
            bail!("{SYSTEM_CLIPPY} is missing");
        }
        Ok(Self { kind: Kind::System, linker: linker(workspace, llvm)?, llvm })
    }

    /// One line for people: which compiler and linker were chosen.
    pub(crate) fn describe(&self) -> String {
        let compiler = match &self.kind {
            Kind::Nightly(name) => format!("rustup {name} with rust-src (builds core)"),
            Kind::System => format!("{SYSTEM_RUSTC} (prebuilt core)"),
        };
        format!("{compiler}, LLVM {}, {}", self.llvm, self.linker.display())
    }

    /// `cargo build` or `cargo clippy` for the crate `ebpf` and its BPF binary.
    ///
    /// Type information for the kernel (BTF) is made by the linker from debug information, so this overrides the
    /// workspace's release profile, which strips it.
    ///
    /// # Errors
    /// When `PATH` holds something that cannot be joined.
    pub(crate) fn cargo(&self, verb: Verb, workspace: &Workspace) -> Result<Cmd> {
        let mut cmd = match (&self.kind, verb) {
            (Kind::Nightly(name), _) => {
                Cmd::new("rustup").args(["run", name, "cargo", verb.name()]).without_env(&FOREIGN)
            }
            (Kind::System, Verb::Build) => Cmd::new(SYSTEM_CARGO).arg("build").without_env(&FOREIGN),
            // Found by path, as cargo would look for its plug-ins among rustup's proxies.
            (Kind::System, Verb::Clippy) => {
                Cmd::new(SYSTEM_CLIPPY).arg("clippy").without_env(&FOREIGN).env("CARGO", SYSTEM_CARGO)
            }
        };
        cmd = match &self.kind {
            Kind::Nightly(_) => cmd.args(["-Z", "build-std=core"]),
            // Makes the unstable features that BPF crates need available on a stable compiler.
            Kind::System => cmd.env("RUSTC_BOOTSTRAP", "1").env("PATH", path_with(&["/usr/bin"])?),
        };
        Ok(cmd
            .dir(workspace.root())
            .args(["--package", "nodeplane-ebpf", "--bin", "nodeplane-bpf", "--features", "bpf"])
            .args(["--target", TARGET, "--release"])
            .args(["--config", "profile.release.strip=\"none\"", "--config", "profile.release.debug=2"])
            .arg("--target-dir")
            .arg(workspace.bpf_dir())
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags()))
    }

    /// Copies an object without the debug information from which its BTF was made: nine tenths of it, which the agent
    /// would carry. Without LLVM's tool the object is copied as it is.
    ///
    /// # Errors
    /// When the tool fails or the copy cannot be written.
    pub(crate) fn without_dwarf(&self, from: &Path, to: &Path) -> Result<()> {
        let beside_llvm = Path::new(&self.llvm.debian_prefix()).join("bin/llvm-objcopy");
        let tool = Some(beside_llvm).filter(|tool| tool.exists()).or_else(|| find_program("llvm-objcopy"));
        if let Some(tool) = tool {
            return Cmd::new(tool).arg("--strip-debug").arg(from).arg(to).run();
        }
        std::fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
        Ok(())
    }

    /// The flags, in cargo's encoding: separated by the ASCII unit separator.
    fn rustflags(&self) -> String {
        let flags = [
            format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
            format!("-Clinker={}", self.linker.display()),
            "-Clink-arg=--btf".to_owned(),
        ];
        flags.join("\x1f")
    }
}

/// What to do with the BPF crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Compile and link.
    Build,
    /// Check and lint.
    Clippy,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Clippy => "clippy",
        }
    }
}

/// The LLVM of Debian's compiler, when that compiler has a prebuilt core for the BPF target.
///
/// # Errors
/// When the compiler or its BPF core is missing.
pub(crate) fn system_llvm() -> Result<Llvm> {
    for program in [SYSTEM_RUSTC, SYSTEM_CARGO] {
        if !Path::new(program).exists() {
            bail!("{program} is missing");
        }
    }
    let rustc = || Cmd::new(SYSTEM_RUSTC).without_env(&FOREIGN);
    let sysroot = rustc().args(["--print", "sysroot"]).read()?;
    if !Path::new(&sysroot).join("lib/rustlib").join(TARGET).exists() {
        bail!("{SYSTEM_RUSTC} has no core for {TARGET}");
    }
    Llvm::of_rustc(&rustc().arg("-vV").read()?).with_context(|| format!("{SYSTEM_RUSTC} names no LLVM"))
}

/// A `bpf-linker` that can read the bitcode of `llvm`: the user's own, or the one that `setup` installed for us.
///
/// # Errors
/// When there is none, or only ones for another LLVM.
pub(crate) fn linker(workspace: &Workspace, llvm: Llvm) -> Result<PathBuf> {
    let own = Some(workspace.tools_dir().join("bin/bpf-linker")).filter(|file| file.exists());
    let candidates: Vec<_> = cargo_bin("bpf-linker").into_iter().chain(find_program("bpf-linker")).chain(own).collect();
    let fits = |file: &&PathBuf| {
        let libraries = Cmd::new("ldd").arg(file).read().unwrap_or_default();
        let runs = Cmd::new(file).arg("--version").succeeds();
        runs && Llvm::of_ldd(&libraries).is_none_or(|linked| linked.major == llvm.major)
    };
    match candidates.iter().find(fits) {
        Some(file) => Ok(file.clone()),
        None if candidates.is_empty() => bail!("there is no bpf-linker"),
        None => bail!("{} does not speak LLVM {llvm}", candidates[0].display()),
    }
}

/// A program that `cargo install` put into cargo's home, which need not be on `PATH`.
pub(crate) fn cargo_bin(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("bin").join(name)).filter(|file| file.exists())
}
