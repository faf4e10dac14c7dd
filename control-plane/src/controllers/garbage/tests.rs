use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use nodeplane_client::write::{Propagation, Write};

use super::{plan::plan as decide, *};

fn name(plural: &str, name: &str) -> Name {
    Name { kind: KINDS.iter().position(|kind| kind.plural == plural).unwrap(), key: Key::new("default", name) }
}

fn owner(name: &Name, blocks: bool) -> OwnerReference {
    OwnerReference {
        api_version: name.kind().api_version(),
        kind: name.kind().kind.to_owned(),
        name: name.key.name.clone(),
        uid: format!("uid-{}", name.key.name),
        controller: None,
        block_owner_deletion: Some(blocks),
    }
}

fn node(name: &Name, owners: &[OwnerReference], finalizers: &[&str], deleting: bool) -> Node {
    Node::of(&ObjectMeta {
        uid: Some(format!("uid-{}", name.key.name)),
        resource_version: Some("7".to_owned()),
        owner_references: Some(owners.to_vec()),
        finalizers: Some(finalizers.iter().map(|finalizer| (*finalizer).to_owned()).collect()),
        deletion_timestamp: deleting.then(|| Time("2024-01-01T00:00:00Z".parse().unwrap())),
        ..ObjectMeta::default()
    })
}

fn writes(name: &Name, node: &Node, owners: &[Found], dependents: &[(Name, Node)]) -> Vec<Write> {
    match decide(&Item { name, node, owners, dependents }) {
        Decision::Nothing => Vec::new(),
        Decision::Write(writes) => writes,
    }
}

#[test]
fn an_object_lives_as_long_as_one_owner_does() {
    let (pod, a, b) = (name("pods", "p"), name("replicasets", "a"), name("replicasets", "b"));
    let object = node(&pod, &[owner(&a, true), owner(&b, true)], &[], false);
    assert!(writes(&pod, &object, &[Found::Solid, Found::Solid], &[]).is_empty());
    // One gone: it is forgotten, the object stays.
    for gone in [Found::Absent, Found::WaitsForDependents] {
        let plan = writes(&pod, &object, &[Found::Solid, gone], &[]);
        let [Write::Merge { patch, .. }] = &plan[..] else { panic!("{plan:?}") };
        assert_eq!(patch["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
        assert_eq!(patch["metadata"]["ownerReferences"][0]["name"], "a");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
    }
    // All gone: it goes, if it still is as it was seen.
    let plan = writes(&pod, &object, &[Found::Absent, Found::Absent], &[]);
    let [Write::Delete { uid, revision, propagation, .. }] = &plan[..] else { panic!("{plan:?}") };
    assert_eq!((&**uid, revision.as_deref(), *propagation), ("uid-p", Some("7"), Propagation::Background));
    // Nobody owns it, or it goes already: nothing.
    assert!(writes(&pod, &node(&pod, &[], &[], false), &[], &[]).is_empty());
    assert!(writes(&pod, &node(&pod, &[owner(&a, true)], &[], true), &[Found::Absent], &[]).is_empty());
}

#[test]
fn foreground_waits_for_blocking_dependents_only() {
    let (set, pod) = (name("replicasets", "s"), name("pods", "p"));
    let deleting = node(&set, &[], &["foregroundDeletion", "other"], true);
    let blocking = (pod.clone(), node(&pod, &[owner(&set, true)], &[], false));
    let other = (pod.clone(), node(&pod, &[owner(&set, false)], &[], false));
    assert!(writes(&set, &deleting, &[], &[blocking]).is_empty());
    let plan = writes(&set, &deleting, &[], &[other]);
    let [Write::Merge { patch, .. }] = &plan[..] else { panic!("{plan:?}") };
    assert_eq!(patch["metadata"]["finalizers"], serde_json::json!(["other"]));
}

#[test]
fn dependents_of_a_foreground_deletion_go_and_theirs_before_them() {
    let (set, pod, child) = (name("replicasets", "s"), name("pods", "p"), name("pods", "c"));
    let object = node(&pod, &[owner(&set, true)], &[], false);
    let plan = writes(&pod, &object, &[Found::WaitsForDependents], &[]);
    assert!(matches!(&plan[..], [Write::Delete { propagation: Propagation::Background, .. }]));
    let dependent = (child.clone(), node(&child, &[owner(&pod, true)], &[], false));
    let plan = writes(&pod, &object, &[Found::WaitsForDependents], &[dependent]);
    assert!(matches!(&plan[..], [Write::Delete { propagation: Propagation::Foreground, .. }]));
}

#[test]
fn a_circle_does_not_wait_for_itself() {
    let (a, b) = (name("configmaps", "a"), name("configmaps", "b"));
    let object = node(&a, &[owner(&b, true)], &[], false);
    let waiting = (b.clone(), node(&b, &[owner(&a, true)], &["foregroundDeletion"], true));
    let plan = writes(&a, &object, &[Found::WaitsForDependents], &[waiting]);
    let [Write::Merge { patch, .. }, Write::Delete { propagation, revision, .. }] = &plan[..] else {
        panic!("{plan:?}")
    };
    assert_eq!(patch["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], false);
    // The patch before it has made a newer revision.
    assert_eq!((*propagation, revision), (Propagation::Foreground, &None));
}

#[test]
fn orphans_are_let_go_before_their_owner_goes() {
    let (set, pod, other) = (name("replicasets", "s"), name("pods", "p"), name("replicasets", "o"));
    let deleting = node(&set, &[], &["orphan"], true);
    let only = (pod.clone(), node(&pod, &[owner(&set, true)], &[], false));
    let shared = (pod.clone(), node(&pod, &[owner(&set, true), owner(&other, true)], &[], false));
    let plan = writes(&set, &deleting, &[], &[only, shared]);
    let owners: Vec<_> = plan
        .iter()
        .map(|write| {
            let Write::Merge { patch, .. } = write else { panic!("{write}") };
            patch["metadata"].get("ownerReferences").map(|owners| owners.as_array().map_or(0, Vec::len))
        })
        .collect();
    assert_eq!(owners, [Some(0), Some(1), None]);
    assert!(plan[2].to_string().contains("replicasets default/s"));
}

#[test]
fn the_graph_queues_who_is_concerned_and_asks_only_when_something_is_odd() {
    let graph = Graph::default();
    let (set, pod) = (name("replicasets", "s"), name("pods", "p"));
    let dependent = node(&pod, &[owner(&set, true)], &[], false);
    // A dependent seen before its owner is odd: the server must be asked.
    assert_eq!(graph.set(&pod, Some(dependent.clone())), std::slice::from_ref(&pod));
    assert!(graph.may_need_work(&pod, &dependent));
    assert!(graph.set(&set, Some(node(&set, &[], &[], false))).is_empty());
    assert!(!graph.may_need_work(&pod, &dependent));
    // The owner goes in the foreground: itself and its dependents.
    let mut concerned = graph.set(&set, Some(node(&set, &[], &["foregroundDeletion"], true)));
    concerned.sort();
    let mut both = vec![set.clone(), pod.clone()];
    both.sort();
    assert_eq!(concerned, both);
    assert!(graph.may_need_work(&pod, &dependent));
    // The dependent goes: the owner that waits for it.
    assert_eq!(graph.set(&pod, None), std::slice::from_ref(&set));
    assert!(graph.dependents("uid-s").is_empty());
    // The owner is gone, and comes again as another object: dependents of the former are odd.
    graph.set(&set, None);
    graph.set(&pod, Some(dependent.clone()));
    let mut reborn = node(&set, &[], &[], false);
    reborn.uid = "second-life".to_owned();
    graph.set(&set, Some(reborn));
    assert!(graph.may_need_work(&pod, &dependent));
}

#[test]
fn a_second_deletion_in_the_foreground_concerns_the_dependents() {
    let graph = Graph::default();
    let (set, pod) = (name("replicasets", "s"), name("pods", "p"));
    graph.set(&set, Some(node(&set, &[], &["example.com/hold"], false)));
    graph.set(&pod, Some(node(&pod, &[owner(&set, true)], &[], false)));
    // In the background, dependents stay until their owner is gone.
    let held = node(&set, &[], &["example.com/hold"], true);
    assert_eq!(graph.set(&set, Some(held)), std::slice::from_ref(&set));
    let waits = node(&set, &[], &["example.com/hold", "foregroundDeletion"], true);
    let sorted = |mut names: Vec<Name>| {
        names.sort();
        names
    };
    assert_eq!(sorted(graph.set(&set, Some(waits.clone()))), sorted(vec![set.clone(), pod.clone()]));
    // Told again, it is no news to them.
    assert_eq!(graph.set(&set, Some(waits)), std::slice::from_ref(&set));
}

#[test]
fn owners_are_found_by_kind_and_scope() {
    let lease = name("leases", "l");
    let node_name = Name { kind: name("nodes", "n").kind, key: Key::new("", "n") };
    let reference =
        Node::of(&ObjectMeta { owner_references: Some(vec![owner(&node_name, false)]), ..Default::default() });
    assert_eq!(reference.owners[0].name(&lease.key), Some(node_name));
    // A cluster-scoped object cannot be owned by a namespaced one, nor anything by a kind that
    // nobody serves.
    let by_pod = Node::of(&ObjectMeta { owner_references: Some(vec![owner(&lease, false)]), ..Default::default() });
    assert_eq!(by_pod.owners[0].name(&Key::new("", "n")), None);
    let mut unknown = by_pod.owners[0].clone();
    unknown.reference.kind = "Widget".to_owned();
    assert_eq!(unknown.name(&lease.key), None);
}
