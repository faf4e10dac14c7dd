use k8s_openapi::api::core::v1::Pod;
use nodeplane_client::write::Write;
use serde_json::{Value, json};

use super::{
    plan::{Removal, Why, plan},
    *,
};
use crate::controllers::world::{World, object};

fn put(world: &mut World, name: &str, fields: &Value) {
    let mut pod = json!({ "metadata": { "name": name, "namespace": "a" }, "spec": { "containers": [] } });
    json_patch::merge(&mut pod, fields);
    world.put::<Pod>(&object(pod));
    world.edit::<Pod>(name, |pod| json_patch::merge(pod, fields));
}

fn node(world: &mut World, name: &str, ready: &str, taint: &str) {
    world.put::<Node>(&object(json!({ "metadata": { "name": name },
        "spec": { "taints": [{ "key": taint, "effect": "NoExecute" }] },
        "status": { "conditions": [{ "type": "Ready", "status": ready }] } })));
}

/// `name why` of all pods that go, sorted.
fn gone(world: &World, nodes: &[&str], threshold: usize) -> Vec<String> {
    let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
    let removals = plan(&world.list(), &world.list(), &nodes, threshold);
    let mut gone: Vec<_> = removals.iter().map(|r| format!("{} {:?}", Key::of(&*r.pod).name, r.why)).collect();
    gone.sort();
    gone
}

#[test]
fn finished_pods_do_not_pile_up() {
    let mut world = World::default();
    let ended = |phase: &str, created: &str| json!({ "status": { "phase": phase }, "metadata": { "creationTimestamp": created } });
    put(&mut world, "newest", &ended("Succeeded", "2024-01-04T00:00:00Z"));
    put(&mut world, "oldest", &ended("Failed", "2024-01-01T00:00:00Z"));
    put(&mut world, "b", &ended("Succeeded", "2024-01-02T00:00:00Z"));
    put(&mut world, "a", &ended("Succeeded", "2024-01-02T00:00:00Z"));
    let mut evicted = ended("Failed", "2024-01-03T00:00:00Z");
    evicted["status"]["reason"] = "Evicted".into();
    put(&mut world, "evicted", &evicted);
    put(&mut world, "running", &ended("Running", "2023-01-01T00:00:00Z"));
    assert_eq!(gone(&world, &[], 5), Vec::<String>::new());
    assert_eq!(gone(&world, &[], 4), ["evicted TooManyEnded"]);
    assert_eq!(gone(&world, &[], 3), ["evicted TooManyEnded", "oldest TooManyEnded"]);
    assert_eq!(gone(&world, &[], 2), ["a TooManyEnded", "evicted TooManyEnded", "oldest TooManyEnded"]);
    // Their end is known: they are deleted, not marked.
    let removals = plan(&world.list(), &[], &BTreeSet::new(), 4);
    let writes = removals[0].writes(world.now());
    assert_eq!(writes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["delete pods a/evicted"]);
    world.apply_all(&writes);
    assert_eq!(gone(&world, &[], 4), Vec::<String>::new());
}

#[test]
fn pods_that_no_node_lets_go_are_removed() {
    let mut world = World::default();
    node(&mut world, "here", "True", "node.kubernetes.io/out-of-service");
    node(&mut world, "silent", "Unknown", "node.kubernetes.io/unreachable");
    node(&mut world, "down", "Unknown", "node.kubernetes.io/out-of-service");
    let leaving = json!({ "metadata": { "deletionTimestamp": "2024-01-01T00:00:00Z" } });
    for on in ["", "here", "silent", "down", "missing"] {
        let bound = json!({ "spec": { "nodeName": on }, "status": { "phase": "Running" } });
        put(&mut world, &format!("stays-{on}."), &bound);
        let mut bound = bound.clone();
        json_patch::merge(&mut bound, &leaving);
        put(&mut world, &format!("goes-{on}."), &bound);
    }
    assert_eq!(plan::missing(&world.list(), &world.list()), ["missing".to_owned()].into());
    assert_eq!(gone(&world, &[], 0), ["goes-. NeverScheduled", "goes-down. OutOfService"]);
    let all = ["goes-. NeverScheduled", "goes-down. OutOfService", "goes-missing. Orphaned", "stays-missing. Orphaned"];
    assert_eq!(gone(&world, &["missing"], 0), all);
}

#[test]
fn an_orphan_fails_before_it_goes() {
    let mut world = World::default();
    put(
        &mut world,
        "p",
        &json!({ "spec": { "nodeName": "n" }, "status": { "phase": "Running",
        "conditions": [{ "type": "Ready", "status": "True" }] } }),
    );
    let [pod] = &world.list::<Pod>()[..] else { panic!("not one pod") };
    let writes = Removal { pod: pod.clone(), why: Why::Orphaned }.writes(world.now());
    world.apply_all(&writes[..1]);
    let status = world.get::<Pod>("p").unwrap().status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let conditions = status.conditions.unwrap();
    let told: Vec<_> =
        conditions.iter().map(|c| (&*c.type_, &*c.status, c.reason.as_deref().unwrap_or_default())).collect();
    assert_eq!(told, [("Ready", "True", ""), ("DisruptionTarget", "True", "DeletionByPodGC")]);
    // Whoever was made to stop here goes on from there.
    let [pod] = &world.list::<Pod>()[..] else { panic!("not one pod") };
    let rest = Removal { pod: pod.clone(), why: Why::Orphaned }.writes(world.now());
    let [Write::Delete { grace: Some(0), uid, .. }] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(Some(uid), pod.metadata.uid.as_ref());
}

#[test]
fn a_missing_node_has_time_to_come_back() {
    let quarantine = Quarantine::default();
    let missing = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let began = Instant::now();
    let at = |seconds: u64| began + Duration::from_secs(seconds);
    let left = |seconds: u64| Some(Duration::from_secs(seconds));
    assert_eq!(quarantine.look(missing(&["n"]), at(0)), (vec![], left(40)));
    assert_eq!(quarantine.look(missing(&["m", "n"]), at(30)), (vec![], left(10)));
    assert_eq!(quarantine.look(missing(&["m", "n"]), at(40)), (vec!["n".to_owned()], left(30)));
    // It came back, and goes again.
    assert_eq!(quarantine.look(missing(&["m"]), at(41)), (vec![], left(29)));
    assert_eq!(quarantine.look(missing(&["n"]), at(50)), (vec![], left(40)));
}
