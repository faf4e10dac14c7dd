//! From nothing to running, and agents that find it so.

use serde_json::json;

use super::world::{ADDRESS, BEGIN, World};
use crate::pods::{
    fixtures::{HOST, container, with},
    message::{Done, Job, Message, ProbeKind},
};

#[test]
fn a_pod_comes_up_in_order() {
    let mut world = World::new(json!({ "containers": [container("a"), container("b")] }));
    assert_eq!(world.phase(), "Pending");
    assert_eq!(world.state("a"), "Waiting: ContainerCreating");
    assert!(!world.condition("PodReadyToStartContainers"));
    world.settle();
    assert_eq!(world.calls(), ["sandbox p 0", "create a 0", "start a", "create b 0", "start b"]);
    assert_eq!(world.phase(), "Running");
    for kind in ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
        assert!(world.condition(kind), "{kind}");
    }
    let status = world.status();
    assert_eq!(status.pod_ip.as_deref(), Some(ADDRESS.to_string().as_str()));
    assert_eq!(status.host_ip.as_deref(), Some(HOST.to_string().as_str()));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(status.start_time.as_ref().map(|time| time.0.as_second()), Some(BEGIN));
    assert_eq!((world.state("a").as_str(), world.container("a").restart_count), ("Running", 0));
}

#[test]
fn containers_are_started_side_by_side() {
    let mut world = World::new(json!({ "containers": [container("a"), container("b")] }));
    while world.pending.len() < 2 {
        assert!(world.step(), "both starts wait at once at some time");
    }
    let jobs: Vec<_> = world.pending.iter().filter_map(crate::pods::message::Action::job).collect();
    assert_eq!(jobs, [Job::Start("a".to_owned()), Job::Start("b".to_owned())]);
}

#[test]
fn nothing_happens_twice_when_messages_repeat() {
    let mut world = World::new(json!({}));
    for _ in 0..20 {
        world.tell_object();
        world.look();
        world.tell(Message::Tick);
        world.step();
    }
    world.settle();
    assert_eq!(world.calls(), ["sandbox p 0", "create app 0", "start app"]);
    let written = world.statuses.len();
    world.look();
    world.tell_object();
    assert_eq!(world.statuses.len(), written, "a status changes only when something has");
}

#[test]
fn a_restarted_agent_changes_nothing() {
    let probe = json!({ "readinessProbe": { "tcpSocket": { "port": 1 } } });
    let mut world = World::new(json!({ "containers": [with(container("app"), probe)] }));
    world.settle();
    world.probe("app", ProbeKind::Readiness, true);
    assert!(world.condition("Ready"));
    let (before, written) = (world.status().clone(), world.statuses.len());
    let id = world.runtime.id_of("app");
    world.clear_calls();
    world.pass(3600);
    world.restart_agent();
    world.pass(60);
    assert_eq!(world.calls(), Vec::<String>::new());
    assert_eq!(world.runtime.id_of("app"), id);
    assert_eq!(world.statuses.len(), written, "not even for a moment is another status shown");
    assert_eq!(*world.status(), before);
    assert_eq!(world.probes(), ["app Readiness"]);
}

#[test]
fn an_agent_may_die_after_any_step() {
    for steps in 0..12 {
        let mut world = World::new(json!({
            "initContainers": [container("first")],
            "containers": [container("a"), container("b")],
        }));
        world.runtime.state().short_lived.insert("first".to_owned(), 0);
        for _ in 0..steps {
            world.step();
        }
        world.restart_agent();
        world.pass(60);
        assert_eq!(world.running(), ["a", "b"], "died after {steps} steps");
        assert_eq!(world.running_sandboxes(), 1);
        assert_eq!((world.phase(), world.container("a").restart_count), ("Running", 0));
    }
}

#[test]
fn a_created_container_that_was_never_started_is_made_anew() {
    let mut world = World::new(json!({}));
    world.runtime.fail("start app", crate::pods::runtime::RuntimeError::Unavailable("gone".to_owned()));
    world.settle();
    assert_eq!(world.running(), Vec::<String>::new());
    assert_eq!(world.state("app"), "Waiting: RunContainerError");
    world.pass(5);
    assert_eq!(world.calls(), ["sandbox p 0", "create app 0", "start app", "create app 0", "start app"]);
    assert_eq!((world.running(), world.container("app").restart_count), (vec!["app".to_owned()], 0));
}

#[test]
fn what_fails_is_tried_again_after_growing_delays() {
    let mut world = World::new(json!({}));
    world.failing = vec![Job::Volumes, Job::Volumes, Job::Volumes, Job::Sandbox];
    world.settle();
    let mut waited = Vec::new();
    while world.running().is_empty() {
        let wake = world.plan.wake.expect("a time to try again");
        let seconds = wake.duration_since(world.now()).as_secs();
        waited.push(seconds);
        world.pass(seconds);
    }
    assert_eq!(waited, [1, 2, 4, 1]);
}

#[test]
fn files_that_arrive_late_are_not_waited_for() {
    let mut world = World::new(json!({}));
    world.failing = vec![Job::Volumes];
    world.settle();
    assert!(world.running().is_empty());
    world.tell(Message::Refreshed);
    world.settle();
    assert_eq!(world.running(), ["app"]);
}

#[test]
fn files_that_change_later_are_made_again_and_nothing_restarts() {
    let mut world = World::new(json!({}));
    world.settle();
    world.clear_calls();
    world.failing = vec![Job::Volumes];
    world.tell(Message::Refreshed);
    assert_eq!(world.pending.len(), 1);
    world.pass(10);
    assert!(world.failing.is_empty(), "the files were made, and again after that failed");
    assert_eq!(world.calls(), Vec::<String>::new());
    let quiet = world.pending.is_empty() && world.plan.wake.is_none();
    assert!(quiet, "and then no more");
}

#[test]
fn readiness_and_startup_probes_gate_what_they_should() {
    let probes = json!({
        "startupProbe": { "tcpSocket": { "port": 1 } },
        "livenessProbe": { "tcpSocket": { "port": 1 } },
        "readinessProbe": { "tcpSocket": { "port": 1 } },
    });
    let mut world = World::new(json!({ "containers": [with(container("app"), probes)] }));
    world.settle();
    assert_eq!(world.probes(), ["app Startup"]);
    assert_eq!(world.container("app").started, Some(false));
    world.probe("app", ProbeKind::Startup, true);
    assert_eq!(world.probes(), ["app Liveness", "app Readiness"]);
    assert_eq!((world.container("app").started, world.condition("Ready")), (Some(true), false));
    world.probe("app", ProbeKind::Readiness, true);
    assert!(world.condition("Ready"));
    world.probe("app", ProbeKind::Readiness, false);
    assert!(!world.condition("Ready"));
}

/// A pod with tokens that must be renewed every 480 s.
fn pod_with_tokens(policy: &str) -> World {
    let mut world = World::new(json!({ "restartPolicy": policy }));
    world.tokens = Some(480);
    world.settle();
    world
}

#[test]
fn tokens_are_renewed_when_they_are_due_and_at_no_other_time() {
    let mut world = pod_with_tokens("Always");
    for _ in 0..479 {
        world.pass(1);
    }
    assert_eq!(world.prepared, [0]);
    world.pass(481);
    assert_eq!(world.prepared, [0, 480, 960]);
}

#[test]
fn a_renewal_that_fails_is_tried_again_after_growing_delays() {
    let mut world = pod_with_tokens("Always");
    world.failing = vec![Job::Volumes; 4];
    world.pass(480 + 60);
    assert_eq!(world.prepared, [0, 480, 481, 483, 487, 495]);
    assert_eq!(world.running(), ["app"], "what runs goes on with what it has");
}

#[test]
fn a_pod_that_is_over_renews_no_tokens() {
    let mut world = pod_with_tokens("Never");
    world.end("app", 0);
    world.pass(3600);
    assert_eq!((world.phase(), world.plan.wake), ("Succeeded", None));
    assert_eq!(world.prepared, [0]);
}

#[test]
fn files_whose_making_was_given_up_are_made_when_the_pod_goes_on() {
    let mut world = pod_with_tokens("Always");
    world.tell(Message::Refreshed);
    world.pending.clear();
    world.tell(Message::Done(Job::Volumes, Ok(Done::GivenUp)));
    world.settle();
    assert_eq!(world.prepared, [0, 0]);
}
