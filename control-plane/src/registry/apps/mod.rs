//! The group `apps`.

mod controller_revision;
mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;

use super::{Strategy, plain};

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "ControllerRevision" => &controller_revision::ControllerRevisionStrategy,
        "DaemonSet" => &daemon_set::DaemonSetStrategy,
        "Deployment" => &deployment::DeploymentStrategy,
        "ReplicaSet" => &replica_set::ReplicaSetStrategy,
        "StatefulSet" => &stateful_set::StatefulSetStrategy,
        _ => plain(),
    }
}
