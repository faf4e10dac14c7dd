//! A whole one-node cluster on a [`Host`]: container engine, store, server, agent, and the real
//! `kubectl` in front of it.

mod engine;
mod kubectl;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

pub use self::kubectl::Answer;
use super::{
    host::{self, Host},
    process, wait,
};

/// The name of the only node.
pub const NODE: &str = "node-1";

/// How long anything may take on a busy two-core machine before a test calls it broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

const ETCD: &str = "http://127.0.0.1:2379";
const LISTEN: &str = "0.0.0.0:6443";
const SERVER: &str = "https://127.0.0.1:6443";

/// Where the API server keeps its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// The server's own file.
    Embedded,
    /// A real etcd.
    Etcd,
}

/// A running cluster of one node.
#[derive(Debug)]
pub struct Cluster {
    host: Host,
    store: StoreKind,
}

impl Cluster {
    /// Starts every part and waits until the node is Ready.
    ///
    /// # Errors
    /// Names the part that does not come up, with the end of its log.
    pub fn start(store: StoreKind) -> Result<Self> {
        let mut cluster = Self { host: Host::new()?, store };
        cluster.start_all().map_err(|error| error.context(cluster.host.logs()))?;
        Ok(cluster)
    }

    fn start_all(&mut self) -> Result<()> {
        self.prepare_engine()?;
        self.mend()
    }

    /// Starts what does not run, and waits until the node is Ready.
    ///
    /// # Errors
    /// Names the part that does not come up.
    pub fn mend(&mut self) -> Result<()> {
        if !self.host.is_running("dockerd") {
            self.start_engine()?;
        }
        if self.store == StoreKind::Etcd && !self.host.is_running("etcd") {
            self.start_etcd()?;
        }
        if !self.host.is_running("server") {
            self.start_server()?;
        }
        if !self.path("agent.kubeconfig").exists() {
            self.write_node_kubeconfig()?;
        }
        if !self.host.is_running("agent") {
            self.start_agent()?;
        }
        self.node_is_ready()
    }

    /// Waits until the node is Ready.
    ///
    /// # Errors
    /// With what the node says instead.
    pub fn node_is_ready(&mut self) -> Result<()> {
        self.answers("agent", |cluster| {
            let ready = cluster.node_condition("Ready")?;
            ensure!(ready["status"] == "True", "the node says {ready}");
            Ok(())
        })
    }

    /// A condition of the node; null when it has none of that type.
    ///
    /// # Errors
    /// When there is no node.
    pub fn node_condition(&self, kind: &str) -> Result<Value> {
        let node = self.get("node", NODE)?;
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default())
    }

    /// Which store this cluster has.
    pub fn store(&self) -> StoreKind {
        self.store
    }

    /// The host that everything runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The host, to start and end processes.
    pub fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.dir().join(name)
    }

    /// The administrator's kubeconfig, as the server wrote it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("server/admin.kubeconfig")
    }

    /// Starts (or starts again) the cluster's etcd.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_etcd(&mut self) -> Result<()> {
        let mut command = self.host.command("etcd");
        command
            .args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:2380"])
            .args(["--initial-cluster", "default=http://127.0.0.1:2380"])
            .arg("--data-dir")
            .arg(self.path("etcd"));
        self.host.spawn("etcd", &mut command)?;
        self.answers("etcd", |cluster| {
            let mut etcdctl = cluster.host.command("etcdctl");
            process::run(etcdctl.env("ETCDCTL_API", "3").args(["endpoint", "health"])).map(drop)
        })
    }

    /// Starts (or starts again) the API server with controllers and scheduler.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_server(&mut self) -> Result<()> {
        let mut command = self.host.command(binary("nodeplane-server")?);
        command.arg("--state-dir").arg(self.path("server")).args(["--listen", LISTEN]);
        if self.store == StoreKind::Etcd {
            command.args(["--store", "etcd", "--etcd-endpoints", ETCD]);
        }
        self.host.spawn("server", &mut command)?;
        self.answers("server", |cluster| {
            let answer = cluster.kubectl(&["get", "--raw", "/readyz"])?;
            ensure!(answer.code == 0 && answer.stdout == "ok", "{answer:?}");
            Ok(())
        })
    }

    /// Waits until a part that was just started answers, or has ended.
    fn answers(&mut self, part: &str, ask: impl Fn(&Self) -> Result<()>) -> Result<()> {
        let mut last = anyhow!("it was not asked");
        let answered = wait::until(PATIENCE, || {
            if !self.host.is_running(part) {
                return Some(Err(anyhow!("{part} has ended:\n{}", self.host.log(part))));
            }
            ask(self).map_err(|error| last = error).ok().map(Ok)
        });
        answered.unwrap_or_else(|| Err(last.context(format!("waited {PATIENCE:?} until {part} answers"))))
    }

    /// Kills a part without warning: `dockerd`, `etcd`, `server` or `agent`. What it made stays.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self, part: &str) -> Result<()> {
        self.host.end(part, Signal::SIGKILL)
    }

    /// Asks a part to end, and waits until it has.
    ///
    /// # Errors
    /// When it is not running, or does not end.
    pub fn stop(&mut self, part: &str) -> Result<()> {
        self.host.end(part, Signal::SIGTERM)
    }

    fn write_node_kubeconfig(&self) -> Result<()> {
        process::run(
            self.host
                .command(binary("nodeplane-server")?)
                .args(["kubeconfig", "node", NODE, "--server", SERVER])
                .arg("--state-dir")
                .arg(self.path("server"))
                .arg("--out")
                .arg(self.path("agent.kubeconfig")),
        )?;
        Ok(())
    }

    /// The command line of the agent, with a verb or none in front of its flags.
    fn agent_command(&self, verb: &[&str], cgroup_root: &Path) -> Result<Command> {
        let mut command = self.host.command(binary("nodeplane-agent")?);
        command
            .args(verb)
            .args(["--node-name", NODE, "--node-ip", &host::ADDRESS.to_string()])
            .arg("--kubeconfig")
            .arg(self.path("agent.kubeconfig"))
            .arg("--state-dir")
            .arg(self.path("agent"))
            .arg("--docker-host")
            .arg(self.docker_url())
            .arg("--cgroup-root")
            .arg(cgroup_root)
            .arg("--container-cgroup-parent")
            .arg(self.host.container_cgroup_parent())
            .arg("--bpffs")
            .arg(self.bpffs())
            // Names outside of the cluster are the world's to answer.
            .args(["--dns-upstream", &host::FAR_AWAY.to_string()]);
        Ok(command)
    }

    /// Starts (or starts again) the node agent.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_agent(&mut self) -> Result<()> {
        let root = self.host.cgroup().to_owned();
        self.start_agent_in(&root)
    }

    /// Starts the node agent with another cgroup root, such as one that cannot work.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_agent_in(&mut self, cgroup_root: &Path) -> Result<()> {
        let mut command = self.agent_command(&[], cgroup_root)?;
        command.env("RUST_LOG", "info,nodeplane::bpf=debug");
        self.host.spawn("agent", &mut command)
    }

    /// Ends the agent and has it remove everything it made on the host.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_agent(&mut self) -> Result<()> {
        if self.host.is_running("agent") {
            self.stop("agent")?;
        }
        process::run(&mut self.agent_command(&["cleanup"], self.host.cgroup())?)?;
        Ok(())
    }

    /// What the running agent says of itself and of what is in the kernel.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn agent_dump(&self) -> Result<Value> {
        let text = process::run(&mut self.agent_command(&["dump"], self.host.cgroup())?)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The folder of the agent's pinned maps and links.
    pub fn bpffs(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(self.host.name())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.remove_agent() {
            eprintln!("removing the agent: {error:#}");
        }
        let _ = fs::remove_dir_all(self.bpffs());
    }
}

/// A binary under test: in `NODEPLANE_BIN_DIR`, which `cargo xtask test` sets.
///
/// # Errors
/// When it is not there, with what to do.
pub fn binary(name: &str) -> Result<PathBuf> {
    let dir = std::env::var_os("NODEPLANE_BIN_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug"), PathBuf::from);
    let path = dir.join(name);
    ensure!(path.exists(), "{} is not built: run `cargo xtask test` or `cargo xtask build`", path.display());
    Ok(path)
}
