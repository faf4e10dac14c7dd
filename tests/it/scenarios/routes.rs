//! Where packets go, and where they never go: between pods, node and world.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    host, wait,
};
use serde_json::json;

use super::{
    pod_names, ready_endpoints, scenarios,
    services::{cluster_ip, serve_hello},
    shell_pod,
};
use crate::{
    peer::PeerServer,
    probe::{From, Tally, all_answered, all_refused, ask, nobody_answers},
};

scenarios![
    no_port_of_a_cluster_ip_leads_to_the_node,
    a_free_address_never_leaves_the_node,
    a_pod_that_goes_out_looks_like_its_node,
    inside_the_cluster_a_pod_is_seen_by_its_own_address,
    a_pod_reaches_itself_through_its_service,
    the_api_server_has_a_service,
];

fn no_port_of_a_cluster_ip_leads_to_the_node(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    // Listens at all addresses of the node: a ClusterIP is none of them.
    let _server = PeerServer::start(&cluster.host().netns().path(), Ipv4Addr::UNSPECIFIED, 7081)?;
    let node = host::ADDRESS;
    ensure!(all_answered(&ask(cluster, From::Node, "tcp", &format!("{node}:7081"), 1)?)? == 1);
    let wrong = address.replace(":80", ":7081");
    let pod = &pod_names(cluster, ns, "app=hello")?[0];
    for from in [From::Node, From::Pod(ns, pod)] {
        all_refused(&ask(cluster, from, "tcp", &wrong, 3)?)?;
    }
    Ok(())
}

fn a_free_address_never_leaves_the_node(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("client", "sleep 600"))?;
    cluster.ready(ns, "client")?;
    // The world would answer, if it were asked.
    let world = cluster.host().world();
    world.ip("route replace local 10.96.0.0/16 dev lo")?;
    let _server = PeerServer::start(&world.path(), Ipv4Addr::UNSPECIFIED, 7082)?;
    for from in [From::Node, From::Pod(ns, "client")] {
        let reached = ask(cluster, from, "tcp", &format!("{}:7082", host::FAR_AWAY), 1)?;
        ensure!(all_answered(&reached)? == 1);
        nobody_answers(&ask(cluster, from, "tcp", "10.96.255.254:7082", 3)?)?;
    }
    Ok(())
}

fn a_pod_that_goes_out_looks_like_its_node(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("traveller", "sleep 600"))?;
    cluster.ready(ns, "traveller")?;
    let _server = PeerServer::start(&cluster.host().world().path(), host::FAR_AWAY, 7070)?;
    let url = format!("http://{}:7070/", host::FAR_AWAY);
    let seen = cluster.exec(ns, "traveller", &["/bin/wget", "-q", "-O", "-", &url])?;
    ensure!(seen == host::ADDRESS.to_string(), "the world sees {seen}");
    Ok(())
}

fn inside_the_cluster_a_pod_is_seen_by_its_own_address(cluster: &Cluster, ns: &str) -> Result<()> {
    for name in ["asks", "answers"] {
        cluster.apply(ns, &shell_pod(name, "sleep 600"))?;
    }
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "answers" },
        "spec": { "selector": { "run": "answers" }, "ports": [{ "port": 80, "targetPort": 7071 }] },
    });
    cluster.apply(ns, &service.to_string())?;
    for name in ["asks", "answers"] {
        cluster.ready(ns, name)?;
    }
    let ip = |name: &str| -> Result<String> {
        let pod = cluster.get_in(ns, "pod", name)?;
        pod["status"]["podIP"].as_str().map(str::to_owned).context("no address")
    };
    let unspecified = Ipv4Addr::UNSPECIFIED;
    let _pod = PeerServer::start(&cluster.pod_netns(ns, "answers")?, unspecified, 7071)?;
    let _node = PeerServer::start(&cluster.host().netns().path(), unspecified, 7072)?;
    let own = ip("asks")?;
    let from = From::Pod(ns, "asks");
    let targets = [
        format!("{}:7071", ip("answers")?),
        format!("{}:80", cluster_ip(cluster, ns, "answers")?),
        format!("{}:7072", host::ADDRESS),
    ];
    for target in targets {
        wait::eventually(&format!("{target} sees {own}"), PATIENCE, || {
            let seen = ask(cluster, from, "tcp", &target, 2)?;
            ensure!(seen == Tally::from([(own.clone(), 2)]), "{seen:?}");
            Ok(())
        })?;
    }
    Ok(())
}

fn a_pod_reaches_itself_through_its_service(cluster: &Cluster, ns: &str) -> Result<()> {
    let address = serve_hello(cluster, ns, 1)?;
    let pod = &pod_names(cluster, ns, "app=hello")?[0];
    let answers = ask(cluster, From::Pod(ns, pod), "tcp", &address, 3)?;
    ensure!(answers == Tally::from([(pod.clone(), 3)]), "{answers:?}");
    Ok(())
}

fn the_api_server_has_a_service(cluster: &Cluster, ns: &str) -> Result<()> {
    ensure!(cluster_ip(cluster, "default", "kubernetes")? == "10.96.0.1");
    let endpoints = ready_endpoints(cluster, "default", "kubernetes")?;
    ensure!(endpoints.len() == 1, "{endpoints:?}");
    cluster.apply(ns, &shell_pod("client", "sleep 600"))?;
    cluster.ready(ns, "client")?;
    let script = "nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT < /dev/null && echo connected";
    let said = cluster.exec(ns, "client", &["/bin/sh", "-c", script])?;
    ensure!(said.contains("connected"), "{said}");
    Ok(())
}
