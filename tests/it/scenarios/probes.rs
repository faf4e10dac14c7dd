//! Probes: what the agent asks containers, and what follows from the answers.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    wait,
};
use serde_json::{Value, json};

use super::{pod, ready_endpoints, scenarios, shell_pod};

scenarios![
    readiness_decides_about_endpoints,
    probes_ask_by_http_and_by_tcp,
    a_container_that_fails_its_liveness_probe_is_restarted,
];

fn readiness_decides_about_endpoints(cluster: &Cluster, ns: &str) -> Result<()> {
    let mut manifest: Value = serde_json::from_str(&shell_pod("picky", "sleep 600"))?;
    manifest["spec"]["containers"][0]["readinessProbe"] =
        json!({ "exec": { "command": ["/bin/ls", "/tmp/ready"] }, "periodSeconds": 1 });
    cluster.apply(ns, &manifest.to_string())?;
    cluster.apply(
        ns,
        "{apiVersion: v1, kind: Service, metadata: {name: picky}, spec: {selector: {run: picky}, ports: [{port: 80}]}}",
    )?;
    let ready = || ready_endpoints(cluster, ns, "picky").map(|all| all.len());
    wait::eventually("the container runs", PATIENCE, || {
        let status = &cluster.get_in(ns, "pod", "picky")?["status"]["containerStatuses"][0];
        ensure!(!status["state"]["running"].is_null(), "{status}");
        Ok(())
    })?;
    ensure!(ready()? == 0, "a pod that is not ready is an endpoint");
    cluster.exec(ns, "picky", &["/bin/touch", "/tmp/ready"])?;
    wait::eventually("the pod is an endpoint", PATIENCE, || {
        ensure!(ready()? == 1, "not yet");
        Ok(())
    })?;
    cluster.exec(ns, "picky", &["/bin/rm", "/tmp/ready"])?;
    wait::eventually("the pod is no endpoint any more", PATIENCE, || {
        ensure!(ready()? == 0, "still");
        Ok(())
    })
}

fn probes_ask_by_http_and_by_tcp(cluster: &Cluster, ns: &str) -> Result<()> {
    let server = |name: &str, probe: Value| {
        pod(name, "", |spec| {
            let probe = [probe, json!({ "periodSeconds": 1 })];
            let merged = probe.iter().filter_map(Value::as_object).flatten().map(|(k, v)| (k.clone(), v.clone()));
            spec["containers"][0] = json!({
                "name": "main", "image": "nodeplane/hello:1", "readinessProbe": merged.collect::<Value>(),
                "ports": [{ "name": "http", "containerPort": 8080 }],
            });
        })
    };
    cluster.apply(ns, &server("http", json!({ "httpGet": { "path": "/", "port": "http" } })))?;
    cluster.apply(ns, &server("tcp", json!({ "tcpSocket": { "port": 8080 } })))?;
    cluster.apply(ns, &server("deaf", json!({ "tcpSocket": { "port": 8081 } })))?;
    cluster.ready(ns, "http")?;
    cluster.ready(ns, "tcp")?;
    wait::eventually("an event says why the third is not ready", PATIENCE, || {
        let events = cluster.run(&["events", "-n", ns, "--for", "pod/deaf"])?;
        ensure!(events.contains("Unhealthy") && events.contains("Readiness probe failed: dial tcp"), "{events}");
        Ok(())
    })?;
    let status = &cluster.get_in(ns, "pod", "deaf")?["status"];
    ensure!(status["phase"] == "Running" && status["containerStatuses"][0]["ready"] == false, "{status}");
    Ok(())
}

fn a_container_that_fails_its_liveness_probe_is_restarted(cluster: &Cluster, ns: &str) -> Result<()> {
    let manifest = pod("sick", "sleep 600", |spec| {
        spec["restartPolicy"] = "Always".into();
        spec["containers"][0]["livenessProbe"] = json!({ "exec": { "command": ["/bin/test", "!", "-e", "/tmp/sick"] }, "periodSeconds": 1, "failureThreshold": 1 });
    });
    cluster.apply(ns, &manifest)?;
    cluster.ready(ns, "sick")?;
    cluster.exec(ns, "sick", &["/bin/touch", "/tmp/sick"])?;
    wait::eventually("the container is restarted", PATIENCE, || {
        let container = &cluster.get_in(ns, "pod", "sick")?["status"]["containerStatuses"][0];
        ensure!(container["restartCount"] == 1 && container["ready"] == true, "{container}");
        ensure!(container["lastState"]["terminated"]["exitCode"] == 137, "{container}");
        Ok(())
    })?;
    let events = cluster.run(&["events", "-n", ns, "--for", "pod/sick"])?;
    for words in ["Liveness probe failed", "Container main failed liveness probe, will be restarted"] {
        ensure!(events.contains(words), "{words:?} is missing in\n{events}");
    }
    Ok(())
}
