//! Work of the store and of the watch cache: the metrics `etcd_*`, whichever store it is, and those
//! about what is stored.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock, time::Duration};

use nodeplane_api::kinds::{Backing, KINDS, Kind};
use nodeplane_metrics::{Bounds, Counter, Histogram, Labels, Series, Text};

use super::LATENCIES;

static TIMES: Bounds = Bounds::seconds(LATENCIES);

static OPERATIONS: LazyLock<Series<Operation, Operations>> = LazyLock::new(|| Series::new(Operations::new));
static RECEIVED: LazyLock<Series<Resource, Counter>> = LazyLock::new(|| Series::new(Counter::new));

/// What is stored and is no object of the table.
const OTHER: &str = "other";

/// Resources with their groups, such as `deployments.apps`, by where their objects lie below the
/// place of all objects. As many as there are kinds, and for as long as the process runs.
static RESOURCES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let place = |kind: &Kind| match kind.group {
        "" => kind.plural,
        group => &*format!("{group}/{}", kind.plural).leak(),
    };
    KINDS.iter().map(|kind| (place(kind), &*kind.qualified_plural().leak())).collect()
});

/// A resource, such as `deployments.apps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(&'static str);

impl Resource {
    /// The one of a key below the place of all objects, such as `apps/deployments/default/web`.
    pub fn of_object(place: &str) -> Self {
        let ends = || place.match_indices('/').map(|(end, _)| end).take(2);
        Self(ends().find_map(|end| RESOURCES.get(&place[..end])).copied().unwrap_or(OTHER))
    }

    /// What is none.
    pub fn other() -> Self {
        Self(OTHER)
    }
}

impl Labels for Resource {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("resource", self.0.into())]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Operation {
    name: &'static str,
    on: Resource,
}

impl Labels for Operation {
    fn pairs(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        vec![("operation", self.name.into()), ("type", self.on.0.into())]
    }
}

struct Operations {
    times: Histogram,
    failures: Counter,
}

impl Operations {
    fn new() -> Self {
        Self { times: Histogram::new(&TIMES), failures: Counter::new() }
    }
}

/// The store has done something, or failed to.
pub fn done(name: &'static str, on: Resource, has_failed: bool, took: Duration) {
    OPERATIONS.with(&Operation { name, on }, |operations| {
        operations.times.took(took);
        if has_failed {
            operations.failures.inc();
        }
    });
}

/// The watch cache heard of a change.
pub fn received(on: Resource) {
    RECEIVED.with(&on, Counter::inc);
}

/// Shows them.
pub(super) fn show(text: &mut Text) {
    let all = OPERATIONS.all();
    let help = "Etcd request latency in seconds for each operation and object type.";
    let mut group = text.group("etcd_request_duration_seconds", "histogram", help);
    all.iter().for_each(|(operation, operations)| group.histogram(&operation.pairs(), &operations.times));
    let help = "Etcd request counts for each operation and object type.";
    let mut group = text.group("etcd_requests_total", "counter", help);
    all.iter().for_each(|(operation, operations)| group.count(&operation.pairs(), operations.times.count()));
    let help = "Etcd failed request counts for each operation and object type.";
    let mut group = text.group("etcd_request_errors_total", "counter", help);
    all.iter().for_each(|(operation, operations)| group.count(&operation.pairs(), operations.failures.get()));
    let name = "apiserver_watch_cache_events_received_total";
    text.counters(name, "Counter of events received in watch cache broken by resource type.", &RECEIVED);
}

/// Shows how many objects there are of each resource that is stored.
pub fn show_objects(text: &mut Text, count: impl Fn(&Kind) -> usize) {
    let help = "Number of stored objects at the time of last check split by kind. In case of a fetching error, the \
                value will be -1.";
    let mut group = text.group("apiserver_storage_objects", "gauge", help);
    let mut shown: Vec<(&str, &str)> = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.backing == Backing::Stored && kind.stored_as.is_none()) {
        // Versions of one resource are the same objects.
        if !shown.contains(&(kind.group, kind.plural)) {
            shown.push((kind.group, kind.plural));
            group.count(&[("resource", kind.qualified_plural())], count(kind) as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_resource() {
        let cases = [
            ("configmaps/default/a", "configmaps"),
            ("apps/deployments/default/web", "deployments.apps"),
            ("namespaces/default", "namespaces"),
            ("nosuch/default/a", "other"),
            ("", "other"),
        ];
        for (place, resource) in cases {
            assert_eq!(Resource::of_object(place), Resource(resource), "{place}");
        }
    }
}
