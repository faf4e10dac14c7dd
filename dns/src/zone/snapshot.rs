//! The cluster as of one moment, whole: what the tests make zones of, and what changes must come to.

use std::{collections::BTreeMap, sync::Arc};

use nodeplane_api::meta::Key;

use super::{
    Entry, Settings, Zone,
    facts::{ServiceFacts, SliceFacts},
};

/// The facts of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The names of the namespaces.
    pub(crate) namespaces: Vec<String>,
    /// The services that have names.
    pub(crate) services: Vec<(Key, ServiceFacts)>,
    /// The endpoints, each by the service that they belong to.
    pub(crate) slices: Vec<(Key, SliceFacts)>,
}

impl Zone {
    /// The zone of a whole snapshot. `serial` is the SOA serial; `synced` says whether the snapshot is complete.
    pub(crate) fn build(settings: Arc<Settings>, snapshot: &Snapshot, serial: u32, synced: bool) -> Self {
        let mut slices: BTreeMap<&Key, Vec<&SliceFacts>> = BTreeMap::new();
        for (service, slice) in &snapshot.slices {
            slices.entry(service).or_default().push(slice);
        }
        let mut zone = Self::empty(settings);
        zone.set_namespaces(snapshot.namespaces.iter().map(String::as_str));
        for (key, service) in &snapshot.services {
            let entry = Entry::new(service, slices.get(key).into_iter().flatten().copied());
            zone.put(&key.namespace, &key.name, entry);
        }
        zone.mark(serial, synced);
        zone
    }
}
