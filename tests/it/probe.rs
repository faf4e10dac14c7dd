//! Clients and servers on the cluster's host. A socket hook sees the processes of a cgroup, so the
//! scenarios' clients are this binary, started again inside:
//!
//! - `it probe tcp ADDRESS WHEN` connects, asks and prints who answered how often,
//! - `it probe udp ADDRESS WHEN` the same by datagrams, with a new connected socket for each,
//! - `it probe udp-flow ADDRESS WHEN` the same from one socket that is not connected,
//! - `it probe udp-server PORT NAME` answers datagrams with its name,
//! - `it probe kube-rs NAMESPACE` uses the API by kube-rs.
//!
//! WHEN is a number of times, or a file whose appearance ends it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nodeplane_tests::bed::{
    cluster::Cluster,
    netns::unique,
    process::{Process, run},
};

use crate::clients;

/// A connect on one machine takes microseconds; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two connects of a client that goes on and on.
const PACE: Duration = Duration::from_millis(5);

/// Answers and how often each came; failures appear under their error text.
pub(crate) type Tally = BTreeMap<String, u32>;

/// Runs as a probe when the command line says so, and yields the exit code.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ["probe", kind, rest @ ..] = &args.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return None };
    let ran = match (*kind, rest) {
        ("udp-server", [port, name]) => udp_server(port, name),
        ("kube-rs", [namespace]) => clients::run_kube_rs(namespace),
        (_, [address, when]) => client(kind, address, when),
        _ => Err(anyhow::anyhow!("what is {args:?}?")),
    };
    let Err(error) = ran else { return Some(ExitCode::SUCCESS) };
    eprintln!("{error:#}");
    Some(ExitCode::FAILURE)
}

fn client(kind: &str, address: &str, when: &str) -> Result<()> {
    let address: SocketAddr = address.parse()?;
    let flow = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    flow.set_read_timeout(Some(PATIENCE))?;
    let ask = || match kind {
        "tcp" => fetch(address),
        "udp" => datagram(address),
        "udp-flow" => datagram_from(&flow, address),
        other => bail!("no probe is called {other}"),
    };
    let mut tally = Tally::new();
    let mut count = || *tally.entry(ask().unwrap_or_else(|error| format!("error: {error:#}"))).or_default() += 1;
    if let Ok(times) = when.parse::<u32>() {
        (0..times).for_each(|_| count());
    } else {
        while !Path::new(when).exists() {
            count();
            thread::sleep(PACE);
        }
    }
    println!("{}", serde_json::json!(tally));
    Ok(())
}

/// One request; the body of the answer. The peer must be whom the client asked for.
fn fetch(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let peer = stream.peer_addr()?;
    ensure!(peer == address, "getpeername says {peer}, not {address}");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    Ok(body.trim().to_owned())
}

fn datagram(address: SocketAddr) -> Result<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(address).context("connect")?;
    let peer = socket.peer_addr()?;
    ensure!(peer == address, "getpeername says {peer}, not {address}");
    socket.send(b"who?").context("send")?;
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).context("receive")?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn datagram_from(socket: &UdpSocket, address: SocketAddr) -> Result<String> {
    socket.send_to(b"who?", address).context("send")?;
    let mut answer = [0; 100];
    let (length, from) = socket.recv_from(&mut answer).context("receive")?;
    ensure!(from == address, "the answer comes from {from}, not {address}");
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn udp_server(port: &str, name: &str) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port.parse()?))?;
    loop {
        let (_, from) = socket.recv_from(&mut [0; 100])?;
        socket.send_to(name.as_bytes(), from)?;
    }
}

/// Where a probe runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'a> {
    /// On the node itself.
    Node,
    /// In the network of a pod, given by namespace and name.
    Pod(&'a str, &'a str),
}

impl From<'_> {
    /// A command line that starts a program there.
    pub(crate) fn program(self, cluster: &Cluster, program: impl AsRef<OsStr>) -> Result<Command> {
        Ok(match self {
            Self::Node => cluster.host().command(program),
            Self::Pod(namespace, pod) => cluster.host().command_in(&cluster.pod_netns(namespace, pod)?, program),
        })
    }

    fn command(self, cluster: &Cluster, args: &[&str]) -> Result<Command> {
        let mut command = self.program(cluster, std::env::current_exe()?)?;
        command.arg("probe").args(args);
        Ok(command)
    }
}

/// Asks `count` times.
pub(crate) fn ask(cluster: &Cluster, from: From<'_>, kind: &str, address: &str, count: u32) -> Result<Tally> {
    let output = run(&mut from.command(cluster, &[kind, address, &count.to_string()])?)?;
    serde_json::from_str(&output).context(output)
}

/// A client that asks until it is told to stop.
#[derive(Debug)]
pub(crate) struct Loop {
    client: Process,
    stop: PathBuf,
}

impl Loop {
    /// Starts to connect.
    pub(crate) fn start(cluster: &Cluster, from: From<'_>, address: &str) -> Result<Self> {
        let name = unique("npl");
        let stop = cluster.host().dir().join(format!("{name}.stop"));
        let mut command = from.command(cluster, &["tcp", address])?;
        let log = cluster.host().dir().join(format!("{name}.log"));
        Ok(Self { client: Process::start("client", command.arg(&stop), &log)?, stop })
    }

    /// Stops the client, and returns what it got.
    pub(crate) fn stop(mut self) -> Result<Tally> {
        ensure!(self.client.is_running(), "the client has ended by itself: {}", self.client.log());
        std::fs::write(&self.stop, "")?;
        let output = self.client.wait()?;
        serde_json::from_str(&output).context(output)
    }
}

/// A server of datagrams in a pod's network; ends when dropped.
pub(crate) fn udp_server_in(cluster: &Cluster, namespace: &str, pod: &str, port: u16) -> Result<Process> {
    let mut command = From::Pod(namespace, pod).command(cluster, &["udp-server", &port.to_string(), pod])?;
    let log = cluster.host().dir().join(format!("{}.log", unique("nps")));
    Process::start("udp-server", &mut command, &log)
}

/// Asserts that every question was answered, and returns how many backends did.
pub(crate) fn all_answered(tally: &Tally) -> Result<usize> {
    let failed: Vec<_> = tally.iter().filter(|(answer, _)| answer.starts_with("error:")).collect();
    ensure!(failed.is_empty(), "not answered: {failed:?}, of {tally:?}");
    Ok(tally.len())
}

/// Asserts that every question was refused by the kernel, at once.
pub(crate) fn all_refused(tally: &Tally) -> Result<()> {
    let refused =
        |answer: &String| answer.starts_with("error:") && answer.ends_with("Connection refused (os error 111)");
    ensure!(tally.keys().all(refused), "not refused: {tally:?}");
    Ok(())
}

/// Asserts that every connect failed at once, whether refused or for want of a route.
pub(crate) fn nobody_answers(tally: &Tally) -> Result<()> {
    let failures = [
        "Connection refused (os error 111)",
        "Network is unreachable (os error 101)",
        "No route to host (os error 113)",
    ];
    let known =
        |answer: &String| answer.starts_with("error:") && failures.iter().any(|failure| answer.ends_with(failure));
    ensure!(tally.keys().all(known), "somebody, or silence: {tally:?}");
    Ok(())
}
