#![expect(clippy::needless_pass_by_value, reason = "cases are written where they are used")]

use serde_json::{Value, json};

use crate::columns::tests::cells_of;

/// A pod whose containers have these statuses.
fn pod(phase: &str, statuses: &Value) -> Value {
    let containers: Vec<Value> =
        statuses.as_array().into_iter().flatten().map(|s| json!({ "name": s["name"] })).collect();
    json!({
        "metadata": { "name": "p", "creationTimestamp": "2025-06-01T11:59:00Z" },
        "spec": { "containers": containers },
        "status": { "phase": phase, "containerStatuses": statuses },
    })
}

/// The same with init containers before.
fn with_init(mut pod: Value, containers: Value, statuses: Value) -> Value {
    pod["spec"]["initContainers"] = containers;
    pod["status"]["initContainerStatuses"] = statuses;
    pod
}

fn running(ready: bool) -> Value {
    json!({ "name": "c", "ready": ready, "state": { "running": {} } })
}

fn waiting(reason: &str) -> Value {
    json!({ "name": "c", "state": { "waiting": { "reason": reason } } })
}

fn ended(detail: Value) -> Value {
    json!({ "name": "c", "state": { "terminated": detail } })
}

/// READY, STATUS and RESTARTS.
fn check(pod: &Value, ready: &str, status: &str, restarts: &str) {
    let cells = cells_of("", "pods", pod);
    assert_eq!(cells[1..4], [ready, status, restarts], "{pod:#}");
}

#[test]
fn the_status_is_what_the_containers_do() {
    check(&pod("Pending", &json!([])), "0/0", "Pending", "0");
    check(&pod("Pending", &json!([waiting("ContainerCreating")])), "0/1", "ContainerCreating", "0");
    check(&pod("Running", &json!([waiting("CrashLoopBackOff")])), "0/1", "CrashLoopBackOff", "0");
    check(&pod("Running", &json!([running(true)])), "1/1", "Running", "0");
    check(&pod("Running", &json!([running(false)])), "0/1", "Running", "0");
    check(&pod("Succeeded", &json!([ended(json!({ "reason": "Completed" }))])), "0/1", "Completed", "0");
    check(&pod("Failed", &json!([ended(json!({ "reason": "Error", "exitCode": 1 }))])), "0/1", "Error", "0");
    check(&pod("Failed", &json!([ended(json!({ "exitCode": 3 }))])), "0/1", "ExitCode:3", "0");
    check(&pod("Failed", &json!([ended(json!({ "exitCode": 137, "signal": 9 }))])), "0/1", "Signal:9", "0");
}

#[test]
fn the_first_container_in_trouble_is_named() {
    let statuses = json!([waiting("ErrImagePull"), waiting("CrashLoopBackOff"), running(true)]);
    check(&pod("Running", &statuses), "1/3", "ErrImagePull", "0");
    // A reason of its own outweighs the phase, a container's outweighs both.
    let mut evicted = pod("Failed", &json!([]));
    evicted["status"]["reason"] = "Evicted".into();
    check(&evicted, "0/0", "Evicted", "0");
}

#[test]
fn a_pod_with_some_containers_done_still_runs() {
    let statuses = json!([ended(json!({ "reason": "Completed" })), running(true)]);
    let mut pod = pod("Running", &statuses);
    check(&pod, "1/2", "NotReady", "0");
    pod["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
    check(&pod, "1/2", "Running", "0");
}

#[test]
fn init_containers_come_first() {
    let two = json!([{ "name": "i1" }, { "name": "i2" }]);
    let main = || pod("Pending", &json!([waiting("PodInitializing")]));
    let first = |state: Value| json!({ "name": "i1", "state": state, "restartCount": 2 });
    let done = || json!({ "name": "i1", "state": { "terminated": { "exitCode": 0 } } });
    let second = json!({ "name": "i2", "state": { "waiting": { "reason": "PodInitializing" } }, "restartCount": 5 });
    for (state, expected) in [
        (json!({ "running": {} }), "Init:0/2"),
        (json!({ "waiting": { "reason": "PodInitializing" } }), "Init:0/2"),
        (json!({ "waiting": { "reason": "CrashLoopBackOff" } }), "Init:CrashLoopBackOff"),
        (json!({ "terminated": { "exitCode": 1, "reason": "Error" } }), "Init:Error"),
        (json!({ "terminated": { "exitCode": 2 } }), "Init:ExitCode:2"),
        (json!({ "terminated": { "exitCode": 137, "signal": 9 } }), "Init:Signal:9"),
    ] {
        // What follows the container that holds up the rest does not count.
        check(&with_init(main(), two.clone(), json!([first(state), second])), "0/1", expected, "2");
    }
    check(&with_init(main(), two.clone(), json!([done(), second])), "0/1", "Init:1/2", "5");
    let through = json!([done(), { "name": "i2", "state": { "terminated": { "exitCode": 0 } }, "restartCount": 5 }]);
    check(&with_init(main(), two.clone(), through.clone()), "0/1", "PodInitializing", "0");
    // Restarts of init containers are forgotten once they are through.
    check(&with_init(pod("Running", &json!([running(true)])), two, through), "1/1", "Running", "0");
}

#[test]
fn an_init_container_that_stays_counts_as_a_container() {
    let stays = json!([{ "name": "s", "restartPolicy": "Always" }, { "name": "i" }]);
    let sidecar = |ready: bool| {
        json!({ "name": "s", "started": true, "ready": ready, "restartCount": 1, "state": { "running": {} },
                "lastState": { "terminated": { "finishedAt": "2025-06-01T11:55:00Z" } } })
    };
    let init = |state: Value| json!({ "name": "i", "state": state });
    let main = || pod("Running", &json!([running(true)]));
    let done = || init(json!({ "terminated": { "exitCode": 0 } }));
    check(&with_init(main(), stays.clone(), json!([sidecar(true), done()])), "2/2", "Running", "1 (5m ago)");
    check(&with_init(main(), stays.clone(), json!([sidecar(false), done()])), "1/2", "Running", "1 (5m ago)");
    let busy = json!([sidecar(true), init(json!({ "running": {} }))]);
    let waits = pod("Pending", &json!([waiting("PodInitializing")]));
    check(&with_init(waits, stays.clone(), busy), "1/2", "Init:1/2", "1 (5m ago)");
    // One that starts again does not hide the containers of an initialized pod.
    let again = json!([{ "name": "s", "started": false, "restartCount": 2, "state": { "running": {} } }, done()]);
    let mut pod = with_init(main(), stays, again);
    pod["status"]["conditions"] = json!([{ "type": "Initialized", "status": "True" }]);
    check(&pod, "1/2", "Init:0/2", "2");
}

#[test]
fn restarts_tell_when_the_last_one_was() {
    let restarted = |count: i64, at: &str| {
        let mut status = running(true);
        status["restartCount"] = count.into();
        status["lastState"] = json!({ "terminated": { "finishedAt": at } });
        status
    };
    let statuses = json!([restarted(2, "2025-06-01T11:55:00Z"), restarted(1, "2025-06-01T11:59:30Z")]);
    check(&pod("Running", &statuses), "2/2", "Running", "3 (30s ago)");
    let mut untold = running(true);
    untold["restartCount"] = 3.into();
    check(&pod("Running", &json!([untold])), "1/1", "Running", "3");
    check(&pod("Running", &json!([restarted(0, "2025-06-01T11:55:00Z")])), "1/1", "Running", "0");
}

#[test]
fn deletion_shows_unless_the_pod_has_ended() {
    let deleted = |mut pod: Value| {
        pod["metadata"]["deletionTimestamp"] = "2025-06-01T12:00:10Z".into();
        pod
    };
    check(&deleted(pod("Running", &json!([running(true)]))), "1/1", "Terminating", "0");
    let done = pod("Succeeded", &json!([ended(json!({ "reason": "Completed" }))]));
    check(&deleted(done), "0/1", "Completed", "0");
    let mut lost = pod("Running", &json!([]));
    lost["status"]["reason"] = "NodeLost".into();
    check(&lost, "0/0", "NodeLost", "0");
    check(&deleted(lost), "0/0", "Unknown", "0");
}

#[test]
fn a_gated_pod_says_so() {
    let mut gated = pod("Pending", &json!([]));
    gated["status"]["conditions"] = json!([{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated" }]);
    check(&gated, "0/0", "SchedulingGated", "0");
}

#[test]
fn wide_output_shows_where_the_pod_is() {
    let mut pod = pod("Running", &json!([running(true)]));
    assert_eq!(cells_of("", "pods", &pod)[4..], ["60s", "<none>", "<none>", "<none>", "<none>"]);
    pod["status"]["podIPs"] = json!([{ "ip": "10.244.0.3" }, { "ip": "fd00::3" }]);
    pod["status"]["nominatedNodeName"] = "n2".into();
    pod["status"]["conditions"] = json!([{ "type": "a", "status": "True" }, { "type": "b", "status": "False" }]);
    pod["spec"]["nodeName"] = "n1".into();
    pod["spec"]["readinessGates"] =
        json!([{ "conditionType": "a" }, { "conditionType": "b" }, { "conditionType": "absent" }]);
    assert_eq!(cells_of("", "pods", &pod)[4..], ["60s", "10.244.0.3", "n1", "n2", "1/3"]);
}
