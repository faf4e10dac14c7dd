//! Where in the store what lies.
//!
//! In: groups, plurals and names. Out: keys and prefixes. Everything of one cluster lies below
//! one root; objects and claims each have a place of their own there, so that whoever reads
//! objects meets nothing else.
//!
//! | key                                            | what it holds                        |
//! | ---------------------------------------------- | ------------------------------------ |
//! | `ROOT/objects/[GROUP/]PLURAL/[NAMESPACE/]NAME` | an object                            |
//! | `ROOT/claims/RANGE/ITEM`                       | who has an item that only one may have |
//! | `ROOT/copying[/N]`                             | while a copy into the store is not whole |

use std::sync::Arc;

/// The keys of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    root: Arc<str>,
    objects: Arc<str>,
}

impl Keys {
    /// Everything below `root`, such as `/registry`.
    pub fn new(root: &str) -> Self {
        let root = root.trim_end_matches('/');
        Self { root: format!("{root}/").into(), objects: format!("{root}/objects/").into() }
    }

    /// Prefix of every key of the cluster.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Prefix of the keys of all objects.
    pub fn objects(&self) -> &str {
        &self.objects
    }

    /// Prefix of the keys of a kind's objects in one namespace (empty: all), ending in `/`.
    pub fn collection(&self, group: &str, plural: &str, namespace: &str) -> String {
        let mut prefix = self.objects.to_string();
        for segment in [group, plural, namespace] {
            if !segment.is_empty() {
                prefix.push_str(segment);
                prefix.push('/');
            }
        }
        prefix
    }

    /// Prefix of the claims on the items of a range, ending in `/`.
    pub fn claims(&self, range: &str) -> String {
        format!("{}claims/{range}/", self.root)
    }

    /// Prefix of all claims.
    pub fn all_claims(&self) -> String {
        format!("{}claims/", self.root)
    }

    /// The key that is there while a copy into the store is not whole.
    pub fn copying(&self) -> String {
        format!("{}copying", self.root)
    }

    /// The key of an object as messages show it: as upstream's, who keeps nothing but objects.
    pub fn shown(&self, key: &str) -> String {
        key.strip_prefix(self.objects()).map_or_else(|| key.to_owned(), |rest| format!("{}{rest}", self.root))
    }
}

#[cfg(test)]
mod tests;
