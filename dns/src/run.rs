//! Puts the rooms together: sockets, observer, forwarder, handler.
//!
//! Order of the start: the configuration is checked, the sockets are bound, then the zone is
//! followed and questions are answered. From the first moment on names of the outside are
//! forwarded; missing names of the cluster are failures until the zone is complete.

use std::{io, net::SocketAddr, sync::Arc};

use kube::Client;
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    config::{Config, ConfigError},
    forward::{Forwarder, upstreams::Servers},
    observe::{Observer, Published, Sources},
    server::{
        self,
        clients::Clients,
        handler::Handler,
        sockets::{self, BindError},
    },
};

/// A running DNS server. It stops when it is dropped; [`Dns::shutdown`] also waits for it.
pub struct Dns {
    addresses: Vec<SocketAddr>,
    zone: Published,
    synced: watch::Receiver<bool>,
    observer: JoinHandle<()>,
    stop: CancellationToken,
    /// Ends when the last worker has closed its sockets.
    workers: Mutex<mpsc::Receiver<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A thread or its runtime could not be made.
    #[error("cannot start a DNS worker: {0}")]
    Worker(#[from] io::Error),
}

impl Dns {
    /// Starts a server with informers of its own. Must be called inside a tokio runtime.
    pub fn start(config: &Config, client: &Client) -> Result<Self, StartError> {
        Self::start_with(config, Sources::watch(client))
    }

    /// Starts a server that reads these informers. Must be called inside a tokio runtime.
    pub fn start_with(config: &Config, sources: Sources) -> Result<Self, StartError> {
        let settings = config.settings()?;
        let (sockets, addresses) = sockets::bind(&config.listen, config.workers)?;
        let forwarder = Forwarder::new(Servers::new(&config.upstreams, config.ourselves(&addresses)));
        let observer = Observer::new(sources, settings);
        let (zone, synced) = (observer.zone(), observer.synced());
        let clients = Clients::new(config.clients.clone(), addresses.iter().map(SocketAddr::ip).collect());
        let handler = Arc::new(Handler::new(zone.clone(), forwarder, clients));
        let stop = CancellationToken::new();
        let (alive, workers) = mpsc::channel(1);
        for (number, sockets) in sockets.into_iter().enumerate() {
            if let Err(error) = server::spawn_worker(number, sockets, handler.clone(), stop.clone(), alive.clone()) {
                stop.cancel();
                return Err(error.into());
            }
        }
        info!(?addresses, domain = %config.cluster_domain, "answering DNS questions");
        let observer = tokio::spawn(observer.run());
        Ok(Self { addresses, zone, synced, observer, stop, workers: Mutex::new(workers) })
    }

    /// Where it listens, in the order of the configuration, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether every object of the cluster has been seen once.
    pub fn is_ready(&self) -> bool {
        *self.synced.borrow()
    }

    /// Returns when every object of the cluster has been seen once; false if the server ended
    /// before.
    pub async fn ready(&self) -> bool {
        self.synced.clone().wait_for(|synced| *synced).await.is_ok()
    }

    /// The zone as it is now.
    pub fn zone(&self) -> Published {
        self.zone.clone()
    }

    /// Returns when the server has ended, by [`Self::shutdown`] or by a fault.
    pub async fn stopped(&self) {
        // Nothing is ever sent; the channel closes when the last worker is gone.
        while self.workers.lock().await.recv().await.is_some() {}
    }

    /// Stops to answer, and returns when the sockets are closed.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.stopped().await;
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.cancel();
        self.observer.abort();
    }
}

#[cfg(test)]
mod tests;
