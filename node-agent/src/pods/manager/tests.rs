//! The whole room over fakes: from objects to containers and back, through restarts of everything.

use std::time::Duration;

use futures::TryStreamExt;
use serde_json::json;

use crate::pods::{
    LogRequest,
    bed::{Bed, COLLECTION},
    fixtures::eventually,
    runtime::ContainerState,
};

#[tokio::test]
async fn a_bound_pod_runs_and_says_so() {
    let bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    let status = bed.status("p").expect("a status");
    assert_eq!((status.phase.as_deref(), status.pod_ip.as_deref()), (Some("Running"), Some("10.0.0.1")));
    let expected = [
        "Pulled: Container image \"test/app:1\" already present on machine",
        "Created: Created container: app",
        "Started: Started container app",
    ];
    assert_eq!(bed.events(), expected);
    let dir = bed.node.path().join("pods").join(bed.uid("p"));
    let hosts = std::fs::read_to_string(dir.join("etc-hosts")).expect("a file");
    assert!(hosts.ends_with("10.0.0.1\tp\n"), "{hosts}");
    let resolver = std::fs::read_to_string(dir.join("resolv.conf")).expect("a file");
    assert!(resolver.starts_with("search default.svc.cluster.local"), "{resolver}");
    assert_eq!(bed.node.network.state().connected.len(), 1);
}

#[tokio::test]
async fn many_pods_start_side_by_side() {
    let bed = Bed::started().await;
    for number in 0..40 {
        bed.put(&format!("p{number}"), json!({}));
    }
    for number in 0..40 {
        bed.ready(&format!("p{number}")).await;
    }
    let state = bed.node.network.state();
    let mut addresses: Vec<_> = state.connected.values().collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 40, "each has an address of its own");
}

#[tokio::test]
async fn a_restarted_agent_adopts_what_runs() {
    let mut bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.echo("p");
    bed.stop_agent().await;
    let id = bed.node.runtime.id_of("app");
    let uid = bed.uid("p");
    // The network's memory is gone, too.
    bed.node.network.state().addresses.clear();
    bed.node.network.state().connected.clear();
    bed.node.network.state().calls.clear();
    bed.node.runtime.state().calls.clear();
    bed.node.api.state().statuses.clear();
    bed.put("other", json!({}));
    bed.start_agent().await;
    bed.ready("other").await;
    eventually("the pod is connected again", || bed.node.network.state().connected.contains_key(&uid)).await;
    assert_eq!(bed.node.network.state().calls[0], format!("adopt {uid} 10.0.0.1"), "before any other is given one");
    assert_eq!(bed.pods().live().len(), 1);
    assert_eq!(bed.node.network.state().connected[&uid].to_string(), "10.0.0.1");
    let calls = bed.calls();
    assert_eq!(calls, ["sandbox other 0", "create app 0", "start app"], "the one that ran is left alone");
    let exists = bed.node.runtime.state().containers.contains_key(&id.expect("a container"));
    assert!(exists);
    assert!(bed.status("p").is_none(), "its status was right and is not written");
}

#[tokio::test]
async fn a_stopped_agent_leaves_containers_running() {
    let mut bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.node.runtime.state().calls.clear();
    bed.stop_agent().await;
    let state = bed.node.runtime.state();
    assert!(state.calls.is_empty());
    assert!(
        state.containers.values().all(|(_, container, _)| matches!(container.state, ContainerState::Running { .. }))
    );
}

#[tokio::test]
async fn a_deleted_pod_leaves_nothing() {
    let bed = Bed::started().await;
    bed.put("p", json!({ "volumes": [{ "name": "v", "emptyDir": {} }] }));
    bed.ready("p").await;
    let dir = bed.node.path().join("pods").join(bed.uid("p"));
    assert!(dir.exists());
    bed.delete("p", 3);
    eventually("the object is given up", || bed.node.api.state().deleted == ["p"]).await;
    assert!(bed.has_event("Killing: Stopping container app"));
    let last = bed.status("p").and_then(|status| status.container_statuses).expect("statuses");
    assert!(last[0].state.as_ref().is_some_and(|state| state.terminated.is_some()), "its end was shown before");
    bed.server.remove(&format!("{COLLECTION}/p"));
    eventually("nothing is left", || bed.left() == (0, 0) && !dir.exists()).await;
    eventually("the address is free", || bed.node.network.state().addresses.is_empty()).await;
}

#[tokio::test]
async fn a_new_pod_may_have_the_name_of_an_old_one() {
    let bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    let old = bed.uid("p");
    bed.server.remove(&format!("{COLLECTION}/p"));
    bed.put("p", json!({}));
    assert_ne!(bed.uid("p"), old);
    eventually("only the new one is left", || {
        let state = bed.node.runtime.state();
        let owners: Vec<&str> = state.containers.values().map(|(pod, _, _)| pod.uid.as_str()).collect();
        owners == [bed.uid("p")]
    })
    .await;
}

#[tokio::test]
async fn containers_without_an_object_end_only_when_all_objects_are_known() {
    let mut bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.put("kept", json!({}));
    bed.ready("p").await;
    bed.ready("kept").await;
    bed.echo("kept");
    bed.stop_agent().await;
    bed.server.remove(&format!("{COLLECTION}/p"));
    bed.node.runtime.state().calls.clear();
    bed.server.withhold("/api/v1/pods");
    bed.launch();
    eventually("the agent has found what runs", || bed.pods().live().len() == 2).await;
    // Longer than the grace of orphans: an unknown object is not a missing one.
    tokio::time::sleep(bed.timing.orphans * 2).await;
    assert_eq!((bed.calls(), bed.pods().is_adopted()), (vec![], false));
    bed.server.release();
    eventually("the orphan has ended", || bed.left() == (1, 1)).await;
    assert_eq!(bed.calls(), ["stop app 30", "stop POD 10", "remove app", "remove POD"]);
}

#[tokio::test]
async fn files_of_a_pod_without_containers_and_object_are_removed() {
    let mut bed = Bed::new();
    let root = bed.node.path().join("pods");
    let secret = root.join("0b0d").join("volumes/kubernetes.io~secret/v/key");
    std::fs::create_dir_all(secret.parent().expect("a directory")).expect("a directory");
    std::fs::write(&secret, "secret").expect("a file");
    bed.put("p", json!({ "volumes": [{ "name": "v", "emptyDir": {} }] }));
    let kept = root.join(bed.uid("p")).join("volumes/kubernetes.io~empty-dir/v/file");
    std::fs::create_dir_all(kept.parent().expect("a directory")).expect("a directory");
    std::fs::write(&kept, "kept").expect("a file");
    bed.server.withhold("/api/v1/pods");
    bed.launch();
    // Longer than the grace of orphans: an unknown object is not a missing one.
    tokio::time::sleep(bed.timing.orphans * 2).await;
    assert!(secret.exists());
    bed.server.release();
    eventually("nothing is left of it", || !root.join("0b0d").exists()).await;
    bed.ready("p").await;
    assert_eq!(std::fs::read_to_string(&kept).expect("a file"), "kept", "files of a pod that has an object stay");
}

#[tokio::test]
async fn files_that_are_left_while_the_agent_runs_are_found_by_looking() {
    let mut bed = Bed::new();
    bed.timing.relist = Duration::from_millis(100);
    bed.start_agent().await;
    let left = bed.node.path().join("pods").join("0b0d");
    std::fs::create_dir_all(left.join("volumes")).expect("a directory");
    eventually("nothing is left of it", || !left.exists()).await;
}

#[tokio::test]
async fn orphans_have_their_time_from_when_all_objects_are_known() {
    let mut bed = Bed::started().await;
    bed.timing.orphans = Duration::from_secs(1);
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.stop_agent().await;
    bed.server.remove(&format!("{COLLECTION}/p"));
    bed.server.withhold("/api/v1/pods");
    bed.launch();
    eventually("the agent has found what runs", || bed.pods().live().len() == 1).await;
    tokio::time::sleep(bed.timing.orphans).await;
    let released = std::time::Instant::now();
    bed.server.release();
    eventually("the orphan has ended", || bed.left() == (0, 0)).await;
    assert!(released.elapsed() >= bed.timing.orphans, "its time began before its object could be known");
}

#[tokio::test]
async fn pods_whose_objects_are_followed_no_more_say_that_they_have_stopped() {
    let bed = Bed::started().await;
    bed.pods().objects.on_change(|_| panic!("planned"));
    bed.put("p", json!({}));
    let stopped = tokio::time::timeout(Duration::from_secs(20), bed.pods().stopped()).await;
    assert!(stopped.is_ok(), "half an agent must not go on");
}

#[tokio::test]
async fn a_worker_that_breaks_is_replaced_after_a_rest() {
    let broke = |bed: &Bed| bed.events().iter().filter(|event| event.starts_with("DeadlineExceeded")).count();
    for rest in [Duration::from_secs(3600), Duration::from_millis(50)] {
        let mut bed = Bed::new();
        bed.timing.rest = rest;
        bed.timing.relist = Duration::from_millis(50);
        bed.node.api.state().panics_at = Some("DeadlineExceeded".to_owned());
        bed.start_agent().await;
        bed.put("p", json!({ "activeDeadlineSeconds": 0 }));
        eventually("its worker breaks", || broke(&bed) > 0).await;
        if rest < Duration::from_secs(1) {
            eventually("another one takes its place", || broke(&bed) > 2).await;
            continue;
        }
        bed.change("p", |object| object["metadata"]["annotations"]["a"] = "b".into());
        bed.put("q", json!({}));
        bed.ready("q").await;
        let files = bed.node.path().join("pods").join(bed.uid("p"));
        std::fs::create_dir_all(&files).expect("a directory");
        // Longer than the grace of orphans: a pod without a worker is none.
        tokio::time::sleep(bed.timing.orphans * 2).await;
        assert!(files.exists());
        assert_eq!(broke(&bed), 1, "not sooner, whatever is told of it");
    }
}

#[tokio::test]
async fn an_object_that_comes_late_saves_its_containers() {
    let mut bed = Bed::started().await;
    bed.timing.orphans = Duration::from_secs(3600);
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.echo("p");
    let id = bed.node.runtime.id_of("app");
    // The API server forgets the pod, while the agent is away, and remembers it again.
    bed.stop_agent().await;
    bed.server.withhold("/api/v1/pods");
    bed.launch();
    eventually("the agent has found what runs", || bed.pods().live().len() == 1).await;
    bed.server.release();
    bed.pods().adopted().await;
    bed.seen("p").await;
    bed.node.runtime.end(&id.clone().expect("a container"), 1);
    eventually("its worker serves it", || bed.node.runtime.id_of("app") != id).await;
}

#[tokio::test]
async fn an_engine_that_goes_away_and_comes_back_finds_its_containers_replaced() {
    let bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.node.runtime.go_down();
    bed.put("q", json!({}));
    bed.seen("q").await;
    // Without live restore an engine ends everything.
    let ids: Vec<String> = {
        let state = bed.node.runtime.state();
        state.sandboxes.keys().chain(state.containers.keys()).cloned().collect()
    };
    ids.iter().for_each(|id| bed.node.runtime.end(id, 137));
    bed.node.api.state().statuses.clear();
    bed.node.runtime.come_back();
    bed.ready("q").await;
    eventually("the container was replaced", || {
        let statuses = bed.status("p").and_then(|status| status.container_statuses).unwrap_or_default();
        statuses.iter().any(|status| status.restart_count == 1 && status.ready)
    })
    .await;
    assert!(bed.is_ready("p"));
}

#[tokio::test]
async fn what_nobody_told_is_found_by_looking_now_and_then() {
    let mut bed = Bed::new();
    bed.timing.relist = Duration::from_millis(100);
    bed.start_agent().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    let id = bed.node.runtime.id_of("app").expect("a container");
    bed.node.runtime.state().containers.remove(&id);
    eventually("the container was replaced", || bed.node.runtime.id_of("app").is_some()).await;
}

#[tokio::test]
async fn a_container_that_ends_is_restarted_when_the_engine_says_so() {
    let bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    let id = bed.node.runtime.id_of("app").expect("a container");
    bed.node.runtime.end(&id, 1);
    eventually("the container was replaced", || bed.node.runtime.id_of("app").is_some_and(|now| now != id)).await;
}

#[tokio::test]
async fn logs_are_read_by_name() {
    let bed = Bed::started().await;
    bed.node.runtime.state().logs.insert("app".to_owned(), "one\ntwo\n".to_owned());
    bed.put("p", json!({}));
    bed.ready("p").await;
    let log = bed.pods().logs("default", "p", "app", LogRequest::default()).await.expect("a log");
    let pieces: Vec<_> = log.try_collect().await.expect("a log");
    assert_eq!(pieces.concat(), b"one\ntwo\n");
    let none = bed.pods().logs("default", "none", "app", LogRequest::default()).await;
    let error = none.err().expect("a refusal");
    assert_eq!((error.code, error.message.as_str()), (404, "pods \"none\" not found"));
    let wrong = bed.pods().logs("default", "p", "other", LogRequest::default()).await.err().expect("a refusal");
    assert_eq!((wrong.code, wrong.message.as_str()), (400, "container other is not valid for pod p"));
}

#[tokio::test]
async fn statuses_are_written_when_something_changed_and_not_otherwise() {
    let bed = Bed::started().await;
    bed.put("p", json!({}));
    bed.ready("p").await;
    bed.echo("p");
    bed.seen("p").await;
    let written = bed.node.api.state().statuses.len();
    assert!(written <= 4, "{written} writes for one start");
    for number in 0..5 {
        bed.change("p", |object| object["metadata"]["annotations"]["n"] = number.to_string().into());
        bed.seen("p").await;
    }
    // Ends after everything before it: the next pod is served by the same loop.
    bed.put("q", json!({}));
    bed.ready("q").await;
    let of_p = bed.node.api.state().statuses.iter().filter(|(name, _)| name == "p").count();
    assert_eq!(of_p, written);
}
