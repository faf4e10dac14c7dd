//! The kinds with few rules of their own.

use serde_json::{Value, json};

use super::{
    config_map::ConfigMapStrategy,
    endpoints::{EndpointSliceStrategy, EndpointsStrategy},
    node::NodeStrategy,
};
use crate::registry::{
    Strategy,
    cases::{created, refused, refused_update, said, with},
    coordination::LeaseStrategy,
};

fn object(api_version: &str, kind: &str, fields: &Value) -> Value {
    let mut object =
        json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x", "namespace": "shop" } });
    json_patch::merge(&mut object, fields);
    object
}

fn node(fields: &Value) -> Value {
    let mut node = object("v1", "Node", fields);
    node["metadata"] = json!({ "name": "n1" });
    node
}

fn config_map(fields: &Value) -> Value {
    object("v1", "ConfigMap", fields)
}

#[test]
fn config_maps_have_keys_that_are_file_names_and_a_megabyte_at_most() {
    let refused = |fields: Value| refused(&ConfigMapStrategy, &config_map(&fields));
    assert_eq!(refused(json!({ "data": { "a.b_c-D": "x" }, "binaryData": { "e": "AA==" } })), Vec::<String>::new());
    assert_eq!(
        refused(json!({ "data": { "..x": "" } })),
        ["data[..x]: Invalid value: \"..x\": must not start with '..'"]
    );
    assert_eq!(
        refused(json!({ "data": { "a": "" }, "binaryData": { "a": "" } })),
        [
            "data[a]: Invalid value: \"a\": duplicate of key present in binaryData",
            "binaryData[a]: Invalid value: \"a\": duplicate of key present in data"
        ]
    );
    assert_eq!(refused(json!({ "data": { "a": "x".repeat(1 << 20) } })), Vec::<String>::new());
    let too_long = refused(json!({ "data": { "a": "x".repeat(1 << 20), "b": "y" } }));
    assert_eq!(too_long, ["[]: Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn immutable_config_maps_stay() {
    let old = config_map(&json!({ "data": { "a": "1" }, "binaryData": { "b": "AA==" }, "immutable": true }));
    let refused = |changes: &[(&str, Value)]| refused_update(&ConfigMapStrategy, &with(&old, changes), &old);
    let words = "Forbidden: field is immutable when `immutable` is set";
    assert_eq!(refused(&[("/metadata/labels", json!({ "a": "b" }))]), Vec::<String>::new());
    assert_eq!(refused(&[("/data/a", json!("2"))]), [format!("data: {words}")]);
    assert_eq!(refused(&[("/binaryData", Value::Null)]), [format!("binaryData: {words}")]);
    assert_eq!(refused(&[("/immutable", json!(false))]), [format!("immutable: {words}")]);
}

#[test]
fn taints_are_keys_with_effects() {
    let taints = |taints: Value| refused(&NodeStrategy, &node(&json!({ "spec": { "taints": taints } })));
    assert_eq!(
        taints(json!([{ "key": "a", "effect": "NoSchedule" }, { "key": "a", "effect": "NoExecute" }])),
        Vec::<String>::new()
    );
    assert_eq!(taints(json!([{ "key": "a", "effect": "" }])), ["metadata.taints[0].effect: Required value"]);
    assert_eq!(
        taints(json!([{ "key": "a", "effect": "Never" }])),
        [
            "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \
          \"NoExecute\""
        ]
    );
    assert_eq!(
        taints(json!([{ "key": "a", "effect": "NoSchedule" }, { "key": "a", "value": "v", "effect": "NoSchedule" }])),
        [
            "metadata.taints[1]: Duplicate value: core.Taint{Key:\"a\", Value:\"v\", Effect:\"NoSchedule\", TimeAdded:<nil>}: \
          taints must be unique by key and effect pair"
        ]
    );
}

#[test]
fn a_node_keeps_its_range_and_its_provider() {
    let made = created(&NodeStrategy, &node(&json!({ "spec": { "podCIDR": "10.244.0.0/24" } })));
    assert_eq!(made["spec"]["podCIDRs"], json!(["10.244.0.0/24"]));
    let bad = refused(&NodeStrategy, &node(&json!({ "spec": { "podCIDRs": ["10.244.0.0"] } })));
    assert_eq!(
        bad,
        [
            "spec.podCIDRs[0]: Invalid value: \"10.244.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        ]
    );
    let old = node(&json!({ "spec": { "podCIDR": "10.244.0.0/24", "providerID": "p" } }));
    let moved = with(&old, &[("/spec/podCIDR", json!("10.244.1.0/24")), ("/spec/providerID", json!("q"))]);
    assert_eq!(
        refused_update(&NodeStrategy, &moved, &old),
        [
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid"
        ]
    );
    let first = node(&json!({ "spec": {} }));
    assert_eq!(refused_update(&NodeStrategy, &old, &first), Vec::<String>::new());
}

#[test]
fn a_node_comes_with_the_status_of_its_agent() {
    let status = json!({ "capacity": { "cpu": "4" }, "addresses": [{ "type": "InternalIP", "address": "192.0.2.1" }] });
    assert_eq!(created(&NodeStrategy, &node(&json!({ "status": status })))["status"], status);
    let twice = json!({ "status": { "capacity": { "cpu": "-1" }, "addresses": [
        { "type": "InternalIP", "address": "192.0.2.1" }, { "type": "InternalIP", "address": "192.0.2.1" }] } });
    let said = said(&NodeStrategy.validate_status_update(&twice, &twice));
    assert_eq!(said[0], "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0");
    assert!(said[1].starts_with("status.addresses[1]: Duplicate value: "), "{said:?}");
}

#[test]
fn endpoints_have_addresses_and_ports() {
    let subsets =
        |subsets: Value| refused(&EndpointsStrategy, &object("v1", "Endpoints", &json!({ "subsets": subsets })));
    let ip = |ip: &str| json!([{ "ip": ip }]);
    assert_eq!(subsets(json!([{ "addresses": ip("192.0.2.1"), "ports": [{ "port": 80 }] }])), Vec::<String>::new());
    assert_eq!(
        subsets(json!([{ "ports": [{ "port": 80 }] }])),
        ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]
    );
    assert_eq!(
        subsets(json!([{ "addresses": ip("127.0.0.1"), "notReadyAddresses": ip("224.0.0.1") }])),
        [
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, \
             ::1/128)",
            "subsets[0].notReadyAddresses[0].ip: Invalid value: \"224.0.0.1\": may not be in the link-local multicast range \
             (224.0.0.0/24, ff02::/10)"
        ]
    );
    assert_eq!(
        subsets(json!([{ "addresses": ip("192.0.2.1"), "ports": [{ "port": 80 }, { "port": 81, "name": "b" }] }])),
        ["subsets[0].ports[0].name: Required value"]
    );
}

#[test]
fn slices_have_one_kind_of_address() {
    let slice = |fields: Value| {
        let mut slice =
            object("discovery.k8s.io/v1", "EndpointSlice", &json!({ "addressType": "IPv4", "endpoints": [] }));
        json_patch::merge(&mut slice, &fields);
        slice
    };
    let refused = |fields: Value| refused(&EndpointSliceStrategy, &slice(fields));
    assert_eq!(
        refused(json!({ "endpoints": [{ "addresses": ["192.0.2.1"] }], "ports": [{ "port": 80 }] })),
        Vec::<String>::new()
    );
    assert_eq!(
        refused(json!({ "addressType": "MAC" })),
        ["addressType: Unsupported value: \"MAC\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""]
    );
    assert_eq!(
        refused(json!({ "endpoints": [{ "addresses": ["fd00::1"] }] })),
        ["endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be a valid IPv4 address"]
    );
    assert_eq!(
        refused(json!({ "endpoints": [{ "addresses": [] }] })),
        ["endpoints[0].addresses: Required value: must contain at least 1 address"]
    );
    let many: Vec<Value> = (0..1001).map(|_| json!({ "addresses": ["192.0.2.1"] })).collect();
    assert_eq!(refused(json!({ "endpoints": many })), ["endpoints: Too many: 1001: must have at most 1000 items"]);
    assert_eq!(refused(json!({ "ports": [{ "port": 80 }, { "port": 81 }] })), ["ports[1].name: Duplicate value: \"\""]);
    let other = slice(json!({ "addressType": "IPv6" }));
    let said = refused_update(&EndpointSliceStrategy, &other, &slice(json!({})));
    assert_eq!(said, ["addressType: Invalid value: \"IPv6\": field is immutable"]);
}

#[test]
fn leases_last_some_time() {
    let refused =
        |spec: Value| refused(&LeaseStrategy, &object("coordination.k8s.io/v1", "Lease", &json!({ "spec": spec })));
    assert_eq!(refused(json!({ "leaseDurationSeconds": 40, "leaseTransitions": 0 })), Vec::<String>::new());
    assert_eq!(
        refused(json!({ "leaseDurationSeconds": 0, "leaseTransitions": -1 })),
        [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
        ]
    );
}
