//! The core group, the EndpointSlices that are one with its Endpoints, and events of both groups.

mod claims;
mod cluster_ips;
mod config_map;
mod endpoints;
mod event;
mod namespace;
mod node;
mod node_ports;
pub(super) mod pod;
mod ranges;
mod repair;
mod secret;
mod service;
mod service_account;
#[cfg(test)]
mod tests;

pub(super) use self::{
    endpoints::EndpointSliceStrategy,
    event::EventStrategy,
    service::{ServiceStrategy, check_protocol, check_target},
};
use super::{Strategy, plain};

/// What differs for a kind of this group. Services have allocators, and are the registry's own.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "ConfigMap" => &config_map::ConfigMapStrategy,
        "Endpoints" => &endpoints::EndpointsStrategy,
        "Event" => &EventStrategy { is_strict: false },
        "Namespace" => &namespace::NamespaceStrategy,
        "Node" => &node::NodeStrategy,
        "Pod" => &pod::PodStrategy,
        "Secret" => &secret::SecretStrategy,
        "ServiceAccount" => &service_account::ServiceAccountStrategy,
        _ => plain(),
    }
}
