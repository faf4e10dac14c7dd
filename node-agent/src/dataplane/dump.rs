//! What the maps hold, for people and their tools. Pure.

use std::{collections::BTreeMap, net::Ipv4Addr};

use nodeplane_ebpf_abi::{
    endpoint::EndpointVal,
    service::{ANY_PROTO, SlotKey, SvcKey, SvcVal, TCP},
};
use serde_json::{Value, json};

use crate::plan::Image;

/// Every Service port with its backends in the order of their turns.
pub fn services(image: &Image) -> Value {
    let named = image.frontends.iter().filter(|(key, _)| key.proto != ANY_PROTO);
    named.map(|(key, value)| service(image, key, value)).collect()
}

fn service(image: &Image, key: &SvcKey, value: &SvcVal) -> Value {
    let backends: Vec<String> = (0..value.count)
        .filter_map(|index| image.slots.get(&SlotKey { service: value.service, index }))
        .filter_map(|id| image.backends.get(id))
        .map(|backend| format!("{}:{}", backend.addr, backend.port))
        .collect();
    json!({
        "frontend": format!("{}:{}", key.addr, key.port),
        "protocol": if key.proto == TCP { "TCP" } else { "UDP" },
        "id": value.service,
        "affinitySeconds": value.affinity_secs,
        "backends": backends,
    })
}

/// Every pod of this node that its neighbours reach without the stack.
pub fn endpoints(endpoints: &BTreeMap<Ipv4Addr, EndpointVal>) -> Value {
    let mac = |mac: &[u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let all = endpoints.iter().map(|(address, value)| {
        json!({
            "address": address,
            "interface": value.ifindex,
            "podMac": mac(&value.pod_mac.0),
            "hostMac": mac(&value.host_mac.0),
        })
    });
    all.collect()
}
