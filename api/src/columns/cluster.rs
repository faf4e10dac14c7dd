//! Columns of namespaces, nodes and leases.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{self, NONE, items, or, str_at},
};

const UNKNOWN: &str = "<unknown>";
/// What follows names a role; the label's value does not matter.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// The value names a role.
const ROLE_LABEL: &str = "kubernetes.io/role";

pub(crate) const NAMESPACE: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the namespace is Active or Terminating.", |namespace, _| {
        cells::text(namespace, "/status/phase")
    }),
    AGE,
];

pub(crate) const COMPONENT_STATUS: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the component does its work.", |component, _| health(component).into()),
    Column::text("Message", "What the component says.", |component, _| from_healthy(component, "message")),
    Column::text("Error", "What keeps it from its work.", |component, _| from_healthy(component, "error")),
];

/// A field of the condition `Healthy`.
fn from_healthy(component: &Value, field: &str) -> Value {
    let healthy = items(component, "/conditions").find(|condition| condition["type"] == "Healthy");
    healthy.map(|condition| condition[field].as_str().unwrap_or_default()).unwrap_or_default().into()
}

fn health(component: &Value) -> &'static str {
    match from_healthy(component, "status").as_str() {
        Some("True") => "Healthy",
        Some("False") => "Unhealthy",
        _ => "Unknown",
    }
}

pub(crate) const LEASE: &[Column] = &[
    NAME,
    Column::text("Holder", "Who holds the lease now.", |lease, _| cells::text(lease, "/spec/holderIdentity")),
    AGE,
];

pub(crate) const NODE: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the node is ready, and whether pods may be placed on it.", |node, _| {
        status(node).into()
    }),
    Column::text("Roles", "What the node is for, by its labels.", |node, _| roles(node).into()),
    AGE,
    Column::text("Version", "Version of the node agent.", |node, _| {
        cells::text(node, "/status/nodeInfo/kubeletVersion")
    }),
    Column::text("Internal-IP", "Address of the node inside the cluster.", |node, _| {
        address(node, "InternalIP").into()
    })
    .wide(),
    Column::text("External-IP", "Address of the node for the outside.", |node, _| address(node, "ExternalIP").into())
        .wide(),
    Column::text("OS-Image", "Operating system of the node.", |node, _| {
        cells::text_or(node, "/status/nodeInfo/osImage", UNKNOWN)
    })
    .wide(),
    Column::text("Kernel-Version", "Kernel of the node.", |node, _| {
        cells::text_or(node, "/status/nodeInfo/kernelVersion", UNKNOWN)
    })
    .wide(),
    Column::text("Container-Runtime", "What runs the node's containers.", |node, _| {
        cells::text_or(node, "/status/nodeInfo/containerRuntimeVersion", UNKNOWN)
    })
    .wide(),
];

fn status(node: &Value) -> String {
    let ready = items(node, "/status/conditions").rfind(|condition| condition["type"] == "Ready");
    let word = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready",
        Some(false) => "NotReady",
        None => "Unknown",
    };
    if node["spec"]["unschedulable"] == true { format!("{word},SchedulingDisabled") } else { word.to_owned() }
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let role = |(key, value): (&String, &Value)| match key.strip_prefix(ROLE_PREFIX) {
        Some(role) => Some(role.to_owned()),
        None if key == ROLE_LABEL => value.as_str().map(str::to_owned),
        None => None,
    };
    let roles: BTreeSet<String> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    or(&Vec::from_iter(roles).join(","), NONE).to_owned()
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = items(node, "/status/addresses").find(|address| address["type"] == kind);
    found.map_or(NONE, |address| str_at(address, "/address"))
}
