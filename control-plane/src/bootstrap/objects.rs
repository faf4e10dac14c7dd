//! The cluster's own objects, with every field that matters to us written out. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::{Value, json};

use super::Facts;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const CLASSES: [(&str, i32, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];
const SERVER_PORT: u16 = 443;
const DNS_PORT: u16 = 53;

/// What everything else is in.
pub(super) fn namespaces() -> [Value; 4] {
    NAMESPACES.map(|name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
}

/// What the cluster cannot do without goes before everything else.
pub(super) fn priority_classes() -> [Value; 2] {
    CLASSES.map(|(name, value, description)| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": { "name": name },
            "value": value,
            "description": description,
        })
    })
}

/// How the API and DNS are reached.
pub(super) fn services(facts: &Facts) -> [Value; 2] {
    [server_service(facts), dns_service(facts)]
}

/// How pods find the API server. Labels and ports are those that upstream gives it.
fn server_service(facts: &Facts) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": facts.server_ip,
            "clusterIPs": [facts.server_ip],
            "ports": [{ "name": "https", "protocol": "TCP", "port": SERVER_PORT, "targetPort": facts.port }],
        },
    })
}

/// Where the API server really is. The names do not depend on the addresses, so that others
/// replace them.
pub(super) fn server_endpoints(facts: &Facts, addresses: &BTreeSet<Ipv4Addr>) -> [Value; 2] {
    let endpoint = |address| json!({ "addresses": [address], "conditions": { "ready": true } });
    let endpoints: Vec<_> = addresses.iter().map(endpoint).collect();
    let addresses: Vec<_> = addresses.iter().map(|address| json!({ "ip": address })).collect();
    let port = json!({ "name": "https", "protocol": "TCP", "port": facts.port });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [port],
    });
    let endpoints = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            // There is a slice already.
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
        },
        "subsets": [{ "addresses": addresses, "ports": [port] }],
    });
    [slice, endpoints]
}

/// Every node's agent answers DNS for the pods of its node, so there is no selector: each agent
/// adds a slice of its own, and only what is on the node is asked.
fn dns_service(facts: &Facts) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "NodeplaneDNS",
            },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": facts.dns_ip,
            "clusterIPs": [facts.dns_ip],
            "internalTrafficPolicy": "Local",
            "ports": [
                { "name": "dns", "protocol": "UDP", "port": DNS_PORT, "targetPort": DNS_PORT },
                { "name": "dns-tcp", "protocol": "TCP", "port": DNS_PORT, "targetPort": DNS_PORT },
            ],
        },
    })
}
