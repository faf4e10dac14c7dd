//! Images that cannot be had.

use serde_json::json;

use super::world::World;
use crate::pods::{
    fixtures::IMAGE,
    message::{Action, Failure, Job, Message},
    runtime::fake,
};

fn pod_of(image: &str) -> World {
    World::new(json!({ "containers": [{ "name": "app", "image": image }] }))
}

fn waiting(world: &World) -> (String, String) {
    let state = world.container("app").state.clone().and_then(|state| state.waiting).expect("it waits");
    (state.reason.unwrap_or_default(), state.message.unwrap_or_default())
}

#[test]
fn a_failed_pull_is_shown_first_as_an_error_then_as_a_delay() {
    let mut world = pod_of("nowhere/app:1");
    world.settle();
    let error = "manifest for nowhere/app:1 not found";
    assert_eq!(waiting(&world), ("ErrImagePull".to_owned(), error.to_owned()));
    world.pass(1);
    assert_eq!((waiting(&world).0.as_str(), world.events.len()), ("ErrImagePull", 0), "long enough to be seen");
    world.pass(2);
    let back_off = format!("Back-off pulling image \"nowhere/app:1\": ErrImagePull: {error}");
    assert_eq!(waiting(&world), ("ImagePullBackOff".to_owned(), back_off));
    assert_eq!(world.phase(), "Pending");
    let told = ["BackOff: Back-off pulling image \"nowhere/app:1\"", "Failed: Error: ImagePullBackOff"];
    assert_eq!(world.events, told);
    world.tell(Message::Tick);
    assert_eq!(world.events, told, "told once");
}

#[test]
fn pulls_are_tried_again_until_one_succeeds() {
    let mut world = pod_of("late/app:1");
    let pulls = |world: &World| world.calls().iter().filter(|call| call.starts_with("pull")).count();
    world.settle();
    assert_eq!(pulls(&world), 1);
    world.pass(9);
    assert_eq!(pulls(&world), 1);
    world.pass(1);
    assert_eq!(pulls(&world), 2);
    world.pass(19);
    assert_eq!(pulls(&world), 2, "the delay has doubled");
    world.runtime.state().registry.insert("late/app:1".to_owned(), fake::image("late/app:1"));
    world.pass(1);
    assert_eq!((world.running(), world.phase()), (vec!["app".to_owned()], "Running"));
}

#[test]
fn a_container_that_cannot_be_created_says_why() {
    let mut world = World::new(json!({}));
    world.runtime.fail("create app", crate::pods::runtime::RuntimeError::Refused("no space left".to_owned()));
    world.settle();
    assert_eq!(waiting(&world), ("CreateContainerError".to_owned(), "no space left".to_owned()));
    world.pass(1);
    assert_eq!(world.running(), ["app"]);
}

fn correct(world: &mut World) {
    let spec = world.object.as_mut().and_then(|pod| pod.spec.as_mut()).expect("a specification");
    spec.containers[0].image = Some(IMAGE.to_owned());
    world.tell_object();
}

#[test]
fn a_corrected_image_waits_for_no_delay_of_the_wrong_one() {
    let mut world = pod_of("nowhere/app:1");
    world.pass(100);
    assert_eq!(waiting(&world).0, "ImagePullBackOff");
    let begun = world.now();
    correct(&mut world);
    world.settle();
    assert_eq!((world.running(), world.now()), (vec!["app".to_owned()], begun));
}

#[test]
fn a_pull_under_way_is_given_up_when_the_image_is_corrected() {
    let mut world = pod_of("nowhere/app:1");
    let start = Job::Start("app".to_owned());
    while world.pending.front().and_then(Action::job).as_ref() != Some(&start) {
        assert!(world.step());
    }
    world.pending.clear();
    correct(&mut world);
    assert_eq!(world.cancelled, std::slice::from_ref(&start));
    // It failed before it could be given up.
    world.tell(Message::Done(start, Err(Failure::new("ErrImagePull", "manifest not found"))));
    world.settle();
    assert_eq!(world.running(), ["app"], "the new image has no delay");
}

#[test]
fn another_change_of_the_object_does_not_shorten_the_delay_of_a_pull() {
    let mut world = pod_of("nowhere/app:1");
    world.settle();
    let pulls = |world: &World| world.calls().iter().filter(|call| call.starts_with("pull")).count();
    let object = world.object.as_mut().expect("a pod");
    object.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    world.tell_object();
    world.settle();
    assert_eq!(pulls(&world), 1);
}
