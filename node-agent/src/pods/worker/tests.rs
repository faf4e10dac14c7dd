//! What a worker's jobs do, seen from outside: volumes, images, hooks, probes, messages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pods::{
    bed::Bed,
    fixtures::{IMAGE, container, eventually, with},
    runtime::{ExecResult, RuntimeError, fake},
};

fn app(fields: Value) -> Value {
    json!({ "containers": [with(container("app"), fields)] })
}

fn restarts(bed: &Bed) -> i32 {
    let statuses = bed.status("p").and_then(|status| status.container_statuses).unwrap_or_default();
    statuses.first().map_or(0, |status| status.restart_count)
}

#[tokio::test]
async fn config_reaches_the_volume_of_a_running_pod() {
    let bed = Bed::started().await;
    bed.node.api.put_config("config", "color", "blue");
    bed.put("p", json!({ "volumes": [{ "name": "v", "configMap": { "name": "config" } }] }));
    bed.ready("p").await;
    let file = bed.node.path().join("pods").join(bed.uid("p")).join("volumes/kubernetes.io~configmap/v/color");
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), "blue");
    bed.node.api.put_config("config", "color", "red");
    eventually("the file has changed", || std::fs::read_to_string(&file).is_ok_and(|text| text == "red")).await;
    assert_eq!(bed.calls().len(), 3, "and nothing restarts: {:?}", bed.calls());
}

#[tokio::test]
async fn labels_reach_the_volume_of_a_running_pod() {
    let bed = Bed::started().await;
    let items = json!([{ "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } }]);
    bed.put("p", json!({ "volumes": [{ "name": "v", "downwardAPI": { "items": items } }] }));
    bed.ready("p").await;
    let file = bed.node.path().join("pods").join(bed.uid("p")).join("volumes/kubernetes.io~downward-api/v/labels");
    bed.change("p", |object| object["metadata"]["labels"]["tier"] = "web".into());
    eventually("the file has changed", || std::fs::read_to_string(&file).is_ok_and(|text| text == "tier=\"web\""))
        .await;
}

#[tokio::test]
async fn a_volume_waits_for_its_object() {
    let bed = Bed::started().await;
    bed.put("p", json!({ "volumes": [{ "name": "v", "configMap": { "name": "late" } }] }));
    let told = "FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found";
    eventually("people are told", || bed.has_event(told)).await;
    assert_eq!(bed.status("p").and_then(|status| status.phase).as_deref(), Some("Pending"));
    assert!(bed.calls().is_empty(), "no sandbox before its files");
    bed.node.api.put_config("late", "key", "value");
    bed.ready("p").await;
}

#[tokio::test]
async fn an_environment_waits_for_its_object() {
    let bed = Bed::started().await;
    let source = json!({ "configMapKeyRef": { "name": "late", "key": "color" } });
    bed.put("p", app(json!({ "env": [{ "name": "COLOR", "valueFrom": source }] })));
    let expected = "CreateContainerConfigError: configmap \"late\" not found";
    eventually("the status says why", || bed.waiting("p").as_deref() == Some(expected)).await;
    assert!(bed.has_event("Failed: Error: configmap \"late\" not found"));
    bed.node.api.put_config("late", "color", "blue");
    bed.ready("p").await;
    let state = bed.node.runtime.state();
    let (_, _, spec) = state.containers.values().next().expect("a container");
    assert!(spec.env.contains(&("COLOR".to_owned(), "blue".to_owned())), "{:?}", spec.env);
}

#[tokio::test]
async fn a_name_that_no_image_can_have_is_no_failure_of_the_engines() {
    let bed = Bed::started().await;
    bed.put("p", json!({ "containers": [{ "name": "app", "image": "UPPER/Case:1" }] }));
    let message = "Failed to apply default image tag \"UPPER/Case:1\": couldn't parse image name \"UPPER/Case:1\": \
                   invalid reference format: repository name (Case) must be lowercase";
    let expected = format!("InvalidImageName: {message}");
    eventually("the status says why", || bed.waiting("p").as_deref() == Some(&expected)).await;
    assert!(bed.has_event(&format!("InspectFailed: {message}")), "{:?}", bed.events());
    assert!(bed.has_event("Failed: Error: InvalidImageName"), "{:?}", bed.events());
    assert!(bed.calls().iter().all(|call| !call.starts_with("pull")), "{:?}", bed.calls());
}

#[tokio::test]
async fn images_are_pulled_by_policy() {
    let bed = Bed::started().await;
    bed.node.runtime.state().registry.insert("far/app:1".to_owned(), fake::image("far/app:1"));
    bed.put("pulled", json!({ "containers": [{ "name": "app", "image": "far/app:1" }] }));
    bed.ready("pulled").await;
    assert!(bed.has_event("Pulling: Pulling image \"far/app:1\""));
    assert!(bed.has_event("Pulled: Successfully pulled image \"far/app:1\" in "));
    bed.put("never", json!({ "containers": [{ "name": "app", "image": "none:1", "imagePullPolicy": "Never" }] }));
    let never = "ErrImageNeverPull: Container image \"none:1\" is not present with pull policy of Never";
    eventually("the status says why", || bed.waiting("never").as_deref() == Some(never)).await;
    bed.put("always", json!({ "containers": [{ "name": "app", "image": IMAGE, "imagePullPolicy": "Always" }] }));
    eventually("it says that it waits", || {
        bed.waiting("always").is_some_and(|waiting| waiting.starts_with("ErrImagePull: manifest for"))
    })
    .await;
    for event in [
        "Failed: Failed to pull image \"test/app:1\": manifest for test/app:1 not found",
        "Failed: Error: ErrImagePull",
        "ErrImageNeverPull: ",
    ] {
        assert!(bed.has_event(event), "{event}: {:?}", bed.events());
    }
}

#[tokio::test]
async fn a_start_that_the_engine_refuses_is_shown() {
    let bed = Bed::started().await;
    let refusal = "Error response from daemon: no such file or directory";
    bed.node.runtime.fail("start app", RuntimeError::Refused(refusal.to_owned()));
    bed.put("p", json!({}));
    eventually("people are told", || {
        bed.has_event(&format!("Failed: Error: failed to start container \"app\": {refusal}"))
    })
    .await;
    bed.ready("p").await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_connected_is_shown_and_tried_again() {
    let bed = Bed::started().await;
    bed.node.network.state().refusals = 1;
    bed.put("p", json!({}));
    let told = "FailedCreatePodSandBox: Failed to create pod sandbox: the link is down";
    eventually("people are told", || bed.has_event(told)).await;
    bed.ready("p").await;
    assert_eq!(bed.left(), (1, 1), "the same sandbox was connected");
}

#[tokio::test]
async fn a_container_leaves_a_message() {
    let bed = Bed::started().await;
    bed.put("p", with(app(json!({})), json!({ "restartPolicy": "Never" })));
    bed.ready("p").await;
    let file = bed.node.path().join("pods").join(bed.uid("p")).join("containers/app/0");
    std::fs::write(file, "so long").expect("a file");
    bed.node.runtime.end(&bed.node.runtime.id_of("app").expect("a container"), 3);
    eventually("the pod has failed", || bed.status("p").is_some_and(|s| s.phase.as_deref() == Some("Failed"))).await;
    let state = bed.status("p").and_then(|status| status.container_statuses).expect("statuses").remove(0).state;
    let end = state.and_then(|state| state.terminated).expect("an end");
    assert_eq!((end.exit_code, end.message.as_deref()), (3, Some("so long")));
}

#[tokio::test]
async fn the_log_stands_in_for_a_message() {
    let bed = Bed::started().await;
    bed.node.runtime.state().logs.insert("app".to_owned(), "last words\n".to_owned());
    let policy = json!({ "terminationMessagePolicy": "FallbackToLogsOnError" });
    bed.put("p", with(app(policy), json!({ "restartPolicy": "Never" })));
    bed.ready("p").await;
    bed.node.runtime.end(&bed.node.runtime.id_of("app").expect("a container"), 3);
    eventually("the pod has failed", || bed.status("p").is_some_and(|s| s.phase.as_deref() == Some("Failed"))).await;
    let state = bed.status("p").and_then(|status| status.container_statuses).expect("statuses").remove(0).state;
    assert_eq!(state.and_then(|state| state.terminated?.message).as_deref(), Some("last words\n"));
}

#[tokio::test]
async fn hooks_run_after_the_start_and_before_the_end() {
    let bed = Bed::started().await;
    let exec = |word: &str| json!({ "exec": { "command": [word] } });
    let lifecycle = json!({ "lifecycle": { "postStart": exec("hello"), "preStop": exec("goodbye") } });
    bed.put("p", app(lifecycle));
    bed.ready("p").await;
    eventually("the hook has run", || bed.calls().contains(&"exec app hello".to_owned())).await;
    bed.delete("p", 5);
    eventually("the pod has ended", || bed.node.api.state().deleted == ["p"]).await;
    let calls = bed.calls();
    let at =
        |call: &str| calls.iter().position(|one| one.starts_with(call)).unwrap_or_else(|| panic!("{call}: {calls:?}"));
    assert!(at("exec app goodbye") < at("stop app"));
}

#[tokio::test]
async fn a_container_whose_hook_fails_does_not_stay() {
    let bed = Bed::started().await;
    bed.node.runtime.state().commands.insert("fail".to_owned(), ExecResult { code: 1, output: "no".to_owned() });
    bed.put("p", app(json!({ "lifecycle": { "postStart": { "exec": { "command": ["fail"] } } } })));
    eventually("it was replaced", || restarts(&bed) > 0).await;
    assert!(bed.has_event("FailedPostStartHook: PostStartHook failed"));
}

#[tokio::test]
async fn a_deleted_pod_does_not_wait_for_its_hook() {
    let bed = Bed::started().await;
    bed.node.runtime.state().hanging.insert("hang".to_owned());
    bed.put("p", app(json!({ "lifecycle": { "postStart": { "exec": { "command": ["hang"] } } } })));
    eventually("the hook runs", || bed.calls().contains(&"exec app hang".to_owned())).await;
    let limit = bed.node.runtime.state().limits.get("hang").copied().expect("a limit");
    assert!(limit > Duration::from_secs(365 * 24 * 3600), "a command may take longer than {limit:?}");
    bed.delete("p", 5);
    eventually("the pod has ended", || bed.node.api.state().deleted == ["p"]).await;
    assert!(!bed.has_event("FailedPostStartHook"), "the hook did not fail");
}

#[tokio::test]
async fn probes_decide_on_readiness_and_on_life() {
    let bed = Bed::started().await;
    let set = |command: &str, code: i64| {
        let result = ExecResult { code, output: "sick".to_owned() };
        bed.node.runtime.state().commands.insert(command.to_owned(), result);
    };
    set("ready", 1);
    let probe = |word: &str| json!({ "exec": { "command": [word] }, "periodSeconds": 1, "failureThreshold": 1 });
    bed.put("p", app(json!({ "readinessProbe": probe("ready"), "livenessProbe": probe("alive") })));
    eventually("people are told", || bed.has_event("Unhealthy: Readiness probe failed: sick")).await;
    assert!(!bed.is_ready("p"));
    set("ready", 0);
    bed.ready("p").await;
    set("ready", 1);
    eventually("it is not ready any more", || !bed.is_ready("p")).await;
    set("alive", 1);
    eventually("it was replaced", || restarts(&bed) > 0).await;
    assert!(bed.has_event("Unhealthy: Liveness probe failed: sick"));
    assert!(bed.has_event("Killing: Container app failed liveness probe, will be restarted"));
}

#[tokio::test]
async fn tokens_are_shown_in_volumes() {
    let bed = Bed::started().await;
    let sources = json!([{ "serviceAccountToken": { "path": "token" } }]);
    bed.put("p", json!({ "volumes": [{ "name": "v", "projected": { "sources": sources } }] }));
    bed.ready("p").await;
    let file = bed.node.path().join("pods").join(bed.uid("p")).join("volumes/kubernetes.io~projected/v/token");
    assert_eq!(std::fs::read_to_string(file).expect("a file"), "token 1 of default");
}

#[tokio::test]
async fn a_pod_waits_for_its_token() {
    let bed = Bed::started().await;
    bed.node.api.state().no_tokens = Some("serviceaccounts \"default\" not found".to_owned());
    let sources = json!([{ "serviceAccountToken": { "path": "token" } }]);
    bed.put("p", json!({ "volumes": [{ "name": "v", "projected": { "sources": sources } }] }));
    let told = "FailedMount: MountVolume.SetUp failed for volume \"v\" : failed to fetch token: serviceaccounts \
                \"default\" not found";
    eventually("people are told", || bed.has_event(told)).await;
    assert!(bed.calls().is_empty(), "no sandbox before its files");
    bed.node.api.state().no_tokens = None;
    bed.ready("p").await;
}

#[tokio::test]
async fn sub_paths_are_made_and_mounted() {
    let bed = Bed::started().await;
    let mounts = json!([{ "name": "v", "mountPath": "/data", "subPath": "a/b" }]);
    bed.put("p", with(app(json!({ "volumeMounts": mounts })), json!({ "volumes": [{ "name": "v", "emptyDir": {} }] })));
    bed.ready("p").await;
    let source = {
        let state = bed.node.runtime.state();
        let (_, _, spec) = state.containers.values().next().expect("a container");
        std::path::PathBuf::from(&spec.mounts[0].source)
    };
    let dir = bed.node.path().join("pods").join(bed.uid("p"));
    std::fs::write(dir.join("volumes/kubernetes.io~empty-dir/v/a/b/file"), "x").expect("a file");
    assert_eq!(std::fs::read_to_string(source.join("file")).expect("the same directory"), "x");
    bed.server.remove("/api/v1/namespaces/default/pods/p");
    eventually("nothing is left", || !dir.exists()).await;
}

#[tokio::test]
async fn a_pod_on_the_nodes_network_has_the_nodes_address() {
    let bed = Bed::started().await;
    bed.put("p", json!({ "hostNetwork": true }));
    bed.ready("p").await;
    assert_eq!(bed.status("p").and_then(|status| status.pod_ip).as_deref(), Some("192.0.2.1"));
    assert!(bed.node.network.state().connected.is_empty());
}

#[tokio::test]
async fn a_pod_whose_protection_this_node_lacks_does_not_run_without_it() {
    let bed = Bed::started().await;
    bed.put("p", json!({ "runtimeClassName": "kata" }));
    let told = "FailedCreatePodSandBox: Failed to create pod sandbox: no runtime for \"kata\" is configured";
    eventually("people are told", || bed.has_event(told)).await;
    assert!(bed.calls().is_empty(), "{:?}", bed.calls());
}

#[tokio::test]
async fn a_private_image_is_pulled_with_the_pods_secrets() {
    let bed = Bed::started().await;
    bed.node.runtime.state().registry.insert("r.example/app:1".to_owned(), fake::image("r.example/app:1"));
    bed.node.runtime.fail("pull r.example/app:1 as old", RuntimeError::Refused("unauthorized".to_owned()));
    for user in ["old", "new"] {
        let config = json!({ "auths": { "r.example": { "username": user, "password": "p" } } });
        let secret = json!({
            "type": "kubernetes.io/dockerconfigjson", "stringData": {},
            "data": { ".dockerconfigjson": k8s_openapi::ByteString(config.to_string().into_bytes()) },
        });
        let secret = serde_json::from_value(secret).expect("a secret");
        bed.node.api.state().secrets.insert(user.to_owned(), secret);
    }
    let secrets = json!([{ "name": "old" }, { "name": "gone" }, { "name": "new" }]);
    let app = json!({ "name": "app", "image": "r.example/app:1" });
    bed.put("p", json!({ "containers": [app], "imagePullSecrets": secrets }));
    bed.ready("p").await;
    let pulls: Vec<String> = bed.calls().into_iter().filter(|call| call.starts_with("pull ")).collect();
    assert_eq!(pulls, ["pull r.example/app:1 as old", "pull r.example/app:1 as new"]);
    assert!(bed.has_event(
        "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (gone); attempting to pull the \
         image may not succeed."
    ));
}
