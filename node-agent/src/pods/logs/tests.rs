//! Which log, and how much of it.

#![expect(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{LogRequest, choose, cut, filter, lines::Lines};
use crate::pods::{
    fixtures,
    pod::PodExt,
    runtime::{Container, ContainerSpec, ContainerState, Exit, Observed},
};

fn pod_with(state: Value) -> Pod {
    let mut pod = fixtures::pod(json!({
        "initContainers": [fixtures::container("first")],
        "containers": [fixtures::container("app")],
    }));
    let status = json!({ "containerStatuses": [
        { "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state },
    ] });
    pod.status = Some(serde_json::from_value(status).expect("a status"));
    pod
}

fn container(id: &str, attempt: u32, state: ContainerState) -> Container {
    Container {
        id: id.to_owned(),
        name: "app".to_owned(),
        attempt,
        sandbox: "s".to_owned(),
        hash: String::new(),
        image: String::new(),
        image_id: String::new(),
        tty: false,
        created: Timestamp::UNIX_EPOCH,
        state,
    }
}

fn running() -> ContainerState {
    ContainerState::Running { started: Timestamp::UNIX_EPOCH }
}

fn ended() -> ContainerState {
    let finished = Timestamp::UNIX_EPOCH;
    ContainerState::Exited(Exit { code: 1, reason: "Error".into(), message: String::new(), started: None, finished })
}

/// Which container is read; `states` are newest first.
fn chosen(status: Value, states: Vec<ContainerState>, previous: bool) -> Result<String, String> {
    let ids = ["newest", "older", "oldest"];
    let containers =
        states.into_iter().zip(ids).zip([2, 1, 0]).map(|((state, id), attempt)| container(id, attempt, state));
    let observed = Observed { sandboxes: Vec::new(), containers: containers.collect() };
    let chosen = choose::container(&pod_with(status), &observed, "app", previous);
    chosen.map(|container| container.id.clone()).map_err(|error| {
        assert_eq!(error.code, 400);
        error.message
    })
}

#[test]
fn the_newest_container_that_ran_is_read() {
    let waits = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    let runs = json!({ "running": {} });
    let is = |id: &str| Ok(id.to_owned());
    assert_eq!(chosen(runs.clone(), vec![running(), ended()], false), is("newest"));
    assert_eq!(chosen(runs.clone(), vec![ContainerState::Created, ended()], false), is("older"));
    assert_eq!(chosen(waits.clone(), vec![ended(), ended()], false), is("newest"));
    assert_eq!(chosen(runs, vec![running(), ended()], true), is("older"));
    assert_eq!(chosen(waits, vec![ended(), ended()], true), is("newest"), "it waits, so the last one is the previous");
    assert_eq!(chosen(json!({ "terminated": { "exitCode": 1 } }), vec![ended(), ended()], true), is("older"));
}

#[test]
fn what_has_no_log_says_why() {
    for (reason, why) in [
        ("ContainerCreating", "ContainerCreating"),
        ("PodInitializing", "PodInitializing"),
        ("ErrImagePull", "image can't be pulled"),
        ("ImagePullBackOff", "trying and failing to pull image"),
    ] {
        let status = json!({ "waiting": { "reason": reason } });
        let expected = format!("container \"app\" in pod \"p\" is waiting to start: {why}");
        assert_eq!(chosen(status, vec![], false), Err(expected));
    }
    let none = "previous terminated container \"app\" in pod \"p\" not found".to_owned();
    assert_eq!(chosen(json!({ "running": {} }), vec![running()], true), Err(none));
}

#[test]
fn containers_are_called_by_their_names() {
    let pod = pod_with(json!({}));
    assert_eq!(choose::name(&pod, ""), Ok("app"));
    assert_eq!(choose::name(&pod, "first"), Ok("first"));
    let wrong = choose::name(&pod, "other").expect_err("a refusal");
    assert_eq!((wrong.code, wrong.message.as_str()), (400, "container other is not valid for pod p"));
    let two = json!({ "initContainers": [fixtures::container("i")],
                      "containers": [fixtures::container("a"), fixtures::container("b")] });
    let unclear = choose::name(&fixtures::pod(two), "").expect_err("a refusal").message;
    assert_eq!(
        unclear,
        "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
    );
}

#[tokio::test]
async fn old_lines_are_dropped_wherever_pieces_end() {
    let text = "2024-01-01T00:00:00.100000000Z one\n2024-01-01T00:00:00.200000000Z two\n2024-01-01T00:00:00.3Z th ree";
    let since: Timestamp = "2024-01-01T00:00:00.2Z".parse().expect("a time");
    for size in 1..=text.len() {
        for (keep, expected) in
            [(false, "two\nth ree"), (true, "2024-01-01T00:00:00.200000000Z two\n2024-01-01T00:00:00.3Z th ree")]
        {
            let pieces: Vec<_> = text.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec().into())).collect();
            let log = filter(stream::iter(pieces).boxed(), Lines::new(since, keep));
            let all: Vec<_> = log.try_collect().await.expect("a log");
            assert_eq!(String::from_utf8_lossy(&all.concat()), expected, "pieces of {size}");
        }
    }
}

#[tokio::test]
async fn a_log_is_cut_at_the_limit() {
    for (limit, expected) in [(0, ""), (3, "abc"), (5, "abcde"), (99, "abcdef")] {
        let pieces = ["abcd", "ef"].map(|piece| Ok(piece.into()));
        let all: Vec<_> = cut(stream::iter(pieces).boxed(), limit).try_collect().await.expect("a log");
        assert_eq!(String::from_utf8_lossy(&all.concat()), expected, "{limit}");
    }
}

#[tokio::test]
async fn a_log_comes_from_the_runtime() {
    let node = fixtures::FakeNode::new();
    let pod = pod_with(json!({ "running": {} }));
    node.runtime.state().logs.insert("app".to_owned(), "one\ntwo\nthree\n".to_owned());
    let request = LogRequest { tail: Some(2), ..LogRequest::default() };
    for tty in [false, true] {
        let made = (pod.id(), Container { tty, ..container("x", 0, running()) }, ContainerSpec::default());
        node.runtime.state().containers.insert("x".to_owned(), made);
        let log = super::read(&node.runtime, &pod, "", &request).await.expect("a log");
        let all: Vec<_> = log.try_collect().await.expect("a log");
        assert_eq!(String::from_utf8_lossy(&all.concat()), "two\nthree\n");
    }
}
