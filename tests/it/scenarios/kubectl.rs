//! What `kubectl` shows and does beyond plain requests.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, NODE, PATIENCE},
    process::Process,
    wait,
};
use serde_json::json;

use super::{hello, objects::CONFIG, pod_names, scenarios, shell_pod};

scenarios![
    apply_twice_is_unchanged_and_prunes_removed_fields,
    create_makes_objects_without_a_manifest,
    debug_adds_a_container_to_the_pod,
    diff_shows_what_apply_would_change,
    dry_run_stores_nothing,
    get_prints_the_columns_of_upstream,
    get_watch_streams_changes,
    wait_returns_when_the_condition_holds,
    describe_tells_a_pods_story,
    events_tell_a_pods_life,
    expose_makes_a_service,
    the_node_is_described,
];

fn apply_twice_is_unchanged_and_prunes_removed_fields(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let second = cluster.apply(ns, CONFIG)?;
    ensure!(second == "configmap/c unchanged\n", "{second}");
    cluster.apply(ns, &CONFIG.replace(", l: w", ""))?;
    let data = &cluster.get_in(ns, "configmap", "c")?["data"];
    ensure!(*data == json!({"k": "v"}), "{data}");
    // Defaults and allocations of the server do not count as changes either.
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    let second = cluster.apply(ns, &hello(1))?;
    ensure!(second == "deployment.apps/hello unchanged\nservice/hello unchanged\n", "{second}");
    Ok(())
}

/// What kubectl makes from flags it sends as protobuf since 1.32.
fn create_makes_objects_without_a_manifest(cluster: &Cluster, ns: &str) -> Result<()> {
    let create = |args: &[&str]| cluster.run(&[&["create", "-n", ns], args].concat());
    for (args, said) in [
        (&["configmap", "c", "--from-literal=k=v"][..], "configmap/c created\n"),
        (&["secret", "generic", "s", "--from-literal=password=hunter2"], "secret/s created\n"),
        (&["serviceaccount", "robot"], "serviceaccount/robot created\n"),
        (&["service", "clusterip", "web", "--tcp=80:8080"], "service/web created\n"),
        (&["deployment", "web", "--image=none:1", "--replicas=0", "--port=8080"], "deployment.apps/web created\n"),
    ] {
        ensure!(create(args)? == said, "{args:?}");
    }
    ensure!(cluster.get_in(ns, "configmap", "c")?["data"] == json!({ "k": "v" }));
    ensure!(cluster.get_in(ns, "secret", "s")?["data"] == json!({ "password": "aHVudGVyMg==" }));
    let port = &cluster.get_in(ns, "service", "web")?["spec"]["ports"][0];
    ensure!(port["port"] == 80 && port["targetPort"] == 8080 && port["name"] == "80-8080", "{port}");
    let spec = &cluster.get_in(ns, "deployment", "web")?["spec"];
    ensure!(spec["replicas"] == 0 && spec["template"]["spec"]["containers"][0]["image"] == "none:1", "{spec}");
    let args = ["create", "-n", ns, "deployment", "Web", "--image=none:1"];
    let refused = cluster.kubectl(&args)?.failure()?;
    ensure!(refused.contains("a lowercase RFC 1123 subdomain"), "{refused}");
    Ok(())
}

/// Nobody runs it yet; what kubectl sends is stored.
fn debug_adds_a_container_to_the_pod(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.run(&["run", "-n", ns, "p", "--image=none:1"])?;
    cluster.run(&["debug", "-n", ns, "p", "--image=none:2", "--container=look", "--attach=false"])?;
    let container = &cluster.get_in(ns, "pod", "p")?["spec"]["ephemeralContainers"][0];
    ensure!(container["name"] == "look" && container["image"] == "none:2", "{container}");
    Ok(())
}

fn diff_shows_what_apply_would_change(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let args = ["diff", "-n", ns, "-f", "-"];
    let same = cluster.kubectl_with_input(&args, CONFIG)?;
    ensure!(same.code == 0 && same.stdout.is_empty(), "{same:?}");
    let other = cluster.kubectl_with_input(&args, &CONFIG.replace("k: v", "k: changed"))?;
    ensure!(other.code == 1 && other.stdout.contains("+  k: changed"), "{other:?}");
    Ok(())
}

fn dry_run_stores_nothing(cluster: &Cluster, ns: &str) -> Result<()> {
    let args = ["apply", "-n", ns, "--dry-run=server", "-f", "-"];
    let said = cluster.kubectl_with_input(&args, CONFIG)?.success(&args)?;
    ensure!(said == "configmap/c created (server dry run)\n", "{said}");
    cluster.kubectl(&["get", "-n", ns, "configmap", "c"])?.failure()?;
    Ok(())
}

fn get_prints_the_columns_of_upstream(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    for (what, columns) in [
        ("pods", "NAME READY STATUS RESTARTS AGE"),
        ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE"),
        ("replicasets", "NAME DESIRED CURRENT READY AGE"),
        ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
        ("endpoints", "NAME ENDPOINTS AGE"),
        ("endpointslices", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("nodes", "NAME STATUS ROLES AGE VERSION"),
        ("namespaces", "NAME STATUS AGE"),
        ("serviceaccounts", "NAME SECRETS AGE"),
        ("events", "LAST SEEN TYPE REASON OBJECT MESSAGE"),
    ] {
        let table = cluster.run(&["get", "-n", ns, what])?;
        let heading: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        ensure!(heading.join(" ") == columns, "{table}");
    }
    let pods = cluster.run(&["get", "-n", ns, "pods", "-o", "wide"])?;
    let row = pods.lines().nth(1).unwrap_or_default();
    ensure!(["1/1", "Running", "10.244.", NODE].iter().all(|word| row.contains(word)), "{pods}");
    let all = cluster.run(&["get", "-n", ns, "all"])?;
    for kind in ["pod/hello-", "service/hello", "deployment.apps/hello", "replicaset.apps/hello-"] {
        ensure!(all.contains(kind), "{kind} is missing in\n{all}");
    }
    Ok(())
}

fn get_watch_streams_changes(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, CONFIG)?;
    let mut command =
        cluster.kubectl_command(&["get", "-n", ns, "configmap", "-w", "--output-watch-events", "--no-headers"]);
    let watch = Process::start("watch", &mut command, &cluster.host().dir().join(format!("{ns}.log")))?;
    let seen = |event: &str| {
        wait::eventually(&format!("the watch shows {event}"), PATIENCE, || {
            let text = watch.log();
            let told = |line: &str| line.split_whitespace().take(2).eq([event, "c"]);
            ensure!(text.lines().any(told), "{text}");
            Ok(())
        })
    };
    seen("ADDED")?;
    cluster.run(&["label", "-n", ns, "configmap", "c", "x=y"])?;
    seen("MODIFIED")?;
    cluster.run(&["delete", "-n", ns, "configmap", "c"])?;
    seen("DELETED")
}

fn wait_returns_when_the_condition_holds(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.run(&["wait", "-n", ns, "--for=condition=Available", "deployment/hello", "--timeout=60s"])?;
    cluster.run(&["wait", "-n", ns, "--for=condition=Ready", "pods", "-l", "app=hello", "--timeout=60s"])?;
    cluster.run(&[
        "wait",
        "-n",
        ns,
        "--for=jsonpath={.status.readyReplicas}=1",
        "deployment/hello",
        "--timeout=60s",
    ])?;
    let error = cluster.kubectl(&["wait", "-n", ns, "--for=condition=Nothing", "deployment/hello", "--timeout=1s"])?;
    ensure!(error.failure()?.contains("timed out waiting for the condition"));
    Ok(())
}

fn describe_tells_a_pods_story(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    cluster.rollout(ns, "hello")?;
    let pod = &pod_names(cluster, ns, "app=hello")?[0];
    let told = cluster.run(&["describe", "-n", ns, "pod", pod])?;
    for words in [
        "Successfully assigned",
        "Controlled By:  ReplicaSet/hello-",
        "Container ID:   docker://",
        "Started container hello",
    ] {
        ensure!(told.contains(words), "{words:?} is missing in\n{told}");
    }
    let told = cluster.run(&["describe", "-n", ns, "service", "hello"])?;
    ensure!(told.contains("TargetPort:               http/TCP") && told.contains(":8080"), "{told}");
    let told = cluster.run(&["describe", "-n", ns, "deployment", "hello"])?;
    ensure!(
        told.contains("Scaled up replica set hello-") && told.contains("1 desired | 1 updated | 1 total | 1 available"),
        "{told}"
    );
    Ok(())
}

fn events_tell_a_pods_life(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("p", "sleep 600"))?;
    cluster.ready(ns, "p")?;
    cluster.run(&["delete", "-n", ns, "pod", "p"])?;
    let expected = [
        ("Scheduled", format!("Successfully assigned {ns}/p to {NODE}")),
        ("Pulled", "Container image \"nodeplane/hello:1\" already present on machine".to_owned()),
        ("Created", "Created container: main".to_owned()),
        ("Started", "Started container main".to_owned()),
        ("Killing", "Stopping container main".to_owned()),
    ];
    wait::eventually("all events are there", PATIENCE, || {
        let told = cluster.run(&["events", "-n", ns, "--for", "pod/p"])?;
        for (reason, message) in &expected {
            ensure!(told.lines().any(|line| line.contains(reason) && line.contains(message)), "no {reason} in\n{told}");
        }
        Ok(())
    })
}

fn expose_makes_a_service(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(0))?;
    cluster.run(&["expose", "deployment", "hello", "-n", ns, "--name=made", "--port=80", "--target-port=8080"])?;
    let made = &cluster.get_in(ns, "service", "made")?["spec"];
    ensure!(made["selector"] == json!({ "app": "hello" }) && made["ports"][0]["targetPort"] == 8080, "{made}");
    Ok(())
}

fn the_node_is_described(cluster: &Cluster, _: &str) -> Result<()> {
    let node = cluster.get("node", NODE)?;
    let labels = &node["metadata"]["labels"];
    ensure!(labels["kubernetes.io/hostname"] == NODE && labels["kubernetes.io/os"] == "linux", "{labels}");
    for amount in ["cpu", "memory", "pods", "ephemeral-storage"] {
        ensure!(node["status"]["capacity"][amount].is_string(), "{}", node["status"]["capacity"]);
        ensure!(node["status"]["allocatable"][amount].is_string(), "{}", node["status"]["allocatable"]);
    }
    ensure!(node["spec"]["podCIDR"].as_str().is_some_and(|range| range.starts_with("10.244.")), "{}", node["spec"]);
    let info = &node["status"]["nodeInfo"];
    ensure!(info["containerRuntimeVersion"].as_str().is_some_and(|text| text.starts_with("docker://")), "{info}");
    let renewed = || -> Result<String> {
        let lease = cluster.get_in("kube-node-lease", "lease", NODE)?;
        Ok(lease["spec"]["renewTime"].as_str().unwrap_or_default().to_owned())
    };
    let before = renewed()?;
    wait::eventually("the lease is renewed", PATIENCE, || {
        let now = renewed()?;
        ensure!(now > before, "{now}");
        Ok(())
    })?;
    let told = cluster.run(&["describe", "node", NODE])?;
    ensure!(told.contains("Allocated resources:") && told.contains("Non-terminated Pods:"), "{told}");
    Ok(())
}
