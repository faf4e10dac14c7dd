//! Init containers and sidecars.

use serde_json::{Value, json};

use super::world::World;
use crate::pods::{
    fixtures::{container, with},
    message::ProbeKind,
};

fn sidecar(name: &str) -> Value {
    with(container(name), json!({ "restartPolicy": "Always" }))
}

#[test]
fn init_containers_run_one_after_the_other_before_the_rest() {
    let mut world = World::new(json!({ "initContainers": [container("one"), container("two")] }));
    world.settle();
    assert_eq!(world.running(), ["one"]);
    assert_eq!((world.phase(), world.state("app").as_str()), ("Pending", "Waiting: PodInitializing"));
    let conditions = world.status().conditions.as_ref().expect("conditions");
    let initialized = conditions.iter().find(|condition| condition.type_ == "Initialized").expect("Initialized");
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [one two]"));
    world.end("one", 0);
    assert_eq!(world.running(), ["two"]);
    world.end("two", 0);
    assert_eq!(world.running(), ["app"]);
    assert!(world.condition("Initialized") && world.condition("Ready"));
    assert_eq!((world.phase(), world.state("one").as_str()), ("Running", "Terminated: Completed 0"));
    assert!(world.container("one").ready, "an init container that is through is ready");
}

#[test]
fn a_failed_init_container_is_run_again() {
    let mut world = World::new(json!({ "initContainers": [container("one")] }));
    world.settle();
    world.end("one", 1);
    assert_eq!((world.running(), world.container("one").restart_count), (vec!["one".to_owned()], 1));
    world.end("one", 1);
    assert_eq!((world.state("one").as_str(), world.phase()), ("Waiting: CrashLoopBackOff", "Pending"));
    world.pass(10);
    assert_eq!(world.running(), ["one"]);
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let mut world = World::new(json!({ "restartPolicy": "Never", "initContainers": [container("one")] }));
    world.settle();
    world.end("one", 2);
    world.pass(60);
    assert_eq!((world.phase(), world.running().len(), world.running_sandboxes()), ("Failed", 0, 0));
}

#[test]
fn a_sidecar_starts_before_the_rest_and_stays() {
    let proxy = with(sidecar("proxy"), json!({ "startupProbe": { "tcpSocket": { "port": 1 } } }));
    let mut world = World::new(json!({ "initContainers": [proxy, container("one")] }));
    world.settle();
    assert_eq!(world.running(), ["proxy"], "the next one waits until it is up");
    world.probe("proxy", ProbeKind::Startup, true);
    assert_eq!(world.running(), ["one", "proxy"]);
    world.end("one", 0);
    assert_eq!((world.running(), world.phase()), (vec!["app".to_owned(), "proxy".to_owned()], "Running"));
    world.end("proxy", 1);
    assert_eq!(world.running(), ["app", "proxy"], "it restarts whatever its code");
    world.end("proxy", 0);
    world.pass(10);
    assert_eq!((world.running().len(), world.container("proxy").restart_count), (2, 2));
    assert_eq!(world.container("app").restart_count, 0);
}

#[test]
fn sidecars_end_after_the_rest_in_reverse_order() {
    let inits = json!([sidecar("early"), sidecar("late")]);
    let mut world = World::new(json!({ "initContainers": inits, "containers": [container("a"), container("b")] }));
    world.settle();
    world.clear_calls();
    world.delete(30);
    world.settle();
    assert_eq!(world.calls()[..5], ["stop a 30", "stop b 30", "stop late 30", "stop early 30", "stop POD 0"]);
}

#[test]
fn a_pod_is_over_when_only_sidecars_are_left() {
    let mut world = World::new(json!({ "restartPolicy": "Never", "initContainers": [sidecar("proxy")] }));
    world.settle();
    world.end("app", 0);
    world.pass(1);
    assert_eq!((world.phase(), world.running().len(), world.running_sandboxes()), ("Succeeded", 0, 0));
}

#[test]
fn an_agent_that_dies_runs_no_init_container_twice() {
    let mut world = World::new(json!({ "initContainers": [container("one"), container("two")] }));
    world.settle();
    world.end("one", 0);
    world.restart_agent();
    world.settle();
    world.end("two", 0);
    world.restart_agent();
    world.pass(60);
    let starts: Vec<String> = world.calls().into_iter().filter(|call| call.starts_with("start")).collect();
    assert_eq!(starts, ["start one", "start two", "start app"]);
}

#[test]
fn an_init_container_that_somebody_removed_too_early_is_run_again() {
    let mut world = World::new(json!({ "initContainers": [container("one"), container("two")] }));
    world.settle();
    world.end("one", 0);
    let id = world.runtime.id_of("one").expect("a container");
    world.runtime.state().containers.remove(&id);
    world.look();
    world.settle();
    world.end("one", 0);
    world.end("two", 0);
    assert_eq!(world.running(), ["app"]);
}
