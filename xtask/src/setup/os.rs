//! Which system this is, from `/etc/os-release`.
//!
//! In: the file's text (os-release(5)). Out: an [`Os`]. Never: guesses a package manager for a system it does not know.

use std::collections::BTreeMap;

/// What `/etc/os-release` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Os {
    /// `ID`, such as `debian`.
    pub(crate) id: String,
    /// `VERSION_ID`, such as `12`; empty for rolling releases.
    pub(crate) version: String,
    /// `PRETTY_NAME`, for people.
    pub(crate) pretty: String,
}

impl Os {
    /// Reads the text of an os-release file; missing keys stay empty.
    pub(crate) fn parse(text: &str) -> Self {
        let fields: BTreeMap<_, _> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key, unquoted(value)))
            .collect();
        let field = |key: &str| fields.get(key).copied().unwrap_or_default().to_owned();
        Self { id: field("ID"), version: field("VERSION_ID"), pretty: field("PRETTY_NAME") }
    }

    /// Whether `setup` knows how to install packages here.
    pub(crate) fn is_supported(&self) -> bool {
        self.id == "debian" && self.version == "12"
    }
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_twelve_is_supported() {
        let os = Os::parse("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n");
        assert_eq!(os.pretty, "Debian GNU/Linux 12 (bookworm)");
        assert!(os.is_supported());
    }

    #[test]
    fn others_are_not() {
        assert!(!Os::parse("ID='fedora'\nVERSION_ID=41\n").is_supported());
        assert!(!Os::parse("# VERSION_ID=12\nID=debian\nPRETTY_NAME=\"Debian trixie/sid\"").is_supported());
        assert_eq!(Os::parse(""), Os::default());
    }
}
