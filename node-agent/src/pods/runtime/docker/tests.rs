//! Our nouns in Docker's words, and back. How an engine takes them is tested with a real one.

mod sandboxes;

use std::collections::HashMap;

use bollard::{
    errors::Error,
    models::{ContainerInspectResponse, ContainerSummary},
};
use serde_json::{Value, json};

use super::{LONGEST_GRACE, absent_is_fine, convert, failure, is_of_pods, records};
use crate::pods::runtime::{
    AppArmor, ContainerSpec, ContainerState, HostNamespaces, Mount, PodId, Propagation, RuntimeError, SandboxSpec,
    Seccomp, Security, labels,
};

fn pod() -> PodId {
    PodId { namespace: "default".to_owned(), name: "p".to_owned(), uid: "u".to_owned() }
}

fn sandbox(host: HostNamespaces) -> SandboxSpec {
    SandboxSpec {
        pod: pod(),
        attempt: 1,
        hostname: "p".to_owned(),
        address: Some("10.0.0.7".parse().expect("an address")),
        host,
        sysctls: vec![("net.core.somaxconn".to_owned(), "99".to_owned())],
        grace_seconds: 30,
    }
}

fn json_of(body: &impl serde::Serialize) -> Value {
    serde_json::to_value(body).expect("JSON")
}

/// What Docker shows of a container in this state.
fn shown(name: &str, state: &Value, attempt: u32) -> ContainerInspectResponse {
    let spec = ContainerSpec { name: name.to_owned(), attempt, hash: "h".to_owned(), ..ContainerSpec::default() };
    let labels = labels::of_container("n", &pod(), "s", &spec);
    serde_json::from_value(json!({
        "Id": format!("{name}-{attempt}"), "Created": "2024-01-01T00:00:00.5Z", "Image": "sha256:1", "State": state,
        "Config": { "Image": "app:1", "Tty": false, "Labels": labels },
    }))
    .expect("an answer")
}

fn state_of(state: &Value) -> ContainerState {
    let found = [shown("app", state, 0)];
    convert::observed(found.iter(), &HashMap::new()).containers.remove(0).state
}

#[test]
fn states_are_told_apart() {
    let never = "0001-01-01T00:00:00Z";
    let at = "2024-01-01T00:00:01Z";
    let running = state_of(&json!({ "Status": "running", "Running": true, "StartedAt": at }));
    assert!(matches!(running, ContainerState::Running { started } if started.to_string() == at), "{running:?}");
    let created = json!({ "Status": "created", "StartedAt": never, "FinishedAt": never, "ExitCode": 0 });
    assert_eq!(state_of(&created), ContainerState::Created);
    for (state, code, reason, started) in [
        (json!({ "Status": "exited", "ExitCode": 0, "StartedAt": at, "FinishedAt": at }), 0, "Completed", true),
        (json!({ "Status": "exited", "ExitCode": 2, "StartedAt": at, "FinishedAt": at }), 2, "Error", true),
        (
            json!({ "Status": "exited", "ExitCode": 137, "OOMKilled": true, "StartedAt": at, "FinishedAt": at }),
            137,
            "OOMKilled",
            true,
        ),
        (
            json!({ "Status": "created", "ExitCode": 127, "Error": "no such file", "StartedAt": never }),
            127,
            "ContainerCannotRun",
            false,
        ),
    ] {
        let ContainerState::Exited(exit) = state_of(&state) else { panic!("{state}") };
        assert_eq!((exit.code, exit.reason.as_str(), exit.started.is_some()), (code, reason, started), "{state}");
    }
}

#[test]
fn what_exists_is_sorted_newest_first() {
    let sandbox_labels =
        |attempt| labels::of_sandbox("n", &SandboxSpec { attempt, ..sandbox(HostNamespaces::default()) });
    let sandbox = |attempt: u32, pid: i64| {
        serde_json::from_value(json!({
            "Id": format!("s{attempt}"), "State": { "Running": pid > 0, "Pid": pid },
            "Config": { "Labels": sandbox_labels(attempt) },
        }))
        .expect("an answer")
    };
    let foreign = serde_json::from_value(json!({ "Id": "x", "Config": { "Labels": {} } })).expect("an answer");
    let found: [ContainerInspectResponse; 5] = [
        sandbox(0, 0),
        shown("app", &json!({ "Running": true }), 0),
        foreign,
        sandbox(1, 7),
        shown("app", &json!({ "Running": true }), 1),
    ];
    let images = HashMap::from([("sha256:1".to_owned(), "docker-pullable://app@sha256:2".to_owned())]);
    let all = convert::observed(found.iter(), &images);
    let sandboxes: Vec<_> = all.sandboxes.iter().map(|one| (one.id.as_str(), one.pid)).collect();
    assert_eq!(sandboxes, [("s1", Some(7)), ("s0", None)]);
    assert_eq!(all.sandboxes[0].address.map(|address| address.to_string()).as_deref(), Some("10.0.0.7"));
    let containers: Vec<_> = all.containers.iter().map(|one| (one.id.as_str(), one.attempt)).collect();
    assert_eq!(containers, [("app-1", 1), ("app-0", 0)]);
    assert_eq!(all.containers[0].image_id, "docker-pullable://app@sha256:2");
    assert_eq!((all.containers[0].sandbox.as_str(), all.containers[0].hash.as_str()), ("s", "h"));
}

#[test]
fn a_sandbox_has_no_network_of_dockers() {
    let body = json_of(&convert::sandbox_body("n", Some("/pods"), &sandbox(HostNamespaces::default())));
    let host = &body["HostConfig"];
    assert_eq!(
        (&host["NetworkMode"], &host["IpcMode"], &body["Hostname"]),
        (&"none".into(), &"shareable".into(), &"p".into())
    );
    assert_eq!(host["CgroupParent"], "/pods");
    assert_eq!(host["Sysctls"]["net.core.somaxconn"], "99");
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    let all = HostNamespaces { network: true, pid: true, ipc: true };
    let body = json_of(&convert::sandbox_body("n", None, &sandbox(all)));
    let host = &body["HostConfig"];
    assert_eq!(
        (&host["NetworkMode"], &host["PidMode"], &host["IpcMode"]),
        (&"host".into(), &"host".into(), &"host".into())
    );
    assert!(body.get("Hostname").is_none_or(Value::is_null), "Docker takes no name beside the node's network");
}

#[test]
fn a_container_joins_its_sandbox() {
    let spec = ContainerSpec {
        name: "app".to_owned(),
        image: "app:1".to_owned(),
        env: vec![("A".to_owned(), "1=2".to_owned())],
        mounts: vec![Mount {
            source: "/s".to_owned(),
            target: "/t".to_owned(),
            read_only: true,
            propagation: Propagation::Bidirectional,
        }],
        share_pid: true,
        ..ContainerSpec::default()
    };
    let body = json_of(&convert::container_body("n", None, &pod(), "s", &spec));
    let host = &body["HostConfig"];
    for mode in ["NetworkMode", "IpcMode", "PidMode"] {
        assert_eq!(host[mode], "container:s", "{mode}");
    }
    assert_eq!((&body["Env"], &body["Healthcheck"]["Test"]), (&json!(["A=1=2"]), &json!(["NONE"])));
    let mount = &host["Mounts"][0];
    assert_eq!((&mount["Source"], &mount["ReadOnly"]), (&"/s".into(), &true.into()));
    assert_eq!(mount["BindOptions"]["Propagation"], "rshared");
    let unset = |value: Option<&Value>| value.is_none_or(Value::is_null);
    assert!(unset(body.get("Entrypoint")) && unset(body.get("Cmd")), "the image's own are kept");
    assert!(unset(host.get("Memory")) && unset(host.get("CpuQuota")), "nothing is limited that was not asked for");
    let plain = ContainerSpec { share_pid: false, ..spec };
    let body = json_of(&convert::container_body("n", None, &pod(), "s", &plain));
    assert!(unset(body["HostConfig"].get("PidMode")));
}

#[test]
fn answers_are_decisions() {
    let answer = |status_code| Error::DockerResponseServerError { status_code, message: "words".to_owned() };
    assert!(matches!(failure(answer(404)), RuntimeError::NotFound(_)));
    assert_eq!(failure(answer(500)).to_string(), "Error response from daemon: words");
    assert!(matches!(failure(Error::RequestTimeoutError), RuntimeError::Unavailable(_)));
    assert!(absent_is_fine(Err(answer(404))).is_ok() && absent_is_fine(Err(answer(304))).is_ok());
    assert!(absent_is_fine(Err(answer(500))).is_err());
}

#[test]
fn labels_remember_the_pod() {
    let all = labels::of_sandbox("n", &sandbox(HostNamespaces::default()));
    assert_eq!(labels::pod(&all), Some(pod()));
    assert_eq!(labels::number::<u32>(&all, labels::RESTART_COUNT), 1);
    assert_eq!(labels::number::<i64>(&all, "none"), 0);
    assert_eq!(labels::pod(&HashMap::new()), None);
}

/// A running container of the node, with labels of its image among its own.
fn listed(name: &str, mut labels: HashMap<String, String>, of_image: &[(&str, &str)]) -> ContainerSummary {
    for (label, value) in of_image {
        labels.entry((*label).to_owned()).or_insert_with(|| (*value).to_owned());
    }
    serde_json::from_value(json!({ "Names": [name], "State": "running", "Labels": labels })).expect("an answer")
}

#[test]
fn an_image_cannot_speak_for_its_pod_by_labels() {
    let spec = ContainerSpec { name: "app".to_owned(), ..ContainerSpec::default() };
    let of_image = [(labels::ADDRESS, "10.0.0.99"), (labels::GRACE, "9999999999")];
    let container = listed("/k8s_app_p_default_u_0", labels::of_container("n", &pod(), "s", &spec), &of_image);
    let sandbox = |grace_seconds| {
        let spec = SandboxSpec { grace_seconds, ..sandbox(HostNamespaces::default()) };
        listed("/k8s_POD_p_default_u_1", labels::of_sandbox("n", &spec), &[])
    };
    let found = records(vec![container.clone(), sandbox(30)]);
    assert_eq!((found.len(), &found[0].pod, found[0].grace_seconds), (1, &pod(), 30));
    assert_eq!(found[0].addresses, ["10.0.0.7".parse::<std::net::Ipv4Addr>().expect("an address")]);
    let alone = records(vec![container.clone()]);
    assert!(alone[0].addresses.is_empty() && alone[0].grace_seconds == 0, "{alone:?}");
    for (grace, believed) in [(i64::MAX, LONGEST_GRACE), (-1, 0)] {
        assert_eq!(records(vec![sandbox(grace)])[0].grace_seconds, believed);
    }
    // Somebody runs an image that carries all the labels of a pod.
    let all = labels::of_container("n", &pod(), "s", &spec);
    assert!(is_of_pods(&container) && !is_of_pods(&listed("/sleepy_curie", all.clone(), &[])));
    assert!(!is_of_pods(&listed("/my-k8s_app", all, &[])));
}

#[test]
fn a_container_cannot_fill_the_node_with_processes() {
    let body = json_of(&convert::container_body("n", None, &pod(), "s", &ContainerSpec::default()));
    assert_eq!(body["HostConfig"]["PidsLimit"], 4096);
}

#[test]
fn profiles_and_labels_reach_the_engine() {
    let security = Security {
        se_linux: vec!["type:svirt_t".to_owned(), "level:s0:c1".to_owned()],
        seccomp: Seccomp::Unconfined,
        app_armor: AppArmor::Localhost("mine".to_owned()),
        no_new_privileges: true,
        ..Security::default()
    };
    let spec = ContainerSpec { security, ..ContainerSpec::default() };
    let body = json_of(&convert::container_body("n", None, &pod(), "s", &spec));
    let expected =
        json!(["label=type:svirt_t", "label=level:s0:c1", "no-new-privileges", "seccomp=unconfined", "apparmor=mine"]);
    assert_eq!(body["HostConfig"]["SecurityOpt"], expected);
}
