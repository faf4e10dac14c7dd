//! The states that a set's template was in: one `ControllerRevision` each, that `kubectl rollout
//! history` lists and `undo` goes back to. Pure. Follows upstream's `constructHistory`.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, DaemonSet},
        core::v1::Pod,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;
use serde_json::{Value, json};

use crate::controllers::{caches::row, deployment::revision, ownership};

/// The label that says which revision an object is of.
pub(super) const HASH: &str = "controller-revision-hash";
/// Where the server counts the changes of the template.
pub(super) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// How many old revisions are kept when nothing is said.
const KEPT: i32 = 10;
/// Room in a name for a hash.
const LONGEST: usize = 253 - 11;

/// What is known of a set's template.
pub(super) struct History {
    /// The hash of the present state.
    pub(super) hash: String,
    /// The write that makes the present state the newest.
    pub(super) write: Option<Write>,
    /// Other states, oldest first.
    old: Vec<Arc<ControllerRevision>>,
}

impl History {
    /// The history of a set with these revisions.
    pub(super) fn of(set: &DaemonSet, revisions: &[Arc<ControllerRevision>]) -> Self {
        let data = data(set);
        let is_present = |revision: &ControllerRevision| revision.data.as_ref().is_some_and(|it| it.0 == data);
        let mut sorted = revisions.to_vec();
        sorted.sort_by_key(|revision| (revision.revision, revision.name_any()));
        // Of equal states the newest counts; the others go with the old ones.
        let present = sorted.iter().rposition(|revision| is_present(revision)).map(|at| sorted.remove(at));
        let next = sorted.iter().map(|revision| revision.revision).max().unwrap_or(0) + 1;
        let (hash, write) = match present {
            Some(present) => {
                let hash = present.labels().get(HASH).cloned().unwrap_or_else(|| present.name_any());
                (hash, (present.revision < next).then(|| renumber(&present, next)))
            }
            None => {
                let revision = make(set, data, next);
                let hash = revision.labels().get(HASH).cloned().unwrap_or_default();
                (hash, Some(Write::create(row::<ControllerRevision>(), &revision)))
            }
        };
        Self { hash, write, old: sorted }
    }

    /// Deletions of what is beyond the limit and of which no pod is left.
    pub(super) fn cleanup<'a>(&self, set: &DaemonSet, pods: impl Iterator<Item = &'a Pod>) -> Vec<Write> {
        let limit = set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(KEPT);
        let excess = self.old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        let live: BTreeSet<&str> = pods.filter_map(|pod| pod.labels().get(HASH).map(String::as_str)).collect();
        let is_live = |revision: &&Arc<ControllerRevision>| {
            revision.labels().get(HASH).is_some_and(|hash| live.contains(hash.as_str()))
        };
        let dead = self.old.iter().filter(|revision| !is_live(revision)).take(excess);
        dead.map(|revision| {
            let (key, uid) = (Key::of_meta(&revision.metadata), revision.uid().unwrap_or_default());
            Write::delete(row::<ControllerRevision>(), key, uid)
        })
        .collect()
    }
}

/// Whether a pod is made from the present state.
pub(super) fn is_updated(pod: &Pod, hash: &str) -> bool {
    pod.labels().get(HASH).is_some_and(|found| found == hash)
}

/// The patch that brings the present template back.
fn data(set: &DaemonSet) -> Value {
    let template = set.spec.as_ref().and_then(|spec| serde_json::to_value(&spec.template).ok());
    let mut template = template.unwrap_or_else(|| json!({}));
    template["$patch"] = "replace".into();
    json!({ "spec": { "template": template } })
}

fn make(set: &DaemonSet, data: Value, number: i64) -> ControllerRevision {
    let template = set.spec.clone().unwrap_or_default().template;
    let collisions = set.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default();
    let hash = revision::hash(&template, collisions);
    let name = set.name_any();
    let mut labels = template.metadata.and_then(|meta| meta.labels).unwrap_or_default();
    labels.insert(HASH.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", &name[..name.len().min(LONGEST)])),
            namespace: set.namespace(),
            labels: Some(labels),
            annotations: set.metadata.annotations.clone(),
            owner_references: Some(vec![ownership::controller_reference(set)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision: number,
    }
}

fn renumber(present: &ControllerRevision, number: i64) -> Write {
    let changed = ControllerRevision { revision: number, ..present.clone() };
    Write::replace(row::<ControllerRevision>(), None, &changed)
}
