//! Deletion, deadlines, and pods that nobody knows any more.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::world::World;
use crate::pods::{
    fixtures::{container, with},
    message::{Action, Job, Message},
};

#[test]
fn a_deleted_pod_ends_then_its_object_then_what_is_left() {
    let mut world = World::new(json!({}));
    world.settle();
    world.clear_calls();
    world.delete(5);
    world.settle();
    assert_eq!(world.calls(), ["stop app 5", "stop POD 0"]);
    assert!(world.object.is_none(), "the object is removed when nothing runs");
    let last = world.status();
    assert_eq!(last.phase.as_deref(), Some("Running"));
    assert_eq!(world.state("app"), "Terminated: Error 143");
    assert!(!world.finished);
    world.tell_object();
    world.settle();
    assert!(world.finished);
    assert_eq!(world.left(), (0, 0));
}

#[test]
fn an_ended_pod_that_never_restarts_is_failed_before_it_is_removed() {
    let mut world = World::new(json!({ "restartPolicy": "Never" }));
    world.settle();
    world.delete(5);
    world.settle();
    assert_eq!((world.phase(), world.object.is_none()), ("Failed", true));
}

#[test]
fn the_object_is_asked_for_once() {
    let mut world = World::new(json!({}));
    world.settle();
    world.delete(1);
    while !matches!(world.pending.front(), Some(Action::Delete(_))) {
        assert!(world.step());
    }
    let object = world.object.clone();
    world.step();
    world.object = object;
    world.tell_object();
    world.look();
    assert!(world.pending.is_empty(), "{:?}", world.pending);
    world.pass(29);
    assert!(world.object.is_some());
    world.pass(1);
    assert!(world.object.is_none(), "and again after a while, should it still be there");
}

#[test]
fn readiness_is_asked_to_the_end_and_liveness_is_not() {
    let probe = json!({ "tcpSocket": { "port": 1 } });
    let app = with(container("app"), json!({ "livenessProbe": probe, "readinessProbe": probe }));
    let mut world = World::new(json!({ "containers": [app] }));
    world.settle();
    world.delete(30);
    assert_eq!(world.probes(), ["app Readiness"]);
}

#[test]
fn a_shorter_grace_overtakes_a_longer_one() {
    let mut world = World::new(json!({}));
    world.settle();
    world.delete(600);
    let first = world.pending.pop_front();
    assert!(matches!(first, Some(Action::Stop { grace, .. }) if grace == Duration::from_secs(600)), "{first:?}");
    world.tell_object();
    assert!(world.pending.is_empty(), "not while it is under way");
    world.delete(2);
    let second = world.pending.front();
    assert!(matches!(second, Some(Action::Stop { grace, .. }) if grace.as_secs() == 2), "{second:?}");
}

#[test]
fn a_start_under_way_is_given_up_when_the_pod_is_deleted() {
    let mut world = World::new(json!({}));
    while !matches!(world.pending.front(), Some(Action::Start { .. })) {
        assert!(world.step());
    }
    world.delete(5);
    assert_eq!(world.cancelled, [Job::Start("app".to_owned())]);
    world.pending.clear();
    world.tell(Message::Done(Job::Start("app".to_owned()), Ok(crate::pods::message::Done::GivenUp)));
    world.settle();
    assert!(world.object.is_none());
    assert!(!world.calls().contains(&"create app 0".to_owned()));
}

#[test]
fn a_pod_that_was_removed_by_force_ends_fast() {
    let mut world = World::new(json!({}));
    world.settle();
    world.clear_calls();
    world.object = None;
    world.tell_object();
    world.settle();
    assert_eq!(world.calls(), ["stop app 1", "stop POD 0", "remove app", "remove POD"]);
    assert!(world.finished);
}

#[test]
fn containers_of_a_pod_that_nobody_knows_end_with_their_own_grace() {
    let mut world = World::new(json!({}));
    world.settle();
    world.object = None;
    world.clear_calls();
    world.restart_agent();
    world.settle();
    assert_eq!(world.calls(), ["stop app 30", "stop POD 0", "remove app", "remove POD"]);
    assert!(world.finished);
}

#[test]
fn nothing_is_touched_before_the_object_has_come_or_is_known_to_be_gone() {
    let mut world = World::new(json!({}));
    world.settle();
    let object = world.object.take();
    world.clear_calls();
    let mut other = World::without_object();
    other.runtime = world.runtime.clone();
    other.look();
    other.pass(3600);
    assert_eq!(other.calls(), Vec::<String>::new());
    other.object = object;
    other.tell_object();
    other.pass(60);
    assert_eq!((other.calls(), other.running()), (vec![], vec!["app".to_owned()]));
}

#[test]
fn an_object_that_comes_back_is_served_again() {
    let mut world = World::new(json!({}));
    world.settle();
    let object = world.object.take();
    world.tell_object();
    assert!(world.step());
    world.object = object;
    world.tell_object();
    world.pass(1);
    assert_eq!((world.running(), world.phase()), (vec!["app".to_owned()], "Running"));
}

#[test]
fn a_deadline_fails_the_pod() {
    let mut world = World::new(json!({ "activeDeadlineSeconds": 100 }));
    world.settle();
    world.pass(99);
    assert_eq!(world.phase(), "Running");
    world.pass(2);
    assert_eq!((world.phase(), world.running().len()), ("Failed", 0));
    assert_eq!(world.status().reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(world.events, ["DeadlineExceeded: Pod was active on the node longer than the specified deadline"]);
    world.restart_agent();
    world.pass(60);
    assert_eq!((world.phase(), world.status().reason.as_deref()), ("Failed", Some("DeadlineExceeded")));
}

#[test]
fn a_pod_that_missed_its_deadline_has_not_failed_while_it_runs() {
    let mut world = World::new(json!({ "activeDeadlineSeconds": 100 }));
    world.settle();
    world.runtime.state().now = Some(world.now() + SignedDuration::from_secs(100));
    world.tell(Message::Tick);
    assert!(matches!(world.pending.front(), Some(Action::Stop { .. })), "{:?}", world.pending);
    assert_eq!((world.phase(), world.status().reason.as_deref()), ("Running", None));
    world.settle();
    assert_eq!((world.phase(), world.status().reason.as_deref()), ("Failed", Some("DeadlineExceeded")));
    assert!(world.running().is_empty());
}

#[test]
fn a_phase_that_somebody_else_has_set_for_good_is_kept() {
    let mut world = World::new(json!({}));
    world.settle();
    let status = world.object.as_mut().and_then(|pod| pod.status.as_mut()).expect("a status");
    status.phase = Some("Failed".to_owned());
    status.reason = Some("Evicted".to_owned());
    world.tell_object();
    world.pass(10);
    assert_eq!((world.phase(), world.status().reason.as_deref()), ("Failed", Some("Evicted")));
    assert!(world.running().is_empty());
    assert_eq!(world.state("app"), "Terminated: Error 143");
}

#[test]
fn what_the_engine_lost_of_an_ended_pod_is_remembered() {
    let mut world = World::new(json!({ "restartPolicy": "Never" }));
    world.settle();
    world.end("app", 3);
    world.runtime.state().containers.clear();
    world.runtime.state().sandboxes.clear();
    world.restart_agent();
    world.pass(10);
    assert_eq!((world.phase(), world.state("app").as_str()), ("Failed", "Terminated: Error 3"));
}

#[test]
fn a_stop_that_fails_is_tried_again_later() {
    let mut world = World::new(json!({}));
    world.settle();
    world.failing = vec![Job::Stop(world.runtime.id_of("app").expect("a container"), 5)];
    world.delete(5);
    world.settle();
    assert_eq!(world.running(), ["app"]);
    world.pass(1);
    assert!(world.object.is_none());
}
