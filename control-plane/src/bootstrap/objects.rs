//! The cluster's own objects, with every field that matters to us written out. Pure.

use serde_json::{Value, json};

use super::Facts;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const SERVER_PORT: u16 = 443;
const DNS_PORT: u16 = 53;

/// What there should be, in the order of making it.
pub(super) fn present(facts: &Facts) -> Vec<Value> {
    let namespace = |name: &&str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let mut objects: Vec<Value> = NAMESPACES.iter().map(namespace).collect();
    objects.push(server_service(facts));
    objects.push(dns_service(facts));
    if facts.advertised.is_some() {
        objects.extend(server_endpoints(facts));
    }
    objects
}

/// What there should not be, though it may have been under other flags.
pub(super) fn absent(facts: &Facts) -> Vec<Value> {
    if facts.advertised.is_some() { Vec::new() } else { server_endpoints(facts).into() }
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

/// Where the API server really is. The names do not depend on the address, so that another
/// address replaces it.
fn server_endpoints(facts: &Facts) -> [Value; 2] {
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
        "endpoints": [{ "addresses": [facts.advertised], "conditions": { "ready": true } }],
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
        "subsets": [{ "addresses": [{ "ip": facts.advertised }], "ports": [port] }],
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
                "kubernetes.io/name": "CoreDNS",
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
