//! What there is of every kind: the metadata of all objects, from watches that controllers share
//! which treat all kinds alike.
//!
//! In: a client. Out: an informer per kind of the table, reduced to names, owners, finalizers and
//! deletion.

use std::sync::Arc;

use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::watcher,
};
use nodeplane_api::kinds::{KINDS, Kind};
use nodeplane_client::informer::Informer;

/// An object without what makes it one.
pub type Metadata = PartialObjectMeta<DynamicObject>;

/// Informers of all kinds.
#[derive(Clone)]
pub struct Inventory {
    kinds: Arc<[(usize, Arc<Informer<Metadata>>)]>,
}

impl Inventory {
    /// Starts all informers. Must be called inside a tokio runtime.
    pub fn start(client: &Client) -> Self {
        let start = |kind| Arc::new(Informer::start_trimmed(api(client, kind), watcher::Config::default(), trim));
        let watched = KINDS.iter().enumerate().filter(|(_, kind)| is_watched(kind));
        Self { kinds: watched.map(|(position, kind)| (position, start(kind))).collect() }
    }

    /// All of them, each with the position of its kind in the table.
    pub fn all(&self) -> impl Iterator<Item = (usize, &'static Kind, &Arc<Informer<Metadata>>)> {
        self.kinds.iter().map(|(position, informer)| (*position, &KINDS[*position], informer))
    }

    /// That of one kind.
    pub fn of(&self, kind: &Kind) -> Option<&Arc<Informer<Metadata>>> {
        self.all().find(|(_, watched, _)| *watched == kind).map(|(_, _, informer)| informer)
    }
}

/// Events come and go in masses, own nothing and have no owners; what is not stored owns nothing.
/// What several rows show is watched once.
fn is_watched(kind: &Kind) -> bool {
    kind.kind != "Event" && kind.is_stored() && !kind.is_view()
}

fn api(client: &Client, kind: &Kind) -> Api<Metadata> {
    let resource = ApiResource {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
    };
    Api::all_with(client.clone(), &resource)
}

/// Keeps what readers need and nothing else.
fn trim(object: &mut Metadata) {
    object.metadata.labels = None;
    object.metadata.annotations = None;
    object.metadata.managed_fields = None;
}
