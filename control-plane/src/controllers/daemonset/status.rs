//! What a set's status says. Pure. Follows upstream's `updateDaemonSetStatus`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{DaemonSet, DaemonSetStatus},
    core::v1::Pod,
};

use super::{history, nodes::Fit, plan::by_age};
use crate::controllers::pod_facts;

/// The status of a set with these pods on these nodes.
pub(super) fn status<'a>(
    set: &DaemonSet,
    places: impl Iterator<Item = (Fit, &'a [Arc<Pod>])>,
    hash: &str,
    now: Timestamp,
) -> DaemonSetStatus {
    let old = set.status.clone().unwrap_or_default();
    let min_ready = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or_default();
    let (mut updated, mut available) = (0, 0);
    let mut status = DaemonSetStatus {
        collision_count: old.collision_count,
        conditions: old.conditions,
        observed_generation: set.metadata.generation,
        ..DaemonSetStatus::default()
    };
    for (fit, pods) in places {
        let mut pods = pods.to_vec();
        pods.sort_by(by_age);
        let oldest = pods.first();
        if !fit.runs {
            status.number_misscheduled += i32::from(oldest.is_some());
            continue;
        }
        status.desired_number_scheduled += 1;
        let Some(pod) = oldest else { continue };
        status.current_number_scheduled += 1;
        status.number_ready += i32::from(pod_facts::is_ready(pod));
        available += i32::from(pod_facts::is_available(pod, min_ready, now));
        updated += i32::from(history::is_updated(pod, hash));
    }
    let some = |count: i32| Some(count).filter(|count| *count > 0);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    status.updated_number_scheduled = some(updated);
    status
}
