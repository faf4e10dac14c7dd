use nodeplane_client::informer::Change;
use serde_json::{Value, json};

use super::*;

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
    match decide(&Snapshot::new(nodes.to_vec(), pods.iter().cloned()), pod) {
        Decision::Bind { node } => Ok(node),
        Decision::Wait { message } => Err(message),
    }
}

/// Why the only node does not take the pod.
fn refusal(node_fields: &Value, pods: &[Arc<Pod>], pod: &Pod) -> String {
    choose(&[node("n", node_fields)], pods, pod).unwrap_err()
}

const NO_VICTIMS: &str = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
const NO_HELP: &str = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

#[test]
fn a_pod_goes_where_there_is_room() {
    assert_eq!(choose(&[node("n", &json!({}))], &[], &pod("p", &json!({}))), Ok("n".into()));
    assert_eq!(choose(&[], &[], &pod("p", &json!({}))), Err("no nodes available to schedule pods".into()));
}

#[test]
fn refusals_speak_the_words_of_upstream() {
    let busy = [pod("busy", &on("n", asks("1500m", "1Gi")))];
    let check = |node: Value, pods: &[Arc<Pod>], fields: Value, reason: &str, outlook: &str| {
        let expected = format!("0/1 nodes are available: {reason}. {outlook}");
        assert_eq!(refusal(&node, pods, &pod("p", &fields)), expected);
    };
    check(json!({}), &busy, asks("600m", "1Gi"), "1 Insufficient cpu", NO_VICTIMS);
    check(json!({}), &busy, asks("1", "3.5Gi"), "1 Insufficient cpu, 1 Insufficient memory", NO_VICTIMS);
    check(json!({}), &[], asks("3", "1Gi"), "1 Insufficient cpu", NO_HELP);
    check(json!({ "status": { "allocatable": { "pods": "1" } } }), &busy, json!({}), "1 Too many pods", NO_VICTIMS);
    check(json!({ "spec": { "unschedulable": true } }), &[], json!({}), "1 node(s) were unschedulable", NO_HELP);
    let taint = |effect: &str| json!({ "spec": { "taints": [{ "key": "gpu", "value": "big", "effect": effect }] } });
    check(taint("NoSchedule"), &[], json!({}), "1 node(s) had untolerated taint {gpu: big}", NO_HELP);
    check(taint("NoExecute"), &[], json!({}), "1 node(s) had untolerated taint {gpu: big}", NO_HELP);
    let selecting = json!({ "spec": { "nodeSelector": { "disk": "ssd" } } });
    check(json!({}), &[], selecting, "1 node(s) didn't match Pod's node affinity/selector", NO_HELP);
    let port = |ip: &str| json!({ "spec": { "containers": [{ "name": "c", "ports": [{ "containerPort": 80, "hostPort": 80, "hostIP": ip, "protocol": "TCP" }] }] } });
    let taken = [pod("taken", &on("n", port("")))];
    check(
        json!({}),
        &taken,
        port("10.0.0.1"),
        "1 node(s) didn't have free ports for the requested pod ports",
        NO_VICTIMS,
    );
    let mut never = asks("3", "1");
    never["spec"]["preemptionPolicy"] = "Never".into();
    check(json!({}), &[], never, "1 Insufficient cpu", "preemption: not eligible due to preemptionPolicy=Never.");
}

#[test]
fn several_nodes_are_counted_together() {
    let nodes = [
        node("a", &json!({ "spec": { "unschedulable": true } })),
        node("b", &json!({ "spec": { "unschedulable": true } })),
        node("c", &json!({})),
    ];
    assert_eq!(
        choose(&nodes, &[], &pod("p", &asks("3", "1"))).unwrap_err(),
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn tolerations_open_doors() {
    let tainted = [node(
        "n",
        &json!({ "spec": { "unschedulable": true, "taints": [{ "key": "gpu", "effect": "NoSchedule" }] } }),
    )];
    let tolerant = pod("p", &json!({ "spec": { "tolerations": [{ "operator": "Exists" }] } }));
    assert_eq!(choose(&tainted, &[], &tolerant), Ok("n".into()));
}

#[test]
fn requests_follow_the_rules_for_init_containers_and_sidecars() {
    let container = |cpu: &str, policy: Value| json!({ "name": "c", "restartPolicy": policy, "resources": { "requests": { "cpu": cpu } } });
    let check = |init: Value, main: &str, expected: i128| {
        let pod = pod(
            "p",
            &json!({ "spec": { "initContainers": init, "containers": [container(main, Value::Null)], "overhead": { "cpu": "10m" } } }),
        );
        assert_eq!(resources::requests(&pod)["cpu"], (expected + 10) * 1_000_000);
    };
    check(json!([]), "300m", 300);
    check(json!([container("1", Value::Null), container("500m", Value::Null)]), "300m", 1000);
    check(json!([container("100m", json!("Always"))]), "300m", 400);
    check(json!([container("100m", json!("Always")), container("1", Value::Null)]), "300m", 1100);
    check(json!([container("1", Value::Null), container("100m", json!("Always"))]), "950m", 1050);
}

#[test]
fn pods_that_ended_hold_nothing() {
    let mut fields = on("n", asks("2", "1Gi"));
    fields["status"]["phase"] = "Succeeded".into();
    assert_eq!(choose(&[node("n", &json!({}))], &[pod("done", &fields)], &pod("p", &asks("2", "1Gi"))), Ok("n".into()));
}

#[test]
fn required_affinity_has_all_operators() {
    let labels = json!({ "metadata": { "labels": { "zone": "a", "cores": "8" } } });
    let check = |expression: Value, expected: bool| {
        let term = json!({ "matchExpressions": [expression] });
        let pod = pod(
            "p",
            &json!({ "spec": { "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } } } } }),
        );
        assert_eq!(choose(&[node("n", &labels)], &[], &pod).is_ok(), expected, "{expression}");
    };
    check(json!({ "key": "zone", "operator": "In", "values": ["a", "b"] }), true);
    check(json!({ "key": "zone", "operator": "In", "values": ["b"] }), false);
    check(json!({ "key": "zone", "operator": "NotIn", "values": ["b"] }), true);
    check(json!({ "key": "none", "operator": "NotIn", "values": ["b"] }), true);
    check(json!({ "key": "zone", "operator": "Exists" }), true);
    check(json!({ "key": "zone", "operator": "DoesNotExist" }), false);
    check(json!({ "key": "cores", "operator": "Gt", "values": ["4"] }), true);
    check(json!({ "key": "cores", "operator": "Lt", "values": ["4"] }), false);
    check(json!({ "key": "zone", "operator": "Gt", "values": ["4"] }), false);
    // By name, as DaemonSets do it; and a term without anything matches nothing.
    let by = |term: Value| {
        let pod = pod(
            "p",
            &json!({ "spec": { "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } } } } }),
        );
        choose(&[node("n", &labels)], &[], &pod).is_ok()
    };
    assert!(by(json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n"] }] })));
    assert!(!by(json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["m"] }] })));
    assert!(!by(json!({})));
}

#[test]
fn the_emptier_the_preferred_and_the_lonelier_node_wins() {
    let nodes = [
        node("a", &json!({ "metadata": { "labels": { "disk": "hdd" } } })),
        node("b", &json!({ "metadata": { "labels": { "disk": "ssd" } } })),
    ];
    assert_eq!(choose(&nodes, &[], &pod("p", &json!({}))), Ok("a".into()), "of equals the first");
    let mut busy = on("a", asks("1", "2Gi"));
    busy["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(choose(&nodes, &[pod("busy", &busy)], &pod("p", &asks("100m", "100Mi"))), Ok("b".into()));
    let preferring = |weight: i64| {
        json!({ "spec": { "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution":
        [{ "weight": weight, "preference": { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["ssd"] }] } }] } } } })
    };
    assert_eq!(choose(&nodes, &[], &pod("p", &preferring(1))), Ok("b".into()));
    let owned = json!({ "metadata": { "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true }] } });
    let sibling = pod("sibling", &on("a", owned.clone()));
    assert_eq!(choose(&nodes, &[sibling], &pod("p", &owned)), Ok("b".into()));
    let avoid = [
        node("a", &json!({ "spec": { "taints": [{ "key": "old", "effect": "PreferNoSchedule" }] } })),
        node("b", &json!({})),
    ];
    assert_eq!(choose(&avoid, &[], &pod("p", &json!({}))), Ok("b".into()));
}

#[test]
fn pods_fill_a_cluster_evenly_and_never_beyond_its_room() {
    let nodes: Vec<_> = (0..3).map(|n| node(&format!("n{n}"), &json!({}))).collect();
    let mut pods: Vec<Arc<Pod>> = Vec::new();
    for number in 0..12 {
        let wanted = asks("500m", "512Mi");
        let chosen = choose(&nodes, &pods, &pod(&format!("p{number}"), &wanted)).unwrap();
        pods.push(pod(&format!("p{number}"), &on(&chosen, wanted)));
        let count = |n: &str| pods.iter().filter(|pod| pod_facts::node(pod) == n).count();
        let counts = ["n0", "n1", "n2"].map(count);
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
    assert!(choose(&nodes, &pods, &pod("late", &asks("500m", "1Mi"))).unwrap_err().contains("3 Insufficient cpu"));
}

#[test]
fn hard_spread_constraints_keep_the_skew() {
    let zone = |name: &str, zone: &str| node(name, &json!({ "metadata": { "labels": { "zone": zone } } }));
    let constraint = |key: &str| {
        json!({ "spec": { "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": { "matchLabels": { "app": "web" } } }] } })
    };
    let nodes = [zone("a", "1"), zone("b", "2"), node("c", &json!({ "spec": { "unschedulable": true } }))];
    let here = [pod("x", &on("a", json!({}))), pod("y", &on("a", json!({}))), pod("z", &on("b", json!({})))];
    assert_eq!(choose(&nodes, &here, &pod("p", &constraint("zone"))), Ok("b".into()));
    let only_a = [
        zone("a", "1"),
        node("b", &json!({ "metadata": { "labels": { "zone": "2" } }, "spec": { "unschedulable": true } })),
    ];
    let message = choose(&only_a, &here, &pod("p", &constraint("zone"))).unwrap_err();
    assert!(message.contains("1 node(s) didn't match pod topology spread constraints,"), "{message}");
    let message = refusal(&json!({}), &[], &pod("p", &constraint("zone")));
    assert!(message.contains("(missing required label)"), "{message}");
}

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

#[test]
fn those_who_wait_are_called_when_room_may_have_come_up() {
    let waiting = Waiting::default();
    let late = Key::new("default", "late");
    waiting.set(&late, true);
    let key = Key::new("default", "p");
    let called =
        |old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>| concerned_by_pod(&waiting, &Change { key: &key, old, new });
    let (pending, bound) = (pod("p", &json!({})), pod("p", &on("n", json!({}))));
    let mut ended = on("n", json!({}));
    ended["status"]["phase"] = "Succeeded".into();
    let ended = pod("p", &ended);
    assert_eq!(called(None, Some(&pending)), std::slice::from_ref(&key));
    assert!(called(Some(&pending), Some(&pending)).is_empty(), "our own status");
    assert_eq!(called(Some(&bound), None), std::slice::from_ref(&late));
    assert_eq!(called(Some(&bound), Some(&ended)), std::slice::from_ref(&late));
    assert!(called(Some(&bound), Some(&bound)).is_empty());
    let name = Key::new("", "n");
    let node_change = |old: Option<&Arc<Node>>, new: Option<&Arc<Node>>| matters(&Change { key: &name, old, new });
    let (plain, beat) = (
        node("n", &json!({})),
        node("n", &json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })),
    );
    assert!(node_change(None, Some(&plain)));
    assert!(!node_change(Some(&plain), Some(&beat)));
    assert!(node_change(Some(&plain), Some(&node("n", &json!({ "spec": { "unschedulable": true } })))));
    assert!(!node_change(Some(&plain), None));
}
