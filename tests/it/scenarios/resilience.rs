//! Parts that die, are killed, or go for good. Each scenario has its cluster alone.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, NODE, PATIENCE, StoreKind},
    host,
    process::{Process, run},
    wait,
};
use serde_json::{Value, json};

use super::{hello, objects::CONFIG, pod_names, ready_endpoints, scenarios, services::serve_hello};
use crate::probe::{From, Loop, all_answered, ask};

scenarios![
    ;
    alone: a_killed_agent_costs_no_connect_and_no_container,
    a_killed_server_loses_nothing_that_it_acknowledged,
    a_watch_from_before_the_server_started_ends_with_410,
    a_store_that_was_away_comes_back,
    a_killed_sandbox_is_made_anew,
    a_restarted_engine_gets_its_pods_back,
    a_node_whose_agent_is_gone_is_not_ready,
    cleanup_leaves_nothing_on_the_node,
];

/// Container ids and restart counts of the sample's pods.
fn containers(cluster: &Cluster, ns: &str) -> Result<Vec<(Value, Value)>> {
    let pods = cluster.list(ns, "pods", "app=hello")?;
    let statuses = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]);
    let mut all: Vec<_> =
        statuses.map(|status| (status["containerID"].clone(), status["restartCount"].clone())).collect();
    all.sort_by_key(|(id, _)| id.to_string());
    Ok(all)
}

fn a_killed_agent_costs_no_connect_and_no_container(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 3)?;
    let pod = pod_names(cluster, ns, "app=hello")?.swap_remove(0);
    let before = containers(cluster, ns)?;
    let node_client = Loop::start(cluster, From::Node, &address)?;
    let pod_client = Loop::start(cluster, From::Pod(ns, &pod), &address)?;
    for replicas in [4, 5] {
        cluster.kill("agent")?;
        // While nobody is there, the kernel goes on.
        ensure!(all_answered(&ask(cluster, From::Node, "tcp", &address, 12)?)? >= 3);
        cluster.start_agent()?;
        // A new pod is proof that the new agent is at work.
        cluster.run(&["scale", "-n", ns, "deployment/hello", &format!("--replicas={replicas}")])?;
        cluster.rollout(ns, "hello")?;
    }
    for client in [node_client, pod_client] {
        let answers = client.stop()?;
        ensure!(all_answered(&answers)? >= 3, "{answers:?}");
        ensure!(answers.values().sum::<u32>() > 100, "that was no loop: {answers:?}");
    }
    let after = containers(cluster, ns)?;
    ensure!(before.iter().all(|container| after.contains(container)), "{before:?} became {after:?}");
    ensure!(after.iter().all(|(_, restarts)| *restarts == 0), "{after:?}");
    Ok(())
}

fn a_killed_server_loses_nothing_that_it_acknowledged(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        acknowledged.extend(write_until_killed(cluster, ns, round)?);
    }
    let stored = cluster.run(&["get", "-n", ns, "configmaps,services", "-o", "name"])?;
    let stored: BTreeSet<String> = stored.lines().map(str::to_owned).collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    ensure!(lost.is_empty(), "of {} acknowledged, lost: {lost:?}", acknowledged.len());
    // No address was given twice, whatever was lost between reserving and storing.
    let services = cluster.list(ns, "services", "")?;
    let addresses: BTreeSet<&str> =
        services.iter().filter_map(|service| service["spec"]["clusterIP"].as_str()).collect();
    ensure!(services.len() > 3 && addresses.len() == services.len(), "{} of {}", addresses.len(), services.len());
    // Everybody finds back to the new server: controllers, scheduler, agent.
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")
}

/// Writes many objects, and kills and restarts the server in the middle; what was acknowledged.
fn write_until_killed(cluster: &mut Cluster, ns: &str, round: usize) -> Result<BTreeSet<String>> {
    /// So many writes are begun, and so many acknowledged before the server is killed.
    const ALL: usize = 280;
    const BEFORE: usize = 40;
    let object = |n| {
        let metadata = json!({ "name": format!("r{round}-{n}") });
        match n % 10 {
            0 => {
                json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": { "ports": [{ "port": 80 }] } })
            }
            _ => json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }),
        }
    };
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": (0..ALL).map(object).collect::<Vec<_>>() });
    let file = cluster.host().dir().join(format!("{ns}-{round}.json"));
    fs::write(&file, list.to_string())?;
    let mut command = cluster.kubectl_command(&["create", "-n", ns, "-o", "name", "-f"]);
    let writer = Process::start("writer", command.arg(&file), &file.with_extension("log"))?;
    let many = || (names_in(&writer.log()).len() >= BEFORE).then_some(());
    wait::until(PATIENCE, many).with_context(|| format!("too few are acknowledged:\n{}", writer.log()))?;
    cluster.kill("server")?;
    ensure!(names_in(&writer.log()).len() < ALL, "the server was killed too late");
    cluster.start_server()?;
    // The rest of the list is refused, or written by the new server; either is as it says.
    Ok(names_in(&writer.wait()?))
}

/// The names that `kubectl` told, in lines that are whole.
fn names_in(log: &str) -> BTreeSet<String> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let named = |line: &&str| line.starts_with("configmap/") || line.starts_with("service/");
    whole.lines().filter(named).map(str::to_owned).collect()
}

fn a_watch_from_before_the_server_started_ends_with_410(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{ns}/configmaps");
    let before = cluster.raw_json(&path, &[])?;
    let revision = before["metadata"]["resourceVersion"].as_str().context("no revision")?;
    cluster.apply(ns, CONFIG)?;
    cluster.kill("server")?;
    cluster.start_server()?;
    let event = cluster.raw_json(&format!("{path}?watch=1&resourceVersion={revision}"), &[])?;
    let status = if event["type"] == "ERROR" { &event["object"] } else { &event };
    ensure!(status["code"] == 410 && status["reason"] == "Expired", "{event}");
    ensure!(status["message"].as_str().is_some_and(|text| text.starts_with("too old resource version: ")), "{event}");
    Ok(())
}

fn a_store_that_was_away_comes_back(cluster: &mut Cluster, ns: &str) -> Result<()> {
    if cluster.store() == StoreKind::Embedded {
        // It lives in the server's process: it is away when the server is.
        cluster.kill("server")?;
        cluster.start_server()?;
    } else {
        cluster.kill("etcd")?;
        let args = ["create", "-n", ns, "-f", "-", "--request-timeout=3s"];
        let refused = cluster.kubectl_with_input(&args, CONFIG)?.failure()?;
        ensure!(!refused.contains("created"), "{refused}");
        cluster.start_etcd()?;
    }
    wait::eventually("writes are taken again", PATIENCE, || cluster.apply(ns, CONFIG))?;
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")
}

/// Waits until the pod's only container runs and was restarted so often.
fn restarted(cluster: &Cluster, ns: &str, pod: &str, times: i64) -> Result<()> {
    wait::eventually(&format!("the container was restarted {times} times"), PATIENCE, || {
        let pod = cluster.get_in(ns, "pod", pod)?;
        let status = &pod["status"]["containerStatuses"][0];
        ensure!(status["restartCount"] == times && status["ready"] == true, "{status}");
        Ok(())
    })
}

fn a_killed_sandbox_is_made_anew(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    let pod = pod_names(cluster, ns, "app=hello")?.swap_remove(0);
    let sandbox = cluster.sandbox(ns, &pod)?;
    cluster.docker(&["kill", &sandbox])?;
    restarted(cluster, ns, &pod, 1)?;
    ensure!(cluster.sandbox(ns, &pod)? != sandbox, "the dead sandbox was taken for alive");
    wait::eventually("the service answers again", PATIENCE, || {
        let answers = ask(cluster, From::Node, "tcp", &address, 3)?;
        ensure!(all_answered(&answers)? == 1 && answers.contains_key(&pod), "{answers:?}");
        Ok(())
    })
}

fn a_restarted_engine_gets_its_pods_back(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 2)?;
    let pods = pod_names(cluster, ns, "app=hello")?;
    cluster.stop("dockerd")?;
    cluster.start_engine()?;
    for pod in &pods {
        restarted(cluster, ns, pod, 1)?;
    }
    wait::eventually("the service answers again", PATIENCE, || {
        let found = all_answered(&ask(cluster, From::Node, "tcp", &address, 6)?)?;
        ensure!(found == 2, "{found} answer");
        Ok(())
    })?;
    cluster.node_is_ready()
}

fn a_node_whose_agent_is_gone_is_not_ready(cluster: &mut Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    cluster.kill("agent")?;
    let told = wait::eventually("the node is not ready", 2 * PATIENCE, || {
        let ready = cluster.node_condition("Ready")?;
        ensure!(ready["status"] == "Unknown" && ready["reason"] == "NodeStatusUnknown", "the node says {ready}");
        ensure!(ready["message"] == "Kubelet stopped posting node status.", "the node says {ready}");
        let taints = cluster.get("node", NODE)?["spec"]["taints"].to_string();
        ensure!(taints.contains("node.kubernetes.io/unreachable"), "{taints}");
        // A pod that nobody looks after is no endpoint.
        ensure!(ready_endpoints(cluster, ns, "hello")?.is_empty(), "it has endpoints");
        Ok(())
    });
    cluster.start_agent()?;
    told?;
    cluster.node_is_ready()?;
    wait::eventually("the pod is an endpoint again", PATIENCE, || {
        ensure!(ready_endpoints(cluster, ns, "hello")?.len() == 1, "not yet");
        ensure!(cluster.get("node", NODE)?["spec"]["taints"].is_null(), "it is tainted");
        Ok(())
    })?;
    ensure!(containers(cluster, ns)?.iter().all(|(_, restarts)| *restarts == 0), "a container was restarted");
    Ok(())
}

fn cleanup_leaves_nothing_on_the_node(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 2)?;
    cluster.remove_agent()?;
    let left = cluster.docker(&["ps", "--all", "--quiet"])?;
    ensure!(left.is_empty(), "containers are left: {left}");
    ensure!(!cluster.bpffs().exists(), "pins are left");
    let cgroup = cluster.host().cgroup().to_owned();
    let programs = run(std::process::Command::new("bpftool").args(["cgroup", "tree"]).arg(&cgroup))?;
    ensure!(!programs.contains("sock_"), "programs are left:\n{programs}");
    for (what, expected) in [
        (["-o", "link"].as_slice(), 2),
        // The link's own route and the default route, which the bed made.
        (&["route"], 2),
        (&["rule"], 3),
    ] {
        let shown = run(cluster.host().command("ip").args(what))?;
        ensure!(shown.lines().count() == expected, "ip {what:?} shows\n{shown}");
    }
    let rules = run(&mut cluster.host().command("iptables-save"))?;
    ensure!(!rules.lines().any(|line| line.starts_with("-A")), "rules are left:\n{rules}");
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let agent = cluster.host().dir().join("agent");
    ensure!(!mounts.contains(agent.to_string_lossy().as_ref()), "mounts are left:\n{mounts}");
    // What is in the API is not the agent's to remove: a new one starts where the old one ended.
    cluster.start_agent()?;
    wait::eventually("the pods run again", PATIENCE, || {
        let found = all_answered(&ask(cluster, From::Node, "tcp", &address, 6)?)?;
        ensure!(found == 2, "{found} answer");
        Ok(())
    })?;
    let node = cluster.get("node", NODE)?;
    let told = node["status"]["addresses"].as_array().context("no addresses")?;
    ensure!(told.iter().any(|address| address["address"] == host::ADDRESS.to_string()), "{told:?}");
    cluster.node_is_ready()
}
