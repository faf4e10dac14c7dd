//! Containers that end, engines that lose things, and the delays between.

use serde_json::json;

use super::world::{World, words};
use crate::pods::{
    fixtures::{container, with},
    message::{Action, ProbeKind},
    runtime::RuntimeError,
};

#[test]
fn the_first_restart_is_immediate_and_later_ones_wait_longer() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 1);
    assert_eq!((world.running(), world.container("app").restart_count), (vec!["app".to_owned()], 1));
    let mut waited = Vec::new();
    for _ in 0..6 {
        world.end("app", 1);
        assert_eq!(world.state("app"), "Waiting: CrashLoopBackOff");
        let begun = world.now();
        while world.running().is_empty() {
            world.pass(1);
        }
        waited.push(world.now().duration_since(begun).as_secs());
    }
    assert_eq!(waited, [10, 20, 40, 80, 160, 300]);
    assert_eq!(world.container("app").restart_count, 7);
}

#[test]
fn a_crash_loop_says_why_and_for_how_long() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 3);
    assert!(!world.statuses.iter().any(|status| format!("{status:?}").contains("CrashLoop")), "not while it restarts");
    world.end("app", 4);
    let status = world.container("app");
    let waiting = status.state.as_ref().and_then(|state| state.waiting.clone()).expect("it waits");
    assert_eq!(waiting.message.as_deref(), Some("back-off 10s restarting failed container=app pod=p_default(u)"));
    assert_eq!(words(status.last_state.as_ref()), "Terminated: Error 4");
    assert_eq!((status.ready, status.started, world.phase()), (false, Some(false), "Running"));
    let told = "BackOff: Back-off restarting failed container app in pod p_default(u)";
    world.pass(5);
    assert_eq!(world.events.iter().filter(|event| *event == told).count(), 1, "told once per end: {:?}", world.events);
}

#[test]
fn ten_good_minutes_forgive() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 1);
    world.end("app", 1);
    world.pass(10);
    world.pass(11 * 60);
    world.end("app", 1);
    assert_eq!(world.running(), ["app"], "restarted at once");
}

#[test]
fn one_dead_container_is_kept_for_its_log() {
    let mut world = World::new(json!({}));
    world.settle();
    for _ in 0..4 {
        world.end("app", 1);
        world.pass(400);
    }
    assert_eq!(world.runtime.state().containers.len(), 2);
    assert_eq!(words(world.container("app").last_state.as_ref()), "Terminated: Error 1");
}

#[test]
fn policies_decide_what_restarts() {
    for (policy, code, restarts, phase) in [
        ("Always", 0, true, "Running"),
        ("OnFailure", 1, true, "Running"),
        ("OnFailure", 0, false, "Succeeded"),
        ("Never", 0, false, "Succeeded"),
        ("Never", 7, false, "Failed"),
    ] {
        let mut world = World::new(json!({ "restartPolicy": policy }));
        world.settle();
        world.end("app", code);
        world.pass(1);
        assert_eq!(!world.running().is_empty(), restarts, "{policy} {code}");
        assert_eq!(world.phase(), phase, "{policy} {code}");
        if !restarts {
            assert_eq!(world.running_sandboxes(), 0, "the sandbox of a pod that is over ends");
            world.clear_calls();
            world.restart_agent();
            world.pass(600);
            assert_eq!((world.phase(), world.calls()), (phase, vec![]), "what is over stays so");
        }
    }
}

#[test]
fn one_of_two_containers_may_end_for_good() {
    let spec = json!({ "restartPolicy": "Never", "containers": [container("a"), container("b")] });
    let mut world = World::new(spec);
    world.settle();
    world.end("a", 0);
    world.pass(60);
    assert_eq!((world.phase(), world.running()), ("Running", vec!["b".to_owned()]));
    assert_eq!(world.state("a"), "Terminated: Completed 0");
    assert!(!world.condition("Ready"));
    world.end("b", 1);
    assert_eq!(world.phase(), "Failed");
}

#[test]
fn a_dead_sandbox_is_replaced_with_everything_in_it() {
    let mut world = World::new(json!({ "initContainers": [container("first")], "containers": [container("app")] }));
    world.runtime.state().short_lived.insert("first".to_owned(), 0);
    world.settle();
    let sandbox = world.runtime.state().sandboxes.keys().next().cloned().expect("a sandbox");
    world.clear_calls();
    world.runtime.end(&sandbox, 0);
    world.look();
    world.pass(1);
    assert_eq!(
        world.calls(),
        ["stop app 1", "sandbox p 1", "remove POD", "create first 1", "start first", "create app 1", "start app"]
    );
    assert_eq!((world.phase(), world.container("app").restart_count, world.running_sandboxes()), ("Running", 1, 1));
    assert_eq!(world.events, ["SandboxChanged: Pod sandbox changed, it will be killed and re-created."]);
}

#[test]
fn a_container_that_somebody_removed_counts_as_a_restart() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 1);
    world.runtime.state().containers.clear();
    world.look();
    world.pass(1);
    assert_eq!((world.running(), world.container("app").restart_count), (vec!["app".to_owned()], 2));
}

#[test]
fn counts_go_on_when_the_newest_of_two_is_removed() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 1);
    let newest = world.runtime.id_of("app").expect("a container");
    world.runtime.state().containers.remove(&newest);
    world.look();
    assert_eq!(world.container("app").restart_count, 1);
    world.pass(30);
    assert_eq!((world.running(), world.container("app").restart_count), (vec!["app".to_owned()], 2));
}

#[test]
fn a_container_that_ended_for_good_is_not_run_again_when_it_is_removed() {
    let mut world = World::new(json!({ "restartPolicy": "Never", "containers": [container("a"), container("b")] }));
    world.settle();
    world.end("a", 0);
    let id = world.runtime.id_of("a").expect("a container");
    world.runtime.state().containers.remove(&id);
    world.look();
    world.pass(10);
    assert_eq!((world.running(), world.state("a")), (vec!["b".to_owned()], "Terminated: Completed 0".to_owned()));
}

#[test]
fn a_container_that_fails_its_liveness_probe_is_replaced() {
    let probe = json!({ "tcpSocket": { "port": 1 }, "terminationGracePeriodSeconds": 3 });
    let app = with(container("app"), json!({ "livenessProbe": probe }));
    let mut world = World::new(json!({ "containers": [app] }));
    world.settle();
    world.clear_calls();
    world.probe("app", ProbeKind::Liveness, false);
    assert_eq!(world.calls(), ["stop app 3", "create app 1", "start app"]);
    assert_eq!((world.container("app").restart_count, world.probes()), (1, vec!["app Liveness".to_owned()]));
}

#[test]
fn a_failed_startup_probe_says_so() {
    let app = with(container("app"), json!({ "startupProbe": { "tcpSocket": { "port": 1 } } }));
    let mut world = World::new(json!({ "containers": [app] }));
    world.settle();
    let container = world.runtime.id_of("app").expect("a container");
    let verdict = crate::pods::message::Verdict { container, kind: ProbeKind::Startup, passed: false };
    world.tell(crate::pods::message::Message::Probed(verdict));
    let Some(Action::Stop { why, grace, .. }) = world.pending.front() else { panic!("{:?}", world.pending) };
    assert_eq!(why, "Container app failed startup probe, will be restarted");
    assert_eq!(grace.as_secs(), 30);
}

#[test]
fn a_new_image_replaces_the_container() {
    let mut world = World::new(json!({}));
    world.settle();
    world.end("app", 1);
    world.runtime.state().images.insert("test/app:2".to_owned(), crate::pods::runtime::fake::image("test/app:2"));
    let spec = world.object.as_mut().and_then(|pod| pod.spec.as_mut()).expect("a specification");
    spec.containers[0].image = Some("test/app:2".to_owned());
    world.clear_calls();
    world.tell_object();
    world.settle();
    assert_eq!(world.calls(), ["stop app 30", "create app 2", "start app", "remove app"], "without a delay");
    assert_eq!(world.container("app").image, "test/app:2");
}

#[test]
fn sandboxes_that_never_start_do_not_pile_up_and_are_no_changes() {
    let mut world = World::new(json!({}));
    for _ in 0..20 {
        world.runtime.fail("sandbox", RuntimeError::Refused("no such sysctl".to_owned()));
        world.pass(30);
        assert!(world.left().1 <= 1, "{} sandboxes are left", world.left().1);
    }
    assert_eq!(world.events, Vec::<String>::new());
    world.runtime.state().failures.clear();
    world.pass(60);
    assert_eq!((world.running(), world.left()), (vec!["app".to_owned()], (1, 1)));
}

#[test]
fn a_dead_sandbox_that_cannot_be_replaced_at_once_is_told_once() {
    let mut world = World::new(json!({}));
    world.settle();
    for _ in 0..3 {
        world.runtime.fail("sandbox", RuntimeError::Refused("no space left".to_owned()));
    }
    let sandbox = world.runtime.state().sandboxes.keys().next().cloned().expect("a sandbox");
    world.runtime.end(&sandbox, 137);
    world.look();
    world.pass(60);
    assert_eq!((world.running(), world.running_sandboxes()), (vec!["app".to_owned()], 1));
    assert_eq!(world.events, ["SandboxChanged: Pod sandbox changed, it will be killed and re-created."]);
}
