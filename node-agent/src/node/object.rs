//! The Node object: what this machine is and how it does, as the API server is told. Pure.
//!
//! In: facts, readings and the report of the parts. Out: labels and status with the words that upstream's kubelet has
//! for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, Time},
    },
};

use super::{
    Identity,
    facts::{Facts, MEMORY_RESERVE, Pressure},
    health::{Part, Report},
};

/// The Kubernetes version whose node this is, and what it really is.
pub const VERSION: &str = "v1.33.0+nodeplane";
/// Pods that a node takes (the kubelet's `--max-pods`).
const MAX_PODS: u64 = 110;
/// Percent of the disk that stays with the node.
const DISK_RESERVE: u64 = 10;

/// Everything that a status tells.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// What the machine is.
    pub facts: &'a Facts,
    /// What it is short of.
    pub pressure: Pressure,
    /// What runs containers, such as `docker://20.10.24`; empty when that is not known.
    pub runtime: &'a str,
    /// How the parts are doing.
    pub report: &'a Report,
}

/// The Node as it is registered. A node that comes back keeps its range of pod addresses.
pub fn node(identity: &Identity, facts: &Facts, status: NodeStatus, pod_range: Option<String>) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(identity.name.clone()),
            labels: Some(labels(identity, facts)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidrs: pod_range.clone().map(|range| vec![range]),
            pod_cidr: pod_range,
            ..NodeSpec::default()
        }),
        status: Some(status),
    }
}

/// The labels by which pods choose nodes.
pub fn labels(identity: &Identity, facts: &Facts) -> BTreeMap<String, String> {
    let labels = [
        ("kubernetes.io/hostname", identity.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", facts.architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", facts.architecture),
    ];
    labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into()
}

/// The status. Conditions that are as in `before` keep the time of their last change.
pub fn status(identity: &Identity, reading: &Reading<'_>, before: &[NodeCondition], now: Timestamp) -> NodeStatus {
    let facts = reading.facts;
    NodeStatus {
        capacity: Some(resources(facts.memory, facts.disk, facts.processors)),
        allocatable: Some(resources(
            facts.memory.saturating_sub(MEMORY_RESERVE),
            facts.disk - facts.disk * DISK_RESERVE / 100,
            facts.processors,
        )),
        conditions: Some(conditions(reading, before, now)),
        addresses: Some(vec![
            NodeAddress { type_: "InternalIP".to_owned(), address: identity.address.to_string() },
            NodeAddress { type_: "Hostname".to_owned(), address: identity.name.clone() },
        ]),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: identity.port.into() }),
        }),
        node_info: Some(system_info(facts, reading.runtime)),
        ..NodeStatus::default()
    }
}

fn resources(memory: u64, disk: u64, processors: u64) -> BTreeMap<String, Quantity> {
    let resources = [
        ("cpu", processors.to_string()),
        ("memory", format!("{}Ki", memory / 1024)),
        ("ephemeral-storage", format!("{}Ki", disk / 1024)),
        ("pods", MAX_PODS.to_string()),
    ];
    resources.map(|(name, amount)| (name.to_owned(), Quantity(amount))).into()
}

fn system_info(facts: &Facts, runtime: &str) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: facts.architecture.to_owned(),
        boot_id: facts.boot_id.clone(),
        container_runtime_version: runtime.to_owned(),
        kernel_version: facts.kernel.clone(),
        kubelet_version: VERSION.to_owned(),
        machine_id: facts.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: facts.os_image.clone(),
        system_uuid: facts.system_uuid.clone(),
        ..NodeSystemInfo::default()
    }
}

/// A condition's type, whether it holds, its reason and message.
type Finding = (&'static str, bool, &'static str, String);

fn conditions(reading: &Reading<'_>, before: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let all = [
        network(reading.report),
        pressure("MemoryPressure", reading.pressure.memory, MEMORY),
        pressure("DiskPressure", reading.pressure.disk, DISK),
        pressure("PIDPressure", reading.pressure.processes, PROCESSES),
        ready(reading.report),
    ];
    all.into_iter().map(|finding| condition(finding, before, now)).collect()
}

/// Reason and message without and with pressure.
type Words = [(&'static str, &'static str); 2];

const MEMORY: Words = [
    ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
];
const DISK: Words = [
    ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("KubeletHasDiskPressure", "kubelet has disk pressure"),
];
const PROCESSES: Words = [
    ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
];

fn pressure(type_: &'static str, holds: bool, words: Words) -> Finding {
    let (reason, message) = words[usize::from(holds)];
    (type_, holds, reason, message.to_owned())
}

fn network(report: &Report) -> Finding {
    match report.of(Part::Network) {
        None => ("NetworkUnavailable", false, "PodNetworkReady", "the pod network is up".to_owned()),
        Some(complaint) => ("NetworkUnavailable", true, "PodNetworkNotReady", complaint.to_owned()),
    }
}

fn ready(report: &Report) -> Finding {
    match report.complaint() {
        None => ("Ready", true, "KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(complaint) => ("Ready", false, "KubeletNotReady", complaint),
    }
}

fn condition((type_, holds, reason, message): Finding, before: &[NodeCondition], now: Timestamp) -> NodeCondition {
    let status = if holds { "True" } else { "False" };
    let same = before.iter().find(|known| known.type_ == type_ && known.status == status);
    let since = same.and_then(|known| known.last_transition_time.clone());
    NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(since.unwrap_or(Time(now))),
    }
}
