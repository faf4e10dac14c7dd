//! A Deployment and its sets in numbers. Pure. Follows upstream's `deployment_util.go`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet},
        core::v1::Pod,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

/// What a plan is made from.
pub struct Facts<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// All sets in its namespace.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// All pods in its namespace, if it recreates pods.
    pub pods: &'a [Arc<Pod>],
    /// The time.
    pub now: Timestamp,
}

/// The numbers that a deployment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Pods wanted.
    pub(super) replicas: i32,
    /// Pods above `replicas` while rolling.
    pub(super) surge: i32,
    /// Pods below `replicas` while rolling.
    pub(super) unavailable: i32,
}

impl Bounds {
    pub(super) fn of(spec: &DeploymentSpec) -> Self {
        let replicas = spec.replicas.unwrap_or(1);
        if recreates(spec) || replicas == 0 {
            return Self { replicas, surge: if recreates(spec) { 0 } else { surge(spec, 0) }, unavailable: 0 };
        }
        let surge = surge(spec, replicas);
        let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let mut unavailable = share(unavailable, replicas, Rounding::Down);
        // Both zero would stand still for ever. Percentages can round to that.
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self { replicas, surge, unavailable: unavailable.min(replicas) }
    }

    pub(super) fn most(self) -> i32 {
        self.replicas.saturating_add(self.surge)
    }

    pub(super) fn least_available(self) -> i32 {
        self.replicas - self.unavailable
    }
}

fn surge(spec: &DeploymentSpec, replicas: i32) -> i32 {
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    share(rolling.and_then(|rolling| rolling.max_surge.as_ref()), replicas, Rounding::Up)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Up,
    Down,
}

/// A number, or a percentage of `replicas`. The default is 25 %.
fn share(value: Option<&IntOrString>, replicas: i32, rounding: Rounding) -> i32 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse::<i64>().unwrap_or(0),
        None => 25,
    };
    let hundredths = i64::from(replicas) * percent.max(0);
    let whole = if rounding == Rounding::Up { (hundredths + 99) / 100 } else { hundredths / 100 };
    i32::try_from(whole).unwrap_or(i32::MAX)
}

pub(super) fn recreates(spec: &DeploymentSpec) -> bool {
    spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// Seconds without progress until a deployment counts as stuck; none when it never does.
pub(super) fn progress_deadline(spec: &DeploymentSpec) -> Option<i32> {
    Some(spec.progress_deadline_seconds.unwrap_or(600)).filter(|seconds| *seconds != i32::MAX)
}

pub(super) fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

pub(super) fn ready(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
}

pub(super) fn sum<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>, number: fn(&ReplicaSet) -> i32) -> i32 {
    sets.into_iter().map(number).sum()
}

/// Whether everything that was asked for is there, and nothing else.
pub(super) fn is_complete(deployment: &Deployment, replicas: i32, status: &DeploymentStatus) -> bool {
    status.updated_replicas.unwrap_or_default() == replicas
        && status.replicas.unwrap_or_default() == replicas
        && status.available_replicas.unwrap_or_default() == replicas
        && status.observed_generation >= deployment.metadata.generation
}
