//! The sample: a Deployment and its Service, applied by kubectl, resolved by the cluster's DNS and called at its ClusterIP.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::engine::docker;
use super::kubectl::Kubectl;
use super::wait;
use crate::cmd::Cmd;
use crate::workspace::Workspace;

/// The manifest, below the checkout.
const MANIFEST: &str = "examples/hello.yaml";

/// The Service's name as pods ask for it.
const NAME: &str = "hello.default.svc.cluster.local";

/// The API server, as pods ask for it: address and port of the Service `kubernetes`.
const SERVER: (&str, &str) = ("10.96.0.1", "443");

/// Enough calls that each of three backends answers one almost surely (all but one run in 40).
const CALLS: usize = 12;

/// Who answered how often.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<String, usize>);

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (backend, times)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{backend} x{times}")?;
        }
        Ok(())
    }
}

/// Applies the manifest.
///
/// # Errors
/// When kubectl fails.
pub(crate) fn apply(workspace: &Workspace, kubectl: &Kubectl) -> Result<()> {
    kubectl.cmd(["apply", "--filename"]).arg(workspace.root().join(MANIFEST)).run()
}

/// Deletes what the manifest names and waits until its pods are gone.
///
/// # Errors
/// When kubectl fails or the pods stay.
pub(crate) fn delete(workspace: &Workspace, kubectl: &Kubectl) -> Result<()> {
    let file = workspace.root().join(MANIFEST);
    kubectl.cmd(["delete", "--ignore-not-found", "--wait=false", "--filename"]).arg(file).run()?;
    wait::until("the sample's pods to be gone", Duration::from_secs(60), || {
        let pods = kubectl.cmd(["get", "pods", "--selector", "app=hello", "--output", "name"]).read()?;
        Ok(pods.is_empty().then_some(()))
    })
}

/// Waits until the new pods are ready.
///
/// # Errors
/// When they are not within two minutes.
pub(crate) fn await_rollout(kubectl: &Kubectl) -> Result<()> {
    kubectl
        .cmd(["rollout", "status", "deployment/hello", "--timeout=120s"])
        .limit(Duration::from_secs(150))
        .long_step("kubectl rollout status deployment/hello")
        .run()
}

/// Resolves and calls the Service from a pod and from the host, and prints who answered.
///
/// # Errors
/// When a name does not resolve or a call is not answered.
pub(crate) fn show(kubectl: &Kubectl) -> Result<()> {
    let address = cluster_ip(kubectl)?;
    let pod = some_container()?;
    patiently("the Service's name to resolve in a pod", || resolve_in(&pod, address))?;
    println!("in a pod:      {NAME} is {address}");
    patiently("the Service to answer", || call_in(&pod))?;
    println!("from a pod:    {}", tally(|| call_in(&pod))?);
    println!("from the host: {}", tally(|| call(address))?);
    show_server(kubectl, &pod)
}

/// Connects to the API server from a pod, as programs in pods do that are its clients.
fn show_server(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let named = ["get", "endpoints", "kubernetes", "--ignore-not-found"];
    let endpoint = kubectl.cmd(named).args(["--output", "jsonpath={.subsets[0].addresses[0].ip}"]).read()?;
    if endpoint.is_empty() {
        println!("no pod can reach the API server: this machine has no default route, thus no address for it");
        return Ok(());
    }
    patiently("the API server to answer in a pod", || reach_in(pod, SERVER))?;
    println!("from a pod:    the API server answers at {}:{} (it is {endpoint})", SERVER.0, SERVER.1);
    Ok(())
}

/// The sample's ClusterIP.
///
/// # Errors
/// When the Service is missing or has none.
pub(crate) fn cluster_ip(kubectl: &Kubectl) -> Result<Ipv4Addr> {
    let address = kubectl.field("service/hello", "{.spec.clusterIP}")?;
    address.parse().with_context(|| format!("the Service hello has the ClusterIP `{address}`"))
}

/// Calls the sample from the host; gives the name of the pod that answered.
///
/// # Errors
/// When the address could leave this machine, or nobody answers.
pub(crate) fn call(address: Ipv4Addr) -> Result<String> {
    require_local(address)?;
    let patience = Duration::from_secs(2);
    let target = SocketAddr::from((address, 80));
    let mut stream =
        TcpStream::connect_timeout(&target, patience).with_context(|| format!("nobody answers at {target}"))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{target} answers nothing"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("the sample answers: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.trim().to_owned())
}

/// A ClusterIP is no place on any network: unless the agent made it unreachable, a call could leave this machine.
fn require_local(address: Ipv4Addr) -> Result<()> {
    let route = Cmd::new("ip").args(["route", "get", &address.to_string()]).capture()?;
    if route.status.success() && route.stdout.contains(" via ") {
        bail!(
            "packets to {address} would leave this machine ({}): the agent's routes are missing",
            route.stdout.trim()
        );
    }
    Ok(())
}

/// A container of the sample; the agent labels containers like a kubelet.
fn some_container() -> Result<String> {
    let labels = ["io.kubernetes.pod.namespace=default", "io.kubernetes.container.name=hello"];
    let filters = labels.iter().flat_map(|label| ["--filter".to_owned(), format!("label={label}")]);
    let containers = docker(["ps", "--quiet", "--filter", "status=running"]).args(filters).read()?;
    let first = containers.lines().next().context("no container of the sample runs")?;
    Ok(first.to_owned())
}

fn busybox_in(container: &str) -> Cmd {
    docker(["exec", container, "/bin/busybox"]).limit(Duration::from_secs(15))
}

fn resolve_in(container: &str, expected: Ipv4Addr) -> Result<()> {
    let answer = busybox_in(container).args(["nslookup", NAME]).capture()?;
    if !answer.stdout.lines().any(|line| line.trim() == format!("Address: {expected}")) {
        bail!("{NAME} does not resolve to {expected} inside a pod:\n{}{}", answer.stdout, answer.stderr);
    }
    Ok(())
}

fn call_in(container: &str) -> Result<String> {
    // Without `-T`: with it, Debian's static busybox crashes on names.
    busybox_in(container).args(["wget", "-q", "-O", "-", &format!("http://{NAME}/")]).read()
}

/// Opens a connection and closes it; busybox tells by its exit status whether somebody took it.
fn reach_in(container: &str, (address, port): (&str, &str)) -> Result<()> {
    busybox_in(container).args(["nc", "-w", "5", address, port]).run()
}

/// The news of an endpoint reaches DNS and the kernel's maps a moment after kubectl; in the end the call's own error counts.
fn patiently<T>(what: &str, mut act: impl FnMut() -> Result<T>) -> Result<T> {
    wait::until(what, Duration::from_secs(15), || Ok(act().ok())).or_else(|waited| act().context(waited))
}

fn tally(mut call: impl FnMut() -> Result<String>) -> Result<Tally> {
    let mut tally = Tally::default();
    for _ in 0..CALLS {
        *tally.0.entry(call()?).or_default() += 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_backend() {
        let mut names = ["b", "a", "b"].iter().cycle();
        let tally = tally(|| Ok((*names.next().unwrap()).to_owned())).unwrap();
        assert_eq!(tally.to_string(), "a x4, b x8");
    }

    #[test]
    fn a_call_that_fails_is_told() {
        assert!(tally(|| bail!("nobody")).is_err());
    }
}
