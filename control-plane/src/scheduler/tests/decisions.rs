//! Filters and scores that look at one node.

use super::*;

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
