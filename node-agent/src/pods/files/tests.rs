//! `/etc/hosts` and `/etc/resolv.conf`.

#![expect(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{ClusterDns, host_network_hosts, hosts, resolv_conf};
use crate::pods::fixtures;

const NODE_FILE: &str = "# the node's\nsearch example.org lan\nnameserver 192.0.2.53\noptions timeout:1\n";

fn dns() -> ClusterDns {
    ClusterDns { address: Ipv4Addr::new(10, 96, 0, 10), domain: "cluster.local".to_owned() }
}

fn check(spec: Value, expected: &str) {
    assert_eq!(resolv_conf(&fixtures::pod(spec.clone()), &dns(), NODE_FILE), expected, "{spec}");
}

#[test]
fn names_of_the_cluster_come_first() {
    check(
        json!({ "dnsPolicy": "ClusterFirst" }),
        "search default.svc.cluster.local svc.cluster.local cluster.local example.org lan\n\
         nameserver 10.96.0.10\n\
         options ndots:5\n",
    );
}

#[test]
fn a_pod_on_the_nodes_network_uses_the_nodes_servers_unless_it_says_otherwise() {
    let node = "search example.org lan\nnameserver 192.0.2.53\noptions timeout:1\n";
    check(json!({ "dnsPolicy": "ClusterFirst", "hostNetwork": true }), node);
    check(json!({ "dnsPolicy": "Default" }), node);
    check(
        json!({ "dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true }),
        "search default.svc.cluster.local svc.cluster.local cluster.local example.org lan\n\
         nameserver 10.96.0.10\n\
         options ndots:5\n",
    );
}

#[test]
fn a_pods_own_settings_are_merged() {
    check(
        json!({ "dnsPolicy": "None", "dnsConfig": {
            "nameservers": ["1.1.1.1", "1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"], "searches": ["a", "a", "b"],
            "options": [{ "name": "ndots", "value": "2" }, { "name": "edns0" }],
        } }),
        "search a b\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\noptions ndots:2 edns0\n",
    );
    check(
        json!({ "dnsConfig": { "options": [{ "name": "ndots", "value": "1" }] } }),
        "search default.svc.cluster.local svc.cluster.local cluster.local example.org lan\n\
         nameserver 10.96.0.10\n\
         options ndots:1\n",
    );
}

#[test]
fn a_pod_finds_itself_by_name() {
    let address = Some(Ipv4Addr::new(10, 0, 0, 5));
    let plain = hosts(&fixtures::pod(json!({})), address, "cluster.local");
    assert!(plain.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"), "{plain}");
    assert!(plain.ends_with("\n10.0.0.5\tp\n"), "{plain}");
    let member = fixtures::pod(json!({ "hostname": "db-0", "subdomain": "db" }));
    let member = hosts(&member, address, "cluster.local");
    assert!(member.ends_with("\n10.0.0.5\tdb-0.db.default.svc.cluster.local\tdb-0\n"), "{member}");
}

#[test]
fn aliases_are_added() {
    let pod = fixtures::pod(json!({ "hostAliases": [{ "ip": "192.0.2.7", "hostnames": ["one", "two"] }] }));
    let end = "\n# Entries added by HostAliases.\n192.0.2.7\tone\ttwo\n";
    assert!(hosts(&pod, None, "cluster.local").ends_with(end));
    let shared = host_network_hosts(&pod, "127.0.0.1 localhost\n");
    assert_eq!(shared, format!("# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n{end}"));
}

#[test]
fn a_resolver_on_the_nodes_loopback_is_not_given_to_pods() {
    let stub = "nameserver 127.0.0.53\noptions edns0\nsearch lan\n";
    let upstream = "nameserver 192.0.2.53\nsearch lan\n";
    let of = |own: &str, below: &str| {
        super::node_resolver(|path| match path {
            "/etc/resolv.conf" => own.to_owned(),
            "/run/systemd/resolve/resolv.conf" => below.to_owned(),
            other => panic!("{other}"),
        })
    };
    assert_eq!(of(stub, upstream), upstream);
    assert_eq!(of(stub, ""), stub, "nothing better is known");
    assert_eq!(of("nameserver 192.0.2.1\n", upstream), "nameserver 192.0.2.1\n");
    let mixed = "nameserver ::1\nnameserver 192.0.2.1\n";
    assert_eq!(of(mixed, upstream), mixed, "one of them answers");
}
