//! The two processes of a node: the server and the agent.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::kubectl::Kubectl;
use super::process::Daemon;
use super::state::StateDir;
use super::{Store, etcd, wait};
use crate::cmd::Cmd;

/// Where the server listens; a machine has one such cluster at a time.
pub(crate) const LISTEN: &str = "127.0.0.1:6443";

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
    if server(state).pid().is_none() && std::net::TcpStream::connect(LISTEN).is_ok() {
        bail!("somebody else listens on {LISTEN}: another cluster on this machine?");
    }
    Ok(())
}

/// Starts the server.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn start_server(state: &StateDir, bin_dir: &Path, store: Store) -> Result<()> {
    let mut command = Cmd::new(bin_dir.join("nodeplane-server")).arg("--state-dir").arg(state.server());
    command = command.args(["--listen", LISTEN]);
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
        .args(["kubeconfig", "node", &node, "--server", &format!("https://{LISTEN}")])
        .arg("--state-dir")
        .arg(state.server())
        .arg("--out")
        .arg(state.node_kubeconfig())
        .run()?;
    let command = agent_flags(Cmd::new(bin_dir.join("nodeplane-agent")), state, &node);
    agent(state).start(command)
}

/// Waits until the node is ready; gives its name.
///
/// # Errors
/// When the agent ends or the node stays unready; the error shows the agent's log.
pub(crate) fn await_node(state: &StateDir) -> Result<String> {
    let (daemon, kubectl, node) = (agent(state), Kubectl::new(state), node_name()?);
    let object = format!("node/{node}");
    let probe = || {
        daemon.require_alive()?;
        let ready = kubectl.field(&object, r#"{.status.conditions[?(@.type=="Ready")].status}"#);
        Ok(ready.is_ok_and(|status| status == "True").then_some(()))
    };
    wait::until(&format!("the node {node} to be Ready"), PATIENCE, probe).map_err(|error| daemon.explain(&error))?;
    Ok(node)
}

/// Has the agent's program remove everything that it ever made on this machine.
///
/// # Errors
/// When it cannot; the error holds its last words.
pub(crate) fn clean_node(state: &StateDir, bin_dir: &Path) -> Result<()> {
    let command = Cmd::new(bin_dir.join("nodeplane-agent")).arg("cleanup");
    let limit = Duration::from_secs(120);
    agent_flags(command, state, &node_name()?).limit(limit).long_step("nodeplane-agent cleanup").run()
}

/// The same flags for running and for cleaning up, or the one would miss what the other made.
fn agent_flags(command: Cmd, state: &StateDir, node: &str) -> Cmd {
    command
        .args(["--node-name", node])
        .arg("--kubeconfig")
        .arg(state.node_kubeconfig())
        .arg("--state-dir")
        .arg(state.agent())
        .args(["--docker-host", "unix:///var/run/docker.sock"])
}

/// The node is called like its host, in lower case as names of objects are.
fn node_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("the host has no name")?;
    Ok(name.to_string_lossy().to_lowercase())
}
