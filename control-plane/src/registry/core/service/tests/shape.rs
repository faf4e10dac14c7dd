//! What is filled in, and what is wrong.

use serde_json::{Value, json};

use super::{Bed, service};
use crate::registry::cases::{created, refused};

fn spec(changes: &Value) -> Value {
    created(&Bed::new().services, &service("web", changes))["spec"].take()
}

/// Each row: a spec, and all that is said about it.
fn check(rows: &[(Value, &[&str])]) {
    let bed = Bed::new();
    for (spec, expected) in rows {
        assert_eq!(refused(&bed.services, &service("web", spec)), *expected, "{spec}");
    }
}

#[test]
fn a_service_gets_the_defaults_of_upstream() {
    let expected = json!({
        "selector": { "app": "web" }, "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 }],
    });
    assert_eq!(spec(&json!({})), expected);
    let status = created(&Bed::new().services, &service("web", &json!({})))["status"].take();
    assert_eq!(status, json!({ "loadBalancer": {} }));
}

#[test]
fn each_type_has_defaults_of_its_own() {
    let node_port = spec(&json!({ "type": "NodePort" }));
    assert_eq!(node_port["externalTrafficPolicy"], "Cluster");
    let balancer = spec(&json!({ "type": "LoadBalancer" }));
    assert_eq!(balancer["allocateLoadBalancerNodePorts"], true);
    let reachable = spec(&json!({ "externalIPs": ["192.0.2.1"] }));
    assert_eq!(reachable["externalTrafficPolicy"], "Cluster");
    let external = spec(&json!({ "type": "ExternalName", "externalName": "example.com" }));
    for field in ["internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy", "externalTrafficPolicy"] {
        assert_eq!(external.get(field), None, "{field}");
    }
    let headless = spec(&json!({ "clusterIP": "None" }));
    assert_eq!((&headless["ipFamilies"], &headless["clusterIPs"]), (&json!(["IPv4"]), &json!(["None"])));
    let manual = spec(&json!({ "clusterIP": "None", "selector": null }));
    assert_eq!(manual["ipFamilies"], json!(["IPv4", "IPv6"]));
    let sticky = spec(&json!({ "sessionAffinity": "ClientIP" }));
    assert_eq!(sticky["sessionAffinityConfig"], json!({ "clientIP": { "timeoutSeconds": 10800 } }));
    let free = spec(&json!({ "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 5 } } }));
    assert_eq!(free.get("sessionAffinityConfig"), None);
}

#[test]
fn ports_are_unique_numbers_with_names() {
    let ports = |ports: Value| json!({ "ports": ports });
    let shown = "core.ServicePort{Name:\"\", Protocol:\"TCP\", AppProtocol:(*string)(nil), Port:80, \
                 TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}";
    check(&[
        (ports(json!([])), &["spec.ports: Required value"]),
        (json!({ "ports": [], "clusterIP": "None" }), &[]),
        (
            ports(json!([{ "port": 0 }])),
            &[
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (ports(json!([{ "port": 80 }, { "port": 81, "name": "b" }])), &["spec.ports[0].name: Required value"]),
        (
            ports(json!([{ "port": 80, "name": "a" }, { "port": 81, "name": "a" }])),
            &["spec.ports[1].name: Duplicate value: \"a\""],
        ),
        (
            ports(json!([{ "port": 80, "name": "a" }, { "port": 80, "name": "b" }])),
            &[&format!("spec.ports[1]: Duplicate value: {shown}")],
        ),
        (ports(json!([{ "port": 53, "name": "a" }, { "port": 53, "name": "b", "protocol": "UDP" }])), &[]),
        (
            ports(json!([{ "port": 80, "protocol": "HTTP" }])),
            &["spec.ports[0].protocol: Unsupported value: \"HTTP\": supported values: \"SCTP\", \"TCP\", \"UDP\""],
        ),
        (
            ports(json!([{ "port": 80, "targetPort": "80" }])),
            &["spec.ports[0].targetPort: Invalid value: \"80\": must contain at least one letter (a-z)"],
        ),
        (
            ports(json!([{ "port": 80, "nodePort": 30080 }])),
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            json!({ "type": "NodePort", "ports": [{ "port": 80, "name": "a", "nodePort": 30080 },
                                                  { "port": 81, "name": "b", "nodePort": 30080 }] }),
            &["spec.ports[1].nodePort: Duplicate value: 30080"],
        ),
    ]);
}

#[test]
fn types_go_with_their_fields() {
    check(&[
        (
            json!({ "type": "Magic" }),
            &["spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \
               \"LoadBalancer\", \"NodePort\""],
        ),
        (
            json!({ "type": "NodePort", "clusterIP": "None" }),
            &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (json!({ "type": "ExternalName" }), &["spec.externalName: Required value"]),
        (json!({ "type": "ExternalName", "externalName": "example.com." }), &[]),
        (
            json!({ "type": "ExternalName", "externalName": "example.com", "clusterIP": "10.96.0.9" }),
            &["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        ),
        (
            json!({ "type": "LoadBalancer", "ports": [{ "port": 10250 }] }),
            &["spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"],
        ),
        (
            json!({ "loadBalancerSourceRanges": ["10.0.0.0"] }),
            &[
                "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
                "spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. \
                 10.9.8.0/24 or 2001:db8::/64)",
            ],
        ),
        (
            json!({ "externalTrafficPolicy": "Local" }),
            &[
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ],
        ),
        (
            json!({ "type": "NodePort", "externalTrafficPolicy": "Near" }),
            &["spec.externalTrafficPolicy: Unsupported value: \"Near\": supported values: \"Cluster\", \"Local\""],
        ),
        (
            json!({ "healthCheckNodePort": 30000 }),
            &["spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and \
               `externalTrafficPolicy` is 'Local'"],
        ),
        (
            json!({ "internalTrafficPolicy": "Near" }),
            &["spec.internalTrafficPolicy: Unsupported value: \"Near\": supported values: \"Cluster\", \"Local\""],
        ),
        (
            json!({ "trafficDistribution": "Far" }),
            &["spec.trafficDistribution: Unsupported value: \"Far\": supported values: \"PreferClose\""],
        ),
        (
            json!({ "sessionAffinity": "ClientIP", "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 86401 } } }),
            &[
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less \
               than 86400",
            ],
        ),
        (
            json!({ "sessionAffinity": "Cookie" }),
            &["spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\""],
        ),
    ]);
}

#[test]
fn addresses_are_addresses_of_one_family() {
    let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    check(&[
        (json!({ "clusterIP": "10.96.0" }), &[&format!("spec.clusterIPs[0]: Invalid value: \"10.96.0\": {bad}")]),
        (
            json!({ "clusterIP": "fd00::1" }),
            &["spec.clusterIPs[0]: Invalid value: \"fd00::1\": expected an IPv4 value as indicated by `ipFamilies[0]`"],
        ),
        (
            json!({ "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.8"] }),
            &["spec.clusterIPs: Invalid value: []string{\"10.96.0.8\"}: first value must match `clusterIP`"],
        ),
        (
            json!({ "ipFamilies": ["IPv6"] }),
            &["spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"],
        ),
        (
            json!({ "ipFamilyPolicy": "RequireDualStack" }),
            &[
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack \
               services",
            ],
        ),
        (json!({ "externalIPs": ["here"] }), &[&format!("spec.externalIPs[0]: Invalid value: \"here\": {bad}")]),
        (
            json!({ "externalIPs": ["127.0.0.1", "0.0.0.0", "169.254.0.1", "224.0.0.5"] }),
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "spec.externalIPs[1]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)",
                "spec.externalIPs[2]: Invalid value: \"169.254.0.1\": may not be in the link-local range (169.254.0.0/16, \
                 fe80::/10)",
                "spec.externalIPs[3]: Invalid value: \"224.0.0.5\": may not be in the link-local multicast range \
                 (224.0.0.0/24, ff02::/10)",
            ],
        ),
    ]);
}

#[test]
fn the_name_is_a_label_that_starts_with_a_letter() {
    use crate::registry::Strategy;
    let rule = Bed::new().services.name_rule();
    assert_eq!(rule.check("web-1"), Vec::<String>::new());
    assert_eq!(rule.check("1-web").len(), 1);
}

#[test]
fn a_service_without_a_spec_lacks_ports_and_nothing_else() {
    let bed = Bed::new();
    let bare = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "bare", "namespace": "default" } });
    let made = created(&bed.services, &bare);
    assert_eq!((&made["spec"]["type"], &made["spec"]["sessionAffinity"]), (&json!("ClusterIP"), &json!("None")));
    assert_eq!(refused(&bed.services, &bare), ["spec.ports: Required value"]);
}
