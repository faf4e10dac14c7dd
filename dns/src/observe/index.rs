//! Which slices a service has, so that a change of one slice leads to the services that it concerns.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use nodeplane_api::meta::Key;

use super::convert::service_of;

/// Which slices belong to which service, in both directions.
#[derive(Debug, Default)]
pub(super) struct SliceIndex {
    owners: HashMap<(String, String), String>,
    slices: HashMap<(String, String), BTreeSet<String>>,
}

impl SliceIndex {
    pub(super) fn of<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> Self {
        let mut index = Self::default();
        for slice in slices {
            let Key { namespace, name } = Key::of(slice);
            index.moved(&namespace, &name, service_of(slice).map(str::to_owned));
        }
        index
    }

    /// Notes the service that a slice belongs to now, and names those that it concerns.
    pub(super) fn moved(&mut self, namespace: &str, slice: &str, owner: Option<String>) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        let key = (namespace.to_owned(), slice.to_owned());
        let old = match &owner {
            Some(owner) => self.owners.insert(key, owner.clone()),
            None => self.owners.remove(&key),
        };
        if let Some(old) = old {
            let key = (namespace.to_owned(), old.clone());
            if let Some(slices) = self.slices.get_mut(&key) {
                slices.remove(slice);
                if slices.is_empty() {
                    self.slices.remove(&key);
                }
            }
            concerned.insert(old);
        }
        if let Some(owner) = owner {
            self.slices.entry((namespace.to_owned(), owner.clone())).or_default().insert(slice.to_owned());
            concerned.insert(owner);
        }
        concerned
    }

    pub(super) fn of_service(&self, namespace: &str, service: &str) -> impl Iterator<Item = &str> {
        self.slices.get(&(namespace.to_owned(), service.to_owned())).into_iter().flatten().map(String::as_str)
    }
}
