//! How a change of `.spec.replicas` is shared by several sets. Pure. Follows upstream's
//! `sync.go`: `scale`.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::{
    model::{self, Bounds},
    plan::Draft,
    revision,
};

/// Whether the deployment was scaled since its sets were.
pub(super) fn is_asked(draft: &Draft<'_>) -> bool {
    let active = draft.sets.iter().filter(|set| model::wanted(set) > 0);
    active.into_iter().any(|set| revision::noted_replicas(set).is_some_and(|noted| noted != draft.bounds.replicas))
}

/// Scales all sets in proportion, so that a rollout that pauses or goes on keeps its balance.
pub(super) fn scale(draft: &mut Draft<'_>) {
    if let Some(only) = active_or_latest(draft) {
        draft.scale(only, draft.bounds.replicas);
        return;
    }
    if draft.new.is_some_and(|new| is_saturated(&draft.sets[new], draft.bounds)) {
        for old in draft.old() {
            draft.scale(old, 0);
        }
        return;
    }
    if draft.recreates {
        // The recreation itself brings the sizes; here the wish only counts as heard.
        let bounds = draft.bounds;
        draft.sets.iter_mut().filter(|set| model::wanted(set) > 0).for_each(|set| revision::note_replicas(set, bounds));
    } else {
        share_out(draft);
    }
}

/// The only set with replicas; the newest one when none has any; nothing when several have.
fn active_or_latest(draft: &Draft<'_>) -> Option<usize> {
    let active: Vec<_> = (0..draft.sets.len()).filter(|set| model::wanted(&draft.sets[*set]) > 0).collect();
    match active[..] {
        [] => draft.new.or_else(|| draft.old().pop()),
        [only] => Some(only),
        _ => None,
    }
}

fn is_saturated(new: &ReplicaSet, bounds: Bounds) -> bool {
    model::wanted(new) == bounds.replicas
        && revision::noted_replicas(new) == Some(bounds.replicas)
        && model::available(new) == bounds.replicas
}

fn share_out(draft: &mut Draft<'_>) {
    let bounds = draft.bounds;
    let mut active: Vec<_> = (0..draft.sets.len()).filter(|set| model::wanted(&draft.sets[*set]) > 0).collect();
    let allowed = if bounds.replicas > 0 { bounds.most() } else { 0 };
    let to_add = allowed - model::sum(active.iter().map(|set| &draft.sets[*set]), model::wanted);
    // The biggest takes the rounding; among equals the newest grows first and the oldest shrinks
    // first.
    active.sort_by_key(|set| revision::age_key(&draft.sets[*set]));
    if to_add > 0 {
        active.reverse();
    }
    active.sort_by_key(|set| std::cmp::Reverse(model::wanted(&draft.sets[*set])));
    let mut added = 0;
    let mut sizes = Vec::new();
    for set in &active {
        let set = &draft.sets[*set];
        let share = proportion(draft.deployment, set, bounds, to_add, added);
        added += share;
        sizes.push(model::wanted(set) + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    for (set, size) in active.into_iter().zip(sizes) {
        draft.scale(set, size);
    }
}

fn proportion(deployment: &Deployment, set: &ReplicaSet, bounds: Bounds, to_add: i32, added: i32) -> i32 {
    if model::wanted(set) == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(deployment, set, bounds);
    let left = to_add - added;
    if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
}

/// What a set has to gain or lose to keep its share.
fn fraction(deployment: &Deployment, set: &ReplicaSet, bounds: Bounds) -> i32 {
    let size = model::wanted(set);
    if bounds.replicas == 0 {
        return -size;
    }
    let before = revision::noted_most(set).filter(|most| *most > 0);
    let before = before.or_else(|| deployment.status.as_ref().and_then(|status| status.replicas)).unwrap_or_default();
    if before == 0 {
        return 0;
    }
    // Rounded half away from zero, in whole numbers.
    let (size_now, most, before) = (i64::from(size), i64::from(bounds.most()), i64::from(before));
    let scaled = (2 * size_now * most + before) / (2 * before);
    i32::try_from(scaled).unwrap_or(i32::MAX) - size
}
