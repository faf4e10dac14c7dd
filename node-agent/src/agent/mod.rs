//! The whole agent: its parts, the order in which they start, and how it ends.
//!
//! In: flags. Out: a node that is kept. Each part is started as soon as what it needs is there and tried again when it
//! fails; the node's Ready condition says meanwhile what is missing. Ending the agent ends nothing else: pods run on,
//! and the programs in the kernel with them.

mod assembly;
mod cleanup;
mod dns;
mod view;

use std::{
    fmt,
    fs::{DirBuilder, File},
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt as _,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use kube::Client;
use nix::fcntl::{Flock, FlockArg};
use nodeplane_client::{connect, recorder::Recorder};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

pub use self::cleanup::cleanup;
use crate::{
    config::Flags,
    net::{self, Network},
    node::{
        self, Identity, Keeper,
        health::{Health, Part},
    },
    observe::Sources,
    pods::Pods,
    server,
    services::{Feed, ServicePlane},
};

/// The port of a node's agent.
const PORT: u16 = 10250;
/// How long parts may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait for an agent that is ending.
const LOCK_WITHIN: Duration = Duration::from_secs(15);
const LOCK_RETRY: Duration = Duration::from_millis(50);
/// The pause after a failure, for most parts.
const RETRY: Duration = Duration::from_secs(2);

/// A running agent.
struct Agent {
    flags: Flags,
    identity: Identity,
    settings: net::Settings,
    client: Client,
    sources: Sources,
    keeper: Keeper,
    recorder: Recorder,
    health: Health,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Whether a task has ended before its time.
    broken: AtomicBool,
    /// Where Services are translated.
    cgroup: OnceLock<PathBuf>,
    plane: OnceLock<Arc<ServicePlane>>,
    feed: OnceLock<Arc<Feed>>,
    network: OnceLock<Arc<Network>>,
    pods: OnceLock<Arc<Pods>>,
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// It cannot even start, or a part of it is broken.
pub async fn run(flags: Flags) -> anyhow::Result<()> {
    // Before anything can be asked to stop.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    make_state_dir(&flags.state_dir)?;
    let _alone = lock(&flags.state_dir, LOCK_WITHIN)?;
    let agent = Arc::new(Agent::new(flags).await?);
    agent.start()?;
    tokio::select! {
        _ = terminate.recv() => info!("told to stop; pods run on"),
        _ = interrupt.recv() => info!("interrupted; pods run on"),
        () = agent.stop.cancelled() => {}
    }
    agent.end().await
}

impl Agent {
    async fn new(flags: Flags) -> anyhow::Result<Self> {
        let settings = net::Settings {
            services: flags.service_cidr,
            cluster: flags.cluster_cidr,
            state_dir: flags.state_dir.clone(),
        };
        let health = Health::default();
        // Before anything else: from here on nothing for a Service leaves the machine.
        if let Err(error) = net::protect(&settings).await {
            health.unwell(Part::Network, error.to_string());
        }
        let identity = identity(&flags).await?;
        info!(node = identity.name, address = %identity.address, version = node::object::VERSION, "agent starts");
        let user_agent = concat!("nodeplane-agent/", env!("CARGO_PKG_VERSION"));
        let client = connect::from_kubeconfig(&flags.kubeconfig, user_agent).await?;
        let sources = Sources::watch(&client, &identity.name);
        let folder = flags.state_dir.clone();
        let keeper = Keeper::new(identity.clone(), folder, health.clone(), &client, sources.node.clone());
        let recorder = Recorder::new(client.clone(), "kubelet", &identity.name);
        Ok(Self {
            flags,
            identity,
            settings,
            client,
            sources,
            keeper,
            recorder,
            health,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            broken: AtomicBool::new(false),
            cgroup: OnceLock::new(),
            plane: OnceLock::new(),
            feed: OnceLock::new(),
            network: OnceLock::new(),
            pods: OnceLock::new(),
        })
    }

    fn start(self: &Arc<Self>) -> anyhow::Result<()> {
        let tls = server::tls(&self.flags.kubeconfig).context("the agent cannot serve")?;
        self.task("node", |agent| async move {
            let range = || agent.network.get().map(|network| network.range().to_string());
            agent.keeper.run(range, &agent.stop).await;
        });
        self.task("lease", |agent| async move {
            let node = || agent.keeper.node().as_deref().cloned();
            node::renew(&agent.client, &agent.identity.name, node, &agent.stop).await;
        });
        // Nobody may act on what is not followed any more.
        self.task("sources", |agent| async move {
            let _ = agent.stop.run_until_cancelled(agent.sources.ended()).await;
        });
        self.task("server", |agent| async move { agent.serve(tls).await });
        self.task("admin", |agent| async move { agent.serve_admin().await });
        self.task("assembly", |agent| async move { agent.assemble().await });
        Ok(())
    }

    /// Runs a part until it ends. One that ends before the agent does, by a panic or without, takes the agent down, for
    /// whoever started it to start it again: half an agent would be worse.
    fn task<F>(self: &Arc<Self>, name: &'static str, run: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (agent, part) = (self.clone(), run(self.clone()));
        self.tasks.spawn(async move {
            if !lasts(part, &agent.stop).await {
                error!(task = name, "a part of the agent is broken");
                agent.broken.store(true, Ordering::SeqCst);
                agent.stop.cancel();
            }
        });
    }

    async fn end(&self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tasks.close();
        if timeout(END_WITHIN, self.tasks.wait()).await.is_err() {
            warn!("some parts did not end in time");
        }
        if self.broken.load(Ordering::SeqCst) {
            bail!("a part of the agent is broken; its reason is in the log");
        }
        info!("agent ends");
        Ok(())
    }

    /// Tries until it succeeds; the node is not ready meanwhile. Ends with the agent.
    async fn insist<T, E, F>(&self, part: Part, mut attempt: impl FnMut() -> F) -> Option<T>
    where
        E: fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let trying = async {
            loop {
                match attempt().await {
                    Ok(done) => return done,
                    Err(error) => self.health.unwell(part, error.to_string()),
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        self.stop.run_until_cancelled(trying).await
    }
}

/// Whether a part has run until it was told to stop.
async fn lasts(part: impl Future<Output = ()>, stop: &CancellationToken) -> bool {
    AssertUnwindSafe(part).catch_unwind().await.is_ok() && stop.is_cancelled()
}

/// Who this node is, by the flags and by the machine.
async fn identity(flags: &Flags) -> anyhow::Result<Identity> {
    let address = match flags.node_ip {
        Some(address) => address,
        None => net::outside_address().await?.unwrap_or(Ipv4Addr::LOCALHOST),
    };
    Ok(Identity { name: node_name(flags)?, address, port: flags.listen.map_or(PORT, |listen| listen.port()) })
}

fn node_name(flags: &Flags) -> anyhow::Result<String> {
    if let Some(name) = &flags.node_name {
        return Ok(name.clone());
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host has no name: use --node-name")?;
    Ok(host.trim().to_lowercase())
}

/// Where the server listens.
fn listen_at(flags: &Flags, identity: &Identity) -> SocketAddr {
    flags.listen.unwrap_or_else(|| (identity.address, PORT).into())
}

/// Files of pods are nobody else's business.
fn make_state_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| path.display().to_string())
}

/// One agent for one folder: two would undo each other's work. An agent that is just ending is waited for.
fn lock(state_dir: &Path, patience: Duration) -> anyhow::Result<Flock<File>> {
    let path = state_dir.join("agent.lock");
    let deadline = Instant::now() + patience;
    loop {
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) if Instant::now() < deadline => std::thread::sleep(LOCK_RETRY),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                bail!("another agent is running with {}: stop it first", state_dir.display())
            }
            Err((_, errno)) => return Err(io::Error::from(errno)).with_context(|| path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
