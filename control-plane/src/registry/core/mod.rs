//! The core group, the EndpointSlices that are one with its Endpoints, and events of both groups.

mod claims;
mod cluster_ips;
mod config_map;
mod endpoints;
mod event;
mod limit_range;
mod namespace;
mod node;
mod node_ports;
mod persistent_volume;
mod persistent_volume_claim;
pub(super) mod pod;
mod pod_template;
mod ranges;
mod repair;
mod replication_controller;
mod resource_quota;
mod secret;
mod service;
mod service_account;
#[cfg(test)]
mod tests;

pub(super) use self::{
    endpoints::EndpointSliceStrategy,
    event::EventStrategy,
    persistent_volume::check_inline_volume,
    service::{ServiceStrategy, check_protocol, check_target},
};
use super::{Strategy, plain};

/// What differs for a kind of this group. Services have allocators, and are the registry's own.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "ConfigMap" => &config_map::ConfigMapStrategy,
        "Endpoints" => &endpoints::EndpointsStrategy,
        "Event" => &EventStrategy { is_strict: false },
        "LimitRange" => &limit_range::LimitRangeStrategy,
        "Namespace" => &namespace::NamespaceStrategy,
        "Node" => &node::NodeStrategy,
        "PersistentVolume" => &persistent_volume::VolumeStrategy,
        "PersistentVolumeClaim" => &persistent_volume_claim::ClaimStrategy,
        "Pod" => &pod::PodStrategy,
        "PodTemplate" => &pod_template::PodTemplateStrategy,
        "ReplicationController" => &replication_controller::ReplicationControllerStrategy,
        "ResourceQuota" => &resource_quota::QuotaStrategy,
        "Secret" => &secret::SecretStrategy,
        "ServiceAccount" => &service_account::ServiceAccountStrategy,
        _ => plain(),
    }
}
