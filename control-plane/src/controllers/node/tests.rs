use serde_json::{Value, json};

use super::*;
use crate::controllers::world::{World, object};

const RANGE: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 244, 0, 0), 16);

fn node(name: &str, fields: &Value) -> Node {
    let mut node = json!({ "metadata": { "name": name }, "spec": {}, "status": {
        "conditions": [{ "type": "Ready", "status": "True", "lastHeartbeatTime": "2024-01-01T00:00:00Z" }] } });
    json_patch::merge(&mut node, fields);
    object(node)
}

fn ready(status: &str) -> Value {
    json!({ "status": { "conditions": [{ "type": "Ready", "status": status }] } })
}

fn at(time: &str) -> Timestamp {
    format!("2024-01-01T{time}Z").parse().unwrap()
}

fn ranges(world: &World) -> Vec<String> {
    world.list::<Node>().iter().map(|node| node.spec.clone().unwrap().pod_cidr.unwrap_or_default()).collect()
}

#[test]
fn every_node_gets_a_range_of_its_own_and_keeps_it() {
    let mut world = World::default();
    for name in ["c", "a", "b"] {
        world.put(&node(name, &json!({})));
    }
    world.put(&node("own", &json!({ "spec": { "podCIDR": "10.244.1.0/24" } })));
    let writes = cidr::plan(RANGE, &world.list());
    world.apply_all(&writes[..1]);
    // A crash, and again: what was given stays.
    let writes = cidr::plan(RANGE, &world.list());
    world.apply_all(&writes);
    assert_eq!(ranges(&world), ["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24", "10.244.1.0/24"]);
    assert!(cidr::plan(RANGE, &world.list()).is_empty());
    assert_eq!(world.get::<Node>("a").unwrap().spec.unwrap().pod_cidrs.unwrap(), ["10.244.0.0/24"]);
}

#[test]
fn a_small_range_runs_out_and_a_tiny_one_has_none() {
    let nodes: Vec<_> = (0..3).map(|n| Arc::new(node(&format!("n{n}"), &json!({})))).collect();
    assert_eq!(cidr::plan((Ipv4Addr::new(10, 0, 0, 0), 23), &nodes).len(), 2);
    assert_eq!(cidr::plan((Ipv4Addr::new(10, 0, 0, 0), 24), &nodes).len(), 1);
    assert_eq!(cidr::plan((Ipv4Addr::new(10, 0, 0, 0), 25), &nodes).len(), 0);
}

#[test]
fn a_silent_node_is_unknown_once() {
    let alive = node("n", &json!({}));
    let now = at("00:01:00");
    assert!(health::mark(&alive, Duration::from_secs(39), now).is_none());
    let marked = health::mark(&alive, GRACE, now).unwrap();
    let conditions = marked.status.as_ref().unwrap().conditions.clone().unwrap();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!((&*ready.status, ready.reason.as_deref()), ("Unknown", Some("NodeStatusUnknown")));
    assert_eq!(conditions.len(), 4);
    assert!(conditions.iter().all(|condition| condition.status == "Unknown"));
    assert!(health::mark(&marked, GRACE, now).is_none());
}

#[test]
fn lease_and_heartbeat_are_signs_of_life_and_our_own_mark_is_not() {
    let alive = node("n", &json!({}));
    let lease = |time: &str| -> Lease {
        object(json!({ "metadata": { "name": "n" }, "spec": { "renewTime": format!("2024-01-01T{time}.000000Z") } }))
    };
    let sign = health::sign(&alive, Some(&lease("00:00:10")));
    assert_ne!(sign, health::sign(&alive, Some(&lease("00:00:20"))));
    assert_eq!(sign, health::sign(&alive, Some(&lease("00:00:10"))));
    let marked = health::mark(&alive, GRACE, at("00:01:00")).unwrap();
    let after_mark = health::sign(&marked, Some(&lease("00:00:10")));
    assert!(!health::is_life(sign, after_mark));
    assert!(health::is_life(after_mark, sign));
    assert!(health::is_life(sign, health::sign(&alive, Some(&lease("00:00:20")))));
}

#[test]
fn taints_follow_the_state_and_leave_others_alone() {
    let check = |fields: Value, expected: &[&str]| {
        let mut world = World::default();
        world.put(&node("n", &fields));
        let writes = taints::plan(&world.get::<Node>("n").unwrap(), at("00:00:00"));
        world.apply_all(writes.as_slice());
        let node: Node = world.get("n").unwrap();
        let taints = node.spec.clone().unwrap().taints.unwrap_or_default();
        let mut taints: Vec<_> = taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect();
        taints.sort();
        assert_eq!(taints, expected);
        assert!(taints::plan(&node, at("09:00:00")).is_none(), "not stable");
    };
    let own = json!({ "spec": { "taints": [{ "key": "gpu", "effect": "NoSchedule" },
                                           { "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" }] } });
    check(own, &["gpu:NoSchedule"]);
    check(json!({}), &[]);
    check(json!({ "spec": { "unschedulable": true } }), &["node.kubernetes.io/unschedulable:NoSchedule"]);
    check(ready("False"), &["node.kubernetes.io/not-ready:NoExecute", "node.kubernetes.io/not-ready:NoSchedule"]);
    check(ready("Unknown"), &["node.kubernetes.io/unreachable:NoExecute", "node.kubernetes.io/unreachable:NoSchedule"]);
    check(json!({ "status": { "conditions": null } }), &["node.kubernetes.io/not-ready:NoSchedule"]);
    check(
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }, { "type": "DiskPressure", "status": "True" }] } }),
        &["node.kubernetes.io/disk-pressure:NoSchedule"],
    );
}

#[test]
fn pods_leave_when_their_tolerance_ends() {
    let tainted = node(
        "n",
        &json!({ "spec": { "taints": [{ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute",
                                        "timeAdded": "2024-01-01T00:00:00Z" }] } }),
    );
    let pod = |tolerations: Value| -> Arc<Pod> {
        Arc::new(object(json!({ "metadata": { "name": "p", "namespace": "a", "uid": "u" },
                                "spec": { "containers": [], "nodeName": "n", "tolerations": tolerations } })))
    };
    let check = |tolerations: Value, time: &str, deletes: usize, recheck: Option<u64>| {
        let plan = eviction::plan(&tainted, &[pod(tolerations.clone())], at(time));
        assert_eq!((plan.writes.len(), plan.recheck.map(|d| d.as_secs())), (deletes, recheck), "{tolerations} {time}");
    };
    let limited = json!([{ "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }]);
    check(json!([]), "00:00:00", 1, None);
    check(limited.clone(), "00:01:00", 0, Some(240));
    check(limited.clone(), "00:05:00", 1, None);
    check(json!([{ "operator": "Exists" }]), "09:00:00", 0, None);
    check(json!([{ "key": "node.kubernetes.io/not-ready", "operator": "Exists" }]), "00:00:00", 1, None);
    // A node without such taints keeps everybody.
    assert!(eviction::plan(&node("n", &json!({})), &[pod(json!([]))], at("00:00:00")).writes.is_empty());
}

#[test]
fn a_taint_without_time_added_ends_the_tolerance_of_its_pods_all_the_same() {
    let mut world = World::default();
    let taint = json!({ "key": "k", "value": "v", "effect": "NoExecute" });
    let soft = json!({ "key": "k", "effect": "NoSchedule" });
    world.put(&node("n", &json!({ "spec": { "taints": [taint, soft] } })));
    let limited = json!([{ "key": "k", "operator": "Exists", "tolerationSeconds": 60 }]);
    let pod: Arc<Pod> = Arc::new(object(json!({ "metadata": { "name": "p", "namespace": "a", "uid": "u" },
        "spec": { "containers": [], "nodeName": "n", "tolerations": limited } })));
    // Looked at again and again, by controllers that remember nothing.
    let mut look = |time: &str| {
        let node: Node = world.get("n").unwrap();
        world.apply_all(taints::plan(&node, at(time)).as_slice());
        let plan = eviction::plan(&node, std::slice::from_ref(&pod), at(time));
        (plan.writes.len(), plan.recheck.map(|recheck| recheck.as_secs()))
    };
    assert_eq!(look("00:00:00"), (0, Some(60)));
    assert_eq!(look("00:00:30"), (0, Some(30)));
    assert_eq!(look("00:01:00"), (1, None));
    let taints = world.get::<Node>("n").unwrap().spec.unwrap().taints.unwrap();
    assert_eq!(taints[0].time_added.as_ref().unwrap().0, at("00:00:00"));
    assert_eq!((taints[0].value.as_deref(), &taints[1].time_added), (Some("v"), &None));
}

#[test]
fn a_pod_that_comes_to_a_tainted_node_has_its_whole_tolerance() {
    let tainted = node(
        "n",
        &json!({ "spec": { "taints": [{ "key": "k", "effect": "NoExecute", "timeAdded": "2024-01-01T00:00:00Z" }] } }),
    );
    let check = |fields: Value, expected: (usize, Option<u64>)| {
        let mut pod = json!({ "metadata": { "name": "p", "namespace": "a", "uid": "u" },
            "spec": { "containers": [], "nodeName": "n",
                      "tolerations": [{ "key": "k", "operator": "Exists", "tolerationSeconds": 60 }] } });
        json_patch::merge(&mut pod, &fields);
        let plan = eviction::plan(&tainted, &[Arc::new(object(pod))], at("01:00:10"));
        assert_eq!((plan.writes.len(), plan.recheck.map(|d| d.as_secs())), expected, "{fields}");
    };
    let bound = |time: &str| {
        json!({ "metadata": { "creationTimestamp": "2023-01-01T00:00:00Z" }, "status": { "conditions": [
            { "type": "PodScheduled", "status": "True", "lastTransitionTime": format!("2024-01-01T{time}Z") }] } })
    };
    check(bound("01:00:00"), (0, Some(50)));
    check(bound("00:59:00"), (1, None));
    // It was there before the taint.
    check(json!({ "metadata": { "creationTimestamp": "2023-01-01T00:00:00Z" } }), (1, None));
    // Created for this node, and nobody has said yet that it is scheduled.
    check(json!({ "metadata": { "creationTimestamp": "2024-01-01T01:00:00Z" } }), (0, Some(50)));
}

#[test]
fn pods_of_a_silent_node_are_not_ready_any_more() {
    let pod = |status: &str| -> Arc<Pod> {
        Arc::new(object(json!({ "metadata": { "name": "p", "namespace": "a" },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": status }] } })))
    };
    let writes = health::mark_pods(&[pod("True"), pod("False")], at("00:00:00"));
    let [Write::Replace { part: Some(Subresource::Status), object, .. }] = &writes[..] else { panic!("{writes:?}") };
    assert_eq!(object["status"]["conditions"][0]["status"], "False");
}

#[test]
fn tolerations_match_as_the_api_says() {
    use k8s_openapi::api::core::v1::{Taint, Toleration};
    let taint: Taint = object(json!({ "key": "k", "value": "v", "effect": "NoSchedule" }));
    let check = |toleration: Value, expected: bool| {
        let typed: Toleration = object(toleration.clone());
        assert_eq!(eviction::tolerates(&typed, &taint), expected, "{toleration}");
    };
    check(json!({ "key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule" }), true);
    check(json!({ "key": "k", "value": "v" }), true);
    check(json!({ "key": "k", "value": "other" }), false);
    check(json!({ "key": "k", "operator": "Exists" }), true);
    check(json!({ "key": "k", "operator": "Exists", "effect": "NoExecute" }), false);
    check(json!({ "operator": "Exists" }), true);
    check(json!({ "value": "v" }), false);
    check(json!({ "key": "other", "operator": "Exists" }), false);
}
