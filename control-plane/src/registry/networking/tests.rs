use serde_json::{Value, json};

use super::{ingress::IngressStrategy, ingress_class::IngressClassStrategy, network_policy::NetworkPolicyStrategy};
use crate::registry::{
    Strategy,
    cases::{created, refused, refused_update, said, with},
};

const NOTHING: &[&str] = &[];

fn object(kind: &str, spec: Value) -> Value {
    let metadata = match kind {
        "IngressClass" => json!({ "name": "x" }),
        _ => json!({ "name": "x", "namespace": "shop" }),
    };
    let mut object = json!({ "apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": metadata });
    object["spec"] = spec;
    object
}

fn backend() -> Value {
    json!({ "service": { "name": "web", "port": { "number": 80 } } })
}

fn ingress() -> Value {
    object(
        "Ingress",
        json!({
            "ingressClassName": "nginx", "defaultBackend": backend(),
            "rules": [{ "host": "*.example.com", "http": { "paths": [
                { "path": "/a", "pathType": "Prefix", "backend": backend() },
                { "pathType": "ImplementationSpecific", "backend": { "resource": { "kind": "Bucket", "name": "b" } } },
            ] } }],
            "tls": [{ "hosts": ["*.example.com", "example.com"], "secretName": "cert" }],
        }),
    )
}

#[test]
fn a_good_ingress_stays_as_it_is() {
    assert_eq!(refused(&IngressStrategy, &ingress()), NOTHING);
    assert_eq!(created(&IngressStrategy, &ingress()), ingress());
}

#[test]
fn an_ingress_leads_somewhere() {
    assert_eq!(
        refused(&IngressStrategy, &object("Ingress", json!({}))),
        ["spec: Invalid value: []networking.IngressRule(nil): either `defaultBackend` or `rules` must be specified"]
    );
    let path = "/spec/rules/0/http/paths/0/backend";
    for (backend, expected) in [
        (json!({}), ": Invalid value: \"\": resource or service backend is required"),
        (
            json!({ "service": { "name": "w", "port": { "number": 1 } }, "resource": { "kind": "B", "name": "b" } }),
            ": Invalid value: \"\": cannot set both resource and service backends",
        ),
        (json!({ "service": { "name": "w", "port": {} } }), ": Required value: port name or number is required"),
        (
            json!({ "service": { "name": "w", "port": { "number": 1, "name": "a" } } }),
            ": Invalid value: \"\": cannot set both port name & port number",
        ),
        (json!({ "service": { "name": "", "port": { "number": 1 } } }), ".service.name: Required value"),
        (
            json!({ "service": { "name": "w", "port": { "number": 70_000 } } }),
            ".service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (json!({ "resource": { "kind": "", "name": "b" } }), ".resource.kind: Required value"),
        (
            json!({ "resource": { "kind": "B", "name": "a/b" } }),
            ".resource.name: Invalid value: \"a/b\": may not contain '/'",
        ),
    ] {
        let said = refused(&IngressStrategy, &with(&ingress(), &[(path, backend)]));
        assert_eq!(said, [format!("spec.rules[0].http.paths[0].backend{expected}")]);
    }
}

#[test]
fn paths_and_hosts_have_a_form() {
    let at = "spec.rules[0].http.paths[0]";
    for (path, kind, expected) in [
        (json!("a"), json!("Exact"), vec![format!("{at}.path: Invalid value: \"a\": must be an absolute path")]),
        (
            json!("/a//b/.."),
            json!("Prefix"),
            vec![
                format!("{at}.path: Invalid value: \"/a//b/..\": must not contain '//'"),
                format!("{at}.path: Invalid value: \"/a//b/..\": cannot end with '/..'"),
            ],
        ),
        (
            json!("a"),
            json!("ImplementationSpecific"),
            vec![format!("{at}.path: Invalid value: \"a\": must be an absolute path")],
        ),
        (
            json!("/a"),
            json!("Regex"),
            vec![format!(
                "{at}.pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
            )],
        ),
    ] {
        let paths = json!([{ "path": path, "pathType": kind, "backend": backend() }]);
        assert_eq!(refused(&IngressStrategy, &with(&ingress(), &[("/spec/rules/0/http/paths", paths)])), expected);
    }
    let host = |host: &str| refused(&IngressStrategy, &with(&ingress(), &[("/spec/rules/0/host", json!(host))]));
    assert_eq!(
        host("1.2.3.4"),
        ["spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"]
    );
    assert!(
        host("a.*.com")[0].starts_with("spec.rules[0].host: Invalid value: \"a.*.com\": a wildcard DNS-1123 subdomain")
    );
    let no_paths = refused(&IngressStrategy, &with(&ingress(), &[("/spec/rules/0/http/paths", json!([]))]));
    assert_eq!(no_paths, ["spec.rules[0].http.paths: Required value"]);
    let tls = refused(&IngressStrategy, &with(&ingress(), &[("/spec/tls/0/secretName", json!("Cert"))]));
    assert!(tls[0].starts_with("spec.tls[0].secretName: Invalid value: \"Cert\""), "{tls:?}");
}

#[test]
fn an_old_annotation_must_agree_and_is_told_of() {
    let annotations = json!({ "kubernetes.io/ingress.class": "other" });
    let object = with(&ingress(), &[("/metadata/annotations", annotations)]);
    assert_eq!(
        said(&IngressStrategy.validate_create(&object)),
        [
            "annotations.kubernetes.io/ingress.class: Invalid value: \"other\": must match `ingressClassName` when both are \
          specified"
        ]
    );
    assert_eq!(
        IngressStrategy.warnings(&object),
        ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"]
    );
    assert_eq!(IngressStrategy.warnings(&ingress()), NOTHING);
}

#[test]
fn the_status_of_an_ingress_has_addresses_and_names() {
    let status = |points: Value| {
        let object = with(&ingress(), &[("/status", json!({ "loadBalancer": { "ingress": points } }))]);
        said(&IngressStrategy.validate_status_update(&object, &ingress()))
    };
    assert_eq!(status(json!([{ "ip": "192.0.2.1" }, { "hostname": "lb.example.com" }])), NOTHING);
    let at = "status.loadBalancer.ingress[0]";
    assert_eq!(
        status(json!([{ "ip": "x", "hostname": "1.2.3.4" }])),
        [
            format!("{at}.ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            format!("{at}.hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"),
        ]
    );
}

#[test]
fn a_class_has_a_controller_that_stays() {
    let class = object(
        "IngressClass",
        json!({ "controller": "example.com/ingress", "parameters": { "kind": "Settings", "name": "s" } }),
    );
    let strategy = &IngressClassStrategy;
    assert_eq!(refused(strategy, &class), NOTHING);
    assert_eq!(created(strategy, &class)["spec"]["parameters"]["scope"], "Cluster");
    let controller = |text: &str| refused(strategy, &with(&class, &[("/spec/controller", json!(text))]));
    assert_eq!(controller(""), ["spec.controller: Required value"]);
    assert_eq!(
        controller("ingress"),
        ["spec.controller: Invalid value: \"ingress\": must be a domain-prefixed path (such as \"acme.io/foo\")"]
    );
    assert_eq!(
        controller("example.com/a b"),
        ["spec.controller: Invalid value: \"a b\": Invalid path (regex used for validation is \
          '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"]
    );
    let parameters = |parameters: Value| refused(strategy, &with(&class, &[("/spec/parameters", parameters)]));
    for (scope, namespace, expected) in [
        (
            "Namespace",
            Value::Null,
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
        ),
        ("Cluster", json!("shop"), "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"),
        (
            "Planet",
            Value::Null,
            "spec.parameters.scope: Unsupported value: \"Planet\": supported values: \"Cluster\", \"Namespace\"",
        ),
    ] {
        let given = json!({ "kind": "Settings", "name": "s", "scope": scope, "namespace": namespace });
        assert_eq!(parameters(given), [expected]);
    }
    let moved = with(&class, &[("/spec/controller", json!("example.com/other"))]);
    assert_eq!(
        refused_update(strategy, &moved, &class),
        ["spec.controller: Invalid value: \"example.com/other\": field is immutable"]
    );
}

#[test]
fn a_policy_says_which_directions_it_is_for() {
    let types =
        |spec: Value| created(&NetworkPolicyStrategy, &object("NetworkPolicy", spec))["spec"]["policyTypes"].clone();
    assert_eq!(types(json!({ "podSelector": {} })), json!(["Ingress"]));
    assert_eq!(types(json!({ "podSelector": {}, "egress": [{}] })), json!(["Ingress", "Egress"]));
    assert_eq!(types(json!({ "podSelector": {}, "policyTypes": ["Egress"] })), json!(["Egress"]));
    let ports = json!({ "podSelector": {}, "ingress": [{ "ports": [{ "port": 80 }] }] });
    let policy = created(&NetworkPolicyStrategy, &object("NetworkPolicy", ports));
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["protocol"], "TCP");
}

#[test]
fn a_policy_names_ports_and_peers() {
    let said = |spec: Value| refused(&NetworkPolicyStrategy, &object("NetworkPolicy", spec));
    let port = |port: Value| said(json!({ "podSelector": {}, "ingress": [{ "ports": [port] }] }));
    let at = "spec.ingress[0].ports[0]";
    assert_eq!(port(json!({ "port": 80, "endPort": 90 })), NOTHING);
    assert_eq!(
        port(json!({ "port": 80, "endPort": 79 })),
        [format!("{at}.endPort: Invalid value: 79: must be greater than or equal to `port`")]
    );
    assert_eq!(
        port(json!({ "port": "web", "endPort": 79 })),
        [format!("{at}.endPort: Invalid value: 79: may not be specified when `port` is non-numeric")]
    );
    assert_eq!(
        port(json!({ "endPort": 79 })),
        [format!("{at}.endPort: Invalid value: 79: may not be specified when `port` is not specified")]
    );
    assert_eq!(
        port(json!({ "protocol": "ICMP" })),
        [format!("{at}.protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"")]
    );
    let peer = |peer: Value| said(json!({ "podSelector": {}, "egress": [{ "to": [peer] }] }));
    let at = "spec.egress[0].to[0]";
    assert_eq!(peer(json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } })), NOTHING);
    assert_eq!(peer(json!({ "ipBlock": { "cidr": "fd00::/8", "except": ["fd01::/16"] } })), NOTHING);
    assert_eq!(peer(json!({})), [format!("{at}: Required value: must specify a peer")]);
    assert_eq!(
        peer(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
        [format!("{at}: Forbidden: may not specify both ipBlock and another peer")]
    );
    for outside in ["11.0.0.0/16", "10.0.0.0/8", "fd00::/64"] {
        let block = json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": [outside] } });
        let words = format!("{at}.ipBlock.except[0]: Invalid value: {outside:?}: must be a strict subset of `cidr`");
        assert_eq!(peer(block), [words]);
    }
    assert_eq!(
        peer(json!({ "ipBlock": { "cidr": "10.0.0.0" } })),
        [format!(
            "{at}.ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        )]
    );
    assert_eq!(
        said(json!({ "podSelector": {}, "policyTypes": ["Sideways"] })),
        ["spec.policyTypes[0]: Unsupported value: \"Sideways\": supported values: \"Ingress\", \"Egress\""]
    );
}
