//! The group `networking.k8s.io`.

mod ingress;
mod ingress_class;
mod network_policy;
#[cfg(test)]
mod tests;

use super::{Strategy, plain};

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "Ingress" => &ingress::IngressStrategy,
        "IngressClass" => &ingress_class::IngressClassStrategy,
        "NetworkPolicy" => &network_policy::NetworkPolicyStrategy,
        _ => plain(),
    }
}
