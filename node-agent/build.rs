//! Tells the compiler where the files lie that the agent embeds: the BPF object and the pause program.
//!
//! Both are built by `cargo xtask build`, with toolchains that a build script should not choose. The variables
//! `NODEPLANE_BPF_OBJECT` and `NODEPLANE_PAUSE_BINARY` name other files.

use std::path::{Path, PathBuf};

fn main() {
    let embedded =
        [("NODEPLANE_BPF_OBJECT", "../target/bpf/nodeplane.o"), ("NODEPLANE_PAUSE_BINARY", "../target/pause")];
    println!("cargo:rerun-if-changed=build.rs");
    for (variable, default) in embedded {
        println!("cargo:rerun-if-env-changed={variable}");
        let file = std::env::var_os(variable).map_or_else(|| beside_this_script(default), PathBuf::from);
        println!("cargo:rerun-if-changed={}", file.display());
        match file.canonicalize() {
            Ok(file) => println!("cargo:rustc-env={variable}={}", file.display()),
            Err(_) => fail(&format!("{} is missing: run `cargo xtask build`.", file.display())),
        }
    }
}

fn beside_this_script(path: &str) -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    Path::new(&here).join(path)
}

/// One sentence instead of a panic with a backtrace.
fn fail(sentence: &str) -> ! {
    println!("cargo:warning={sentence}");
    std::process::exit(1);
}
