//! The part of `deny.toml` that lint itself can hold the tree against.
//!
//! In: the file. Out: a [`Policy`]. Never: passes over a word that it does not know, as a rule that nobody checks would
//! look like one that holds.

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, TableLike};

/// What may be in the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// The targets that programs are built for.
    pub(super) targets: Vec<String>,
    /// Identifiers of licences, with their exceptions.
    pub(super) licences: Vec<String>,
    /// Whether crates that are not published need no licence.
    pub(super) ignores_private: bool,
    /// Where crates may come from.
    pub(super) registries: Vec<String>,
}

/// What lint does in any case; a file that wants it otherwise wants `cargo-deny`.
const AS_LINT_DOES: [(&str, &str, &str); 7] = [
    ("graph", "all-features", "true"),
    ("licenses", "unused-allowed-license", "allow"),
    ("bans", "multiple-versions", "allow"),
    ("bans", "wildcards", "deny"),
    ("bans", "allow-wildcard-paths", "true"),
    ("sources", "unknown-registry", "deny"),
    ("sources", "unknown-git", "deny"),
];

impl Policy {
    /// Reads the text of `deny.toml`.
    ///
    /// # Errors
    /// When it is no TOML, or says what lint does not understand.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let document: DocumentMut = text.parse()?;
        let mut policy = Self::default();
        for (section, item) in document.iter() {
            // Only cargo-deny can look for them, and it reads this itself.
            if section == "advisories" {
                continue;
            }
            let table = item.as_table_like().with_context(|| format!("{section} is no section"))?;
            for (key, value) in table.iter() {
                policy.take(section, key, value).with_context(|| format!("[{section}] {key}"))?;
            }
        }
        policy.require_every_word(&document)?;
        Ok(policy)
    }

    fn take(&mut self, section: &str, key: &str, value: &Item) -> Result<()> {
        match (section, key) {
            ("graph", "targets") => self.targets = texts(value)?,
            ("licenses", "allow") => self.licences = texts(value)?,
            ("licenses", "private") => self.ignores_private = private(value.as_table_like().context("no table")?)?,
            ("sources", "allow-registry") => self.registries = texts(value)?,
            _ => require_as_lint_does(section, key, value)?,
        }
        Ok(())
    }

    /// Where a word is missing, `cargo-deny` would do something else than lint.
    fn require_every_word(&self, document: &DocumentMut) -> Result<()> {
        let is_there = |section: &str, key: &str| document.get(section).is_some_and(|table| table.get(key).is_some());
        for (section, key, value) in AS_LINT_DOES {
            if !is_there(section, key) {
                bail!("[{section}] {key} is missing; lint holds it to be {value}");
            }
        }
        if self.targets.is_empty() || self.licences.is_empty() || self.registries.is_empty() {
            bail!("it names no targets, no licences or no registries");
        }
        Ok(())
    }
}

fn require_as_lint_does(section: &str, key: &str, value: &Item) -> Result<()> {
    let known = AS_LINT_DOES.iter().find(|(in_section, name, _)| (*in_section, *name) == (section, key));
    let Some((_, _, expected)) = known else { bail!("only cargo-deny understands this, lint does not") };
    let is = value.as_str().map(str::to_owned).or_else(|| value.as_bool().map(|is| is.to_string()));
    if is.as_deref() != Some(*expected) {
        bail!("lint itself can hold only `{expected}`");
    }
    Ok(())
}

fn private(table: &dyn TableLike) -> Result<bool> {
    let mut ignores = false;
    for (key, value) in table.iter() {
        match (key, value.as_bool()) {
            ("ignore", Some(is)) => ignores = is,
            _ => bail!("only cargo-deny understands `{key}`, lint does not"),
        }
    }
    Ok(ignores)
}

fn texts(value: &Item) -> Result<Vec<String>> {
    let array = value.as_array().context("no list")?;
    array.iter().map(|text| text.as_str().map(str::to_owned).context("not a list of texts")).collect()
}
