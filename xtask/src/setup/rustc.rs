//! What a Rust compiler says about itself, and the names that follow from its LLVM.
//!
//! In: `rustc -vV` and `ldd` texts. Out: versions. Pure.

use std::fmt;

/// The version of LLVM that a compiler or linker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Llvm {
    /// 22 in 22.1.8.
    pub(crate) major: u32,
    /// 1 in 22.1.8.
    pub(crate) minor: u32,
}

impl Llvm {
    /// The `LLVM version:` line of `rustc -vV`.
    pub(crate) fn of_rustc(verbose_version: &str) -> Option<Self> {
        let version = verbose_version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        Self::parse(version)
    }

    /// The shared LLVM that `ldd` finds in a program; nothing for a program that carries its LLVM inside.
    pub(crate) fn of_ldd(libraries: &str) -> Option<Self> {
        let name = libraries.split_whitespace().find(|word| word.starts_with("libLLVM"))?;
        let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        Self::parse(digits)
    }

    fn parse(version: &str) -> Option<Self> {
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next().and_then(Result::ok).unwrap_or(0);
        Some(Self { major, minor })
    }

    /// The variable by which the `llvm-sys` crate is told where LLVM lies: `LLVM_SYS_221_PREFIX` for 22.1.
    pub(crate) fn prefix_variable(self) -> String {
        format!("LLVM_SYS_{}{}_PREFIX", self.major, self.minor)
    }

    /// Where Debian's packages put this LLVM.
    pub(crate) fn debian_prefix(self) -> String {
        format!("/usr/lib/llvm-{}", self.major)
    }
}

impl fmt::Display for Llvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The first nightly in the output of `rustup toolchain list`.
pub(crate) fn nightly_in(toolchain_list: &str) -> Option<&str> {
    toolchain_list.lines().filter_map(|line| line.split_whitespace().next()).find(|name| name.starts_with("nightly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_of_rustc_gives_the_names() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25)\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.8\n";
        let llvm = Llvm::of_rustc(text).unwrap();
        assert_eq!(llvm, Llvm { major: 22, minor: 1 });
        assert_eq!(llvm.prefix_variable(), "LLVM_SYS_221_PREFIX");
        assert_eq!(llvm.debian_prefix(), "/usr/lib/llvm-22");
        assert_eq!(llvm.to_string(), "22.1");
    }

    #[test]
    fn a_compiler_without_llvm_gives_nothing() {
        assert_eq!(Llvm::of_rustc("rustc 1.96.0\nLLVM version: none"), None);
        assert_eq!(Llvm::of_rustc(""), None);
    }

    #[test]
    fn the_linker_tells_its_llvm_by_its_libraries() {
        let shared = "\tlinux-vdso.so.1 (0x00)\n\tlibLLVM.so.22.1 => /lib/x86_64-linux-gnu/libLLVM.so.22.1 (0x00)\n";
        assert_eq!(Llvm::of_ldd(shared), Some(Llvm { major: 22, minor: 1 }));
        assert_eq!(Llvm::of_ldd("\tlibLLVM-14.so.1 => /lib/libLLVM-14.so.1"), Some(Llvm { major: 14, minor: 0 }));
        assert_eq!(Llvm::of_ldd("\tlibc.so.6 => /lib/libc.so.6"), None);
    }

    #[test]
    fn a_nightly_is_found_among_toolchains() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-2026-05-01-x86_64-unknown-linux-gnu\n";
        assert_eq!(nightly_in(list), Some("nightly-2026-05-01-x86_64-unknown-linux-gnu"));
        assert_eq!(nightly_in("stable-x86_64-unknown-linux-gnu\n"), None);
    }
}
