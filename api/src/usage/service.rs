//! What Services use: their number, ports of nodes, load balancers.

use serde_json::Value;

use super::Amounts;
use crate::quantity::Quantity;

const NAMES: [&str; 3] = ["services", "services.nodeports", "services.loadbalancers"];

pub(super) fn tracks(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn usage(service: &Value) -> Amounts {
    let spec = &service["spec"];
    let ports = || spec["ports"].as_array().into_iter().flatten();
    let of_nodes = match spec["type"].as_str() {
        Some("NodePort") => ports().count(),
        Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => {
            ports().filter(|port| port["nodePort"].as_i64().unwrap_or(0) != 0).count()
        }
        Some("LoadBalancer") => ports().count(),
        _ => 0,
    };
    let balancers = i64::from(spec["type"] == "LoadBalancer");
    let counts = [1, i64::try_from(of_nodes).unwrap_or(i64::MAX), balancers];
    NAMES.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), Quantity::from_units(count))).collect()
}
