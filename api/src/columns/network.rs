//! Columns of Services and of what stands behind them.

use std::{collections::BTreeSet, net::Ipv6Addr};

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{self, NONE, first_few, int_at, items, or, str_at},
};

pub(crate) const SERVICE: &[Column] = &[
    NAME,
    Column::text("Type", "How far the Service can be reached.", |service, _| cells::text(service, "/spec/type")),
    Column::text("Cluster-IP", "Virtual address inside the cluster.", |service, _| {
        cells::text_or(service, "/spec/clusterIPs/0", NONE)
    }),
    Column::text("External-IP", "Addresses or the name outside the cluster.", |service, _| external(service).into()),
    Column::text("Port(s)", "Ports, with the node port where there is one.", |service, _| ports(service).into()),
    AGE,
    Column::text("Selector", "Labels of the pods behind it.", |service, _| {
        cells::labels(service, "/spec/selector").into()
    })
    .wide(),
];

pub(crate) const ENDPOINTS: &[Column] = &[
    NAME,
    Column::text("Endpoints", "Addresses and ports that take traffic.", |endpoints, _| addresses(endpoints).into()),
    AGE,
];

pub(crate) const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    Column::text("AddressType", "IPv4, IPv6 or FQDN.", |slice, _| cells::text(slice, "/addressType")),
    Column::text("Ports", "Ports of all endpoints.", |slice, _| slice_ports(slice).into()),
    Column::text("Endpoints", "Addresses of the endpoints.", |slice, _| slice_endpoints(slice).into()),
    AGE,
];

fn external(service: &Value) -> String {
    let mut addresses: Vec<&str> = match str_at(service, "/spec/type") {
        "ClusterIP" | "NodePort" => Vec::new(),
        "LoadBalancer" => balancer(service),
        "ExternalName" => return str_at(service, "/spec/externalName").to_owned(),
        _ => return "<unknown>".to_owned(),
    };
    addresses.extend(items(service, "/spec/externalIPs").filter_map(Value::as_str));
    let empty = if service["spec"]["type"] == "LoadBalancer" { "<pending>" } else { NONE };
    or(&addresses.join(","), empty).to_owned()
}

/// Where the load balancer answers, sorted.
pub(super) fn balancer(service: &Value) -> Vec<&str> {
    let ingress = items(service, "/status/loadBalancer/ingress");
    let found: BTreeSet<&str> = ingress.map(|point| or(str_at(point, "/ip"), str_at(point, "/hostname"))).collect();
    found.into_iter().filter(|address| !address.is_empty()).collect()
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let (number, protocol) = (int_at(port, "/port"), str_at(port, "/protocol"));
        match int_at(port, "/nodePort") {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    let all: Vec<String> = items(service, "/spec/ports").map(port).collect();
    or(&all.join(","), NONE).to_owned()
}

fn addresses(endpoints: &Value) -> String {
    if items(endpoints, "/subsets").next().is_none() {
        return NONE.to_owned();
    }
    first_few(&items(endpoints, "/subsets").flat_map(subset).collect::<Vec<_>>())
}

/// Every ready address with every port; a headless Service may have no ports.
fn subset(subset: &Value) -> Vec<String> {
    let addresses = || items(subset, "/addresses").map(|address| str_at(address, "/ip"));
    if items(subset, "/ports").next().is_none() {
        return addresses().map(str::to_owned).collect();
    }
    items(subset, "/ports")
        .flat_map(|port| addresses().map(move |address| join_host_port(address, int_at(port, "/port"))))
        .collect()
}

fn join_host_port(address: &str, port: i64) -> String {
    if address.parse::<Ipv6Addr>().is_ok() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn slice_ports(slice: &Value) -> String {
    let port = |port: &Value| match (port["port"].as_i64(), str_at(port, "/name")) {
        (Some(number), _) => number.to_string(),
        (None, name) => or(name, "*").to_owned(),
    };
    unset_or(&first_few(&items(slice, "/ports").map(port).collect::<Vec<_>>()))
}

fn slice_endpoints(slice: &Value) -> String {
    let addresses = items(slice, "/endpoints").flat_map(|endpoint| items(endpoint, "/addresses"));
    unset_or(&first_few(&addresses.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()))
}

fn unset_or(text: &str) -> String {
    or(text, "<unset>").to_owned()
}
