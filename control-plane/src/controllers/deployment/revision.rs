//! Which set belongs to which template, and the revisions that `kubectl rollout history` and
//! `undo` work with. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;

use super::model::Bounds;
use crate::controllers::ownership;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// The label that tells the pods of different templates apart.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";
/// The longest list of former revisions, in bytes. Same as upstream.
const LONGEST_HISTORY: usize = 2000;
/// Annotations of a deployment that its sets do not inherit.
const NOT_INHERITED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];
/// The letters of generated names: no vowels, no digits that look like vowels.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The set of a deployment that has its present template: the oldest, if there are several.
pub(super) fn find_new(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let wanted = deployment.spec.as_ref().map(|spec| without_hash(&spec.template))?;
    let same = |set: &ReplicaSet| {
        set.spec
            .as_ref()
            .and_then(|spec| spec.template.as_ref())
            .is_some_and(|template| without_hash(template) == wanted)
    };
    let candidates = sets.iter().enumerate().filter(|(_, set)| same(set));
    candidates.min_by_key(|(_, set)| age_key(set)).map(|(index, _)| index)
}

/// Sorts older sets first.
pub(super) fn age_key(set: &ReplicaSet) -> (Option<jiff::Timestamp>, Option<String>) {
    (set.metadata.creation_timestamp.as_ref().map(|time| time.0), set.metadata.name.clone())
}

/// Whether a set is controlled by the deployment and has its present template.
pub(super) fn is_set_of(deployment: &Deployment, set: &ReplicaSet) -> bool {
    ownership::controller_of(&set.metadata).is_some_and(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
        && find_new(deployment, std::slice::from_ref(set)).is_some()
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let meta = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(TEMPLATE_HASH);
    }
    meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
    meta.annotations = meta.annotations.take().filter(|annotations| !annotations.is_empty());
    template
}

/// The hash of a template (32-bit FNV-1a over its JSON), as in names and labels.
pub(in crate::controllers) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    let json = serde_json::to_vec(&without_hash(template)).unwrap_or_default();
    let mut bytes = json;
    if collisions > 0 {
        bytes.extend(collisions.to_le_bytes());
    }
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = bytes.iter().fold(0x811c_9dc5, fnv);
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

/// A new set for the present template, without replicas.
pub(super) fn new_set(deployment: &Deployment, revision: i64, bounds: Bounds) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default();
    let hash = hash(&spec.template, collisions);
    let mut template = spec.template;
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector;
    selector.match_labels.get_or_insert_default().insert(TEMPLATE_HASH.to_owned(), hash.clone());
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name(&deployment.name_any(), &hash)),
            namespace: deployment.namespace(),
            labels: Some(labels),
            owner_references: Some(vec![ownership::controller_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: Some(0),
            selector,
            template: Some(template),
        }),
        status: None,
    };
    annotate(deployment, &mut set, revision);
    note_replicas(&mut set, bounds);
    set
}

fn name(deployment: &str, hash: &str) -> String {
    let room = 253 - 1 - hash.len();
    format!("{}-{hash}", &deployment[..deployment.len().min(room)])
}

pub(super) fn number(annotations: &BTreeMap<String, String>, annotation: &str) -> Option<i64> {
    annotations.get(annotation)?.parse().ok()
}

pub(super) fn of(set: &ReplicaSet) -> i64 {
    number(set.annotations(), REVISION).unwrap_or_default()
}

/// The replicas that the deployment asked for when the set was last scaled.
pub(super) fn noted_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set.annotations(), DESIRED_REPLICAS).and_then(|number| i32::try_from(number).ok())
}

/// The most replicas that the deployment allowed when the set was last scaled.
pub(super) fn noted_most(set: &ReplicaSet) -> Option<i32> {
    number(set.annotations(), MAX_REPLICAS).and_then(|number| i32::try_from(number).ok())
}

/// Notes what the deployment asks for, to find out later whether it was scaled.
pub(super) fn note_replicas(set: &mut ReplicaSet, bounds: Bounds) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(DESIRED_REPLICAS.to_owned(), bounds.replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), bounds.most().to_string());
}

/// Gives the set of the present template what it inherits from the deployment, and the newest
/// revision; the former ones are remembered.
pub(super) fn annotate(deployment: &Deployment, set: &mut ReplicaSet, revision: i64) {
    let old = number(set.annotations(), REVISION);
    let annotations = set.metadata.annotations.get_or_insert_default();
    for (key, value) in deployment.annotations() {
        if !NOT_INHERITED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    if old.unwrap_or_default() >= revision {
        return;
    }
    annotations.insert(REVISION.to_owned(), revision.to_string());
    if let Some(old) = old.filter(|old| *old > 0) {
        let history = annotations.entry(REVISION_HISTORY.to_owned()).or_default();
        let longer = if history.is_empty() { old.to_string() } else { format!("{history},{old}") };
        *history = forget_oldest(longer);
    }
}

fn forget_oldest(mut history: String) -> String {
    while history.len() > LONGEST_HISTORY {
        match history.split_once(',') {
            Some((_, rest)) => history = rest.to_owned(),
            None => break,
        }
    }
    history
}
