//! Addresses and ports: by request, at random, given back.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::json;

use super::{Bed, ip, node_port, service};
use crate::{
    registry::{Attempt, Strategy, cases},
    store::keys::Keys,
};

#[tokio::test]
async fn every_service_gets_an_address_of_its_own() {
    let bed = Bed::new();
    let mut seen = BTreeSet::new();
    for number in 0..200 {
        let made = bed.create(&service(&format!("web-{number}"), &json!({}))).await.unwrap();
        let address: Ipv4Addr = ip(&made).parse().unwrap();
        // The first 256 are kept for requests by hand.
        assert!(address > Ipv4Addr::new(10, 96, 1, 0) && address < Ipv4Addr::new(10, 96, 255, 255), "{address}");
        assert!(seen.insert(address), "{address} is given twice");
        assert_eq!(made["spec"]["clusterIPs"], json!([address.to_string()]));
    }
}

#[tokio::test]
async fn an_address_can_be_asked_for_once() {
    let bed = Bed::new();
    let asked = json!({ "clusterIP": "10.96.0.10" });
    assert_eq!(ip(&bed.create(&service("dns", &asked)).await.unwrap()), "10.96.0.10");
    let expected = "Service \"other\" is invalid: spec.clusterIPs: Invalid value: []string{\"10.96.0.10\"}: failed to \
                    allocate IP 10.96.0.10: provided IP is already allocated";
    assert_eq!(bed.create(&service("other", &asked)).await, Err(expected.to_owned()));
    for outside in ["10.97.0.1", "10.96.0.0", "10.96.255.255"] {
        let expected = format!(
            "Service \"other\" is invalid: spec.clusterIPs: Invalid value: []string{{\"{outside}\"}}: failed to allocate IP \
             {outside}: the provided IP ({outside}) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
        );
        assert_eq!(bed.create(&service("other", &json!({ "clusterIP": outside }))).await, Err(expected));
    }
}

#[tokio::test]
async fn a_full_range_says_so_and_has_room_again() {
    let bed = Bed::with_range([192, 168, 0, 0], 30);
    let first = bed.create(&service("a", &json!({}))).await.unwrap();
    bed.create(&service("b", &json!({}))).await.unwrap();
    let expected = "Internal error occurred: failed to allocate a serviceIP: range is full";
    assert_eq!(bed.create(&service("c", &json!({}))).await, Err(expected.to_owned()));
    bed.services.release(&first, None, u64::MAX).await;
    assert_eq!(ip(&bed.create(&service("c", &json!({}))).await.unwrap()), ip(&first));
}

#[tokio::test]
async fn headless_and_external_services_take_no_address() {
    let bed = Bed::with_range([192, 168, 0, 0], 30);
    for (number, spec) in
        [json!({ "clusterIP": "None" }), json!({ "type": "ExternalName", "externalName": "example.com" })]
            .iter()
            .enumerate()
    {
        for copy in 0..3 {
            bed.create(&service(&format!("s-{number}-{copy}"), spec)).await.unwrap();
        }
    }
    bed.create(&service("a", &json!({}))).await.unwrap();
    bed.create(&service("b", &json!({}))).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let bed = Bed::with_range([192, 168, 0, 0], 30);
    for _ in 0..5 {
        let mut draft = cases::created(&bed.services, &service("dry", &json!({ "type": "NodePort" })));
        bed.services.allocate(&mut draft, None, &Attempt::new(true)).await.unwrap();
        assert!(!ip(&draft).is_empty() && node_port(&draft, 0) > 0, "{draft}");
    }
    let all = bed.store.list("/registry/claims/", None, None, 0).await.unwrap();
    assert_eq!(all.entries, []);
}

#[tokio::test]
async fn node_ports_are_given_and_asked_for() {
    let bed = Bed::new();
    let two = json!({ "type": "NodePort", "ports": [{ "port": 80, "name": "a" }, { "port": 81, "name": "b" }] });
    let made = bed.create(&service("two", &two)).await.unwrap();
    let (a, b) = (node_port(&made, 0), node_port(&made, 1));
    assert!(a != b && (30_086..=32_767).contains(&a) && (30_086..=32_767).contains(&b), "{a} {b}");

    let asking = |port: u64| json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": port }] });
    bed.create(&service("asks", &asking(30_000))).await.unwrap();
    let expected = "Service \"rival\" is invalid: spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated";
    assert_eq!(bed.create(&service("rival", &asking(30_000))).await, Err(expected.to_owned()));
    let expected = "Service \"rival\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the \
                    valid range. The range of valid ports is 30000-32767";
    assert_eq!(bed.create(&service("rival", &asking(80))).await, Err(expected.to_owned()));
}

#[tokio::test]
async fn a_refused_service_holds_nothing() {
    let bed = Bed::new();
    let taken = json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30_000 }] });
    bed.create(&service("first", &taken)).await.unwrap();
    let before = bed.store.list("/registry/claims/", None, None, 0).await.unwrap().entries;
    // It gets an address before its port is refused.
    bed.create(&service("second", &taken)).await.unwrap_err();
    assert_eq!(bed.store.list("/registry/claims/", None, None, 0).await.unwrap().entries, before);
}

#[tokio::test]
async fn a_local_load_balancer_has_a_port_for_its_health() {
    let bed = Bed::new();
    let local = json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local" });
    let made = bed.create(&service("lb", &local)).await.unwrap();
    let health = made["spec"]["healthCheckNodePort"].as_u64().unwrap();
    assert!(health != node_port(&made, 0) && (30_000..=32_767).contains(&health), "{made}");
    let without = json!({ "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false });
    assert_eq!(node_port(&bed.create(&service("plain", &without)).await.unwrap(), 0), 0);
}

#[tokio::test]
async fn only_the_holder_gives_back() {
    let bed = Bed::new();
    let asked = json!({ "clusterIP": "10.96.0.10" });
    let made = bed.create(&service("holder", &asked)).await.unwrap();
    let mut rival = made.clone();
    rival["metadata"]["uid"] = "uid-rival".into();
    bed.services.release(&rival, None, u64::MAX).await;
    bed.draft(&service("third", &asked)).await.unwrap_err();
    bed.services.release(&made, None, u64::MAX).await;
    bed.draft(&service("third", &asked)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_side_by_side_never_give_an_address_twice() {
    let bed = Bed::with_range([192, 168, 0, 0], 26);
    let other = super::ServiceStrategy::new(bed.store.clone(), &Keys::new("/registry"), bed.cidr);
    let create = async |strategy: &super::ServiceStrategy, name: String| {
        let mut draft = cases::created(strategy, &service(&name, &json!({})));
        strategy.allocate(&mut draft, None, &Attempt::new(false)).await.unwrap();
        ip(&draft)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..31 {
        let (a, b) = tokio::join!(create(&bed.services, format!("a-{number}")), create(&other, format!("b-{number}")));
        ours.push(a);
        theirs.push(b);
    }
    let distinct: BTreeSet<&String> = ours.iter().chain(&theirs).collect();
    assert_eq!(distinct.len(), 62, "all addresses of the range, each once");
}
