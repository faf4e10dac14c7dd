use nodeplane_api::kinds::Subresource;
use serde_json::json;

use super::*;
use crate::controllers::world::{World, object};

fn set(replicas: i32) -> ReplicaSet {
    object(json!({
        "metadata": { "name": "web", "namespace": "default" },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                  "template": { "metadata": { "labels": { "app": "web", "tier": "front" } },
                                "spec": { "containers": [{ "name": "c", "image": "i" }] } } }
    }))
}

fn world(replicas: i32) -> World {
    let mut world = World::default();
    world.put(&set(replicas));
    world
}

fn plan_of(world: &World) -> Plan {
    let set = world.get::<ReplicaSet>("web").unwrap();
    plan(&Facts { set: &set, pods: &world.list(), siblings: &[], now: world.now() })
}

/// One whole reconciliation.
fn reconcile(world: &mut World) {
    let plan = plan_of(world);
    world.apply_all(&plan.claims);
    world.apply_all(&plan.pods);
    let set = world.get::<ReplicaSet>("web").unwrap();
    let status = plan.status(&set, None, world.now());
    if set.status.as_ref() != Some(&status) {
        let set = ReplicaSet { status: Some(status), ..set };
        world.apply_all(&[Write::replace(row::<ReplicaSet>(), Some(Subresource::Status), &set)]);
    }
}

fn status_of(world: &World) -> ReplicaSetStatus {
    world.get::<ReplicaSet>("web").unwrap().status.unwrap_or_default()
}

fn pods(world: &World) -> Vec<Arc<Pod>> {
    world.list()
}

fn make_ready(world: &mut World, name: &str, node: &str) {
    let since = world.now().to_string();
    world.edit::<Pod>(name, |pod| {
        pod["spec"]["nodeName"] = node.into();
        pod["status"] = json!({ "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": since }] });
    });
}

fn make_all_ready(world: &mut World) {
    for pod in pods(world) {
        make_ready(world, &pod.name_any(), "n");
    }
}

#[test]
fn creates_what_is_missing_under_its_control() {
    let mut world = world(2);
    reconcile(&mut world);
    let pods = pods(&world);
    assert_eq!(pods.len(), 2);
    assert_eq!(pods[0].metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(pods[0].labels()["tier"], "front");
    let owner = ownership::controller_of(&pods[0].metadata).unwrap();
    assert_eq!((&*owner.api_version, &*owner.kind, &*owner.name), ("apps/v1", "ReplicaSet", "web"));
    reconcile(&mut world);
    assert_eq!(status_of(&world).replicas, 2);
    assert_eq!(status_of(&world).fully_labeled_replicas, Some(2));
    assert_eq!(status_of(&world).ready_replicas, None);
    assert_eq!(status_of(&world).observed_generation, Some(1));
}

#[test]
fn a_settled_set_writes_nothing() {
    let mut world = world(3);
    reconcile(&mut world);
    make_all_ready(&mut world);
    reconcile(&mut world);
    let plan = plan_of(&world);
    assert!(plan.claims.is_empty() && plan.pods.is_empty());
    let set = world.get::<ReplicaSet>("web").unwrap();
    assert_eq!(set.status, Some(plan.status(&set, None, world.now())));
    assert_eq!(set.status.unwrap().available_replicas, Some(3));
}

#[test]
fn finished_and_terminating_pods_are_replaced() {
    let mut world = world(3);
    reconcile(&mut world);
    let names: Vec<_> = pods(&world).iter().map(|pod| pod.name_any()).collect();
    world.edit::<Pod>(&names[0], |pod| pod["status"]["phase"] = "Failed".into());
    world.edit::<Pod>(&names[1], |pod| pod["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into());
    assert_eq!(plan_of(&world).pods.len(), 2);
}

#[test]
fn crash_after_any_number_of_writes_converges() {
    for crash in 0..=5 {
        let mut world = world(5);
        let plan = plan_of(&world);
        world.apply_all(&plan.pods[..crash]);
        reconcile(&mut world);
        assert_eq!(pods(&world).len(), 5, "crash after {crash}");
        world.edit::<ReplicaSet>("web", |set| set["spec"]["replicas"] = 1.into());
        let plan = plan_of(&world);
        world.apply_all(&plan.pods[..crash.min(4)]);
        reconcile(&mut world);
        assert_eq!(pods(&world).len(), 1, "crash after {crash}");
    }
}

#[test]
fn orphans_are_adopted_strays_released_and_others_left_alone() {
    let mut world = world(2);
    let mut orphan: Pod = object(json!({ "metadata": { "name": "orphan", "namespace": "default",
        "labels": { "app": "web" } }, "spec": { "containers": [] } }));
    world.put(&orphan);
    orphan.metadata.name = Some("foreign".into());
    orphan.metadata.owner_references = Some(vec![object(json!({ "apiVersion": "batch/v1", "kind": "Job",
        "name": "j", "uid": "other", "controller": true }))]);
    world.put(&orphan);
    let plan = plan_of(&world);
    assert!(plan.adopts);
    assert_eq!((plan.claims.len(), plan.pods.len()), (1, 1));
    reconcile(&mut world);
    assert_eq!(pods(&world).len(), 3);
    assert!(ownership::controller_of(&world.get::<Pod>("orphan").unwrap().metadata).is_some());
    // Relabelled away, it is released and replaced.
    world.edit::<Pod>("orphan", |pod| pod["metadata"]["labels"]["app"] = "debug".into());
    reconcile(&mut world);
    assert_eq!(world.get::<Pod>("orphan").unwrap().metadata.owner_references, None);
    assert_eq!(pods(&world).len(), 4);
    // A set on its way out adopts and creates nothing.
    world.edit::<Pod>("orphan", |pod| pod["metadata"]["labels"]["app"] = "web".into());
    world.edit::<ReplicaSet>("web", |set| {
        set["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
        set["spec"]["replicas"] = 9.into();
    });
    let plan = plan_of(&world);
    assert!(plan.claims.is_empty() && plan.pods.is_empty());
}

#[test]
fn an_empty_selector_selects_nothing() {
    let mut world = World::default();
    let mut set = set(3);
    set.spec.as_mut().unwrap().selector = Default::default();
    world.put(&set);
    assert!(plan_of(&world).pods.is_empty());
}

#[test]
fn deletion_prefers_pods_that_serve_least() {
    let names = |pods: &[Arc<Pod>]| pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>();
    let pod = |name: &str, node: &str, phase: &str, ready: Option<&str>, cost: &str, created: &str| -> Arc<Pod> {
        let conditions = ready.map(|since| json!([{ "type": "Ready", "status": "True", "lastTransitionTime": since }]));
        Arc::new(object(json!({
            "metadata": { "name": name, "creationTimestamp": created,
                          "annotations": { "controller.kubernetes.io/pod-deletion-cost": cost } },
            "spec": { "nodeName": node, "containers": [] },
            "status": { "phase": phase, "conditions": conditions },
        })))
    };
    let (day1, day2, day3) = ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z");
    let mut pods = vec![
        pod("old-ready", "n", "Running", Some(day1), "", day1),
        pod("dear", "n", "Running", Some(day3), "10", day3),
        pod("late-ready", "n", "Running", Some(day2), "", day1),
        pod("cheap", "n", "Running", Some(day1), "-1", day1),
        pod("young-ready", "n", "Running", Some(day1), "", day2),
        pod("unready", "n", "Running", None, "", day1),
        pod("pending", "n", "Pending", None, "", day1),
        pod("unassigned", "", "Pending", None, "", day1),
    ];
    rank::by_dispensability(&mut pods, &[]);
    assert_eq!(
        names(&pods),
        ["unassigned", "pending", "unready", "cheap", "late-ready", "young-ready", "old-ready", "dear"]
    );
    // Of equals, the one on the crowded node goes.
    let mut pods = vec![
        pod("a", "lonely", "Running", Some(day1), "", day1),
        pod("b", "crowded", "Running", Some(day1), "", day1),
        pod("c", "crowded", "Running", Some(day1), "", day1),
    ];
    let crowd = pods.clone();
    rank::by_dispensability(&mut pods, &crowd);
    assert_eq!(names(&pods), ["b", "c", "a"]);
}

#[test]
fn available_only_after_min_ready_seconds_and_looks_again_in_time() {
    let mut world = World::default();
    let mut set = set(1);
    set.spec.as_mut().unwrap().min_ready_seconds = Some(10);
    world.put(&set);
    reconcile(&mut world);
    make_all_ready(&mut world);
    world.wait(4);
    reconcile(&mut world);
    assert_eq!((status_of(&world).ready_replicas, status_of(&world).available_replicas), (Some(1), None));
    assert_eq!(plan_of(&world).recheck, Some(Duration::from_secs(6)));
    world.wait(6);
    reconcile(&mut world);
    assert_eq!(status_of(&world).available_replicas, Some(1));
    assert_eq!(plan_of(&world).recheck, None);
}

#[test]
fn a_failure_is_a_condition_until_it_is_over() {
    let mut world = world(1);
    let plan = plan_of(&world);
    let set = world.get::<ReplicaSet>("web").unwrap();
    let failed = plan.status(&set, Some((plan.failure_reason(), "quota".into())), world.now());
    let condition = &failed.conditions.as_ref().unwrap()[0];
    assert_eq!(
        (&*condition.type_, &*condition.status, condition.reason.as_deref()),
        ("ReplicaFailure", "True", Some("FailedCreate"))
    );
    world.edit::<ReplicaSet>("web", |set| set["status"] = serde_json::to_value(failed).unwrap());
    reconcile(&mut world);
    assert_eq!(status_of(&world).conditions, None);
}
