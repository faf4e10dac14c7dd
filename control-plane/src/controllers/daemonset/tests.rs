#![expect(clippy::needless_pass_by_value, reason = "cases are written where they are used")]

use kube::ResourceExt;
use serde_json::{Value, json};

use super::*;
use crate::controllers::world::{World, object};

const HASH: &str = "controller-revision-hash";

fn set(changes: Value) -> DaemonSet {
    let mut set = json!({
        "metadata": { "name": "log", "namespace": "default",
                      "annotations": { "deprecated.daemonset.template.generation": "1" } },
        "spec": {
            "selector": { "matchLabels": { "app": "log" } },
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } },
            "template": {
                "metadata": { "labels": { "app": "log" } },
                "spec": { "containers": [{ "name": "c", "image": "log:1" }] },
            },
        },
    });
    json_patch::merge(&mut set, &json!({ "spec": changes }));
    object(set)
}

fn node(name: &str, spec: Value) -> Node {
    object(json!({ "metadata": { "name": name, "labels": { "disk": name } }, "spec": spec }))
}

/// A set on nodes `a`, `b`, ...
fn world(changes: Value, nodes: &[&str]) -> World {
    let mut world = World::default();
    world.put(&set(changes));
    for name in nodes {
        world.put(&node(name, json!({})));
    }
    world
}

fn plan_with(world: &World, backoff: &Backoff) -> Plan {
    let set = world.get::<DaemonSet>("log").unwrap();
    let (nodes, pods, revisions) = (world.list(), world.list(), world.list());
    plan(&Facts { set: &set, nodes: &nodes, pods: &pods, revisions: &revisions, backoff, now: world.now() })
}

fn plan_of(world: &World) -> Plan {
    plan_with(world, &Backoff::default())
}

/// One whole reconciliation.
fn reconcile(world: &mut World) -> Plan {
    let plan = plan_of(world);
    world.apply_all(&plan.claims);
    world.apply_all(plan.revision.as_slice());
    world.apply_all(&plan.pods);
    let set = world.get::<DaemonSet>("log").unwrap();
    if set.status != plan.status {
        world.apply_all(&[status_write(&set, plan.status.clone().unwrap())]);
    }
    world.apply_all(&plan.cleanup);
    plan
}

fn pods(world: &World) -> Vec<Arc<Pod>> {
    world.list()
}

/// Names of the nodes that have a pod, once per pod.
fn places(world: &World) -> Vec<String> {
    let mut places: Vec<String> =
        pods(world).iter().map(|pod| nodes::target(pod).unwrap_or_default().to_owned()).collect();
    places.sort();
    places
}

fn status_of(world: &World) -> DaemonSetStatus {
    world.get::<DaemonSet>("log").unwrap().status.unwrap_or_default()
}

/// Pods are bound to their nodes and ready.
fn settle(world: &mut World) {
    let since = world.now().to_string();
    for pod in pods(world) {
        let node = nodes::target(&pod).unwrap().to_owned();
        world.edit::<Pod>(&pod.name_any(), |pod| {
            pod["spec"]["nodeName"] = node.into();
            pod["status"] = json!({ "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": since }] });
        });
    }
}

fn change_image(world: &mut World, image: &str) {
    world.edit::<DaemonSet>("log", |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        set["metadata"]["generation"] = json!(set["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
    });
}

fn images(world: &World) -> Vec<String> {
    let mut images: Vec<String> =
        pods(world).iter().filter_map(|pod| pod.spec.as_ref()?.containers[0].image.clone()).collect();
    images.sort();
    images
}

#[test]
fn every_node_gets_one_pod() {
    let mut world = world(json!({}), &["a", "b", "c"]);
    reconcile(&mut world);
    assert_eq!(places(&world), ["a", "b", "c"]);
    let pod = pods(&world).remove(0);
    let revisions: Vec<Arc<ControllerRevision>> = world.list();
    assert_eq!(pod.labels()[HASH], revisions[0].labels()[HASH]);
    assert_eq!((&*pod.labels()["app"], &*pod.labels()["pod-template-generation"]), ("log", "1"));
    assert_eq!(pod.metadata.generate_name.as_deref(), Some("log-"));
    let owner = ownership::controller_of(&pod.metadata).unwrap();
    assert_eq!((&*owner.api_version, &*owner.kind, &*owner.name), ("apps/v1", "DaemonSet", "log"));
    // Where it runs is the scheduler's to do, with no choice.
    assert_eq!(pod.spec.as_ref().unwrap().node_name, None);
    settle(&mut world);
    reconcile(&mut world);
    let status = status_of(&world);
    assert_eq!(
        [
            status.desired_number_scheduled,
            status.current_number_scheduled,
            status.number_ready,
            status.number_misscheduled
        ],
        [3, 3, 3, 0]
    );
    assert_eq!((status.number_available, status.updated_number_scheduled), (Some(3), Some(3)));
    // A zero is left out, as in upstream's answers.
    assert_eq!((status.number_unavailable, status.observed_generation), (None, Some(1)));
}

#[test]
fn a_settled_set_writes_nothing() {
    let mut world = world(json!({}), &["a", "b"]);
    reconcile(&mut world);
    settle(&mut world);
    reconcile(&mut world);
    let plan = plan_of(&world);
    assert!(plan.claims.is_empty() && plan.revision.is_none() && plan.pods.is_empty() && plan.cleanup.is_empty());
    assert_eq!(plan.status, Some(status_of(&world)));
}

#[test]
fn nodes_come_and_go() {
    let mut world = world(json!({}), &["a"]);
    reconcile(&mut world);
    world.put(&node("b", json!({})));
    reconcile(&mut world);
    assert_eq!(places(&world), ["a", "b"]);
    // A pod that waits for a node that is gone waits in vain.
    let key = Key::new("", "b");
    world.apply_all(&[Write::delete(row::<Node>(), key, "")]);
    reconcile(&mut world);
    assert_eq!(places(&world), ["a"]);
}

#[test]
fn the_template_says_which_nodes() {
    let spec = json!({ "template": { "spec": { "nodeSelector": { "disk": "b" } } } });
    let mut selected = world(spec, &["a", "b"]);
    reconcile(&mut selected);
    assert_eq!(places(&selected), ["b"]);
    // A node that does not fit any more loses its pod.
    settle(&mut selected);
    selected.edit::<Node>("b", |node| node["metadata"]["labels"] = json!({}));
    let plan = plan_of(&selected);
    assert!(matches!(&plan.pods[..], [Write::Delete { .. }]), "{:?}", plan.pods);
    assert_eq!(plan.status.unwrap().number_misscheduled, 1);
    let spec = json!({ "template": { "spec": { "nodeName": "a" } } });
    let mut named = world(spec, &["a", "b"]);
    reconcile(&mut named);
    assert_eq!(places(&named), ["a"]);
}

#[test]
fn taints_keep_pods_away_but_for_the_nodes_own_troubles() {
    let taint = |key: &str, effect: &str| json!({ "taints": [{ "key": key, "effect": effect }] });
    let mut world = world(json!({}), &["a"]);
    world.put(&node("b", taint("node.kubernetes.io/not-ready", "NoExecute")));
    world.put(&node("c", taint("node.kubernetes.io/unschedulable", "NoSchedule")));
    world.put(&node("d", taint("mine", "NoSchedule")));
    world.put(&node("e", taint("mine", "NoExecute")));
    world.put(&node("f", taint("mine", "PreferNoSchedule")));
    reconcile(&mut world);
    assert_eq!(places(&world), ["a", "b", "c", "f"]);
    settle(&mut world);
    // What runs already may stay when only new pods are kept away.
    world.edit::<Node>("a", |node| node["spec"] = taint("mine", "NoSchedule"));
    assert!(plan_of(&world).pods.is_empty());
    world.edit::<Node>("a", |node| node["spec"] = taint("mine", "NoExecute"));
    reconcile(&mut world);
    assert_eq!(places(&world), ["b", "c", "f"]);
}

#[test]
fn ended_pods_are_replaced_and_the_oldest_of_several_stays() {
    let mut world = world(json!({}), &["a", "b"]);
    reconcile(&mut world);
    settle(&mut world);
    let names: Vec<String> = pods(&world).iter().map(|pod| pod.name_any()).collect();
    world.edit::<Pod>(&names[0], |pod| pod["status"]["phase"] = "Failed".into());
    world.edit::<Pod>(&names[1], |pod| pod["status"]["phase"] = "Succeeded".into());
    let plan = reconcile(&mut world);
    assert_eq!(plan.failed, [("a".to_owned(), names[0].clone())]);
    assert_eq!(plan.succeeded, [("b".to_owned(), names[1].clone())]);
    assert_eq!(places(&world), Vec::<String>::new());
    reconcile(&mut world);
    settle(&mut world);
    world.wait(5);
    let first = pods(&world).remove(0);
    let mut twin = (*first).clone();
    twin.metadata.name = Some("twin".to_owned());
    world.put(&twin);
    reconcile(&mut world);
    assert!(world.get::<Pod>("twin").is_none());
    assert_eq!(places(&world), ["a", "b"]);
}

#[test]
fn what_fails_again_and_again_is_tried_less_often() {
    let mut world = world(json!({}), &["a"]);
    reconcile(&mut world);
    settle(&mut world);
    let name = pods(&world)[0].name_any();
    world.edit::<Pod>(&name, |pod| pod["status"]["phase"] = "Failed".into());
    let set = world.get::<DaemonSet>("log").unwrap();
    let mut backoff = Backoff::default();
    for rest in [1, 2, 4] {
        assert_eq!(plan_with(&world, &backoff).pods.len(), 1);
        backoff.failed(&set, "a", world.now());
        let held = plan_with(&world, &backoff);
        assert!(held.pods.is_empty());
        assert_eq!(held.recheck, Some(std::time::Duration::from_secs(rest)));
        world.wait(i64::try_from(rest).unwrap());
    }
    for _ in 0..20 {
        backoff.failed(&set, "a", world.now());
    }
    let longest = std::time::Duration::from_secs(900);
    assert_eq!(backoff.rest(&set, "a", world.now()), Some(longest));
    // A failure long ago counts for nothing.
    world.wait(1801);
    backoff.failed(&set, "a", world.now());
    assert_eq!(backoff.rest(&set, "a", world.now()), Some(std::time::Duration::from_secs(1)));
    // Neither does a failure of another template.
    change_image(&mut world, "log:2");
    assert_eq!(backoff.rest(&world.get("log").unwrap(), "a", world.now()), None);
}

#[test]
fn a_rollout_takes_one_node_after_the_other() {
    let mut world = world(json!({}), &["a", "b", "c"]);
    reconcile(&mut world);
    settle(&mut world);
    change_image(&mut world, "log:2");
    for done in 1..=3 {
        let plan = reconcile(&mut world);
        assert_eq!(plan.pods.len(), 1, "one leaves");
        assert_eq!(places(&world).len(), 2);
        reconcile(&mut world);
        assert_eq!(places(&world), ["a", "b", "c"]);
        assert!(plan_of(&world).pods.is_empty(), "waits for the new one");
        settle(&mut world);
        assert_eq!(images(&world).iter().filter(|image| *image == "log:2").count(), done);
    }
    assert!(plan_of(&world).pods.is_empty());
    reconcile(&mut world);
    assert_eq!(status_of(&world).updated_number_scheduled, Some(3));
}

#[test]
fn pods_that_do_nothing_go_at_once() {
    let mut world = world(json!({}), &["a", "b", "c"]);
    reconcile(&mut world);
    change_image(&mut world, "log:2");
    assert_eq!(plan_of(&world).pods.len(), 3);
}

#[test]
fn shares_of_nodes_are_rounded_up() {
    let rolling = json!({ "updateStrategy": { "rollingUpdate": { "maxUnavailable": "34%" } } });
    let mut world = world(rolling, &["a", "b", "c"]);
    reconcile(&mut world);
    settle(&mut world);
    change_image(&mut world, "log:2");
    assert_eq!(plan_of(&world).pods.len(), 2);
}

#[test]
fn a_surge_puts_new_pods_beside_old_ones() {
    let rolling = json!({ "updateStrategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } } });
    let mut world = world(rolling, &["a", "b"]);
    reconcile(&mut world);
    settle(&mut world);
    change_image(&mut world, "log:2");
    for both in [["a", "a", "b"], ["a", "b", "b"]] {
        reconcile(&mut world);
        assert_eq!(places(&world), both);
        assert!(plan_of(&world).pods.is_empty(), "waits for the new one");
        settle(&mut world);
        reconcile(&mut world);
        assert_eq!(places(&world), ["a", "b"]);
    }
    assert_eq!(images(&world), ["log:2", "log:2"]);
    assert!(plan_of(&world).pods.is_empty());
}

#[test]
fn a_surge_does_not_wait_for_the_end_of_a_pod() {
    let leave = |world: &mut World| {
        let name = pods(world)[0].name_any();
        world.edit::<Pod>(&name, |pod| pod["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into());
        name
    };
    let rolling = json!({ "updateStrategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } } });
    for (changes, pods_meanwhile) in [(rolling, 2), (json!({}), 1)] {
        let mut world = world(changes, &["a"]);
        reconcile(&mut world);
        settle(&mut world);
        let leaving = leave(&mut world);
        reconcile(&mut world);
        assert_eq!(places(&world).len(), pods_meanwhile);
        // Once it has ended it is in nobody's way, even if somebody's finalizer keeps it.
        world.edit::<Pod>(&leaving, |pod| pod["status"]["phase"] = "Succeeded".into());
        reconcile(&mut world);
        assert_eq!(places(&world), ["a", "a"]);
        assert!(plan_of(&world).pods.is_empty());
    }
}

#[test]
fn a_surge_leaves_no_node_before_another_has_a_pod() {
    let rolling = json!({ "updateStrategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } } });
    let mut world = world(rolling, &["a", "b"]);
    world.edit::<Node>("b", |node| node["spec"] = json!({ "taints": [{ "key": "mine", "effect": "NoExecute" }] }));
    reconcile(&mut world);
    settle(&mut world);
    assert_eq!(places(&world), ["a"]);
    let kept_away = json!({ "taints": [{ "key": "mine", "effect": "NoSchedule" }] });
    world.edit::<Node>("a", |node| node["spec"] = kept_away);
    world.edit::<Node>("b", |node| node["spec"] = json!({}));
    change_image(&mut world, "log:2");
    reconcile(&mut world);
    assert_eq!(places(&world), ["a", "b"]);
    assert!(plan_of(&world).pods.is_empty(), "the old pod is the only one that works");
    settle(&mut world);
    reconcile(&mut world);
    assert_eq!(places(&world), ["b"]);
}

#[test]
fn on_delete_replaces_only_what_others_delete() {
    let mut world = world(json!({ "updateStrategy": { "type": "OnDelete", "rollingUpdate": null } }), &["a", "b"]);
    reconcile(&mut world);
    settle(&mut world);
    change_image(&mut world, "log:2");
    reconcile(&mut world);
    assert_eq!(images(&world), ["log:1", "log:1"]);
    let name = pods(&world)[0].name_any();
    world.apply_all(&[Write::delete(row::<Pod>(), Key::new("default", name), "")]);
    reconcile(&mut world);
    assert_eq!(images(&world), ["log:1", "log:2"]);
}

#[test]
fn pods_count_as_available_after_their_time() {
    let mut world = world(json!({ "minReadySeconds": 10 }), &["a"]);
    reconcile(&mut world);
    settle(&mut world);
    world.wait(4);
    let plan = plan_of(&world);
    assert_eq!(plan.recheck, Some(std::time::Duration::from_secs(6)));
    assert_eq!(plan.status.unwrap().number_available, None);
    world.wait(6);
    assert_eq!(plan_of(&world).status.unwrap().number_available, Some(1));
}

#[test]
fn the_history_can_be_gone_back_to() {
    let numbers = |world: &World| {
        let mut all: Vec<(i64, String)> = world
            .list::<ControllerRevision>()
            .iter()
            .map(|revision| {
                let template = &revision.data.as_ref().unwrap().0["spec"]["template"];
                assert_eq!(template["$patch"], "replace");
                (revision.revision, template["spec"]["containers"][0]["image"].as_str().unwrap().to_owned())
            })
            .collect();
        all.sort();
        all
    };
    let pair = |number: i64, image: &str| (number, image.to_owned());
    let mut world = world(json!({ "revisionHistoryLimit": 1 }), &["a"]);
    reconcile(&mut world);
    change_image(&mut world, "log:2");
    reconcile(&mut world);
    assert_eq!(numbers(&world), [pair(1, "log:1"), pair(2, "log:2")]);
    // What comes back is the newest, and not written twice.
    change_image(&mut world, "log:1");
    reconcile(&mut world);
    assert_eq!(numbers(&world), [pair(2, "log:2"), pair(3, "log:1")]);
    // Beyond the limit, the oldest of which no pod is left goes.
    for image in ["log:3", "log:4"] {
        change_image(&mut world, image);
        for _ in 0..3 {
            reconcile(&mut world);
        }
    }
    assert_eq!(numbers(&world), [pair(4, "log:3"), pair(5, "log:4")]);
}

#[test]
fn orphans_are_adopted_and_strays_released() {
    let mut world = world(json!({}), &["a"]);
    reconcile(&mut world);
    settle(&mut world);
    let name = pods(&world)[0].name_any();
    world.edit::<Pod>(&name, |pod| pod["metadata"]["ownerReferences"] = json!([]));
    let plan = reconcile(&mut world);
    assert!(plan.adopts);
    assert_eq!(places(&world), ["a"]);
    assert!(ownership::controller_of(&pods(&world)[0].metadata).is_some());
    world.edit::<Pod>(&name, |pod| pod["metadata"]["labels"]["app"] = "other".into());
    reconcile(&mut world);
    assert_eq!(ownership::controller_of(&world.get::<Pod>(&name).unwrap().metadata), None);
    assert_eq!(places(&world), ["a", "a"]);
}

#[test]
fn a_set_on_its_way_out_makes_nothing() {
    let mut world = world(json!({}), &["a"]);
    world.edit::<DaemonSet>("log", |set| set["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into());
    let plan = plan_of(&world);
    assert!(plan.pods.is_empty() && plan.revision.is_none() && plan.status.is_none());
}

#[test]
fn crash_after_any_number_of_writes_converges() {
    for crash in 0..=3 {
        let mut world = world(json!({}), &["a", "b", "c"]);
        let plan = plan_of(&world);
        world.apply_all(plan.revision.as_slice());
        world.apply_all(&plan.pods[..crash]);
        for _ in 0..2 {
            reconcile(&mut world);
        }
        assert_eq!(places(&world), ["a", "b", "c"], "crash after {crash}");
        assert_eq!(world.list::<ControllerRevision>().len(), 1);
    }
}

#[test]
fn nodes_that_only_say_that_they_are_well_move_nothing() {
    let before = node("a", json!({}));
    let mut after = before.clone();
    after.status = Some(object(json!({ "conditions": [{ "type": "Ready", "status": "True" }] })));
    assert!(nodes::says_the_same(&before, &after));
    assert!(!nodes::says_the_same(&before, &node("a", json!({ "unschedulable": true }))));
}
