//! `/etc/hosts` and `/etc/resolv.conf` of pods (kubelet `kubelet_pods.go`, `network/dns`). Pure.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::Pod;

use super::pod::PodExt;

/// Name servers that a resolver asks at most.
const MAX_SERVERS: usize = 3;
/// Search domains that Kubernetes allows.
const MAX_SEARCHES: usize = 32;

/// The cluster's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDns {
    /// Address of the DNS service.
    pub address: Ipv4Addr,
    /// Such as `cluster.local`.
    pub domain: String,
}

/// `/etc/hosts` of a pod with its own network.
pub fn hosts(pod: &Pod, address: Option<Ipv4Addr>, domain: &str) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    if let Some(address) = address {
        let name = pod.hostname();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match PodExt::spec(pod).subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) {
            Some(subdomain) => {
                text.push_str(&format!("{address}\t{name}.{subdomain}.{namespace}.svc.{domain}\t{name}\n"));
            }
            None => text.push_str(&format!("{address}\t{name}\n")),
        }
    }
    text + &aliases(pod)
}

/// `/etc/hosts` of a pod on the node's network: the node's own, with the pod's aliases.
pub fn host_network_hosts(pod: &Pod, node_file: &str) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{node_file}{}", aliases(pod))
}

fn aliases(pod: &Pod) -> String {
    let aliases = PodExt::spec(pod).host_aliases.as_deref().unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        text.push_str(&format!(
            "{}\t{}\n",
            alias.ip,
            alias.hostnames.iter().flatten().cloned().collect::<Vec<_>>().join("\t")
        ));
    }
    text
}

/// The node's resolver.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What the resolver on the node's own loopback asks itself (systemd-resolved).
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// The name servers of the node as a pod can reach them: one on the node's loopback is out of
/// reach, so those that it asks stand in for it.
pub fn node_resolver(read: impl Fn(&str) -> String) -> String {
    let own = read(RESOLV_CONF);
    let servers = parse(&own).servers;
    let is_loopback = |server: &String| server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if servers.is_empty() || !servers.iter().all(is_loopback) {
        return own;
    }
    let upstream = read(UPSTREAM);
    if parse(&upstream).servers.is_empty() { own } else { upstream }
}

#[derive(Default)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// `/etc/resolv.conf` by the pod's `dnsPolicy` and `dnsConfig`; `node_file` is the node's own.
pub fn resolv_conf(pod: &Pod, dns: &ClusterDns, node_file: &str) -> String {
    let spec = PodExt::spec(pod);
    let mut resolver = match spec.dns_policy.as_deref() {
        Some("None") => Resolver::default(),
        Some("Default") => parse(node_file),
        Some("ClusterFirstWithHostNet") => cluster_first(pod, dns, node_file),
        _ if pod.host_namespaces().network => parse(node_file),
        _ => cluster_first(pod, dns, node_file),
    };
    if let Some(config) = &spec.dns_config {
        resolver.servers.extend(config.nameservers.iter().flatten().cloned());
        resolver.searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            resolver.options.retain(|known| known.split(':').next() != Some(name.as_str()));
            resolver.options.push(match &option.value {
                Some(value) if !value.is_empty() => format!("{name}:{value}"),
                _ => name,
            });
        }
    }
    write(resolver)
}

fn cluster_first(pod: &Pod, dns: &ClusterDns, node_file: &str) -> Resolver {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = &dns.domain;
    let mut searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    searches.extend(parse(node_file).searches);
    Resolver { servers: vec![dns.address.to_string()], searches, options: vec!["ndots:5".to_owned()] }
}

fn parse(file: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in file.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => resolver.servers.extend(words.take(1)),
            Some("search") => resolver.searches = words.collect(),
            Some("options") => resolver.options = words.collect(),
            _ => {}
        }
    }
    resolver
}

fn write(mut resolver: Resolver) -> String {
    let mut seen = std::collections::HashSet::new();
    resolver.searches.retain(|domain| domain != "." && seen.insert(domain.clone()));
    resolver.searches.truncate(MAX_SEARCHES);
    let mut seen = std::collections::HashSet::new();
    resolver.servers.retain(|server| seen.insert(server.clone()));
    resolver.servers.truncate(MAX_SERVERS);
    let mut text = String::new();
    if !resolver.searches.is_empty() {
        text.push_str(&format!("search {}\n", resolver.searches.join(" ")));
    }
    for server in resolver.servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !resolver.options.is_empty() {
        text.push_str(&format!("options {}\n", resolver.options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests;
