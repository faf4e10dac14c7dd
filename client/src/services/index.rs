//! Which slices a Service has.

use std::collections::{BTreeSet, HashMap};

use nodeplane_api::meta::Key;

/// The names of the slices of each Service that has any; they lie in its namespace.
#[derive(Debug, Default)]
pub(super) struct SliceIndex(HashMap<Key, BTreeSet<String>>);

impl SliceIndex {
    /// Notes whose a slice was and whose it is.
    pub(super) fn moved(&mut self, slice: &str, old: Option<&Key>, new: Option<&Key>) {
        if let Some(old) = old.filter(|old| new != Some(*old))
            && let Some(slices) = self.0.get_mut(old)
        {
            slices.remove(slice);
            if slices.is_empty() {
                self.0.remove(old);
            }
        }
        if let Some(new) = new {
            self.0.entry(new.clone()).or_default().insert(slice.to_owned());
        }
    }

    pub(super) fn of(&self, service: &Key) -> Vec<String> {
        self.0.get(service).into_iter().flatten().cloned().collect()
    }

    pub(super) fn services(&self) -> Vec<Key> {
        self.0.keys().cloned().collect()
    }
}
