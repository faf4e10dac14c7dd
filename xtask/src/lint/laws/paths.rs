//! The paths that a source names: `std::fs::read`, and `std::fs::File` of `use std::{fs::File, io}`.
//!
//! In: a source and the module that it is. Out: its paths in full, `self` and `super` at their beginning resolved. The
//! reading knows comments, groups and nothing else of Rust; words in texts count as names.

use std::path::Path;

/// Every path of `source`, which is the module at `place` below a crate's `src`; a name alone counts after `use` only.
pub(super) fn paths(source: &str, place: &Path) -> Vec<String> {
    let mut reader = Reader { module: module(place), ..Reader::default() };
    for line in source.lines() {
        reader.read(line.split_once("//").map_or(line, |(code, _)| code));
    }
    reader.end_path();
    reader.found
}

/// Whether `path` is `name` or lies in it.
pub(super) fn is_in(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `crate::pods::env` of `src/pods/env.rs`, and of `src/pods/env/mod.rs`.
fn module(place: &Path) -> Vec<String> {
    let file = place.with_extension("");
    let mut parts: Vec<String> = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts.insert(0, "crate".to_owned());
    parts
}

#[derive(Default)]
struct Reader<'s> {
    module: Vec<String>,
    /// What stands before each open brace; nothing for those that are no groups.
    open: Vec<Vec<&'s str>>,
    path: Vec<&'s str>,
    /// Whether the path goes on with the next name.
    goes_on: bool,
    /// Whether the path is that of a `use`.
    is_use: bool,
    found: Vec<String>,
}

impl<'s> Reader<'s> {
    fn read(&mut self, mut code: &'s str) {
        while let Some(first) = code.chars().next() {
            let length = if is_of_name(first) {
                code.find(|c| !is_of_name(c)).unwrap_or(code.len())
            } else if code.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, rest) = code.split_at(length);
            self.take(token);
            code = rest;
        }
    }

    fn take(&mut self, token: &'s str) {
        match token {
            "::" => self.goes_on = true,
            "{" if self.goes_on => {
                self.open.push(std::mem::take(&mut self.path));
                self.goes_on = false;
            }
            "{" => {
                self.end_path();
                self.open.push(Vec::new());
            }
            "}" => {
                self.end_path();
                self.open.pop();
            }
            name if name.starts_with(is_of_name) => self.name(name),
            space if space.trim().is_empty() => {}
            _ => self.end_path(),
        }
    }

    fn name(&mut self, name: &'s str) {
        if !self.goes_on {
            let is_use = self.path == ["use"];
            self.end_path();
            self.is_use = is_use;
            self.path = self.open.last().cloned().unwrap_or_default();
        }
        self.goes_on = false;
        self.path.push(name);
    }

    fn end_path(&mut self) {
        let path = std::mem::take(&mut self.path);
        if path.len() > 1 || (self.is_use && !path.is_empty()) {
            self.found.push(self.resolved(&path));
        }
        (self.goes_on, self.is_use) = (false, false);
    }

    fn resolved(&self, path: &[&str]) -> String {
        let supers = path.iter().take_while(|name| **name == "super").count();
        let from_here = usize::from(path.first() == Some(&"self"));
        if supers + from_here == 0 {
            return path.join("::");
        }
        let outer = &self.module[..self.module.len().saturating_sub(supers)];
        let names = outer.iter().map(String::as_str).chain(path[supers + from_here..].iter().copied());
        names.collect::<Vec<_>>().join("::")
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str) -> Vec<String> {
        paths(source, Path::new("controllers/node/taints.rs"))
    }

    #[test]
    fn groups_are_told_in_full() {
        let source = "use std::{\n    collections::{BTreeMap, btree_map::Entry}, // std::env\n    fs,\n};\nuse kube;";
        let expected =
            ["std::collections::BTreeMap", "std::collections::btree_map::Entry", "std::fs", "kube"].map(str::to_owned);
        assert_eq!(of(source), expected);
    }

    #[test]
    fn paths_inside_code_are_found_and_blocks_are_no_groups() {
        let source = "fn f() -> std::io::Result<()> { if a { std::fs::read(b)?; } let c = Vec::<u8>::new(); x.y }";
        assert_eq!(of(source), ["std::io::Result", "std::fs::read"]);
    }

    #[test]
    fn the_way_up_is_resolved() {
        assert_eq!(of("use super::super::super::store::Store;"), ["crate::store::Store"]);
        assert_eq!(of("super::eviction::plan()"), ["crate::controllers::node::eviction::plan"]);
        assert_eq!(of("use self::a::B;"), ["crate::controllers::node::taints::a::B"]);
        assert_eq!(paths("use super::store::Store;", Path::new("scheduler/mod.rs")), ["crate::store::Store"]);
    }

    #[test]
    fn a_name_is_more_than_its_beginning() {
        assert!(is_in("kube::Client", "kube") && is_in("std::fs", "std::fs"));
        assert!(!is_in("kubelet::run", "kube") && !is_in("std::fs", "std::fs::read"));
    }
}
