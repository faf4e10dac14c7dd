//! How a server is set up, and what is refused before it starts.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use hickory_proto::rr::Name;

use crate::zone::{Settings, range::Range};

/// The largest TTL that may be configured, in seconds.
pub const MAX_TTL: u32 = 3600;

/// How a server is set up. Start from [`Config::default`].
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses to answer at, on UDP and TCP. Each must be an address of this machine, not
    /// a wildcard: an answer leaves from the address that was asked. Port 0 takes a free port.
    pub listen: Vec<SocketAddr>,
    /// The cluster domain, such as `cluster.local`.
    pub cluster_domain: String,
    /// TTL of the cluster's records in seconds, at most [`MAX_TTL`].
    pub ttl: u32,
    /// Who is asked about all other names.
    pub upstreams: Upstreams,
    /// The service and pod ranges: names of addresses in them are answered here and never
    /// forwarded.
    pub reverse_zones: Vec<Range>,
    /// Who may ask, besides processes of this machine: whoever is in one of these.
    pub clients: Vec<Range>,
    /// Whether `a-b-c-d.namespace.pod.domain` has an address.
    pub pods: PodNames,
    /// How many threads answer, each with its own sockets. More than one shares the ports
    /// (`SO_REUSEPORT`), so that a second server of the same user is not noticed.
    pub workers: usize,
}

/// What must not be asked, because it would be us again.
#[derive(Clone, Debug, Default)]
pub struct Ourselves {
    /// Where we listen.
    pub listen: Vec<SocketAddr>,
    /// The cluster's ranges; a node whose `resolv.conf` names the cluster's DNS service would ask
    /// in a circle.
    pub ranges: Vec<Range>,
}

/// Who is asked about names that are not the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstreams {
    /// The name servers of a `resolv.conf`, read again when the file changes.
    ResolvConf(PathBuf),
    /// These, in this order; nobody when empty.
    List(Vec<SocketAddr>),
}

/// The names of pods by their address (Kubernetes DNS specification 2.3.2, deprecated).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodNames {
    /// They do not exist.
    Disabled,
    /// Every address has one in every namespace that exists, as kubeadm configures CoreDNS.
    Insecure,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nothing to listen at.
    #[error("no address to listen at")]
    NoListener,
    /// An address that stands for all addresses.
    #[error("{0} is a wildcard: name each address, because answers must leave from the address that was asked")]
    Wildcard(SocketAddr),
    /// The cluster domain is no domain name.
    #[error("cluster domain {domain:?}: {reason}")]
    Domain {
        /// The text.
        domain: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name server to ask that is this one again.
    #[error("name server {0} would be asked in a circle: it is this server, or lies in a range of the cluster")]
    Circle(SocketAddr),
    /// The TTL is too long.
    #[error("TTL of {0} s is longer than {MAX_TTL} s")]
    Ttl(u32),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            // As CoreDNS: short enough that nobody holds on to a dead address.
            ttl: 5,
            upstreams: Upstreams::ResolvConf("/etc/resolv.conf".into()),
            reverse_zones: Vec::new(),
            clients: Vec::new(),
            pods: PodNames::Insecure,
            workers: 1,
        }
    }
}

impl Ourselves {
    /// Whether this server is one of us.
    pub fn are(&self, server: &SocketAddr) -> bool {
        self.listen.contains(server) || self.ranges.iter().any(|range| range.contains(server.ip()))
    }
}

impl Config {
    /// The zone's settings, after a check of everything.
    pub fn settings(&self) -> Result<Arc<Settings>, ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoListener);
        }
        if let Some(wildcard) = self.listen.iter().find(|address| address.ip().is_unspecified()) {
            return Err(ConfigError::Wildcard(*wildcard));
        }
        // Port 0 is none yet, so no server has it.
        let ourselves = self.ourselves(&self.listen);
        if let Upstreams::List(list) = &self.upstreams
            && let Some(circle) = list.iter().find(|server| ourselves.are(server))
        {
            return Err(ConfigError::Circle(*circle));
        }
        if self.ttl > MAX_TTL {
            return Err(ConfigError::Ttl(self.ttl));
        }
        let domain = self.domain()?;
        Ok(Arc::new(Settings {
            name_server: self.in_domain("ns.dns", &domain)?,
            hostmaster: self.in_domain("hostmaster", &domain)?,
            domain,
            ttl: self.ttl,
            pods: self.pods,
            reverse_zones: self.reverse_zones.clone(),
            own_addresses: self.listen.iter().map(SocketAddr::ip).collect::<Vec<IpAddr>>(),
        }))
    }

    /// What must not be asked by a server that listens there.
    pub fn ourselves(&self, listen: &[SocketAddr]) -> Ourselves {
        Ourselves { listen: listen.to_vec(), ranges: self.reverse_zones.clone() }
    }

    fn domain(&self) -> Result<Name, ConfigError> {
        let mut name = Name::from_ascii(&self.cluster_domain).map_err(|error| self.refuse_domain(&error))?;
        name.set_fqdn(true);
        // Else every name of the world would be the cluster's.
        if name.is_root() { Err(self.refuse_domain(&"the root is no cluster domain")) } else { Ok(name.to_lowercase()) }
    }

    fn in_domain(&self, labels: &str, domain: &Name) -> Result<Name, ConfigError> {
        let labels = Name::from_ascii(labels).and_then(|labels| labels.append_domain(domain));
        labels.map_err(|error| self.refuse_domain(&error))
    }

    fn refuse_domain(&self, reason: &dyn ToString) -> ConfigError {
        ConfigError::Domain { domain: self.cluster_domain.clone(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests;
