use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use nodeplane_client::services::service_of;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

fn service(name: &str, spec: impl Into<Value>) -> Service {
    let object = json!({ "metadata": { "namespace": "default", "name": name }, "spec": spec.into() });
    serde_json::from_value(object).expect("a Service")
}

fn slice(name: &str, of: &str, ports: impl Into<Value>, endpoints: impl Into<Value>) -> EndpointSlice {
    let object = json!({
        "metadata": { "namespace": "default", "name": name, "labels": { "kubernetes.io/service-name": of } },
        "addressType": "IPv4",
        "ports": ports.into(),
        "endpoints": endpoints.into(),
    });
    serde_json::from_value(object).expect("an EndpointSlice")
}

fn web(cluster_ip: &str) -> Value {
    json!({ "clusterIP": cluster_ip, "ports": [{ "port": 80 }] })
}

fn http() -> Value {
    json!([{ "port": 8080 }])
}

fn build(services: &[Service], slices: &[EndpointSlice]) -> Services {
    Services::build(services, slices, "here")
}

fn first(all: &Services) -> &Frontend {
    all.frontends().next().expect("a frontend")
}

fn backends(all: &Services) -> Vec<String> {
    let all = all.frontends().flat_map(|frontend| &frontend.backends);
    all.map(|backend| format!("{}:{}", backend.addr, backend.port)).collect()
}

fn reasons(all: &Services) -> Vec<String> {
    all.rejected().iter().map(ToString::to_string).collect()
}

#[test]
fn lists_in_any_order_give_one_all() {
    let services = [service("a", web("10.96.0.2")), service("b", web("10.96.0.1"))];
    let endpoints = |hosts: [u8; 2]| json!(hosts.map(|host| json!({ "addresses": [format!("10.244.0.{host}")] })));
    let slices = [slice("a-1", "a", http(), endpoints([3, 1])), slice("a-2", "a", http(), endpoints([2, 3]))];
    let forward = build(&services, &slices);
    let backward = Services::build(services.iter().rev(), slices.iter().rev(), "here");
    assert_eq!(forward, backward);
    assert_eq!(backends(&forward), ["10.244.0.1:8080", "10.244.0.2:8080", "10.244.0.3:8080"]);
    assert_eq!(first(&forward).service.name, "b", "sorted by address");
}

#[test]
fn only_ready_endpoints_answer_and_unknown_is_ready() {
    let endpoints = json!([
        { "addresses": ["10.244.0.1"], "conditions": { "ready": true } },
        { "addresses": ["10.244.0.2"], "conditions": { "ready": false } },
        { "addresses": ["10.244.0.3"], "conditions": {} },
        { "addresses": ["10.244.0.4"] },
    ]);
    let all = build(&[service("a", web("10.96.0.1"))], &[slice("a", "a", http(), endpoints)]);
    assert_eq!(backends(&all), ["10.244.0.1:8080", "10.244.0.3:8080", "10.244.0.4:8080"]);
}

#[test]
fn a_local_policy_keeps_the_endpoints_of_this_node() {
    let endpoints = json!([
        { "addresses": ["10.244.0.1"], "nodeName": "here" },
        { "addresses": ["10.244.1.1"], "nodeName": "there" },
        { "addresses": ["10.244.2.1"] },
    ]);
    let mut spec = web("10.96.0.1");
    spec["internalTrafficPolicy"] = json!("Local");
    let all = build(&[service("a", spec)], &[slice("a", "a", http(), endpoints)]);
    assert_eq!(backends(&all), ["10.244.0.1:8080"]);
}

#[test]
fn ports_are_joined_by_name_and_protocol() {
    let spec = json!({ "clusterIP": "10.96.0.1", "ports": [
        { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns" },
        { "name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns" },
    ]});
    let ports = json!([
        { "name": "dns", "port": 5353, "protocol": "UDP" },
        { "name": "dns-tcp", "port": 5354, "protocol": "TCP" },
        { "name": "metrics", "port": 9153 },
        { "name": "all" },
    ]);
    let all = build(&[service("a", spec)], &[slice("a", "a", ports, json!([{ "addresses": ["10.244.0.1"] }]))]);
    let got: Vec<_> = all.frontends().map(|f| (f.at.port, f.at.protocol, f.backends[0].port)).collect();
    assert_eq!(got, [(53, Protocol::Tcp, 5354), (53, Protocol::Udp, 5353)]);
}

#[test]
fn services_without_a_cluster_ip_of_ours_have_no_frontend() {
    let mut other_proxy = service("f", web("10.96.0.6"));
    other_proxy.metadata.labels = Some([("service.kubernetes.io/service-proxy-name".into(), "x".into())].into());
    let mut headless = service("g", web("10.96.0.7"));
    headless.metadata.labels = Some([("service.kubernetes.io/headless".into(), String::new())].into());
    let services = [
        service("a", web("None")),
        service("b", web("")),
        service("c", json!({ "ports": [{ "port": 80 }] })),
        service("d", json!({ "type": "ExternalName", "externalName": "example.org" })),
        service("e", web("fd00::1")),
        other_proxy,
        headless,
    ];
    assert_eq!(build(&services, &[]), Services::new("here"));
}

#[test]
fn the_ipv4_address_of_two_families_is_taken() {
    let spec = json!({ "clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.96.0.1"], "ports": [{ "port": 80 }] });
    let all = build(&[service("a", spec)], &[]);
    assert_eq!(first(&all).at.addr, Ipv4Addr::new(10, 96, 0, 1));
}

#[test]
fn services_of_other_types_have_their_cluster_ip() {
    for kind in ["NodePort", "LoadBalancer"] {
        let mut spec = web("10.96.0.1");
        spec["type"] = json!(kind);
        assert_eq!(build(&[service("a", spec)], &[]).frontends().count(), 1);
    }
}

#[test]
fn affinity_has_the_apis_default_and_bounds() {
    let secs = |config: Value| {
        let mut spec = web("10.96.0.1");
        spec["sessionAffinity"] = json!("ClientIP");
        spec["sessionAffinityConfig"] = config;
        build(&[service("a", spec)], &[])
    };
    assert_eq!(first(&secs(Value::Null)).affinity_secs, Some(10_800));
    assert_eq!(first(&secs(json!({ "clientIP": { "timeoutSeconds": 7 } }))).affinity_secs, Some(7));
    assert_eq!(reasons(&secs(json!({ "clientIP": { "timeoutSeconds": 86_401 } }))).len(), 1);
    assert_eq!(reasons(&secs(json!({ "clientIP": { "timeoutSeconds": 0 } }))).len(), 1);
}

#[test]
fn a_bad_object_rejects_only_itself_and_a_bad_port_only_that_port() {
    let services = [
        service("bad-ip", web("10.96.0.300")),
        service("bad-policy", json!({ "clusterIP": "10.96.0.2", "internalTrafficPolicy": "Near", "ports": [] })),
        service(
            "good",
            json!({ "clusterIP": "10.96.0.3", "ports": [
                { "name": "sctp", "port": 1, "protocol": "SCTP" },
                { "name": "zero", "port": 0 },
                { "name": "http", "port": 80 },
            ]}),
        ),
    ];
    let slices = [
        slice("bad", "good", json!([{ "name": "http", "port": 1 }]), json!([{ "addresses": ["10.244.0.999"] }])),
        slice("bad-port", "good", json!([{ "name": "http", "port": 70_000 }]), json!([])),
        slice("good", "good", json!([{ "name": "http", "port": 8080 }]), json!([{ "addresses": ["10.244.0.1"] }])),
    ];
    let all = build(&services, &slices);
    assert_eq!(backends(&all), ["10.244.0.1:8080"]);
    assert_eq!(
        reasons(&all),
        [
            "EndpointSlice default/bad: \"10.244.0.999\" is not an IPv4 address",
            "EndpointSlice default/bad-port: 70000 is not a port number",
            "Service default/bad-ip: clusterIP \"10.96.0.300\" is not an IP address",
            "Service default/bad-policy: internalTrafficPolicy \"Near\" is unknown",
            "Service default/good: port 0: 0 is not a port number",
            "Service default/good: port 1: protocol SCTP is not supported",
        ]
    );
}

#[test]
fn of_two_services_with_one_address_the_older_has_it() {
    let mut old = service("z", web("10.96.0.1"));
    let mut new = service("a", web("10.96.0.1"));
    let time = |text: &str| serde_json::from_value(json!(text)).expect("a time");
    old.metadata.creation_timestamp = Some(time("2026-01-01T00:00:00Z"));
    new.metadata.creation_timestamp = Some(time("2026-01-02T00:00:00Z"));
    let all = build(&[new, old], &[]);
    assert_eq!(first(&all).service.name, "z");
    assert_eq!(reasons(&all), ["Service default/a: 10.96.0.1:80/TCP already belongs to default/z"]);
}

#[test]
fn slices_of_nobody_and_of_other_families_are_ignored() {
    let mut nobodys = slice("a", "a", http(), json!([{ "addresses": ["10.244.0.1"] }]));
    nobodys.metadata.labels = None;
    let mut other = slice("b", "a", http(), json!([{ "addresses": ["fd00::1"] }]));
    other.address_type = "IPv6".into();
    let all = build(&[service("a", web("10.96.0.1"))], &[nobodys, other]);
    assert!(backends(&all).is_empty() && all.rejected().is_empty());
}

#[test]
fn one_backend_that_two_slices_place_on_two_nodes_counts_once() {
    let endpoint = |node: &str| json!([{ "addresses": ["10.244.0.1"], "nodeName": node }]);
    let slices = [slice("a-1", "a", http(), endpoint("here")), slice("a-2", "a", http(), endpoint("there"))];
    assert_eq!(backends(&build(&[service("a", web("10.96.0.1"))], &slices)), ["10.244.0.1:8080"]);
}

#[test]
fn the_next_service_takes_over_an_address_that_the_older_one_leaves() {
    let mut old = service("z", web("10.96.0.1"));
    let mut new = service("a", web("10.96.0.1"));
    let time = |text: &str| serde_json::from_value(json!(text)).expect("a time");
    old.metadata.creation_timestamp = Some(time("2026-01-01T00:00:00Z"));
    new.metadata.creation_timestamp = Some(time("2026-01-02T00:00:00Z"));
    let mut all = build(&[new.clone(), old], &[]);
    let z = ObjectKey { namespace: "default".into(), name: "z".into() };
    let touched = all.put(&z, None, []);
    assert_eq!(touched.len(), 1);
    assert_eq!(all.frontend(touched.first().expect("one")).map(|frontend| &*frontend.service.name), Some("a"));
    assert_eq!(all, build(&[new], &[]));
}

#[test]
fn what_did_not_change_is_not_touched() {
    let two = json!({ "clusterIP": "10.96.0.1", "ports": [{ "name": "a", "port": 1 }, { "name": "b", "port": 2 }] });
    let object = service("a", two);
    let endpoints = |host: u8| json!([{ "addresses": [format!("10.244.0.{host}")] }]);
    let slices = |hosts: [u8; 2]| {
        [
            slice("a-1", "a", json!([{ "name": "a", "port": 1 }]), endpoints(hosts[0])),
            slice("a-2", "a", json!([{ "name": "b", "port": 2 }]), endpoints(hosts[1])),
        ]
    };
    let mut all = build(std::slice::from_ref(&object), &slices([1, 2]));
    let key = ObjectKey { namespace: "default".into(), name: "a".into() };
    assert_eq!(all.put(&key, Some(&object), &slices([1, 2])), BTreeSet::new());
    let touched = all.put(&key, Some(&object), &slices([1, 3]));
    assert_eq!(touched.iter().map(|at| at.port).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_service_that_names_one_port_twice_has_the_first() {
    let twice =
        json!({ "clusterIP": "10.96.0.1", "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 80 }] });
    let all = build(&[service("a", twice)], &[]);
    assert_eq!(first(&all).port_name, "a");
    assert_eq!(reasons(&all), ["Service default/a: 10.96.0.1:80/TCP already belongs to default/a"]);
}

#[test]
fn services_come_in_the_order_of_their_age() {
    let mut services = [service("a", web("10.96.0.1")), service("b", web("10.96.0.2")), service("c", web("10.96.0.1"))];
    for (service, day) in services.iter_mut().zip([2, 1, 3]) {
        service.metadata.creation_timestamp =
            Some(serde_json::from_value(json!(format!("2026-01-0{day}T00:00:00Z"))).expect("a time"));
    }
    let all = build(&services, &[]);
    assert_eq!(all.by_age().map(|(key, _)| &*key.name).collect::<Vec<_>>(), ["b", "a"], "c has no address");
}

/// What becomes of one Service or slice.
#[derive(Clone, Debug)]
enum Step {
    Service(&'static str, Option<(u8, u8, bool)>),
    Slice(&'static str, Option<(&'static str, Vec<u8>)>),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(vec!["a", "b", "c"]);
    prop_oneof![
        (name(), option::of((1u8..3, 0u8..3, any::<bool>()))).prop_map(|(name, is)| Step::Service(name, is)),
        (name(), option::of((name(), vec(0u8..4, 0..3)))).prop_map(|(name, is)| Step::Slice(name, is)),
    ]
}

proptest! {
    #[test]
    fn any_changes_lead_to_what_the_objects_say_and_are_told(steps in vec(step(), 0..16)) {
        let (mut services, mut slices) = (BTreeMap::new(), BTreeMap::new());
        let mut all = Services::new("here");
        for step in steps {
            let mut concerned = BTreeSet::new();
            match step {
                Step::Service(name, is) => {
                    concerned.insert(name.to_owned());
                    services.remove(name);
                    if let Some((address, age, twice)) = is {
                        let mut spec = web(&format!("10.96.0.{address}"));
                        if twice {
                            spec["ports"] = json!([{ "name": "x", "port": 80 }, { "name": "y", "port": 81 }]);
                        }
                        let mut object = service(name, spec);
                        object.metadata.creation_timestamp =
                            Some(serde_json::from_value(json!(format!("2026-01-0{}T00:00:00Z", age + 1))).expect("time"));
                        services.insert(name, object);
                    }
                }
                Step::Slice(name, is) => {
                    let new = is.map(|(of, hosts)| {
                        // Zero is no address: such a slice is rejected.
                        let endpoints = hosts.iter().map(|host| json!({ "addresses": [
                            if *host == 0 { "0.0.0.0".to_owned() } else { format!("10.244.0.{host}") }
                        ]}));
                        let ports = json!([{ "port": 80 }, { "name": "x", "port": 8080 }]);
                        slice(name, of, ports, endpoints.collect::<Value>())
                    });
                    let old = match new.clone() {
                        Some(new) => slices.insert(name, new),
                        None => slices.remove(name),
                    };
                    concerned.extend([old, new].iter().flatten().filter_map(service_of).map(|key| key.name));
                }
            }
            for name in concerned {
                let key = ObjectKey { namespace: "default".into(), name: name.clone() };
                let own = slices.values().filter(|slice| service_of(slice).is_some_and(|key| key.name == name));
                let before: Vec<Frontend> = all.frontends().cloned().collect();
                let touched = all.put(&key, services.get(name.as_str()), own);
                let untold = |frontend: &&Frontend| !touched.contains(&frontend.at);
                let after: Vec<&Frontend> = all.frontends().filter(untold).collect();
                prop_assert_eq!(before.iter().filter(untold).collect::<Vec<_>>(), after);
            }
        }
        let rebuilt = Services::build(services.values(), slices.values(), "here");
        prop_assert_eq!(all.rejected(), rebuilt.rejected());
        prop_assert_eq!(all, rebuilt);
    }
}
