//! `topologySpreadConstraints`.

use super::*;

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

fn zone(name: &str, zone: &str) -> Arc<Node> {
    node(name, &json!({ "metadata": { "labels": { "zone": zone } } }))
}

fn spreading(constraint: &Value) -> Arc<Pod> {
    let mut all = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                          "labelSelector": { "matchLabels": { "app": "web" } } });
    json_patch::merge(&mut all, constraint);
    pod("p", &json!({ "spec": { "topologySpreadConstraints": [all] } }))
}

#[test]
fn fewer_domains_than_asked_for_count_as_empty_ones() {
    let nodes = [zone("a", "1"), zone("b", "2")];
    let here = [pod("x", &on("a", json!({}))), pod("y", &on("b", json!({})))];
    assert!(choose(&nodes, &here, &spreading(&json!({ "minDomains": 2 }))).is_ok());
    let message = choose(&nodes, &here, &spreading(&json!({ "minDomains": 3 }))).unwrap_err();
    assert!(message.contains("2 node(s) didn't match pod topology spread constraints."), "{message}");
    assert!(choose(&nodes, &here, &spreading(&json!({ "minDomains": 3, "maxSkew": 2 }))).is_ok());
}

#[test]
fn tainted_nodes_are_domains_unless_taints_are_honored() {
    let tainted = node(
        "b",
        &json!({ "metadata": { "labels": { "zone": "2" } },
                                     "spec": { "taints": [{ "key": "gpu", "effect": "NoSchedule" }] } }),
    );
    let nodes = [zone("a", "1"), tainted];
    let here = [pod("x", &on("a", json!({})))];
    assert!(choose(&nodes, &here, &spreading(&json!({}))).is_err(), "the other zone is empty");
    assert_eq!(choose(&nodes, &here, &spreading(&json!({ "nodeTaintsPolicy": "Honor" }))), Ok("a".into()));
}

#[test]
fn nodes_out_of_reach_are_no_domains_unless_affinity_is_ignored() {
    let nodes = [node("a", &json!({ "metadata": { "labels": { "zone": "1", "disk": "ssd" } } })), zone("b", "2")];
    let here = [pod("x", &on("a", json!({})))];
    let selecting = |constraint: Value| {
        let mut pod = (*spreading(&constraint)).clone();
        pod.spec.as_mut().unwrap().node_selector = Some([("disk".to_owned(), "ssd".to_owned())].into());
        pod
    };
    assert_eq!(choose(&nodes, &here, &selecting(json!({}))), Ok("a".into()));
    assert!(choose(&nodes, &here, &selecting(json!({ "nodeAffinityPolicy": "Ignore" }))).is_err());
}

#[test]
fn only_pods_with_the_same_values_of_match_label_keys_are_spread_together() {
    let nodes = [zone("a", "1"), zone("b", "2")];
    let of = |name: &str, node: &str, hash: &str| {
        pod(name, &on(node, json!({ "metadata": { "labels": { "hash": hash } } })))
    };
    let here = [of("x", "b", "old"), of("y", "b", "old"), of("z", "a", "new")];
    let mut incoming = (*spreading(&json!({ "matchLabelKeys": ["hash"] }))).clone();
    incoming.metadata.labels.get_or_insert_default().insert("hash".to_owned(), "new".to_owned());
    assert_eq!(choose(&nodes, &here, &incoming), Ok("b".into()));
    assert_eq!(choose(&nodes, &here, &spreading(&json!({}))), Ok("a".into()));
}

#[test]
fn m7_soft_constraints_draw_pods_into_emptier_domains() {
    let soft = |fields: Value| {
        let mut all = json!({ "whenUnsatisfiable": "ScheduleAnyway" });
        json_patch::merge(&mut all, &fields);
        spreading(&all)
    };
    // The zone counts as a whole: b is empty, but its zone is not.
    let nodes = [zone("a", "1"), zone("b", "1"), zone("c", "2")];
    let mut big = on("c", asks("500m", "1Gi"));
    big["metadata"]["labels"]["app"] = "other".into();
    let here = [pod("x", &on("a", json!({}))), pod("big", &big)];
    assert_eq!(choose(&nodes, &here, &soft(json!({}))), Ok("c".into()));
    assert_eq!(choose(&nodes, &here, &soft(json!({ "topologyKey": "kubernetes.io/hostname" }))), Ok("b".into()));
    // Nobody is refused, whatever the skew, and not for a missing label either.
    assert_eq!(choose(&[node("n", &json!({}))], &[], &soft(json!({}))), Ok("n".into()));
    let crowded = [pod("x", &on("a", json!({}))), pod("y", &on("a", json!({})))];
    assert_eq!(choose(&nodes[..1], &crowded, &soft(json!({}))), Ok("a".into()));
}
