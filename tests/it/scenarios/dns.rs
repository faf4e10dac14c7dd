//! Names: the cluster's DNS at its own ClusterIP, asked through the dataplane by `dig` on the node
//! and in the networks of pods, and by the resolvers of containers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nodeplane_tests::bed::{
    cluster::{Cluster, PATIENCE},
    host,
    process::run,
    wait,
};
use serde_json::json;

use super::{
    hello, pod, pod_names, ready_endpoints, scenarios,
    services::{cluster_ip, serve_hello},
    shell_pod,
};
use crate::{
    probe::From,
    resolver::{ANSWER, Resolver},
};

scenarios![
    a_service_has_an_address_and_its_ports_have_names,
    what_does_not_exist_is_denied_with_a_time,
    a_container_finds_services_by_short_names,
    pods_of_a_headless_service_have_names_of_their_own,
    names_follow_what_is_applied,
    an_external_name_leads_into_the_cluster,
    other_names_are_asked_of_the_nodes_name_servers,
];

/// Where pods are told to ask.
const SERVER: &str = "10.96.0.10";
/// Once something is in the API, DNS knows it this soon.
const MOMENT: Duration = Duration::from_secs(5);

/// What `dig` was told.
#[derive(Debug, PartialEq)]
struct Said {
    code: String,
    /// `TYPE DATA` of the answer section, sorted.
    answer: Vec<String>,
    /// The same of the authority section.
    authority: Vec<String>,
}

impl Said {
    fn is(&self, code: &str, answer: &[&str]) -> Result<()> {
        ensure!(self.code == code && self.answer == answer, "{self:?}, not {code} {answer:?}");
        Ok(())
    }
}

/// Asks once, by the cluster's address.
fn dig(cluster: &Cluster, from: From<'_>, question: &[&str]) -> Result<Said> {
    let mut command = from.program(cluster, "dig")?;
    let server = format!("@{SERVER}");
    command.args([&server, "+tries=1", "+time=10", "+noall", "+comments", "+answer", "+authority"]);
    said(&run(command.args(question))?)
}

/// Reads what `dig` writes with comments: the code in the header, sections below their titles.
fn said(text: &str) -> Result<Said> {
    let code = text.lines().find_map(|line| line.split_once("status: ")?.1.split(',').next()).context("no status")?;
    let mut said = Said { code: code.to_owned(), answer: Vec::new(), authority: Vec::new() };
    let mut section = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix(";; ").and_then(|title| title.strip_suffix(" SECTION:")) {
            Some(title) => section = title,
            None if line.starts_with(';') => {}
            None => {
                // NAME TTL CLASS TYPE DATA
                let record = line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
                if section == "ANSWER" { &mut said.answer } else { &mut said.authority }.push(record);
            }
        }
    }
    said.answer.sort();
    Ok(said)
}

/// Waits a moment until the answer is this one.
fn becomes(cluster: &Cluster, name: &str, kind: &str, code: &str, answer: &[&str]) -> Result<()> {
    wait::eventually(&format!("{name} is {code} {answer:?}"), MOMENT, || {
        dig(cluster, From::Node, &[name, kind])?.is(code, answer)
    })
}

fn client(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &shell_pod("client", "sleep 600"))?;
    cluster.ready(ns, "client")
}

/// What the client's container fetches. Without `-T`: with it, Debian's static busybox crashes on names.
fn fetch(cluster: &Cluster, ns: &str, url: &str) -> Result<String> {
    cluster.exec(ns, "client", &["/bin/wget", "-q", "-O", "-", url])
}

fn a_service_has_an_address_and_its_ports_have_names(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(1))?;
    client(cluster, ns)?;
    let (ip, name) = (cluster_ip(cluster, ns, "hello")?, format!("hello.{ns}.svc.cluster.local"));
    let (address, port) = (format!("A {ip}"), format!("SRV 0 100 80 {name}."));
    let reverse: Vec<&str> = ip.split('.').rev().collect();
    becomes(cluster, &name, "A", "NOERROR", &[&address])?;
    for from in [From::Node, From::Pod(ns, "client")] {
        for transport in ["+notcp", "+tcp"] {
            let ask = |name: &str, kind| dig(cluster, from, &[name, kind, transport]);
            ask(&name, "A")?.is("NOERROR", &[&address])?;
            ask(&name.to_uppercase(), "A")?.is("NOERROR", &[&address])?;
            ask(&format!("_web._tcp.{name}"), "SRV")?.is("NOERROR", &[&port])?;
            ask(&format!("{}.in-addr.arpa", reverse.join(".")), "PTR")?.is("NOERROR", &[&format!("PTR {name}.")])?;
        }
    }
    dig(cluster, From::Node, &["kubernetes.default.svc.cluster.local", "A"])?.is("NOERROR", &["A 10.96.0.1"])?;
    dig(cluster, From::Node, &["dns-version.cluster.local", "TXT"])?.is("NOERROR", &["TXT \"1.1.0\""])
}

fn what_does_not_exist_is_denied_with_a_time(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &hello(0))?;
    let name = format!("hello.{ns}.svc.cluster.local");
    wait::eventually("the service has a name", MOMENT, || {
        let said = dig(cluster, From::Node, &[&name, "A"])?;
        ensure!(said.answer.len() == 1, "{said:?}");
        Ok(())
    })?;
    let denials = [
        (name.clone(), "AAAA", "NOERROR"),
        (format!("nobody.{ns}.svc.cluster.local"), "A", "NXDOMAIN"),
        (format!("_nothing._tcp.{name}"), "SRV", "NXDOMAIN"),
        (format!("example.org.{ns}.svc.cluster.local"), "A", "NXDOMAIN"),
        ("254.255.96.10.in-addr.arpa".to_owned(), "PTR", "NXDOMAIN"),
    ];
    for (name, kind, code) in denials {
        let said = dig(cluster, From::Node, &[&name, kind])?;
        said.is(code, &[])?;
        let [soa] = &said.authority[..] else { anyhow::bail!("{name}: {said:?}") };
        ensure!(soa.starts_with("SOA ns.dns.cluster.local. hostmaster.cluster.local. "), "{name}: {soa}");
    }
    Ok(())
}

fn a_container_finds_services_by_short_names(cluster: &Cluster, ns: &str) -> Result<()> {
    serve_hello(cluster, ns, 1)?;
    client(cluster, ns)?;
    let backend = pod_names(cluster, ns, "app=hello")?.remove(0);
    let file = cluster.exec(ns, "client", &["/bin/cat", "/etc/resolv.conf"])?;
    let lines: Vec<&str> = file.lines().collect();
    let search = format!("search {ns}.svc.cluster.local svc.cluster.local cluster.local");
    ensure!(lines.iter().any(|line| line.starts_with(&search)), "{file}");
    ensure!(lines.contains(&format!("nameserver {SERVER}").as_str()) && lines.contains(&"options ndots:5"), "{file}");
    for tail in ["", &format!(".{ns}"), &format!(".{ns}.svc"), &format!(".{ns}.svc.cluster.local")] {
        let url = format!("http://hello{tail}/");
        let answer = fetch(cluster, ns, &url)?;
        ensure!(answer.trim() == backend, "{url} says {answer}");
    }
    let found = cluster.exec(ns, "client", &["/bin/nslookup", "kubernetes.default.svc.cluster.local"])?;
    ensure!(found.contains(SERVER) && found.contains("Address: 10.96.0.1"), "{found}");
    Ok(())
}

/// A pod with a hostname below the headless service `db`, that is ready or not.
fn member(name: &str, ready: bool) -> String {
    let pod = pod(name, "sleep 600", |spec| {
        spec["hostname"] = name.into();
        spec["subdomain"] = "db".into();
        let probe =
            json!({ "exec": { "command": [if ready { "/bin/true" } else { "/bin/false" }] }, "periodSeconds": 1 });
        spec["containers"][0]["readinessProbe"] = probe;
    });
    pod.replace(&format!("\"run\":\"{name}\""), "\"app\":\"db\"")
}

fn headless(name: &str, publish_not_ready: bool) -> String {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": {
            "clusterIP": "None", "selector": { "app": "db" }, "publishNotReadyAddresses": publish_not_ready,
            "ports": [{ "name": "sql", "port": 5432 }],
        },
    })
    .to_string()
}

fn pod_address(cluster: &Cluster, ns: &str, pod: &str) -> Result<String> {
    wait::eventually(&format!("{pod} has an address"), PATIENCE, || {
        let pod = cluster.get_in(ns, "pod", pod)?;
        pod["status"]["podIP"].as_str().map(str::to_owned).context("no address yet")
    })
}

fn pods_of_a_headless_service_have_names_of_their_own(cluster: &Cluster, ns: &str) -> Result<()> {
    for manifest in [headless("db", false), headless("peers", true), member("db-0", true), member("db-1", true)] {
        cluster.apply(ns, &manifest)?;
    }
    cluster.apply(ns, &member("late", false))?;
    let name = |service: &str| format!("{service}.{ns}.svc.cluster.local");
    for pod in ["db-0", "db-1"] {
        cluster.ready(ns, pod)?;
    }
    let addresses: Vec<String> =
        ["db-0", "db-1", "late"].iter().map(|pod| pod_address(cluster, ns, pod)).collect::<Result<_>>()?;
    let mut records: Vec<String> = addresses.iter().map(|address| format!("A {address}")).collect();
    let late = records[2].clone();
    let (first, mut ready) = (records[0].clone(), records[..2].iter().map(String::as_str).collect::<Vec<_>>());
    ready.sort_unstable();
    becomes(cluster, &name("db"), "A", "NOERROR", &ready)?;
    records.sort();
    // A service that publishes pods before they are ready.
    becomes(cluster, &name("peers"), "A", "NOERROR", &records.iter().map(String::as_str).collect::<Vec<_>>())?;
    dig(cluster, From::Pod(ns, "db-1"), &[&format!("db-0.{}", name("db")), "A"])?.is("NOERROR", &[&first])?;
    dig(cluster, From::Node, &[&format!("late.{}", name("db")), "A"])?.is("NXDOMAIN", &[])?;
    let ports = ["db-0", "db-1"].map(|pod| format!("SRV 0 50 5432 {pod}.{}.", name("db")));
    dig(cluster, From::Node, &[&format!("_sql._tcp.{}", name("db")), "SRV"])?.is("NOERROR", &[&ports[0], &ports[1]])?;
    // Pods call each other as members of the service, and know their own full name.
    let seen = cluster.exec(ns, "db-0", &["/bin/nslookup", &format!("db-1.{}", name("db"))])?;
    ensure!(seen.contains(&format!("Address: {}", addresses[1])), "{seen}");
    let own = cluster.exec(ns, "db-0", &["/bin/hostname", "-f"])?;
    ensure!(own.trim() == format!("db-0.{}", name("db")), "{own}");
    // By its address, as it has no hostname below `peers`.
    let dashed = addresses[2].replace('.', "-");
    dig(cluster, From::Node, &[&format!("{dashed}.{}", name("peers")), "A"])?.is("NOERROR", &[&late])
}

fn names_follow_what_is_applied(cluster: &Cluster, ns: &str) -> Result<()> {
    let name = format!("hello.{ns}.svc.cluster.local");
    let headless =
        hello(2).replace("spec:\n  selector: {app: hello}", "spec:\n  clusterIP: None\n  selector: {app: hello}");
    becomes(cluster, &name, "A", "NXDOMAIN", &[])?;
    cluster.apply(ns, &headless)?;
    cluster.rollout(ns, "hello")?;
    let agree = |count: usize| {
        wait::eventually(&format!("the name has {count} addresses"), PATIENCE, || {
            let mut endpoints = ready_endpoints(cluster, ns, "hello")?;
            ensure!(endpoints.len() == count, "{endpoints:?} are ready");
            endpoints.iter_mut().for_each(|address| address.insert_str(0, "A "));
            endpoints.sort();
            let said = dig(cluster, From::Node, &[&name, "A"])?;
            ensure!(said.answer == endpoints, "{said:?}, not {endpoints:?}");
            Ok(())
        })
    };
    agree(2)?;
    cluster.run(&["scale", "-n", ns, "deployment/hello", "--replicas=1"])?;
    agree(1)?;
    cluster.run(&["delete", "-n", ns, "service", "hello"])?;
    becomes(cluster, &name, "A", "NXDOMAIN", &[])?;
    cluster.apply(ns, &hello(1))?;
    let address = format!("A {}", cluster_ip(cluster, ns, "hello")?);
    becomes(cluster, &name, "A", "NOERROR", &[&address])
}

fn external_name(name: &str, target: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "type": "ExternalName", "externalName": target },
    })
    .to_string()
}

fn an_external_name_leads_into_the_cluster(cluster: &Cluster, ns: &str) -> Result<()> {
    serve_hello(cluster, ns, 1)?;
    client(cluster, ns)?;
    let target = format!("hello.{ns}.svc.cluster.local");
    cluster.apply(ns, &external_name("alias", &target))?;
    let address = format!("A {}", cluster_ip(cluster, ns, "hello")?);
    let alias = format!("CNAME {target}.");
    becomes(cluster, &format!("alias.{ns}.svc.cluster.local"), "A", "NOERROR", &[&address, &alias])?;
    let answer = fetch(cluster, ns, "http://alias/")?;
    ensure!(pod_names(cluster, ns, "app=hello")?.contains(&answer.trim().to_owned()), "{answer}");
    Ok(())
}

fn other_names_are_asked_of_the_nodes_name_servers(cluster: &Cluster, ns: &str) -> Result<()> {
    cluster.apply(ns, &external_name("outside", &format!("db.{ns}.example")))?;
    client(cluster, ns)?;
    let answer = format!("A {ANSWER}");
    let resolver = Resolver::start(&cluster.host().world().path(), host::FAR_AWAY)?;
    for from in [From::Node, From::Pod(ns, "client")] {
        for transport in ["+notcp", "+tcp"] {
            // The second one comes to the node's server cut, which fetches the rest.
            for name in [format!("www.{ns}.example"), format!("large.{ns}.example")] {
                dig(cluster, from, &[&name, "A", transport])?.is("NOERROR", &[&answer])?;
            }
        }
    }
    let seen = cluster.exec(ns, "client", &["/bin/nslookup", "-type=a", &format!("www.{ns}.example")])?;
    ensure!(seen.contains(&format!("Address: {ANSWER}")), "{seen}");
    let alias = format!("CNAME db.{ns}.example.");
    becomes(cluster, &format!("outside.{ns}.svc.cluster.local"), "A", "NOERROR", &[&answer, &alias])?;
    drop(resolver);
    // What is known stays known; what is not fails at once, and the cluster's names do not care.
    dig(cluster, From::Node, &[&format!("www.{ns}.example"), "A"])?.is("NOERROR", &[&answer])?;
    dig(cluster, From::Node, &[&format!("new.{ns}.example"), "A"])?.is("SERVFAIL", &[])?;
    dig(cluster, From::Node, &["kubernetes.default.svc.cluster.local", "A"])?.is("NOERROR", &["A 10.96.0.1"])
}
