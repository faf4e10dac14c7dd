//! Decisions on small clusters, and who is looked at when.

mod cluster;
mod decisions;
mod neighbours;
mod spread;
mod waiting;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    decide::{Decision, decide},
    pod_info::PodInfo,
    *,
};

fn node(name: &str, fields: &Value) -> Arc<Node> {
    let mut node = json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } }, "spec": {},
        "status": { "allocatable": { "cpu": "2", "memory": "4Gi", "pods": "10", "ephemeral-storage": "10Gi" } }
    });
    json_patch::merge(&mut node, fields);
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(name: &str, fields: &Value) -> Arc<Pod> {
    let mut pod = json!({ "metadata": { "name": name, "namespace": "default", "uid": name, "labels": { "app": "web" } },
                          "spec": { "containers": [{ "name": "c" }] } });
    json_patch::merge(&mut pod, fields);
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({ "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu, "memory": memory } } }] } })
}

fn on(node: &str, mut fields: Value) -> Value {
    fields["spec"]["nodeName"] = node.into();
    fields
}

fn choose(nodes: &[Arc<Node>], pods: &[Arc<Pod>], pod: &Pod) -> Result<String, String> {
    choose_in(&cluster(nodes, pods), pod)
}

fn cluster(nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Cluster {
    let mut cluster = Cluster::default();
    for node in nodes {
        cluster.set_node(&node.name_any(), Some(node));
    }
    for pod in pods {
        cluster.set_pod(&key(pod), Some(pod));
    }
    cluster
}

fn choose_in(cluster: &Cluster, pod: &Pod) -> Result<String, String> {
    match decide(&cluster.snapshot(), &PodInfo::new(Arc::new(pod.clone()))) {
        Decision::Bind { node } => Ok(node),
        Decision::Wait { message, .. } => Err(message),
    }
}

fn key(pod: &Pod) -> Key {
    Key::new(pod.namespace().unwrap_or_default(), pod.name_any())
}

/// Why the only node does not take the pod.
fn refusal(node_fields: &Value, pods: &[Arc<Pod>], pod: &Pod) -> String {
    choose(&[node("n", node_fields)], pods, pod).unwrap_err()
}

const NO_VICTIMS: &str = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
const NO_HELP: &str = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

#[test]
fn only_pods_without_a_node_that_ask_for_us_are_ours() {
    assert!(is_pending(&pod("p", &json!({}))));
    for other in [
        json!({ "spec": { "nodeName": "n" } }),
        json!({ "spec": { "schedulerName": "mine" } }),
        json!({ "spec": { "schedulingGates": [{ "name": "g" }] } }),
        json!({ "metadata": { "deletionTimestamp": "2024-01-01T00:00:00Z" } }),
        json!({ "status": { "phase": "Failed" } }),
    ] {
        assert!(!is_pending(&pod("p", &other)), "{other}");
    }
}

#[test]
fn the_reason_to_wait_is_written_once() {
    let now = "2024-01-01T00:00:00Z".parse().unwrap();
    let Some(Write::Replace { object, .. }) = unschedulable(&pod("p", &json!({})), "no room", now) else { panic!() };
    let condition = &object["status"]["conditions"][0];
    assert_eq!(condition["type"], "PodScheduled");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("Unschedulable")));
    let waiting: Pod = serde_json::from_value(object).unwrap();
    let later = "2024-01-01T01:00:00Z".parse().unwrap();
    assert_eq!(unschedulable(&waiting, "no room", later), None);
    let Some(Write::Replace { object, .. }) = unschedulable(&waiting, "still none", later) else { panic!() };
    assert_eq!(object["status"]["conditions"][0]["lastTransitionTime"], "2024-01-01T00:00:00Z");
}
