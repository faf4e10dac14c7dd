//! The network of this node's pods: links, routes, addresses, and the way out.
//!
//! In: a pod's uid and the process that holds its network namespace. Out: a link between that namespace and the
//! node's, a route to it, and the pod known to the Service plane. There is no bridge and no network of the container
//! engine. The kernel is the memory: a restarted agent reads from links and routes who has which address. Speaks
//! netlink; `iptables` is called for the rules that must stand among Docker's. Knows no Kubernetes object.
//!
//! Two laws: nothing for a Service or an unassigned pod address leaves the machine, whatever else fails; and no
//! address is given to two pods.

pub mod addresses;
pub mod cidr;
mod cleanup;
mod firewall;
mod guard;
pub mod names;
pub mod namespace;
pub mod netlink;
mod pod;
mod state;
pub mod sysctl;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use tracing::{debug, info, warn};

pub use self::cleanup::{Disconnector, cleanup};
use self::{
    addresses::{AddressError, Addresses},
    cidr::Cidr,
    firewall::Ranges,
    namespace::Namespace,
    netlink::{Link, Netlink, Route, Way},
    pod::PodLink,
    state::State,
};
use crate::{
    dataplane::{self, Endpoint, cgroup},
    pods::network::{NetworkError, PodNetwork},
    services::ServicePlane,
};

/// For pods on a machine without a way out.
const DEFAULT_MTU: u32 = 1500;

/// Why the network is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was wanted.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A kernel parameter is not there or cannot be set.
    #[error("{}: {source}", path.display())]
    Sysctl {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A process or its namespace is gone.
    #[error("network namespace of process {pid}: {source}")]
    Namespace {
        /// Which process.
        pid: i32,
        /// Why not.
        source: io::Error,
    },
    /// A link is gone that was there a moment ago.
    #[error("link {link} has gone")]
    Lost {
        /// Which link.
        link: String,
    },
    /// Somebody else uses addresses of the cluster.
    #[error("the route to {route} {way} lies in a range of the cluster: choose another range, or remove the route")]
    Conflict {
        /// Where it leads.
        route: Cidr,
        /// How.
        way: String,
    },
    /// The server has given this node a range that cannot be used.
    #[error("pod range {range} {reason}")]
    Range {
        /// Which one.
        range: Cidr,
        /// Why not.
        reason: String,
    },
    /// No address, or not this one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A program is not installed.
    #[error("cannot run {program}: {source} (on Debian, it is in the package iptables)")]
    Missing {
        /// Which one.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program did not do it.
    #[error("{program}: {reason}")]
    Refused {
        /// Which one.
        program: &'static str,
        /// What it said.
        reason: String,
    },
    /// The file that remembers what the machine was like.
    #[error("{}: {source}", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The Service plane does not take the pod.
    #[error(transparent)]
    Dataplane(#[from] dataplane::Error),
    /// The pod would reach no Service.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
}

/// Results of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// What the network must know of the cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Range of Services.
    pub services: Cidr,
    /// Range of all pods of the cluster.
    pub cluster: Cidr,
    /// The agent's folder for state.
    pub state_dir: PathBuf,
}

/// The pods' network on this node.
pub struct Network {
    settings: Settings,
    range: Cidr,
    gateway: Ipv4Addr,
    mtu: u32,
    netlink: Netlink,
    plane: Arc<ServicePlane>,
    addresses: Mutex<Addresses>,
    /// Where Services are translated, if that is known.
    cgroup: OnceLock<PathBuf>,
}

/// Lets nothing for the cluster's ranges leave the machine. To be done before anything else, and again with every
/// start: it changes nothing where it was done.
///
/// # Errors
/// Somebody else's routes lead into the ranges, or the kernel refuses.
pub async fn protect(settings: &Settings) -> Result<()> {
    let netlink = Netlink::open()?;
    guard::close(&netlink, &[settings.services, settings.cluster]).await
}

/// The address that this machine speaks to the outside from; none when there is no way out.
///
/// # Errors
/// The kernel's.
pub async fn outside_address() -> Result<Option<Ipv4Addr>> {
    Ok(Netlink::open()?.uplink().await?.map(|uplink| uplink.source))
}

impl Network {
    /// Opens the network for pods in `range`, and takes the links over that earlier agents made: their programs are
    /// replaced without a gap, and those of pods that are gone are removed.
    ///
    /// # Errors
    /// Says what stands in the way.
    pub async fn open(settings: &Settings, range: Cidr, plane: Arc<ServicePlane>) -> Result<Self> {
        let gateway = usable(settings, range)?;
        let netlink = Netlink::open()?;
        guard::close(&netlink, &[settings.services, settings.cluster, range]).await?;
        guard::ensure_gateway(&netlink, gateway).await?;
        let mtu = netlink.uplink().await?.map_or(DEFAULT_MTU, |uplink| uplink.mtu);
        let addresses = Mutex::new(Addresses::new(range));
        let network = Self {
            settings: settings.clone(),
            range,
            gateway,
            mtu,
            netlink,
            plane,
            addresses,
            cgroup: OnceLock::new(),
        };
        network.open_the_way_out().await?;
        network.take_over().await?;
        info!(%range, %gateway, mtu, "pod network is up");
        Ok(network)
    }

    /// Says where Services are translated: a pod whose processes are elsewhere is refused from now on.
    pub fn expect_cgroup(&self, cgroup: PathBuf) {
        // The same for as long as the programs are attached.
        let _ = self.cgroup.set(cgroup);
    }

    /// The node's own address in its pod range, by which pods reach it.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }

    /// The node's pod range.
    pub fn range(&self) -> Cidr {
        self.range
    }

    /// The addresses in use, with the links that have or shall have them.
    pub fn in_use(&self) -> BTreeMap<Ipv4Addr, String> {
        self.addresses().in_use().clone()
    }

    /// Puts back what other programs have removed meanwhile. To be done now and then.
    ///
    /// # Errors
    /// Says what is not as it should be.
    pub async fn tend(&self) -> Result<()> {
        guard::close(&self.netlink, &[self.settings.services, self.settings.cluster, self.range]).await?;
        guard::ensure_gateway(&self.netlink, self.gateway).await?;
        if sysctl::read(sysctl::IP_FORWARD)? != "1" || !firewall::is_whole(&self.ranges()).await? {
            warn!("another program has changed forwarding or its rules; putting them back");
            self.open_the_way_out().await?;
        }
        Ok(())
    }

    async fn open_the_way_out(&self) -> Result<()> {
        guard::ensure_forwarding(&State::in_folder(&self.settings.state_dir))?;
        firewall::ensure(&self.ranges()).await
    }

    fn ranges(&self) -> Ranges {
        let Settings { services, cluster, state_dir: _ } = self.settings;
        Ranges { node: self.range, cluster, services, gateway: self.gateway }
    }

    /// Takes over the links that are there. One without a route was never finished: its pod will ask again.
    async fn take_over(&self) -> Result<()> {
        let routes = self.netlink.routes().await?;
        let mut live = BTreeSet::new();
        for link in self.netlink.links().await?.into_iter().filter(|link| names::is_ours(&link.name)) {
            match address_of(&link, &routes) {
                Some(address) => {
                    self.addresses().restore(&link.name, address);
                    self.plane.add_endpoint(&endpoint(&link.name, link.index, address))?;
                    live.insert(address);
                }
                None => self.netlink.delete_link(link.index).await?,
            }
        }
        self.plane.keep_endpoints(&live)?;
        info!(pods = live.len(), "links of pods taken over");
        Ok(())
    }

    async fn connect_pod(&self, uid: &str, address: Ipv4Addr, pid: i32) -> Result<()> {
        let name = names::link(uid);
        self.addresses().claim(&name, address)?;
        if let Some(cgroup) = self.cgroup.get() {
            cgroup::check_process(cgroup, pid)?;
        }
        let namespace = Namespace::of_process(pid)?;
        let (gateway, services, mtu) = (self.gateway, self.settings.services, self.mtu);
        let link = PodLink { uid: uid.to_owned(), name, address, gateway, services, mtu };
        let index = link.ensure(&self.netlink, &namespace).await?;
        self.plane.add_endpoint(&endpoint(&link.name, index, address))?;
        debug!(pod = uid, %address, link = link.name, "pod connected");
        Ok(())
    }

    async fn disconnect_pod(&self, uid: &str) -> Result<()> {
        let name = names::link(uid);
        let address = self.addresses().of(&name);
        if let Some(address) = address {
            self.plane.remove_endpoint(address)?;
        }
        if let Some(link) = self.netlink.link(&name).await? {
            self.netlink.delete_link(link.index).await?;
            debug!(pod = uid, link = name, "pod disconnected");
        }
        Ok(())
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        // Nothing in there can be half done.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PodNetwork for Network {
    async fn adopt(&self, uid: &str, address: Ipv4Addr) {
        self.addresses().restore(&names::link(uid), address);
    }

    async fn address(&self, uid: &str) -> std::result::Result<Ipv4Addr, NetworkError> {
        self.addresses().give(&names::link(uid)).map_err(|error| NetworkError(error.to_string()))
    }

    async fn connect(&self, uid: &str, address: Ipv4Addr, pid: i32) -> std::result::Result<(), NetworkError> {
        self.connect_pod(uid, address, pid).await.map_err(|error| NetworkError(error.to_string()))
    }

    async fn disconnect(&self, uid: &str) -> std::result::Result<(), NetworkError> {
        self.disconnect_pod(uid).await.map_err(|error| NetworkError(error.to_string()))
    }

    async fn release(&self, uid: &str) {
        self.addresses().release(&names::link(uid));
    }
}

/// The node's own address in a range that pods can have.
fn usable(settings: &Settings, range: Cidr) -> Result<Ipv4Addr> {
    let refuse = |reason: String| Error::Range { range, reason };
    if !settings.cluster.covers(&range) {
        return Err(refuse(format!("lies outside of the cluster's, {}", settings.cluster)));
    }
    if settings.services.covers(&range) || range.covers(&settings.services) {
        return Err(refuse(format!("overlaps that of Services, {}", settings.services)));
    }
    range.gateway().ok_or_else(|| refuse("has no room for pods".into()))
}

fn endpoint(link: &str, ifindex: u32, addr: Ipv4Addr) -> Endpoint {
    Endpoint { addr, ifindex, pod_mac: names::pod_mac(link), host_mac: names::host_mac(link) }
}

/// The address that a route of ours leads to by a link.
fn address_of(link: &Link, routes: &[Route]) -> Option<Ipv4Addr> {
    let leads = |route: &&Route| {
        let by_link = matches!(route.way, Way::Link { index, .. } if index == link.index);
        route.is_ours && by_link && route.to.prefix() == 32
    };
    routes.iter().find(leads).map(|route| route.to.first())
}
