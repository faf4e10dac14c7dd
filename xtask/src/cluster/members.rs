//! The processes that a cluster is made of, and the two of them that are Nodeplane's own: the server and the agent.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::kubectl::Kubectl;
use super::process::Daemon;
use super::state::{Record, StateDir};
use super::{Store, engine, etcd, wait};
use crate::cmd::Cmd;

/// Where the server listens: pods reach it at the node's address. A machine has one such cluster at a time.
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 6443);

/// Where this machine's own clients reach it, whatever becomes of its other addresses.
pub(crate) const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6443);

/// The agent's program.
pub(crate) const AGENT: &str = "nodeplane-agent";

/// How long a member may take to become ready; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server's process, whether it runs or not.
pub(crate) fn server(state: &StateDir) -> Daemon {
    Daemon::new(state, "server")
}

/// The agent's process, whether it runs or not.
pub(crate) fn agent(state: &StateDir) -> Daemon {
    Daemon::new(state, "agent")
}

/// One machine carries one cluster: two would share addresses, routes and pins.
///
/// # Errors
/// When somebody else listens where the server of the cluster in `state` would.
pub(crate) fn require_no_other(state: &StateDir) -> Result<()> {
    if server(state).pid().is_none() {
        require_free(LISTEN)?;
    }
    Ok(())
}

fn require_free(address: SocketAddrV4) -> Result<()> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is taken: another cluster on this machine? One at a time runs here; `cargo xtask down --state-dir \
             DIR` takes the one in DIR away",
            address.port()
        ),
        _ => Ok(()),
    }
}

/// The members of the cluster in `state` that should run and do not, in the order in which they start.
pub(crate) fn dead(state: &StateDir, record: &Record) -> Vec<&'static str> {
    let is_engine_up = if record.is_engine_ours { engine::is_up(state) } else { engine::answers() };
    let is_dead = |daemon: Daemon| daemon.pid().is_none().then(|| daemon.name());
    let etcd = (record.store == Store::Etcd).then(|| is_dead(etcd::daemon(state))).flatten();
    let engine = (!is_engine_up).then(|| engine::daemon(state).name());
    [engine, etcd, is_dead(server(state)), is_dead(agent(state))].into_iter().flatten().collect()
}

/// Starts the server.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn start_server(state: &StateDir, bin_dir: &Path, store: Store) -> Result<()> {
    let mut command = Cmd::new(bin_dir.join("nodeplane-server")).arg("--state-dir").arg(state.server());
    command = command.args(["--listen", &LISTEN.to_string()]);
    if store == Store::Etcd {
        command = command.args(["--store", "etcd", "--etcd-endpoints", etcd::ENDPOINT]);
    } else {
        command = command.args(["--store", "embedded"]);
    }
    server(state).start(command)
}

/// Waits until the server says that it is ready.
///
/// # Errors
/// When it ends or stays unready; the error shows its log.
pub(crate) fn await_server(state: &StateDir) -> Result<()> {
    let (daemon, kubectl) = (server(state), Kubectl::new(state));
    let probe = || {
        daemon.require_alive()?;
        Ok(kubectl.is_ready().then_some(()))
    };
    wait::until("/readyz of the server", PATIENCE, probe).map_err(|error| daemon.explain(&error))
}

/// Gives the node its credentials and starts the agent.
///
/// # Errors
/// When the credentials cannot be made or the agent cannot be started.
pub(crate) fn start_agent(state: &StateDir, bin_dir: &Path) -> Result<()> {
    let node = node_name()?;
    Cmd::new(bin_dir.join("nodeplane-server"))
        .args(["kubeconfig", "node", &node, "--server", &format!("https://{ADDRESS}")])
        .arg("--state-dir")
        .arg(state.server())
        .arg("--out")
        .arg(state.node_kubeconfig())
        .run()?;
    let command = agent_flags(Cmd::new(bin_dir.join(AGENT)), state, &node, Path::new(engine::SOCKET));
    agent(state).start(command)
}

/// Waits until the node is ready; gives its name.
///
/// # Errors
/// When the agent ends or the node stays unready; the error shows the agent's log.
pub(crate) fn await_node(state: &StateDir) -> Result<String> {
    let (daemon, node) = (agent(state), node_name()?);
    let probe = || {
        daemon.require_alive()?;
        Ok(is_node_ready(state)?.then_some(()))
    };
    wait::until(&format!("the node {node} to be Ready"), PATIENCE, probe).map_err(|error| daemon.explain(&error))?;
    Ok(node)
}

/// Whether the node says that it is ready; no while the server does not answer.
///
/// # Errors
/// When this machine has no name.
pub(crate) fn is_node_ready(state: &StateDir) -> Result<bool> {
    let object = format!("node/{}", node_name()?);
    let ready = Kubectl::new(state).field(&object, r#"{.status.conditions[?(@.type=="Ready")].status}"#);
    Ok(ready.is_ok_and(|status| status == "True"))
}

/// Has the agent's program remove everything that it ever made on this machine; the engine that it used answers at
/// `socket`.
///
/// # Errors
/// When it cannot; the error holds its last words.
pub(crate) fn clean_node(state: &StateDir, bin_dir: &Path, socket: &Path) -> Result<()> {
    let command = Cmd::new(bin_dir.join(AGENT)).arg("cleanup");
    let limit = Duration::from_secs(120);
    agent_flags(command, state, &node_name()?, socket).limit(limit).long_step("nodeplane-agent cleanup").run()
}

/// The same flags for running and for cleaning up, or the one would miss what the other made.
fn agent_flags(command: Cmd, state: &StateDir, node: &str, socket: &Path) -> Cmd {
    command
        .args(["--node-name", node])
        .arg("--kubeconfig")
        .arg(state.node_kubeconfig())
        .arg("--state-dir")
        .arg(state.agent())
        .arg("--docker-host")
        .arg(format!("unix://{}", socket.display()))
}

/// The node is called like its host, in lower case as names of objects are.
fn node_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("the host has no name")?;
    Ok(name.to_string_lossy().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_whose_engine_or_etcd_died_does_not_count_as_running() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path()).unwrap();
        state.prepare().unwrap();
        let mut record = Record {
            bin_dir: "/b".into(),
            store: Store::Etcd,
            is_engine_ours: true,
            engine_traces: Vec::new(),
            has_sample: true,
        };
        assert_eq!(dead(&state, &record), ["dockerd", "etcd", "server", "agent"]);
        let daemons = [server(&state), agent(&state)];
        for daemon in &daemons {
            daemon.start(Cmd::new("sleep").arg("60")).unwrap();
        }
        assert_eq!(dead(&state, &record), ["dockerd", "etcd"]);
        record.store = Store::Embedded;
        assert_eq!(dead(&state, &record), ["dockerd"]);
        for daemon in &daemons {
            daemon.stop(Duration::from_secs(5)).unwrap();
        }
    }

    #[test]
    fn a_taken_port_is_told_before_anything_is_built() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let told = require_free(SocketAddrV4::new(address, port)).unwrap_err().to_string();
            assert!(told.starts_with(&format!("port {port} is taken: ")), "{told}");
        }
        drop(listener);
        require_free(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}
