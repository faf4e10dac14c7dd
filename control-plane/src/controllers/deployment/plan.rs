//! What a Deployment needs next: one step at a time, each from what the caches show. Pure.
//! Follows upstream's `deployment_controller.go` and `sync.go`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet},
    core::v1::Pod,
};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::write::Write;
use serde_json::json;

use super::{
    model::{self, Bounds, Facts},
    progress, revision, rolling, scale,
};
use crate::controllers::{
    caches::row,
    ownership::{self, Claim},
};

/// What is to be done, in the order of the fields.
#[derive(Debug, Default)]
pub struct Plan {
    /// Adoptions and releases of sets.
    pub claims: Vec<Write>,
    /// Whether there are adoptions.
    pub adopts: bool,
    /// The new set.
    pub creation: Option<Write>,
    /// Changes of sets.
    pub writes: Vec<Write>,
    /// Reasons and messages.
    pub events: Vec<(&'static str, String)>,
    /// The status, when it differs.
    pub status: Option<DeploymentStatus>,
    /// The deployment's revision, when it differs. After the status, because that is written only
    /// to the deployment as it was.
    pub revision: Option<Write>,
    /// Sets that history does not need any more.
    pub cleanup: Vec<Write>,
    /// When time alone makes a difference.
    pub recheck: Option<Duration>,
    pub(super) now: Timestamp,
}

/// A plan in the making: the sets as they shall be.
pub(super) struct Draft<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) bounds: Bounds,
    pub(super) recreates: bool,
    /// The sets of the deployment as they shall be.
    pub(super) sets: Vec<ReplicaSet>,
    /// Those that exist, as they are; the same order.
    existing: Vec<ReplicaSet>,
    /// Which set has the present template.
    pub(super) new: Option<usize>,
    pub(super) now: Timestamp,
}

impl Draft<'_> {
    /// All sets but the new one, oldest first.
    pub(super) fn old(&self) -> Vec<usize> {
        let mut old: Vec<_> = (0..self.sets.len()).filter(|set| Some(*set) != self.new).collect();
        old.sort_by_key(|set| revision::age_key(&self.sets[*set]));
        old
    }

    /// The sets as they are.
    pub(super) fn before(&self) -> &[ReplicaSet] {
        &self.existing
    }

    /// The new set: as it is, if it is; else as it shall be.
    pub(super) fn new_before(&self) -> Option<&ReplicaSet> {
        self.new.map(|new| self.existing.get(new).unwrap_or(&self.sets[new]))
    }

    /// How many pods all sets shall have.
    pub(super) fn wanted(&self) -> i32 {
        model::sum(&self.sets, model::wanted)
    }

    pub(super) fn scale(&mut self, set: usize, replicas: i32) {
        let set = &mut self.sets[set];
        set.spec.get_or_insert_default().replicas = Some(replicas);
        revision::note_replicas(set, self.bounds);
    }
}

/// What is to be done for a deployment.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let mut plan = Plan { now: facts.now, ..Plan::default() };
    let Some(spec) = &facts.deployment.spec else { return plan };
    let Some(mut draft) = draft(facts, spec, &mut plan) else { return plan };
    let mut status = facts.deployment.status.clone().unwrap_or_default();
    let is_leaving = facts.deployment.metadata.deletion_timestamp.is_some();
    let paused = spec.paused == Some(true);
    let news_of_pause =
        model::progress_deadline(spec).is_some() && !is_leaving && progress::note_pause(&mut status, paused, facts.now);
    if news_of_pause {
        // Written alone: what follows is judged from it.
        plan.status = Some(status);
        return plan;
    }
    let scales = !is_leaving && (paused || scale::is_asked(&draft));
    if scales {
        inherit(&mut draft);
        scale::scale(&mut draft);
    } else if !is_leaving {
        step(&mut draft, spec, facts.pods);
    }
    finish(&draft, spec, scales || is_leaving, plan)
}

fn draft<'a>(facts: &Facts<'a>, spec: &DeploymentSpec, plan: &mut Plan) -> Option<Draft<'a>> {
    let selector = ownership::selector(&spec.selector)?;
    let mut existing = Vec::new();
    let mut sets = facts.sets.clone();
    sets.sort_by_key(|set| revision::age_key(set));
    for set in sets {
        match ownership::claim(&facts.deployment.metadata, &selector, &set.metadata) {
            Claim::Mine => existing.push(Arc::unwrap_or_clone(set)),
            Claim::Adopt => {
                let owner = ownership::controller_reference(facts.deployment);
                plan.claims.push(ownership::adopt(row::<ReplicaSet>(), &set.metadata, owner));
                plan.adopts = true;
            }
            Claim::Release => {
                let uid = facts.deployment.uid().unwrap_or_default();
                plan.claims.push(ownership::release(row::<ReplicaSet>(), &set.metadata, &uid));
            }
            Claim::Foreign => {}
        }
    }
    if plan.adopts {
        // Sets that are adopted count from the next look on, when the cache shows them.
        return None;
    }
    Some(Draft {
        deployment: facts.deployment,
        bounds: Bounds::of(spec),
        recreates: model::recreates(spec),
        new: revision::find_new(facts.deployment, &existing),
        sets: existing.clone(),
        existing,
        now: facts.now,
    })
}

/// The revision after all old ones.
fn next_revision(draft: &Draft<'_>) -> i64 {
    draft.old().into_iter().map(|old| revision::of(&draft.sets[old])).max().unwrap_or_default() + 1
}

/// Gives the new set, if there is one, what it takes from the deployment.
fn inherit(draft: &mut Draft<'_>) {
    let Some(new) = draft.new else { return };
    let next = next_revision(draft);
    revision::annotate(draft.deployment, &mut draft.sets[new], next);
    let min_ready = draft.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
    draft.sets[new].spec.get_or_insert_default().min_ready_seconds = min_ready;
}

/// One step of the rollout.
fn step(draft: &mut Draft<'_>, spec: &DeploymentSpec, pods: &[Arc<Pod>]) {
    inherit(draft);
    if draft.recreates && !rolling::stop_old(draft, pods) {
        return;
    }
    let Some(new) = draft.new else {
        let set = revision::new_set(draft.deployment, next_revision(draft), draft.bounds);
        let new = draft.sets.len();
        draft.sets.push(set);
        draft.new = Some(new);
        let replicas = rolling::new_replicas(draft, new);
        draft.scale(new, replicas);
        return;
    };
    if model::recreates(spec) {
        if model::wanted(&draft.sets[new]) != draft.bounds.replicas {
            draft.scale(new, draft.bounds.replicas);
        }
    } else {
        rolling::roll(draft, new);
    }
}

fn finish(draft: &Draft<'_>, spec: &DeploymentSpec, is_still: bool, mut plan: Plan) -> Plan {
    let mut status = progress::numbers(draft);
    if let Some(new) = draft.new {
        let created = new >= draft.existing.len();
        if model::progress_deadline(spec).is_some() && !is_still {
            progress::note_new(&mut status, &draft.sets[new].name_any(), created, draft.now);
        }
        if created {
            plan.creation = Some(Write::create(row::<ReplicaSet>(), &draft.sets[new]));
            let replicas = model::wanted(&draft.sets[new]);
            if replicas > 0 {
                plan.events.push(scaled(&draft.sets[new], 0, replicas));
            }
        }
    }
    for (set, before) in draft.sets.iter().zip(&draft.existing) {
        let (from, to) = (model::wanted(before), model::wanted(set));
        if from != to {
            plan.events.push(scaled(set, from, to));
        }
        if set != before {
            plan.writes.push(Write::replace(row::<ReplicaSet>(), None, set));
        }
    }
    if !is_still && plan.creation.is_none() {
        progress::rollout(draft, &mut status);
    }
    plan.revision = draft.new.and_then(|new| revision_write(draft.deployment, &draft.sets[new]));
    plan.recheck = progress::recheck(draft, &status);
    let is_settled = plan.writes.is_empty() && plan.creation.is_none();
    if is_settled && (spec.paused == Some(true) || model::is_complete(draft.deployment, draft.bounds.replicas, &status))
    {
        plan.cleanup = cleanup(draft, spec);
    }
    plan.status = (Some(&status) != draft.deployment.status.as_ref()).then_some(status);
    plan
}

fn scaled(set: &ReplicaSet, from: i32, to: i32) -> (&'static str, String) {
    let direction = if to > from { "up" } else { "down" };
    ("ScalingReplicaSet", format!("Scaled {direction} replica set {} from {from} to {to}", set.name_any()))
}

/// The deployment bears the revision of its new set.
fn revision_write(deployment: &Deployment, new: &ReplicaSet) -> Option<Write> {
    let revision = new.annotations().get(revision::REVISION)?;
    (deployment.annotations().get(revision::REVISION) != Some(revision)).then(|| Write::Merge {
        kind: row::<Deployment>(),
        key: Key::of_meta(&deployment.metadata),
        part: None,
        patch: json!({ "metadata": {
            "uid": deployment.metadata.uid,
            "annotations": { revision::REVISION: revision },
        } }),
    })
}

/// Deletes the oldest of the old sets that nobody will want to go back to.
fn cleanup(draft: &Draft<'_>, spec: &DeploymentSpec) -> Vec<Write> {
    let Ok(keep) = usize::try_from(spec.revision_history_limit.unwrap_or(10)) else { return Vec::new() };
    let mut old: Vec<_> = draft.old().into_iter().map(|old| &draft.sets[old]).collect();
    old.retain(|set| set.metadata.deletion_timestamp.is_none());
    old.sort_by_key(|set| revision::of(set));
    let excess = old.len().saturating_sub(keep);
    let done = old.into_iter().take(excess).filter(|set| is_over(set));
    done.map(|set| Write::delete(row::<ReplicaSet>(), Key::of_meta(&set.metadata), set.uid().unwrap_or_default()))
        .collect()
}

/// Whether a set has nothing and nothing to do.
fn is_over(set: &ReplicaSet) -> bool {
    let observed = set.status.as_ref().and_then(|status| status.observed_generation);
    model::wanted(set) == 0 && model::actual(set) == 0 && observed >= set.metadata.generation
}
