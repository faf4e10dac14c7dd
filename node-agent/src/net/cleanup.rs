//! Takes the network away, whatever is left of it.

use std::{net::Ipv4Addr, path::Path};

use async_trait::async_trait;
use tracing::{debug, info};

use super::{Error, Result, firewall, guard, names, netlink::Netlink, state::State};
use crate::pods::network::{NetworkError, PodNetwork};

/// The network of an agent that goes for good: pods can leave it and do nothing else.
pub struct Disconnector(Netlink);

impl Disconnector {
    /// Looks at this machine's links.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> Result<Self> {
        Ok(Self(Netlink::open()?))
    }

    async fn remove(&self, link: &str) -> Result<()> {
        match self.0.link(link).await? {
            Some(link) => self.0.delete_link(link.index).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl PodNetwork for Disconnector {
    async fn adopt(&self, _uid: &str, _address: Ipv4Addr) {}

    async fn address(&self, _uid: &str) -> std::result::Result<Ipv4Addr, NetworkError> {
        Err(NetworkError("the pod network is being removed".into()))
    }

    async fn connect(&self, _uid: &str, _address: Ipv4Addr, _pid: i32) -> std::result::Result<(), NetworkError> {
        Err(NetworkError("the pod network is being removed".into()))
    }

    async fn disconnect(&self, uid: &str) -> std::result::Result<(), NetworkError> {
        self.remove(&names::link(uid)).await.map_err(|error| NetworkError(error.to_string()))
    }

    async fn release(&self, _uid: &str) {}
}

/// Removes links, rules, addresses and routes, and restores what the machine did before. Goes on after a failure; the
/// routes that lead nowhere go last. No pod may run any more. `engine` says that a container engine runs on this
/// machine, whose containers need forwarding whoever turned it on.
pub async fn cleanup(state_dir: &Path, engine: bool) -> Vec<Error> {
    let netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => return vec![error],
    };
    let state = State::in_folder(state_dir);
    let mut errors = remove_links(&netlink).await;
    let rules_gone = firewall::remove().await;
    let need = if engine { Some("a container engine runs here") } else { others_need().await };
    let steps: [Result<()>; 4] = [
        rules_gone,
        guard::remove_gateway(&netlink).await,
        guard::restore_forwarding(&state, need),
        guard::remove_routes(&netlink).await,
    ];
    errors.extend(steps.into_iter().filter_map(Result::err));
    info!(failures = errors.len(), "pod network removed");
    errors
}

/// Why others may need forwarding, as far as rules tell.
async fn others_need() -> Option<&'static str> {
    firewall::others_forward().await.then_some("there are rules of others for packets that are forwarded")
}

async fn remove_links(netlink: &Netlink) -> Vec<Error> {
    let links = match netlink.links().await {
        Ok(links) => links,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    for link in links.iter().filter(|link| names::is_ours(&link.name)) {
        match netlink.delete_link(link.index).await {
            Ok(()) => debug!(link = link.name, "link removed"),
            Err(error) => errors.push(error),
        }
    }
    errors
}
