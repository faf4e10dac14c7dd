//! What may change in a Service, and what it then keeps, gets and gives back.

use serde_json::{Value, json};

use super::{Bed, ip, node_port, service};
use crate::registry::cases::with;

#[tokio::test]
async fn an_update_that_leaves_out_what_was_given_keeps_it() {
    let bed = Bed::new();
    let wanted = service("web", &json!({ "type": "NodePort" }));
    let made = bed.create(&wanted).await.unwrap();
    let changed = bed.update(&with(&wanted, &[("/spec/selector", json!({ "app": "db" }))]), &made).await.unwrap();
    assert_eq!((ip(&changed), node_port(&changed, 0)), (ip(&made), node_port(&made, 0)));
    assert_eq!(changed["spec"]["clusterIPs"], made["spec"]["clusterIPs"]);
}

#[tokio::test]
async fn an_address_does_not_change() {
    let bed = Bed::new();
    let made = bed.create(&service("web", &json!({ "clusterIP": "10.96.0.7" }))).await.unwrap();
    let words = "may not change once set";
    for (spec, shown) in [
        (json!({ "clusterIP": "10.96.0.8" }), "10.96.0.8"),
        (json!({ "clusterIP": "None" }), "None"),
        (json!({ "clusterIPs": ["10.96.0.8"] }), "10.96.0.8"),
    ] {
        let expected = format!("spec.clusterIPs[0]: Invalid value: []string{{\"{shown}\"}}: {words}");
        let mut new = made.clone();
        json_patch::merge(&mut new["spec"], &spec);
        assert_eq!(bed.update(&new, &made).await, Err(expected), "{spec}");
    }
    // What the refused update took on its way is free.
    bed.create(&service("other", &json!({ "clusterIP": "10.96.0.8" }))).await.unwrap();
}

#[tokio::test]
async fn the_two_names_of_the_address_agree() {
    let bed = Bed::new();
    let made = bed.create(&service("web", &json!({ "clusterIPs": ["10.96.0.7"] }))).await.unwrap();
    assert_eq!(ip(&made), "10.96.0.7");
    let made = bed.create(&service("old", &json!({ "clusterIP": "10.96.0.9" }))).await.unwrap();
    assert_eq!(made["spec"]["clusterIPs"], json!(["10.96.0.9"]));
}

#[tokio::test]
async fn a_change_of_type_gives_and_takes() {
    let bed = Bed::new();
    let plain = bed.create(&service("web", &json!({}))).await.unwrap();
    let of_type = |service: &Value, kind: &str| with(service, &[("/spec/type", json!(kind))]);

    let open = bed.update(&of_type(&plain, "NodePort"), &plain).await.unwrap();
    let port = node_port(&open, 0);
    assert!(port >= 30_000 && ip(&open) == ip(&plain), "{open}");
    assert_eq!(open["spec"]["externalTrafficPolicy"], "Cluster");

    let balanced = bed.update(&of_type(&open, "LoadBalancer"), &open).await.unwrap();
    assert_eq!(node_port(&balanced, 0), port);
    assert_eq!(balanced["spec"]["allocateLoadBalancerNodePorts"], true);

    let closed = bed.update(&of_type(&balanced, "ClusterIP"), &balanced).await.unwrap();
    assert_eq!(node_port(&closed, 0), 0);
    for field in ["externalTrafficPolicy", "allocateLoadBalancerNodePorts"] {
        assert_eq!(closed["spec"].get(field), None, "{field}");
    }

    let away = with(&of_type(&closed, "ExternalName"), &[("/spec/externalName", json!("example.com"))]);
    let away = bed.update(&away, &closed).await.unwrap();
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
        assert_eq!(away["spec"].get(field), None, "{field}");
    }
    // Its address and its port are free again.
    let asked = json!({ "type": "NodePort", "clusterIP": ip(&plain), "ports": [{ "port": 80, "nodePort": port }] });
    bed.create(&service("heir", &asked)).await.unwrap();

    let back = with(&of_type(&away, "ClusterIP"), &[("/spec/externalName", Value::Null)]);
    let back = bed.update(&back, &away).await.unwrap();
    assert!(!ip(&back).is_empty() && ip(&back) != ip(&plain));
}

#[tokio::test]
async fn ports_keep_their_node_ports_whatever_their_order() {
    let bed = Bed::new();
    let two = json!({ "type": "NodePort", "ports": [{ "port": 80, "name": "a" }, { "port": 81, "name": "b" }] });
    let made = bed.create(&service("web", &two)).await.unwrap();
    let turned = json!({ "type": "NodePort", "ports": [{ "port": 81, "name": "b" }, { "port": 80, "name": "a" }] });
    let changed = bed.update(&service("web", &turned), &made).await.unwrap();
    assert_eq!((node_port(&changed, 0), node_port(&changed, 1)), (node_port(&made, 1), node_port(&made, 0)));

    // A port that goes gives its node port back.
    let one = json!({ "type": "NodePort", "ports": [{ "port": 80 }] });
    bed.update(&service("web", &one), &changed).await.unwrap();
    let asks = json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": node_port(&made, 1) }] });
    bed.create(&service("heir", &asks)).await.unwrap();
}

#[tokio::test]
async fn a_class_and_a_health_port_stay() {
    let bed = Bed::new();
    let local =
        json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "example.com/a" });
    let made = bed.create(&service("lb", &local)).await.unwrap();
    let other = with(&made, &[("/spec/loadBalancerClass", json!("example.com/b"))]);
    let expected = "spec.loadBalancerClass: Invalid value: \"example.com/b\": may not change once set";
    assert_eq!(bed.update(&other, &made).await, Err(expected.to_owned()));
    let without = with(&made, &[("/spec/loadBalancerClass", Value::Null)]);
    let expected = "spec.loadBalancerClass: Invalid value: \"null\": may not change once set";
    assert_eq!(bed.update(&without, &made).await, Err(expected.to_owned()));
    let other = with(&made, &[("/spec/healthCheckNodePort", json!(30_001))]);
    let expected = "spec.healthCheckNodePort: Forbidden: field is immutable";
    assert_eq!(bed.update(&other, &made).await, Err(expected.to_owned()));
}

#[tokio::test]
async fn the_status_is_not_changed_by_an_update() {
    let bed = Bed::new();
    let mut made = bed.create(&service("web", &json!({ "type": "LoadBalancer" }))).await.unwrap();
    made["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } });
    let changed = bed.update(&with(&made, &[("/status", json!({ "loadBalancer": {} }))]), &made).await.unwrap();
    assert_eq!(changed["status"], made["status"]);
    // Without a load balancer there is none to show.
    let plain = bed.update(&with(&changed, &[("/spec/type", json!("ClusterIP"))]), &changed).await.unwrap();
    assert_eq!(plain["status"], json!({ "loadBalancer": {} }));
}

#[tokio::test]
async fn a_headless_service_that_is_put_without_its_address_stays_headless() {
    let bed = Bed::new();
    let made = bed.create(&service("headless", &json!({ "clusterIP": "None" }))).await.unwrap();
    let put = bed.update(&service("headless", &json!({})), &made).await.unwrap();
    assert_eq!((&put["spec"]["clusterIP"], &put["spec"]["clusterIPs"]), (&json!("None"), &json!(["None"])));
}
