//! Services: one address for many pods, translated in the kernel.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    wait,
};
use serde_json::json;

use super::{hello, pod, pod_names, ready_endpoints, scenarios, shell_pod};
use crate::probe::{self, From, Tally, all_answered, all_refused, ask, nobody_answers};

scenarios![
    the_cluster_ip_reaches_every_backend_in_turn,
    datagrams_reach_backends_and_come_back_from_the_service,
    client_ip_affinity_keeps_a_backend_until_it_is_idle,
    the_kernel_follows_the_number_of_pods,
    a_pod_that_is_not_ready_gets_no_traffic,
    every_port_leads_to_its_target,
    a_headless_service_has_no_address,
    a_deleted_service_gives_its_address_back,
    the_agent_shows_what_is_in_the_kernel,
    the_agent_logs_what_the_programs_log;
    alone: an_agent_whose_hooks_cannot_work_says_so
];

/// Once an endpoint is in the API, the kernel knows it this soon.
const MOMENT: Duration = Duration::from_secs(5);

pub(super) fn cluster_ip(cluster: &Cluster, ns: &str, service: &str) -> Result<String> {
    let service = cluster.get_in(ns, "service", service)?;
    service["spec"]["clusterIP"].as_str().map(str::to_owned).context("no ClusterIP")
}

/// Applies the sample, waits until it is in the kernel, and returns its Service's address and port.
pub(super) fn serve_hello(cluster: &Cluster, ns: &str, replicas: u32) -> Result<String> {
    cluster.apply(ns, &hello(replicas))?;
    cluster.rollout(ns, "hello")?;
    let address = format!("{}:80", cluster_ip(cluster, ns, "hello")?);
    backends(cluster, &address, replicas as usize)?;
    Ok(address)
}

/// Waits until exactly so many backends answer.
fn backends(cluster: &Cluster, address: &str, count: usize) -> Result<()> {
    wait::eventually(&format!("{count} backends answer at {address}"), PATIENCE, || {
        let found = all_answered(&ask(cluster, From::Node, "tcp", address, 9)?)?;
        ensure!(found == count, "{found} answer");
        Ok(())
    })
}

/// Waits a moment until connects are refused.
fn refused(cluster: &Cluster, from: From<'_>, kind: &str, address: &str) -> Result<()> {
    wait::eventually(&format!("{address} is refused"), MOMENT, || all_refused(&ask(cluster, from, kind, address, 3)?))?;
    all_refused(&ask(cluster, from, kind, address, 20)?)
}

fn the_cluster_ip_reaches_every_backend_in_turn(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 3)?;
    let names = pod_names(cluster, ns, "app=hello")?;
    let each_ten: Tally = names.iter().map(|name| (name.clone(), 10)).collect();
    for from in [From::Node, From::Pod(ns, &names[0])] {
        // The client checks that its socket's peer is the ClusterIP.
        let answers = ask(cluster, from, "tcp", &address, 30)?;
        ensure!(answers == each_ten, "from {from:?}: {answers:?}");
    }
    // Not only in the pod's network, but as its container.
    let script = format!("for i in $(seq 6); do wget -q -O - http://{address}/; done");
    let answers = cluster.exec(ns, &names[0], &["/bin/sh", "-c", &script])?;
    for name in &names {
        ensure!(answers.lines().filter(|line| line == name).count() == 2, "{name} did not answer twice:\n{answers}");
    }
    Ok(())
}

fn udp_service(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "selector": { "app": name }, "ports": [{ "port": 53, "protocol": "UDP", "targetPort": 5353 }] },
    })
    .to_string()
}

fn datagrams_reach_backends_and_come_back_from_the_service(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &udp_service("echo"))?;
    let address = format!("{}:53", cluster_ip(cluster, ns, "echo")?);
    refused(cluster, From::Node, "udp", &address)?;
    refused(cluster, From::Node, "udp-flow", &address)?;
    let mut servers = Vec::new();
    for name in ["echo-1", "echo-2"] {
        cluster.apply(ns, &shell_pod(name, "sleep 600").replace(&format!("\"run\":\"{name}\""), "\"app\":\"echo\""))?;
    }
    for name in ["echo-1", "echo-2"] {
        cluster.ready(ns, name)?;
        servers.push(probe::udp_server_in(cluster, ns, name, 5353)?);
    }
    wait::eventually("both pods answer", MOMENT, || {
        let found = all_answered(&ask(cluster, From::Node, "udp", &address, 8)?)?;
        ensure!(found == 2, "{found} answer");
        Ok(())
    })?;
    for from in [From::Node, From::Pod(ns, "echo-1")] {
        let answers = ask(cluster, from, "udp", &address, 20)?;
        ensure!(answers == Tally::from([("echo-1".into(), 10), ("echo-2".into(), 10)]), "from {from:?}: {answers:?}");
        // One socket is one flow: it keeps its backend, and the answers carry the Service's address.
        let answers = ask(cluster, from, "udp-flow", &address, 20)?;
        ensure!(all_answered(&answers)? == 1, "from {from:?}: {answers:?}");
    }
    Ok(())
}

fn client_ip_affinity_keeps_a_backend_until_it_is_idle(cluster: &Cluster, ns: &str) -> Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let address = serve_hello(cluster, ns, 3)?;
    let patch = json!({ "spec": {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": TIMEOUT.as_secs() } },
    } });
    cluster.run(&["patch", "-n", ns, "service", "hello", "-p", &patch.to_string()])?;
    let one = |from| -> Result<String> {
        let answers = ask(cluster, from, "tcp", &address, 12)?;
        ensure!(all_answered(&answers)? == 1, "{answers:?}");
        Ok(answers.into_keys().next().unwrap_or_default())
    };
    let first = wait::eventually("the client keeps one backend", MOMENT, || one(From::Node))?;
    let pod = &pod_names(cluster, ns, "app=hello")?[0];
    one(From::Pod(ns, pod))?;
    wait::eventually("an idle client moves on", PATIENCE, || {
        std::thread::sleep(TIMEOUT + Duration::from_millis(200));
        let next = one(From::Node)?;
        ensure!(next != first, "still {next}");
        Ok(())
    })
}

fn the_kernel_follows_the_number_of_pods(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    let scale = |replicas: usize| {
        cluster.run(&["scale", "-n", ns, "deployment/hello", &format!("--replicas={replicas}")])?;
        wait::eventually(&format!("{replicas} endpoints are ready"), PATIENCE, || {
            ensure!(ready_endpoints(cluster, ns, "hello")?.len() == replicas, "not yet");
            Ok(())
        })
    };
    let client = shell_pod("client", "sleep 600");
    cluster.apply(ns, &client)?;
    scale(3)?;
    backends(cluster, &address, 3)?;
    scale(1)?;
    backends(cluster, &address, 1)?;
    scale(0)?;
    cluster.ready(ns, "client")?;
    for from in [From::Node, From::Pod(ns, "client")] {
        let started = Instant::now();
        refused(cluster, from, "tcp", &address)?;
        ensure!(started.elapsed() < MOMENT, "a refusal must not take {:?}", started.elapsed());
    }
    scale(2)?;
    backends(cluster, &address, 2)
}

fn a_pod_that_is_not_ready_gets_no_traffic(cluster: &Cluster, ns: &str) -> Result<()> {
    let probe = "ports: [{name: http, containerPort: 8080}]
        readinessProbe: {exec: {command: [/bin/test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}";
    cluster.apply(ns, &hello(2).replace("ports: [{name: http, containerPort: 8080}]", probe))?;
    wait::eventually("both containers run", PATIENCE, || {
        let pods = pod_names(cluster, ns, "app=hello")?;
        ensure!(pods.len() == 2, "{pods:?}");
        pods.iter().try_for_each(|pod| cluster.container(ns, pod).map(drop))
    })?;
    let address = format!("{}:80", cluster_ip(cluster, ns, "hello")?);
    refused(cluster, From::Node, "tcp", &address)?;
    let pods = pod_names(cluster, ns, "app=hello")?;
    for pod in &pods {
        cluster.exec(ns, pod, &["/bin/touch", "/tmp/ready"])?;
    }
    backends(cluster, &address, 2)?;
    cluster.exec(ns, &pods[0], &["/bin/rm", "/tmp/ready"])?;
    backends(cluster, &address, 1)?;
    let answers = ask(cluster, From::Node, "tcp", &address, 10)?;
    ensure!(answers == Tally::from([(pods[1].clone(), 10)]), "{answers:?}");
    let restarts = cluster.get_in(ns, "pod", &pods[0])?["status"]["containerStatuses"][0]["restartCount"].clone();
    ensure!(restarts == 0, "readiness restarted the container");
    cluster.exec(ns, &pods[0], &["/bin/touch", "/tmp/ready"])?;
    backends(cluster, &address, 2)
}

fn every_port_leads_to_its_target(cluster: &Cluster, ns: &str) -> Result<()> {
    let side = "mkdir /tmp/www; echo side > /tmp/www/index.html; exec httpd -f -p 9090 -h /tmp/www";
    cluster.apply(
        ns,
        &pod("both", side, |spec| {
            spec["containers"][0]["ports"] = json!([{ "name": "side", "containerPort": 9090 }]);
            let hello = json!({
                "name": "hello", "image": "nodeplane/hello:1", "ports": [{ "name": "http", "containerPort": 8080 }],
            });
            spec["containers"] = json!([spec["containers"][0], hello]);
        }),
    )?;
    let ports = json!([
        { "name": "web", "port": 80, "targetPort": "http" },
        { "name": "direct", "port": 81, "targetPort": 8080 },
        { "name": "side", "port": 9100, "targetPort": "side" },
    ]);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "both" },
        "spec": { "selector": { "run": "both" }, "ports": ports },
    });
    cluster.apply(ns, &service.to_string())?;
    cluster.ready(ns, "both")?;
    let ip = cluster_ip(cluster, ns, "both")?;
    for (port, answer) in [(80, "both"), (81, "both"), (9100, "side")] {
        wait::eventually(&format!("port {port} answers"), PATIENCE, || {
            let answers = ask(cluster, From::Node, "tcp", &format!("{ip}:{port}"), 2)?;
            ensure!(answers == Tally::from([(answer.to_owned(), 2)]), "{answers:?}");
            Ok(())
        })?;
    }
    all_refused(&ask(cluster, From::Node, "tcp", &format!("{ip}:8080"), 2)?)
}

fn a_headless_service_has_no_address(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(
        ns,
        &hello(1).replace("spec:\n  selector: {app: hello}", "spec:\n  clusterIP: None\n  selector: {app: hello}"),
    )?;
    cluster.rollout(ns, "hello")?;
    let row = cluster.run(&["get", "-n", ns, "service", "hello", "--no-headers"])?;
    ensure!(row.split_whitespace().nth(2) == Some("None"), "{row}");
    let address = wait::eventually("the pod is an endpoint", PATIENCE, || {
        ready_endpoints(cluster, ns, "hello")?.pop().context("not yet")
    })?;
    // Its pods are reached by their own addresses.
    ensure!(all_answered(&ask(cluster, From::Node, "tcp", &format!("{address}:8080"), 3)?)? == 1);
    Ok(())
}

fn a_deleted_service_gives_its_address_back(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    let ip = address.trim_end_matches(":80");
    let second = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "second" },
        "spec": { "clusterIP": ip, "selector": { "app": "hello" }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    })
    .to_string();
    let error = cluster.create(ns, &second)?.failure()?;
    ensure!(
        error.contains("spec.clusterIPs: Invalid value:") && error.contains("provided IP is already allocated"),
        "{error}"
    );
    cluster.run(&["delete", "-n", ns, "service", "hello"])?;
    let pod = &pod_names(cluster, ns, "app=hello")?[0];
    for from in [From::Node, From::Pod(ns, pod)] {
        wait::eventually("nobody is there any more", MOMENT, || {
            nobody_answers(&ask(cluster, from, "tcp", &address, 1)?)
        })?;
    }
    cluster.apply(ns, &second)?;
    backends(cluster, &address, 1)
}

fn the_agent_shows_what_is_in_the_kernel(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 2)?;
    let mut backends = ready_endpoints(cluster, ns, "hello")?;
    backends.iter_mut().for_each(|backend| backend.push_str(":8080"));
    let plane = || Ok::<_, anyhow::Error>(cluster.agent_dump()?["dataplane"].clone());
    let before = plane()?;
    let services = before["services"].as_array().context("no services")?;
    let shown = services.iter().find(|service| service["frontend"] == address).context("the Service is not there")?;
    let shown: Vec<_> =
        shown["backends"].as_array().into_iter().flatten().filter_map(|backend| backend.as_str()).collect();
    ensure!(shown.len() == 2 && backends.iter().all(|backend| shown.contains(&backend.as_str())), "{shown:?}");
    ask(cluster, From::Node, "tcp", &address, 20)?;
    let count = |plane: &serde_json::Value| plane["verdicts"]["translated"].as_u64().unwrap_or_default();
    let (before, after) = (count(&before), count(&plane()?));
    ensure!(after >= before + 20, "{before} translations became {after}");
    Ok(())
}

fn the_agent_logs_what_the_programs_log(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    wait::eventually("the translation is in the agent's log", MOMENT, || {
        ask(cluster, From::Node, "tcp", &address, 1)?;
        let log = cluster.host().log("agent");
        let told = |line: &str| line.contains("nodeplane::bpf") && line.contains(&format!("service hit: {address} "));
        ensure!(log.lines().any(told), "nothing of {address}");
        Ok(())
    })
}

fn an_agent_whose_hooks_cannot_work_says_so(cluster: &mut Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 2)?;
    cluster.stop("agent")?;
    let wrong = cluster.host().dir().to_owned();
    cluster.start_agent_in(&wrong)?;
    let words = format!("{} is not a folder in a cgroup2 hierarchy", wrong.display());
    let told = wait::eventually("the node is not ready and says why", PATIENCE, || {
        let ready = cluster.node_condition("Ready")?;
        ensure!(ready["status"] == "False", "the node says {ready}");
        ensure!(ready["message"].as_str().is_some_and(|message| message.contains(&words)), "the node says {ready}");
        Ok(())
    });
    // What was in the kernel before works on.
    let answered = ask(cluster, From::Node, "tcp", &address, 10);
    if cluster.host_mut().is_running("agent") {
        cluster.stop("agent")?;
    }
    cluster.start_agent()?;
    told?;
    ensure!(all_answered(&answered?)? == 2);
    cluster.node_is_ready()
}
