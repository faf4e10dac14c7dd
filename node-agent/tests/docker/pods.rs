//! The whole room on a real engine.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::serde_json::{Value, json};
use nix::sys::signal::Signal;
use nodeplane_node_agent::pods::{LogRequest, cleanup};

use crate::bed::{Machine, shell, text, with};

const FOREVER: &str = "while :; do sleep 0.2; done";

fn pod_of(containers: &[Value]) -> Value {
    json!({ "containers": containers })
}

async fn log(machine: &Machine, pod: &str, request: LogRequest) -> Result<String, String> {
    let log = machine.pods().logs("default", pod, "", request).await.map_err(|error| error.message)?;
    let pieces: Vec<_> = log.try_collect().await.expect("a log");
    Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_come_up_fast_and_go_without_a_trace() {
    let machine = Machine::with_agent().await;
    // The first pod brings the sandbox image.
    machine.put("first", pod_of(&[shell("app", FOREVER)]));
    machine.until_ready("first").await;
    let begun = Instant::now();
    for name in ["a", "b", "c"] {
        machine.put(name, pod_of(&[shell("app", FOREVER)]));
    }
    for name in ["a", "b", "c"] {
        machine.until_ready(name).await;
    }
    println!("three pods were ready after {:?}", begun.elapsed());
    let status = machine.object("a").expect("a pod")["status"].clone();
    assert_eq!(status["phase"], "Running");
    assert!(text(&status["podIP"]).starts_with("10.0.0."), "{status}");
    for name in ["first", "a", "b", "c"] {
        machine.delete(name, 1);
    }
    for name in ["first", "a", "b", "c"] {
        machine.until("the object is gone", |machine| machine.object(name).is_none()).await;
    }
    machine.until("no container is left", |machine| machine.docker(&["ps", "-aq"]).is_empty()).await;
    let files = machine.paths().root().to_owned();
    machine.until("no file is left", |_| std::fs::read_dir(&files).is_ok_and(|mut all| all.next().is_none())).await;
    assert!(machine.network.addresses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_running_containers() {
    let mut machine = Machine::with_agent().await;
    machine.put("p", pod_of(&[shell("app", "echo hello; sleep 1000")]));
    machine.until_ready("p").await;
    let ids = machine.docker(&["ps", "-q", "--no-trunc"]);
    let (before, addresses) = (machine.container("p"), machine.network.addresses());
    machine.stop_agent().await;
    assert_eq!(machine.docker(&["ps", "-q", "--no-trunc"]), ids, "they run on");
    machine.network.forget();
    machine.start_agent().await;
    machine.put("q", pod_of(&[shell("app", FOREVER)]));
    machine.until_ready("q").await;
    let now = machine.docker(&["ps", "-q", "--no-trunc"]);
    assert!(ids.lines().all(|id| now.contains(id)), "the same containers run");
    assert_eq!(machine.container("p"), before);
    assert_eq!(text(&machine.object("p").expect("a pod")["status"]["phase"]), "Running");
    assert!(addresses.iter().all(|(uid, address)| machine.network.addresses().get(uid) == Some(address)));
    assert_eq!(log(&machine, "p", LogRequest::default()).await.as_deref(), Ok("hello\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_is_replaced() {
    let machine = Machine::with_agent().await;
    let script = "echo born; trap 'exit 5' TERM; while :; do sleep 0.1; done";
    machine.put("p", pod_of(&[shell("app", script)]));
    machine.until_ready("p").await;
    let id = text(&machine.container("p")["containerID"]).trim_start_matches("docker://").to_owned();
    machine.docker(&["kill", &id]);
    machine
        .until("it was replaced", |machine| {
            machine.container("p")["restartCount"] == 1 && machine.container("p")["ready"] == true
        })
        .await;
    let last = machine.container("p")["lastState"]["terminated"].clone();
    assert_eq!((last["exitCode"].as_i64(), &last["reason"]), (Some(137), &"Error".into()));
    let previous = LogRequest { previous: true, ..LogRequest::default() };
    assert_eq!(log(&machine, "p", previous).await.as_deref(), Ok("born\n"));
    let sandbox = machine.docker(&["ps", "-q", "--filter", "label=io.kubernetes.docker.type=podsandbox"]);
    machine.docker(&["kill", &sandbox]);
    machine
        .until("everything was replaced", |machine| {
            machine.container("p")["restartCount"] == 2 && machine.container("p")["ready"] == true
        })
        .await;
    let sandboxes = ["ps", "-aq", "--filter", "label=io.kubernetes.docker.type=podsandbox"];
    machine.until("one sandbox is left", |machine| machine.docker(&sandboxes).lines().count() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_killed_is_served_again() {
    let mut machine = Machine::with_agent().await;
    machine.put("p", pod_of(&[shell("app", FOREVER)]));
    machine.until_ready("p").await;
    machine.end_engine(Signal::SIGTERM);
    machine.put("q", pod_of(&[shell("app", FOREVER)]));
    machine.start_engine().await;
    machine.until_ready("q").await;
    machine
        .until("the first one runs again", |machine| {
            machine.container("p")["restartCount"] == 1 && machine.container("p")["ready"] == true
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn config_environment_and_messages_travel() {
    let machine = Machine::with_agent().await;
    let map = "/api/v1/namespaces/default/configmaps/config";
    let put = |color: &str| {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": { "color": color } });
        machine.server.put(map, object);
    };
    put("blue");
    let script = "echo $COLOR $IP; cat /config/color; echo; cat /etc/hosts; cat /etc/resolv.conf; \
                  until [ \"$(cat /config/color)\" = red ]; do sleep 0.1; done; echo changed; \
                  echo bye > /dev/termination-log; exit 4";
    let app = with(
        shell("app", script),
        &json!({
            "env": [
                { "name": "COLOR", "valueFrom": { "configMapKeyRef": { "name": "config", "key": "color" } } },
                { "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } },
            ],
            "volumeMounts": [{ "name": "config", "mountPath": "/config" }, { "name": "scratch", "mountPath": "/scratch" }],
        }),
    );
    let volumes =
        json!([{ "name": "config", "configMap": { "name": "config" } }, { "name": "scratch", "emptyDir": {} }]);
    machine.put("p", json!({ "restartPolicy": "Never", "containers": [app], "volumes": volumes }));
    machine.until_ready("p").await;
    let begun = Instant::now();
    put("red");
    machine
        .until("the pod has seen it", |machine| {
            machine.object("p").is_some_and(|pod| pod["status"]["phase"] == "Failed")
        })
        .await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let end = machine.container("p")["state"]["terminated"].clone();
    assert_eq!((end["exitCode"].as_i64(), &end["message"]), (Some(4), &"bye\n".into()));
    let all = log(&machine, "p", LogRequest::default()).await.expect("a log");
    let address = text(&machine.object("p").expect("a pod")["status"]["podIP"]).to_owned();
    assert!(all.starts_with(&format!("blue {address}\nblue\n# Kubernetes-managed hosts file.")), "{all}");
    assert!(all.contains(&format!("{address}\tp\n")) && all.contains("nameserver 10.96.0.10\n"), "{all}");
    assert!(all.ends_with("changed\n"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_start_says_why_in_logs_and_status() {
    let machine = Machine::with_agent().await;
    machine.put("p", json!({ "containers": [{ "name": "app", "image": "none:1", "imagePullPolicy": "Never" }] }));
    machine
        .until("the status says why", |machine| {
            machine.container("p")["state"]["waiting"]["reason"] == "ErrImageNeverPull"
        })
        .await;
    let expected = "container \"app\" in pod \"p\" is waiting to start: ErrImageNeverPull".to_owned();
    // The agent sees its own status a moment later.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match log(&machine, "p", LogRequest::default()).await {
            Err(why) if why == expected => break,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
    }
    machine.put("q", pod_of(&[with(shell("app", ""), &json!({ "command": ["/none"] }))]));
    machine
        .until("the status says why", |machine| {
            machine.container("q")["lastState"]["terminated"]["reason"] == "ContainerCannotRun"
                && machine.container("q")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_for_good_cleans_up() {
    let mut machine = Machine::with_agent().await;
    let volumes = json!([{ "name": "memory", "emptyDir": { "medium": "Memory" } }]);
    for name in ["a", "b"] {
        machine.put(name, json!({ "containers": [shell("app", "sleep 1000")], "volumes": volumes }));
        machine.until_ready(name).await;
    }
    machine.stop_agent().await;
    cleanup(&machine.runtime().await, &machine.paths(), &machine.network).await.expect("nothing is left");
    assert_eq!(machine.docker(&["ps", "-aq"]), "");
    assert!(!machine.paths().root().exists() && machine.network.addresses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_volume_is_shared_and_kept_apart() {
    let machine = Machine::with_agent().await;
    let mount = |path: &str| json!([{ "name": "v", "mountPath": "/data", "subPath": path }]);
    let writer = with(shell("writer", "echo here >/data/file; sleep 1000"), &json!({ "volumeMounts": mount("a/b") }));
    let reader = "until cat /all/a/b/file; do sleep 0.1; done; sleep 1000";
    let whole = json!({ "volumeMounts": [{ "name": "v", "mountPath": "/all" }] });
    let mut spec = json!({ "containers": [writer, with(shell("reader", reader), &whole)] });
    spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
    // Nobody but the group may write, and root is not meant.
    spec["securityContext"] = json!({ "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000 });
    machine.put("p", spec);
    machine
        .until("what one wrote is seen by the other", |machine| {
            let ids = machine.docker(&["ps", "-q", "--filter", "label=io.kubernetes.container.name=reader"]);
            ids.split_whitespace().any(|id| machine.docker(&["logs", id]).contains("here"))
        })
        .await;
    let dir = std::fs::read_dir(machine.paths().root()).expect("a directory").flatten().next().expect("a pod").path();
    assert!(dir.join("volume-subpaths").exists());
    machine.delete("p", 1);
    machine.until("the object is given up", |machine| machine.object("p").is_none()).await;
    machine.until("no file is left", |_| !dir.exists()).await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(!mounts.contains(machine.paths().root().to_string_lossy().as_ref()), "{mounts}");
}
