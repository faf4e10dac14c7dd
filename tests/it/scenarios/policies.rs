//! Rules about other objects: who may do what, how much there may be, what must stay.

use anyhow::{Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, NODE, PATIENCE},
    wait,
};
use serde_json::json;

use super::{hello, pod_names, scenarios};

scenarios![
    create_makes_policies_without_a_manifest,
    get_prints_their_columns,
    a_quota_counts_and_refuses,
    limits_fill_what_pods_leave_out,
    ; alone: drain_waits_for_the_budget,
];

/// The names of what is in no namespace are free for other scenarios.
fn create_makes_policies_without_a_manifest(cluster: &Cluster, ns: &str) -> Result<()> {
    for (args, said) in [
        (
            &["ingress", "web", "--class=front", "--rule=shop.example/cart*=cart:80"][..],
            "ingress.networking.k8s.io/web created\n",
        ),
        (&["role", "r", "--verb=get,list", "--resource=pods"], "role.rbac.authorization.k8s.io/r created\n"),
        (
            &["rolebinding", "b", "--role=r", "--user=jane", &format!("--serviceaccount={ns}:default")],
            "rolebinding.rbac.authorization.k8s.io/b created\n",
        ),
        (&["quota", "q", "--hard=pods=3"], "resourcequota/q created\n"),
        (&["pdb", "p", "--selector=app=web", "--min-available=50%"], "poddisruptionbudget.policy/p created\n"),
    ] {
        ensure!(cluster.run(&[&["create", "-n", ns], args].concat())? == said, "{args:?}");
    }
    let path = &cluster.get_in(ns, "ingress", "web")?["spec"]["rules"][0]["http"]["paths"][0];
    ensure!(path["pathType"] == "Prefix" && path["backend"]["service"]["port"]["number"] == 80, "{path}");
    let binding = cluster.get_in(ns, "rolebinding", "b")?;
    ensure!(binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io", "{binding}");
    ensure!(binding["subjects"][0]["name"] == "jane", "{binding}");
    let budget = &cluster.get_in(ns, "pdb", "p")?["spec"];
    ensure!(budget["minAvailable"] == "50%", "{budget}");

    let (role, binding, class) = (format!("{ns}:reader"), format!("{ns}:readers"), format!("{ns}-vip"));
    for args in [
        &["clusterrole", &role, "--verb=get", "--resource=nodes"][..],
        &["clusterrolebinding", &binding, &format!("--clusterrole={role}"), "--group=readers"],
        &["priorityclass", &class, "--value=7", "--description=first"],
    ] {
        cluster.run(&[&["create"], args].concat())?;
    }
    cluster.run(&[
        "run",
        "-n",
        ns,
        "vip",
        "--image=none:1",
        &format!(r#"--overrides={{"spec":{{"priorityClassName":"{class}"}}}}"#),
    ])?;
    ensure!(cluster.get_in(ns, "pod", "vip")?["spec"]["priority"] == 7);
    let refused = cluster.kubectl(&["delete", "priorityclass", "system-node-critical"])?.failure()?;
    ensure!(refused.contains("this is a system priority class and cannot be deleted"), "{refused}");
    for (what, name) in [("clusterrole", &role), ("clusterrolebinding", &binding), ("priorityclass", &class)] {
        cluster.run(&["delete", what, name])?;
    }
    Ok(())
}

fn get_prints_their_columns(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.run(&["create", "-n", ns, "pdb", "p", "--selector=app=web", "--max-unavailable=1"])?;
    cluster.run(&["create", "-n", ns, "role", "r", "--verb=get", "--resource=pods"])?;
    cluster.run(&["create", "-n", ns, "rolebinding", "b", "--role=r", "--user=jane"])?;
    cluster.run(&["create", "-n", ns, "ingress", "i", "--rule=/*=web:80"])?;
    cluster.run(&["create", "-n", ns, "quota", "q", "--hard=secrets=5"])?;
    for (what, columns) in [
        ("pdb", "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE"),
        ("roles", "NAME CREATED AT"),
        ("rolebindings", "NAME ROLE AGE"),
        ("ingresses", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
        ("quota", "NAME REQUEST LIMIT AGE"),
        ("priorityclasses", "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY"),
    ] {
        let table = cluster.run(&["get", "-n", ns, what])?;
        let heading: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        ensure!(heading.join(" ") == columns, "{table}");
    }
    Ok(())
}

fn a_quota_counts_and_refuses(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.run(&["create", "-n", ns, "quota", "q", "--hard=secrets=1"])?;
    let is_used = |amount: &str| {
        wait::eventually(&format!("{amount} secrets are used"), PATIENCE, || {
            let status = cluster.get_in(ns, "quota", "q")?["status"].take();
            ensure!(status == json!({ "hard": { "secrets": "1" }, "used": { "secrets": amount } }), "{status}");
            Ok(())
        })
    };
    let make = |name: &str| ["create", "-n", ns, "secret", "generic", name].map(str::to_owned);
    let make = |name: &str| cluster.kubectl(&make(name).each_ref().map(String::as_str));
    is_used("0")?;
    make("a")?.success(&["create secret a"])?;
    is_used("1")?;
    let refused = make("b")?.failure()?;
    let why =
        r#"secrets "b" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1"#;
    ensure!(refused.contains(why), "{refused}");
    let told = cluster.run(&["describe", "-n", ns, "quota", "q"])?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    ensure!(told.lines().any(|line| words(line) == ["Resource", "Used", "Hard"]), "{told}");
    ensure!(told.lines().any(|line| words(line) == ["secrets", "1", "1"]), "{told}");
    cluster.run(&["delete", "-n", ns, "secret", "a"])?;
    is_used("0")?;
    make("b")?.success(&["create secret b"])?;
    Ok(())
}

fn limits_fill_what_pods_leave_out(cluster: &Cluster, ns: &str) -> Result<()> {
    let limits = json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "l" }, "spec": { "limits": [
        { "type": "Container", "max": { "memory": "64Mi" }, "defaultRequest": { "cpu": "10m" } },
    ] } });
    cluster.apply(ns, &limits.to_string())?;
    let given = json!({ "requests": { "cpu": "10m", "memory": "64Mi" }, "limits": { "memory": "64Mi" } });
    wait::eventually("limits are known", PATIENCE, || {
        cluster.kubectl(&["delete", "-n", ns, "--ignore-not-found", "--now", "pod", "p"])?;
        cluster.run(&["run", "-n", ns, "p", "--image=none:1"])?;
        let resources = cluster.get_in(ns, "pod", "p")?["spec"]["containers"][0]["resources"].take();
        ensure!(resources == given, "{resources}");
        Ok(())
    })?;
    let overrides = r#"--overrides={"spec":{"containers":[{"name":"q","image":"none:1","resources":{"limits":{"memory":"1Gi"}}}]}}"#;
    let refused = cluster.kubectl(&["run", "-n", ns, "q", "--image=none:1", overrides])?.failure()?;
    ensure!(refused.contains("maximum memory usage per Container is 64Mi, but limit is 1Gi"), "{refused}");
    Ok(())
}

fn drain_waits_for_the_budget(cluster: &mut Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(2))?;
    cluster.rollout(ns, "hello")?;
    cluster.run(&["create", "-n", ns, "pdb", "p", "--selector=app=hello", "--min-available=2"])?;
    wait::eventually("the budget is counted", PATIENCE, || {
        let status = cluster.get_in(ns, "pdb", "p")?["status"].take();
        ensure!(status["currentHealthy"] == 2 && status["disruptionsAllowed"] == 0, "{status}");
        Ok(())
    })?;
    let before = pod_names(cluster, ns, "app=hello")?;
    let drain = |timeout: &str| cluster.kubectl(&["drain", NODE, "--pod-selector=app=hello", timeout]);
    let late = drain("--timeout=8s")?;
    ensure!(late.code != 0, "{late:?}");
    let why = "Cannot evict pod as it would violate the pod's disruption budget.";
    ensure!(late.stderr.contains(why), "{late:?}");
    ensure!(pod_names(cluster, ns, "app=hello")? == before, "a pod went");
    cluster.run(&["delete", "-n", ns, "pdb", "p"])?;
    let done = drain("--timeout=60s")?.success(&["drain"])?;
    ensure!(done.contains(&format!("node/{NODE} drained")), "{done}");
    // The others wait until the node takes pods again.
    ensure!(pod_names(cluster, ns, "app=hello")?.iter().all(|name| !before.contains(name)));
    cluster.run(&["uncordon", NODE])?;
    cluster.rollout(ns, "hello")
}
