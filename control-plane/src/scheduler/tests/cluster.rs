//! The cluster, change by change.

use super::{
    resources::{Amounts, add, allocatable, assumed_requests, requests},
    *,
};

/// What a node asks for and gives, worked out from nothing.
fn from_scratch(node: &Node, pods: &[Arc<Pod>]) -> [Amounts; 3] {
    let (mut requested, mut assumed) = (Amounts::new(), Amounts::new());
    for pod in pods.iter().filter(|pod| pod_facts::node(pod) == node.name_any() && PodInfo::occupies(pod)) {
        add(&mut requested, &requests(pod));
        add(&mut assumed, &assumed_requests(pod));
    }
    [allocatable(node), requested, assumed]
}

#[test]
fn l4_sums_that_are_kept_are_those_that_would_be_counted() {
    let mut cluster = Cluster::default();
    let (mut nodes, mut pods): (Vec<Arc<Node>>, Vec<Arc<Pod>>) = (Vec::new(), Vec::new());
    let mut random = 7_u64;
    let mut pick = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..2000 {
        let name = format!("n{}", pick(4));
        match pick(10) {
            0 => {
                nodes.retain(|node| node.name_any() != name);
                if pick(3) > 0 {
                    let cpu = pick(8).to_string();
                    nodes.push(node(&name, &json!({ "status": { "allocatable": { "cpu": cpu } } })));
                }
                cluster.set_node(&name, nodes.iter().find(|node| node.name_any() == name));
            }
            what => {
                let pod_name = format!("p{}", pick(12));
                let key = Key::new("default", &*pod_name);
                pods.retain(|pod| pod.name_any() != pod_name);
                if what < 8 {
                    let asked = if what < 3 { json!({}) } else { asks(&format!("{}m", pick(900)), "0.5Gi") };
                    let mut fields = on(&name, asked);
                    fields["status"]["phase"] = if pick(5) == 0 { "Failed" } else { "Running" }.into();
                    pods.push(pod(&pod_name, &fields));
                }
                cluster.set_pod(&key, pods.iter().find(|pod| pod.name_any() == pod_name));
            }
        }
        let snapshot = cluster.snapshot();
        assert_eq!(snapshot.nodes.len(), nodes.len());
        for info in &snapshot.nodes {
            let kept = [info.allocatable.clone(), info.requested.clone(), info.assumed.clone()];
            assert_eq!(kept, from_scratch(&info.node, &pods));
        }
    }
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut cluster = cluster(&[node("n", &json!({}))], &[pod("x", &on("n", asks("1", "1Gi")))]);
    let before = cluster.snapshot();
    cluster.set_pod(&Key::new("default", "x"), None);
    assert_eq!((before.nodes[0].pods.len(), cluster.snapshot().nodes[0].pods.len()), (1, 0));
    cluster.set_node("n", None);
    assert_eq!((before.nodes.len(), cluster.snapshot().nodes.len()), (1, 0));
}

#[test]
fn pods_of_a_node_that_comes_back_count_again() {
    let mut cluster = cluster(&[], &[pod("x", &on("n", asks("1", "1Gi")))]);
    cluster.set_node("n", Some(&node("n", &json!({}))));
    assert_eq!(cluster.snapshot().nodes[0].requested["cpu"], 1_000_000_000);
}

#[test]
fn a_bound_pod_counts_before_the_caches_show_it_and_only_once() {
    let mut cluster = cluster(&[node("n", &json!({}))], &[]);
    let asking = pod("x", &asks("1500m", "1Gi"));
    let key = key(&asking);
    let used = |cluster: &Cluster| cluster.snapshot().nodes[0].requested.get("cpu").copied().unwrap_or_default();
    cluster.assume(&asking, "n");
    assert!(cluster.is_assumed(&key, &asking));
    // A status that is written meanwhile shows it without a node still.
    cluster.set_pod(&key, Some(&asking));
    assert_eq!(used(&cluster), 1_500_000_000);
    let bound = pod("x", &on("n", asks("1500m", "1Gi")));
    cluster.set_pod(&key, Some(&bound));
    assert!(!cluster.is_assumed(&key, &asking));
    cluster.forget(&key, &asking);
    assert_eq!(used(&cluster), 1_500_000_000, "what the caches show stays");
    cluster.assume(&asking, "n");
    cluster.forget(&key, &asking);
    assert_eq!(used(&cluster), 0);
    // Another pod of the name is not the one that was bound.
    cluster.assume(&asking, "n");
    let other = pod("x", &json!({ "metadata": { "uid": "other" } }));
    cluster.set_pod(&key, Some(&other));
    assert_eq!((used(&cluster), cluster.is_assumed(&key, &other)), (0, false));
}
