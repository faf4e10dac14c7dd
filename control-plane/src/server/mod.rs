//! The whole server: store, registry, API, controllers and scheduler in one process.
//!
//! In: a [`Config`]. Out: a running cluster control plane, until it is told to stop. Everything
//! is made in the order in which it depends on each other, and ends in the opposite one. This is
//! wiring: what the parts do is theirs.

mod advertise;
mod copying;
mod credentials;
mod leading;
mod storage;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use rustls::ServerConfig;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::leading::Movers;
use crate::{
    bootstrap::{self, BootstrapError},
    config::{Config, StoreConfig},
    controllers::ControllerConfig,
    http::{self, Api, in_process},
    registry::{Registry, RegistryConfig, engine::Engine, objects::Objects},
    store::{Store, keys::Keys, measured::Measured, watch_cache::WatchCache},
};

pub use copying::copy_store;
pub use credentials::write_kubeconfig;

/// How long the store may take to be listed at start.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
/// How long controllers may take to finish what they are writing.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// A server that accepts connections as soon as it runs.
pub struct Server {
    api: Arc<Api>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    controllers: ControllerConfig,
    own: bootstrap::Facts,
    is_bootstrapped: bool,
    shutdown_delay: Duration,
}

impl Server {
    /// Opens everything; when this returns, the server is ready to serve.
    ///
    /// # Errors
    /// When a part cannot be had; the message says which flag leads to it.
    pub async fn start(config: &Config) -> Result<Self> {
        let started = Instant::now();
        let keys = Keys::new(&config.prefix);
        let store: Arc<dyn Store> = Arc::new(Measured::new(storage::open(config).await?, keys.clone()));
        storage::check_whole(&*store, &keys).await?;
        let listener = bind(config.listen).await?;
        let address = listener.local_addr()?;
        let advertised = advertise::choose(address, config.advertise);
        if advertised.is_none() {
            warn!(%address, "pods cannot reach this server; --advertise-address names an address that they can");
        }
        let credentials = credentials::prepare(config, address, advertised)?;

        let cache = WatchCache::start(store.clone(), &keys);
        let registry = RegistryConfig { keys: keys.clone(), service_cidr: config.services.pair() };
        let registry = Arc::new(Registry::new(store.clone(), registry).with_event_life(config.event_life));
        registry.repair().await.context("comparing addresses and Services")?;
        cache.wait_until(0, LISTED_WITHIN).await.context("listing the store")?;

        let token_key = credentials.tokens.key_id().to_owned();
        let reached_at = advertise::reached_at(address, advertised).to_string();
        let objects = Objects::new(store, cache, keys);
        let api = Api::new(objects, registry, reached_at, credentials.agents, credentials.tokens);
        let api = Arc::new(api.within(config.bounds));
        let own = bootstrap::Facts {
            server_ip: config.server_ip,
            dns_ip: config.dns_ip,
            port: address.port(),
            advertised,
            ca_pem: credentials.ca_pem.clone(),
            token_key,
            shares_store: config.store != StoreConfig::Embedded,
        };
        let result = bootstrap::run(&in_process::client(&api, "system:apiserver"), &own).await;
        api.health.set_bootstrapped(result.is_ok());
        match &result {
            Ok(()) => {}
            Err(BootstrapError::Authority) => return Err(foreign(config, "certificate authority")),
            Err(BootstrapError::TokenKey) => return Err(foreign(config, "key for service account tokens")),
            Err(error) => error!(%error, "the cluster's own objects are not as they should be"),
        }
        let controllers = ControllerConfig {
            root_ca: credentials.ca_pem,
            pod_cidr: config.pods.pair(),
            signer: Some(credentials.signer),
        };
        info!(%address, took = ?started.elapsed(), "ready");
        let shutdown_delay = config.shutdown_delay;
        let is_bootstrapped = result.is_ok();
        Ok(Self { api, listener, tls: credentials.tls, controllers, own, is_bootstrapped, shutdown_delay })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// When the socket is not one any more.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets what is under way end: at once `/readyz` fails, and whoever
    /// writes through the API from within ends; after the delay no more calls are taken in.
    ///
    /// # Errors
    /// When a part ends by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { api, listener, tls, controllers, own, is_bootstrapped, shutdown_delay } = self;
        let mut serving = tokio::spawn(http::server::serve(api.clone(), listener, tls));
        let settle = CancellationToken::new();
        let mut clients = JoinSet::new();
        let movers = Movers { api: api.clone(), controllers };
        if own.shares_store {
            clients.spawn(movers.elected(settle.clone()));
        } else {
            clients.spawn(movers.alone(settle.clone()));
        }
        let client = in_process::client(&api, "system:apiserver");
        let health = api.clone();
        let done = move || health.health.set_bootstrapped(true);
        clients.spawn(bootstrap::keep(client, own, !is_bootstrapped, done, settle.clone()));
        clients.spawn(repair(api.engine.clone(), settle.clone()));
        let (gate, until) = (api.clone(), settle.clone());
        clients.spawn(async move { gate.gate.watch(&until).await });

        let outcome = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = &mut serving => Err(anyhow!("the server ended by itself: {ended:?}")),
            Some(ended) = clients.join_next() => Err(anyhow!("a controller ended by itself: {ended:?}")),
        };
        info!("stopping");
        api.closing.cancel();
        // Whoever writes through the API ends before the API does.
        settle.cancel();
        let settled = tokio::time::timeout(SETTLED_WITHIN, async { while clients.join_next().await.is_some() {} });
        let delay = if outcome.is_ok() { shutdown_delay } else { Duration::ZERO };
        let (settled, ()) = tokio::join!(settled, tokio::time::sleep(delay));
        if settled.is_err() {
            warn!("some controllers did not end in time");
        }
        api.stop.cancel();
        if !serving.is_finished() {
            serving.await.context("the server broke while it ended")?;
        }
        info!("stopped");
        outcome
    }
}

/// What to do about an authority or a key that is not the cluster's.
fn foreign(config: &Config, what: &str) -> anyhow::Error {
    let [namespace, name] = bootstrap::AUTHORITY;
    anyhow!(
        "--state-dir {}: its {what} is not that of the cluster in etcd; copy pki/ca.crt, pki/ca.key and pki/sa.key \
         from the --state-dir of another server of the cluster, or, if that {what} is lost for good, remove {}{name} \
         from etcd",
        config.state.path().display(),
        Keys::new(&config.prefix).collection("", "configmaps", namespace)
    )
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("--listen {address}: cannot listen there; is another server running?"))
}

/// Looks for what a crash has left behind, soon after the start and then now and then.
async fn repair(engine: Engine, settle: CancellationToken) {
    loop {
        if let Err(error) = engine.repair().await {
            warn!(%error, "looking for what a crash has left failed");
        }
        tokio::select! {
            () = tokio::time::sleep(Registry::REPAIR_PERIOD) => {}
            () = settle.cancelled() => return,
        }
    }
}
