//! The group `apps`.

mod deployment;
mod replica_set;

use super::{Strategy, plain};

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "Deployment" => &deployment::DeploymentStrategy,
        "ReplicaSet" => &replica_set::ReplicaSetStrategy,
        _ => plain(),
    }
}
