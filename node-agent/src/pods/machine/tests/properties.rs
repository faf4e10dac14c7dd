//! Whatever happens on the way, the pod arrives.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::World;
use crate::pods::{
    fixtures::{container, with},
    message::Message,
    runtime::RuntimeError,
};

/// Something that goes wrong, or just happens.
#[derive(Clone, Debug)]
enum Turn {
    /// One job comes to its end.
    Step,
    /// The agent dies and another starts.
    AgentDies,
    /// A container ends.
    Ends(usize, i32),
    /// The newest sandbox ends.
    SandboxEnds,
    /// Somebody removes a container.
    Removed(usize),
    /// The next call that begins so fails.
    Fails(&'static str),
    /// A notice that says nothing new.
    Repeat,
    /// Time.
    Passes(i64),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        8 => Just(Turn::Step),
        2 => Just(Turn::AgentDies),
        2 => (0..3_usize, prop_oneof![Just(0), Just(1), Just(137)]).prop_map(|(which, code)| Turn::Ends(which, code)),
        1 => Just(Turn::SandboxEnds),
        1 => (0..3_usize).prop_map(Turn::Removed),
        2 => prop_oneof![Just("sandbox"), Just("create"), Just("start"), Just("stop"), Just("remove")]
            .prop_map(Turn::Fails),
        1 => Just(Turn::Repeat),
        3 => (1..60_i64).prop_map(Turn::Passes),
    ];
    prop::collection::vec(turn, 0..40)
}

fn spec(policy: &str) -> Value {
    json!({
        "restartPolicy": policy,
        "initContainers": [container("first"), with(container("proxy"), json!({ "restartPolicy": "Always" }))],
        "containers": [container("a"), container("b")],
    })
}

fn apply(world: &mut World, turn: &Turn) {
    match *turn {
        Turn::Step => drop(world.step()),
        Turn::AgentDies => world.restart_agent(),
        Turn::Ends(which, code) => {
            if let Some(id) = pick(world, which) {
                world.runtime.end(&id, code);
                world.look();
            }
        }
        Turn::SandboxEnds => {
            let newest = world.runtime.state().sandboxes.keys().next_back().cloned();
            if let Some(id) = newest {
                world.runtime.end(&id, 137);
                world.look();
            }
        }
        Turn::Removed(which) => {
            if let Some(id) = pick(world, which) {
                world.runtime.state().containers.remove(&id);
                world.look();
            }
        }
        Turn::Fails(words) => world.runtime.fail(words, RuntimeError::Refused("no".to_owned())),
        Turn::Repeat => {
            world.tell_object();
            world.look();
            world.tell(Message::Tick);
        }
        Turn::Passes(seconds) => world.pass(seconds),
    }
}

fn pick(world: &World, which: usize) -> Option<String> {
    let state = world.runtime.state();
    let ids: Vec<String> = state.containers.keys().cloned().collect();
    (!ids.is_empty()).then(|| ids[which % ids.len()].clone())
}

/// What holds at every moment.
fn check_always(world: &World) -> Result<(), TestCaseError> {
    let running = world.running();
    let mut once = running.clone();
    once.dedup();
    prop_assert_eq!(&once, &running, "no container runs twice");
    prop_assert!(world.running_sandboxes() <= 1, "no two sandboxes run");
    Ok(())
}

/// Counts must not go back.
fn restarts(world: &World) -> i32 {
    let status = world.statuses.last();
    let all = status.into_iter().flat_map(|status| status.container_statuses.iter().flatten());
    all.map(|status| status.restart_count).sum()
}

proptest! {
    #[test]
    fn a_pod_that_should_run_runs_in_the_end_and_ends_when_it_is_deleted(turns in turns()) {
        let mut world = World::new(spec("Always"));
        world.runtime.state().short_lived.insert("first".to_owned(), 0);
        let mut counted = 0;
        for turn in &turns {
            apply(&mut world, turn);
            check_always(&world)?;
            let now = restarts(&world);
            prop_assert!(now >= counted, "restart counts went from {} to {}", counted, now);
            counted = now;
        }
        world.runtime.state().failures.clear();
        world.look();
        world.pass(1200);
        prop_assert_eq!(world.running(), ["a", "b", "proxy"]);
        prop_assert_eq!((world.running_sandboxes(), world.phase()), (1, "Running"));
        prop_assert!(world.condition("Ready"));
        prop_assert!(world.runtime.state().containers.len() <= 8, "at most one dead container of each name is kept");

        world.delete(30);
        world.pass(120);
        prop_assert!(world.object.is_none(), "the object is removed");
        world.tell_object();
        world.pass(60);
        prop_assert!(world.finished);
        prop_assert_eq!(world.left(), (0, 0));
    }

    #[test]
    fn an_engine_that_starts_no_sandbox_is_not_filled_with_them(turns in turns()) {
        let mut world = World::new(spec("Always"));
        let refusals = std::iter::repeat_n(("sandbox".to_owned(), RuntimeError::Refused("no such sysctl".to_owned())), 1000);
        world.runtime.state().failures.extend(refusals);
        for turn in turns.iter().filter(|turn| !matches!(turn, Turn::Fails("remove"))) {
            apply(&mut world, turn);
            // The newest, and one that an agent left when it died.
            let sandboxes = world.left().1;
            prop_assert!(sandboxes <= 2, "{} sandboxes", sandboxes);
        }
    }

    #[test]
    fn a_deleted_pod_leaves_nothing_whatever_happens(before in turns(), after in turns()) {
        let mut world = World::new(spec("OnFailure"));
        world.runtime.state().short_lived.insert("first".to_owned(), 0);
        before.iter().for_each(|turn| apply(&mut world, turn));
        world.delete(10);
        for turn in &after {
            apply(&mut world, turn);
            check_always(&world)?;
        }
        world.runtime.state().failures.clear();
        world.look();
        world.pass(300);
        prop_assert!(world.object.is_none());
        world.tell_object();
        world.pass(60);
        prop_assert!(world.finished);
        prop_assert_eq!(world.left(), (0, 0));
    }

    #[test]
    fn a_pod_that_is_over_is_never_anything_else(code in prop_oneof![Just(0), Just(1)], turns in turns()) {
        let mut world = World::new(spec("Never"));
        world.runtime.state().short_lived.extend([("first".to_owned(), 0), ("a".to_owned(), 0), ("b".to_owned(), code)]);
        world.pass(30);
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        prop_assert_eq!(world.phase(), phase);
        for turn in &turns {
            apply(&mut world, turn);
            prop_assert_eq!(world.phase(), phase);
            prop_assert_eq!(world.running_sandboxes(), 0);
        }
    }
}
