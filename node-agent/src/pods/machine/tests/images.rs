//! Images that cannot be had.

use serde_json::json;

use super::world::World;
use crate::pods::{message::Message, runtime::fake};

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
