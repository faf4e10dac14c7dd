//! Deployments, ReplicaSets, scheduling and what hangs on ownership.

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, NODE, PATIENCE},
    wait,
};
use serde_json::json;

use super::{hello, pod, ready_endpoints, scenarios, shell_pod};

scenarios![
    a_rolling_update_replaces_pods_and_can_be_undone,
    a_rollout_never_has_fewer_pods_than_it_may,
    a_rollout_that_cannot_work_keeps_the_old_pods,
    scaling_changes_pods_and_endpoints,
    a_deleted_pod_is_replaced,
    a_replica_set_by_itself_keeps_its_number,
    a_daemon_set_runs_on_the_node_rolls_and_is_undone,
    a_paused_deployment_waits,
    deleting_a_deployment_takes_replica_sets_and_pods_along,
    cascade_foreground_waits_for_dependents,
    cascade_orphan_leaves_dependents,
    a_pod_too_large_for_the_node_says_why,
    a_node_selector_is_respected;
    alone: a_taint_keeps_pods_away_and_a_toleration_lets_them_in,
    a_cordoned_node_takes_no_new_pods,
];

fn images(cluster: &Cluster, ns: &str) -> Result<Vec<String>> {
    let pods = cluster.list(ns, "pods", "app=hello")?;
    Ok(pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| pod["spec"]["containers"][0]["env"][0]["value"].as_str().unwrap_or("none").to_owned())
        .collect())
}

fn a_rolling_update_replaces_pods_and_can_be_undone(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(2))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["set", "env", "-n", ns, "deployment/hello", "COLOR=blue"])?;
    cluster.rollout(ns, "hello")?;
    let history = cluster.run(&["rollout", "history", "-n", ns, "deployment/hello"])?;
    ensure!(history.lines().filter(|line| line.starts_with(['1', '2'])).count() == 2, "{history}");
    let second = cluster.run(&["rollout", "history", "-n", ns, "deployment/hello", "--revision=2"])?;
    ensure!(second.contains("COLOR:\tblue"), "{second}");
    wait::eventually("only blue pods are left", PATIENCE, || {
        let images = images(cluster, ns)?;
        ensure!(images == ["blue", "blue"], "{images:?}");
        Ok(())
    })?;
    cluster.run(&["rollout", "undo", "-n", ns, "deployment/hello", "--to-revision=1"])?;
    cluster.rollout(ns, "hello")?;
    wait::eventually("the undone template is back", PATIENCE, || {
        let images = images(cluster, ns)?;
        ensure!(images == ["none", "none"], "{images:?}");
        Ok(())
    })
}

fn a_rollout_never_has_fewer_pods_than_it_may(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(3))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["rollout", "restart", "-n", ns, "deployment/hello"])?;
    // 25 % of 3 rounds down to 0: all three stay available throughout.
    let mut least = 3;
    wait::eventually("the rollout is complete", PATIENCE, || {
        let status = cluster.get_in(ns, "deployment", "hello")?;
        let available = status["status"]["availableReplicas"].as_i64().unwrap_or_default();
        least = least.min(available);
        let done = status["status"]["observedGeneration"] == status["metadata"]["generation"]
            && status["status"]["updatedReplicas"] == 3
            && status["status"]["replicas"] == 3;
        ensure!(done, "{}", status["status"]);
        Ok(())
    })?;
    ensure!(least == 3, "only {least} pods were available at a time");
    Ok(())
}

fn a_rollout_that_cannot_work_keeps_the_old_pods(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(2))?;
    cluster.rollout(ns, "hello")?;
    let container = json!({ "name": "hello", "image": "nodeplane/absent:1", "imagePullPolicy": "Never" });
    let broken = json!({ "spec": {
        "progressDeadlineSeconds": 3,
        "template": { "spec": { "containers": [container] } },
    } });
    cluster.run(&["patch", "-n", ns, "deployment", "hello", "-p", &broken.to_string()])?;
    let error = cluster.kubectl(&["rollout", "status", "-n", ns, "deployment/hello", "--timeout=30s"])?.failure()?;
    ensure!(error.contains("deployment \"hello\" exceeded its progress deadline"), "{error}");
    let status = &cluster.get_in(ns, "deployment", "hello")?["status"];
    ensure!(status["availableReplicas"] == 2 && status["updatedReplicas"] == 1, "{status}");
    cluster.run(&["rollout", "undo", "-n", ns, "deployment/hello"])?;
    cluster.rollout(ns, "hello")
}

fn scaling_changes_pods_and_endpoints(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    for replicas in [4, 0, 2] {
        cluster.run(&["scale", "-n", ns, "deployment/hello", &format!("--replicas={replicas}")])?;
        wait::eventually(&format!("{replicas} endpoints are ready"), PATIENCE, || {
            let found = ready_endpoints(cluster, ns, "hello")?.len();
            ensure!(found == replicas, "{found} endpoints");
            let pods = cluster.list(ns, "pods", "app=hello")?.len();
            ensure!(pods == replicas, "{pods} pods");
            Ok(())
        })?;
    }
    Ok(())
}

fn a_deleted_pod_is_replaced(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    let before = cluster.list(ns, "pods", "app=hello")?;
    let name = before[0]["metadata"]["name"].as_str().context("name")?;
    cluster.run(&["delete", "pod", "-n", ns, name])?;
    cluster.rollout(ns, "hello")?;
    let after = cluster.list(ns, "pods", "app=hello")?;
    ensure!(
        after.len() == 1 && after[0]["metadata"]["uid"] != before[0]["metadata"]["uid"],
        "the pod was not replaced"
    );
    Ok(())
}

fn a_replica_set_by_itself_keeps_its_number(cluster: &Cluster, ns: &str) -> Result<()> {
    let template = json!({
        "metadata": { "labels": { "app": "solo" } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "hello", "image": "nodeplane/hello:1" }],
        },
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "solo" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "solo" } }, "template": template },
    });
    cluster.apply(ns, &set.to_string())?;
    let ready = |count: i64| {
        wait::eventually(&format!("{count} pods are ready"), PATIENCE, || {
            let status = &cluster.get_in(ns, "replicaset", "solo")?["status"];
            ensure!(status["readyReplicas"] == count && status["replicas"] == count, "{status}");
            Ok(())
        })
    };
    ready(1)?;
    cluster.run(&["scale", "-n", ns, "replicaset/solo", "--replicas=2"])?;
    ready(2)?;
    cluster.run(&["delete", "pods", "-n", ns, "-l", "app=solo", "--wait=false"])?;
    wait::eventually("both pods are new", PATIENCE, || {
        let pods = cluster.list(ns, "pods", "app=solo")?;
        ensure!(pods.len() == 2 && pods.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null()), "not yet");
        Ok(())
    })?;
    ready(2)
}

fn a_daemon_set_runs_on_the_node_rolls_and_is_undone(cluster: &Cluster, ns: &str) -> Result<()> {
    let template = json!({
        "metadata": { "labels": { "app": "hello" } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{ "name": "hello", "image": "nodeplane/hello:1" }],
        },
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "each" },
        "spec": { "selector": { "matchLabels": { "app": "hello" } }, "template": template },
    });
    let settled = |color: &str| {
        cluster.run(&["rollout", "status", "-n", ns, "daemonset/each", "--timeout=90s"])?;
        wait::eventually(&format!("the one pod is {color}"), PATIENCE, || {
            let images = images(cluster, ns)?;
            ensure!(images == [color], "{images:?}");
            Ok(())
        })
    };
    cluster.apply(ns, &set.to_string())?;
    settled("none")?;
    let pods = cluster.list(ns, "pods", "app=hello")?;
    ensure!(pods[0]["spec"]["nodeName"] == NODE, "{}", pods[0]["spec"]);
    let row = cluster.run(&["get", "-n", ns, "daemonset", "each", "--no-headers"])?;
    let counts: Vec<&str> = row.split_whitespace().skip(1).take(5).collect();
    ensure!(counts == ["1"; 5], "{row}");
    cluster.run(&["set", "env", "-n", ns, "daemonset/each", "COLOR=blue"])?;
    settled("blue")?;
    let history = cluster.run(&["rollout", "history", "-n", ns, "daemonset/each"])?;
    ensure!(history.lines().filter(|line| line.starts_with(['1', '2'])).count() == 2, "{history}");
    cluster.run(&["rollout", "undo", "-n", ns, "daemonset/each"])?;
    settled("none")?;
    cluster.run(&["delete", "daemonset", "-n", ns, "each"])?;
    wait::eventually("nothing of the daemon set is left", PATIENCE, || {
        let left = cluster.run(&["get", "-n", ns, "controllerrevisions,pods", "-l", "app=hello", "-o", "name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

fn a_paused_deployment_waits(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["rollout", "pause", "-n", ns, "deployment/hello"])?;
    cluster.run(&["set", "env", "-n", ns, "deployment/hello", "COLOR=red"])?;
    wait::eventually("the controller has seen the change", PATIENCE, || {
        let object = cluster.get_in(ns, "deployment", "hello")?;
        ensure!(object["status"]["observedGeneration"] == object["metadata"]["generation"], "{}", object["status"]);
        Ok(())
    })?;
    ensure!(images(cluster, ns)? == ["none"], "a paused deployment rolled out");
    cluster.run(&["rollout", "resume", "-n", ns, "deployment/hello"])?;
    cluster.rollout(ns, "hello")?;
    wait::eventually("the change is out", PATIENCE, || {
        ensure!(images(cluster, ns)? == ["red"], "not yet");
        Ok(())
    })
}

fn deleting_a_deployment_takes_replica_sets_and_pods_along(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(2))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["delete", "deployment", "-n", ns, "hello"])?;
    wait::eventually("nothing of the deployment is left", PATIENCE, || {
        let left = cluster.run(&["get", "-n", ns, "replicasets,pods", "-l", "app=hello", "-o", "name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

fn cascade_foreground_waits_for_dependents(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(2))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["delete", "deployment", "-n", ns, "hello", "--cascade=foreground", "--timeout=60s"])?;
    // kubectl returns when the owner is gone: then everything that it owned was gone before.
    let left = cluster.run(&["get", "-n", ns, "replicasets,pods", "-l", "app=hello", "-o", "name"])?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

fn cascade_orphan_leaves_dependents(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["delete", "deployment", "-n", ns, "hello", "--cascade=orphan"])?;
    wait::eventually("the replica set has lost its owner", PATIENCE, || {
        let sets = cluster.list(ns, "replicasets", "app=hello")?;
        ensure!(sets.len() == 1 && sets[0]["metadata"]["ownerReferences"].is_null(), "{sets:?}");
        Ok(())
    })?;
    let pods = cluster.list(ns, "pods", "app=hello")?;
    ensure!(pods.len() == 1 && pods[0]["status"]["phase"] == "Running", "the orphaned pod does not run");
    Ok(())
}

fn scheduling_event(cluster: &Cluster, ns: &str, pod: &str, words: &str) -> Result<()> {
    wait::eventually(&format!("an event says {words:?}"), PATIENCE, || {
        let events = cluster.run(&["events", "-n", ns, "--for", &format!("pod/{pod}")])?;
        ensure!(events.contains("FailedScheduling") && events.contains(words), "{events}");
        Ok(())
    })?;
    let row = cluster.run(&["get", "-n", ns, "pod", pod, "--no-headers"])?;
    ensure!(row.contains("Pending"), "{row}");
    Ok(())
}

fn a_pod_too_large_for_the_node_says_why(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("huge", "true", |spec| {
        spec["containers"][0]["resources"] = json!({ "requests": { "cpu": 1000 } });
    });
    cluster.apply(ns, &manifest)?;
    scheduling_event(cluster, ns, "huge", "0/1 nodes are available: 1 Insufficient cpu")
}

fn a_node_selector_is_respected(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &pod("picky", "sleep 600", |spec| spec["nodeSelector"] = json!({ "disk": "ssd" })))?;
    scheduling_event(cluster, ns, "picky", "node(s) didn't match Pod's node affinity/selector")?;
    cluster.run(&["label", "node", NODE, "disk=ssd"])?;
    let result = cluster.ready(ns, "picky");
    cluster.run(&["label", "node", NODE, "disk-"])?;
    result
}

fn a_taint_keeps_pods_away_and_a_toleration_lets_them_in(cluster: &mut Cluster, ns: &str) -> Result<()> {
    cluster.run(&["taint", "node", NODE, "team=a:NoSchedule"])?;
    let result = (|| {
        cluster.apply(ns, &shell_pod("plain", "sleep 600"))?;
        scheduling_event(cluster, ns, "plain", "untolerated taint")?;
        let toleration = json!([{ "key": "team", "operator": "Equal", "value": "a", "effect": "NoSchedule" }]);
        cluster.apply(ns, &pod("tolerant", "sleep 600", |spec| spec["tolerations"] = toleration))?;
        cluster.ready(ns, "tolerant")
    })();
    cluster.run(&["taint", "node", NODE, "team-"])?;
    result?;
    cluster.ready(ns, "plain")
}

fn a_cordoned_node_takes_no_new_pods(cluster: &mut Cluster, ns: &str) -> Result<()> {
    cluster.run(&["cordon", NODE])?;
    let result = cluster
        .apply(ns, &shell_pod("late", "sleep 600"))
        .and_then(|_| scheduling_event(cluster, ns, "late", "node(s) were unschedulable"));
    cluster.run(&["uncordon", NODE])?;
    result?;
    cluster.ready(ns, "late")
}
