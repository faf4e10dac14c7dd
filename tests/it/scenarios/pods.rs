//! Pods on the node: what they are given, how they live, what is seen of them.

use anyhow::{Context, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    host,
    process::Process,
    wait,
};
use serde_json::json;

use super::{pod, scenarios, shell_pod};

scenarios![
    config_maps_and_secrets_reach_the_environment,
    the_downward_environment_is_filled,
    init_containers_run_first_and_in_order,
    limits_reach_the_engine,
    containers_are_named_and_labelled_like_a_kubelets,
    conditions_say_how_far_a_pod_is,
    logs_are_shown_followed_and_cut,
    logs_of_the_previous_container_are_kept,
    a_failing_container_backs_off,
    a_finished_pod_succeeds,
    restart_on_failure_only,
    an_image_that_may_not_be_pulled_says_so,
    an_image_that_cannot_be_pulled_backs_off,
    a_missing_config_map_says_so,
    deletion_lets_the_container_end_in_peace,
    a_killed_container_is_started_again,
];

pub(super) const SETTINGS: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue, size: large}}
---
{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {password: hunter2}}
";

pub(super) fn finished(cluster: &Cluster, ns: &str, name: &str) -> Result<String> {
    wait::eventually(&format!("{name} has succeeded"), PATIENCE, || {
        let phase = cluster.get_in(ns, "pod", name)?["status"]["phase"].clone();
        ensure!(phase == "Succeeded", "{phase}");
        Ok(())
    })?;
    cluster.run(&["logs", "-n", ns, name])
}

fn config_maps_and_secrets_reach_the_environment(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, SETTINGS)?;
    let manifest = pod("env", "echo $COLOR $PASSWORD $PRE_size $COMBINED", |spec| {
        spec["containers"][0]["env"] = json!([
            { "name": "COLOR", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "color" } } },
            { "name": "PASSWORD", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "password" } } },
            { "name": "COMBINED", "value": "$(COLOR)-$$(COLOR)" },
        ]);
        spec["containers"][0]["envFrom"] = json!([{ "prefix": "PRE_", "configMapRef": { "name": "settings" } }]);
    });
    cluster.apply(ns, &manifest)?;
    let log = finished(cluster, ns, "env")?;
    ensure!(log.trim() == "blue hunter2 large blue-$(COLOR)", "{log}");
    Ok(())
}

fn the_downward_environment_is_filled(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("down", "echo $NAME $NAMESPACE $(hostname) $KUBERNETES_SERVICE_HOST; test -n \"$IP\"", |spec| {
        let field =
            |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
        spec["containers"][0]["env"] = json!([
            field("NAME", "metadata.name"),
            field("NAMESPACE", "metadata.namespace"),
            field("IP", "status.podIP")
        ]);
    });
    cluster.apply(ns, &manifest)?;
    let log = finished(cluster, ns, "down")?;
    ensure!(log.trim() == format!("down {ns} down 10.96.0.1"), "{log}");
    Ok(())
}

fn init_containers_run_first_and_in_order(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("inits", "cat /v/log", |spec| {
        spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
        let step = |name: &str| {
            let mut container = spec["containers"][0].clone();
            container["name"] = name.into();
            container["command"][2] = format!("echo {name} >> /v/log").into();
            container
        };
        spec["initContainers"] = json!([step("first"), step("second")]);
    });
    cluster.apply(ns, &manifest)?;
    let log = finished(cluster, ns, "inits")?;
    ensure!(log == "first\nsecond\n", "{log}");
    Ok(())
}

fn limits_reach_the_engine(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("limited", "sleep 600", |spec| {
        spec["containers"][0]["resources"] = json!({ "limits": { "memory": "64Mi", "cpu": "500m" } });
    });
    cluster.apply(ns, &manifest)?;
    cluster.ready(ns, "limited")?;
    let id = cluster.container(ns, "limited")?;
    let told = cluster.docker(&[
        "inspect",
        &id,
        "-f",
        "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}}",
    ])?;
    ensure!(told.trim() == "67108864 50000 100000", "{told}");
    ensure!(cluster.get_in(ns, "pod", "limited")?["status"]["qosClass"] == "Guaranteed");
    Ok(())
}

fn containers_are_named_and_labelled_like_a_kubelets(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("named", "sleep 600"))?;
    cluster.ready(ns, "named")?;
    let uid = cluster.get_in(ns, "pod", "named")?["metadata"]["uid"].as_str().context("uid")?.to_owned();
    for (id, name, kind) in
        [(cluster.container(ns, "named")?, "main", "container"), (cluster.sandbox(ns, "named")?, "POD", "podsandbox")]
    {
        let inspected: serde_json::Value = serde_json::from_str(&cluster.docker(&["inspect", &id])?)?;
        ensure!(inspected[0]["Name"] == format!("/k8s_{name}_named_{ns}_{uid}_0"), "{}", inspected[0]["Name"]);
        let labels = &inspected[0]["Config"]["Labels"];
        for (label, value) in [
            ("io.kubernetes.pod.name", "named"),
            ("io.kubernetes.pod.namespace", ns),
            ("io.kubernetes.pod.uid", &uid),
            ("io.kubernetes.container.name", name),
            ("io.kubernetes.docker.type", kind),
        ] {
            ensure!(labels[label] == value, "{label}: {labels}");
        }
    }
    Ok(())
}

fn conditions_say_how_far_a_pod_is(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("steps", "sleep 600", |spec| {
        spec["containers"][0]["readinessProbe"] =
            json!({ "exec": { "command": ["/bin/test", "-e", "/tmp/ready"] }, "periodSeconds": 1 });
    });
    cluster.apply(ns, &manifest)?;
    let reached = |expected: [(&str, &str); 4]| {
        wait::eventually(&format!("the conditions are {expected:?}"), PATIENCE, || {
            let status = cluster.get_in(ns, "pod", "steps")?["status"].clone();
            let conditions = status["conditions"].as_array().context("no conditions")?;
            for (kind, holds) in expected {
                let told = conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == holds);
                ensure!(told, "{kind} is not {holds}: {conditions:?}");
            }
            Ok(status)
        })
    };
    let until_ready = [("PodScheduled", "True"), ("Initialized", "True")];
    let status = reached([until_ready[0], until_ready[1], ("ContainersReady", "False"), ("Ready", "False")])?;
    ensure!(status["qosClass"] == "BestEffort" && !status["startTime"].is_null(), "{status}");
    wait::eventually("the container runs", PATIENCE, || cluster.container(ns, "steps"))?;
    cluster.exec(ns, "steps", &["/bin/touch", "/tmp/ready"])?;
    let status = reached([until_ready[0], until_ready[1], ("ContainersReady", "True"), ("Ready", "True")])?;
    ensure!(status["phase"] == "Running" && status["podIP"] == status["podIPs"][0]["ip"], "{status}");
    ensure!(status["hostIP"] == host::ADDRESS.to_string(), "{status}");
    Ok(())
}

fn logs_are_shown_followed_and_cut(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("chatty", "seq 1 5; until test -e /tmp/go; do sleep 0.1; done; echo end"))?;
    cluster.ready(ns, "chatty")?;
    wait::eventually("the first lines are there", PATIENCE, || {
        let log = cluster.run(&["logs", "-n", ns, "chatty"])?;
        ensure!(log == "1\n2\n3\n4\n5\n", "{log}");
        Ok(())
    })?;
    let tail = cluster.run(&["logs", "-n", ns, "chatty", "--tail=2"])?;
    ensure!(tail == "4\n5\n", "{tail}");
    let stamped = cluster.run(&["logs", "-n", ns, "chatty", "--tail=1", "--timestamps"])?;
    ensure!(stamped.starts_with("20") && stamped.trim_end().ends_with("Z 5"), "{stamped}");
    // Following shows a line when it is written, and ends with the container.
    let mut command = cluster.kubectl_command(&["logs", "-n", ns, "chatty", "-f", "--tail=1"]);
    let follower = Process::start("follower", &mut command, &cluster.host().dir().join(format!("{ns}.log")))?;
    wait::until(PATIENCE, || (follower.log() == "5\n").then_some(())).context("the last line does not come")?;
    cluster.exec(ns, "chatty", &["/bin/touch", "/tmp/go"])?;
    let followed = follower.wait()?;
    ensure!(followed == "5\nend\n", "{followed}");
    Ok(())
}

fn logs_of_the_previous_container_are_kept(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod(
        "twice",
        "echo started at $(cat /v/n 2>/dev/null); echo more >> /v/n; test $(cat /v/n | grep -c more) -gt 1 && sleep 600",
        |spec| {
            spec["restartPolicy"] = "Always".into();
            spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
            spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
        },
    );
    cluster.apply(ns, &manifest)?;
    wait::eventually("the container runs for the second time", PATIENCE, || {
        let status = &cluster.get_in(ns, "pod", "twice")?["status"]["containerStatuses"][0];
        ensure!(status["restartCount"] == 1 && !status["state"]["running"].is_null(), "{status}");
        Ok(())
    })?;
    let previous = cluster.run(&["logs", "-n", ns, "twice", "--previous"])?;
    ensure!(previous.trim() == "started at", "{previous}");
    let current = cluster.run(&["logs", "-n", ns, "twice"])?;
    ensure!(current.trim() == "started at more", "{current}");
    Ok(())
}

fn a_failing_container_backs_off(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &pod("failing", "exit 3", |spec| spec["restartPolicy"] = "Always".into()))?;
    wait::eventually("the pod is in CrashLoopBackOff", PATIENCE, || {
        let status = &cluster.get_in(ns, "pod", "failing")?["status"]["containerStatuses"][0];
        let waiting = &status["state"]["waiting"];
        ensure!(waiting["reason"] == "CrashLoopBackOff", "{status}");
        ensure!(
            waiting["message"].as_str().is_some_and(|m| m.contains("restarting failed container=main")),
            "{waiting}"
        );
        ensure!(status["lastState"]["terminated"]["exitCode"] == 3, "{status}");
        Ok(())
    })?;
    let row = cluster.run(&["get", "-n", ns, "pod", "failing", "--no-headers"])?;
    ensure!(row.contains("0/1") && row.contains("CrashLoopBackOff"), "{row}");
    Ok(())
}

fn a_finished_pod_succeeds(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("done", "echo fine"))?;
    ensure!(finished(cluster, ns, "done")? == "fine\n");
    let status = cluster.get_in(ns, "pod", "done")?["status"].clone();
    let terminated = &status["containerStatuses"][0]["state"]["terminated"];
    ensure!(terminated["reason"] == "Completed" && terminated["exitCode"] == 0, "{status}");
    Ok(())
}

fn restart_on_failure_only(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("again", "test -e /v/x || { touch /v/x; exit 1; }", |spec| {
        spec["restartPolicy"] = "OnFailure".into();
        spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
    });
    cluster.apply(ns, &manifest)?;
    finished(cluster, ns, "again")?;
    let restarts = cluster.get_in(ns, "pod", "again")?["status"]["containerStatuses"][0]["restartCount"].clone();
    ensure!(restarts == 1, "{restarts} restarts");
    Ok(())
}

fn an_image_that_may_not_be_pulled_says_so(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("absent", "true", |spec| {
        spec["containers"][0]["image"] = "nodeplane/absent:1".into();
        spec["containers"][0]["imagePullPolicy"] = "Never".into();
    });
    cluster.apply(ns, &manifest)?;
    wait::eventually("the pod says ErrImageNeverPull", PATIENCE, || {
        let row = cluster.run(&["get", "-n", ns, "pod", "absent", "--no-headers"])?;
        ensure!(row.contains("ErrImageNeverPull"), "{row}");
        Ok(())
    })?;
    let error = cluster.kubectl(&["logs", "-n", ns, "absent"])?.failure()?;
    ensure!(error.contains("is waiting to start"), "{error}");
    Ok(())
}

fn an_image_that_cannot_be_pulled_backs_off(cluster: &Cluster, ns: &str) -> Result<()> {
    // A registry on the node itself, where nobody listens.
    let manifest = pod("unreachable", "true", |spec| spec["containers"][0]["image"] = "127.0.0.1:1/absent:1".into());
    cluster.apply(ns, &manifest)?;
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        wait::eventually(&format!("the pod says {reason}"), PATIENCE, || {
            let waiting =
                &cluster.get_in(ns, "pod", "unreachable")?["status"]["containerStatuses"][0]["state"]["waiting"];
            ensure!(waiting["reason"] == reason, "{waiting}");
            Ok(())
        })?;
    }
    let events = cluster.run(&["events", "-n", ns, "--for", "pod/unreachable"])?;
    ensure!(events.contains("Failed to pull image \"127.0.0.1:1/absent:1\""), "{events}");
    Ok(())
}

fn a_missing_config_map_says_so(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("early", "echo $COLOR", |spec| {
        spec["containers"][0]["env"] =
            json!([{ "name": "COLOR", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "color" } } }]);
    });
    cluster.apply(ns, &manifest)?;
    wait::eventually("the pod says CreateContainerConfigError", PATIENCE, || {
        let waiting = &cluster.get_in(ns, "pod", "early")?["status"]["containerStatuses"][0]["state"]["waiting"];
        ensure!(waiting["reason"] == "CreateContainerConfigError", "{waiting}");
        ensure!(
            waiting["message"].as_str().is_some_and(|m| m.contains("configmap \"settings\" not found")),
            "{waiting}"
        );
        Ok(())
    })?;
    cluster.apply(ns, SETTINGS)?;
    ensure!(finished(cluster, ns, "early")? == "blue\n");
    Ok(())
}

fn deletion_lets_the_container_end_in_peace(cluster: &Cluster, ns: &str) -> Result<()> {
    let dir = cluster.host().dir().join("farewell");
    std::fs::create_dir_all(&dir)?;
    let manifest = pod("polite", "trap 'echo bye > /mnt/word; exit 0' TERM; while :; do sleep 0.1; done", |spec| {
        spec["terminationGracePeriodSeconds"] = 30.into();
        spec["volumes"] = json!([{ "name": "v", "hostPath": { "path": dir } }]);
        spec["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/mnt" }]);
    });
    cluster.apply(ns, &manifest)?;
    cluster.ready(ns, "polite")?;
    cluster.run(&["delete", "pod", "-n", ns, "polite", "--timeout=20s"])?;
    ensure!(std::fs::read_to_string(dir.join("word")).context("SIGTERM never came")? == "bye\n");
    Ok(())
}

fn a_killed_container_is_started_again(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &pod("tough", "sleep 600", |spec| spec["restartPolicy"] = "Always".into()))?;
    cluster.ready(ns, "tough")?;
    let before = cluster.get_in(ns, "pod", "tough")?["status"]["podIP"].clone();
    let id = cluster.container(ns, "tough")?;
    cluster.docker(&["kill", &id])?;
    wait::eventually("the container is restarted", PATIENCE, || {
        let status = cluster.get_in(ns, "pod", "tough")?["status"].clone();
        let container = &status["containerStatuses"][0];
        ensure!(container["restartCount"] == 1 && container["ready"] == true, "{container}");
        ensure!(status["podIP"] == before, "the pod's address changed");
        Ok(())
    })
}
