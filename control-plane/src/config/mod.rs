//! What the server is told: the command line ([`Flags`]), and what follows from it ([`Config`]).
//!
//! In: flags and environment. Out: one [`Config`] whose parts fit together, or a sentence that
//! names the flag, what is wrong with it and what would be right. Never opens a file, a store or
//! a socket.

mod flags;
mod range;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    flags::{CopyFlags, EtcdFlags, Flags, KubeconfigFlags, LogFormat, RunFlags, StoreKind, StoreVerb, Verb, Who},
    range::Range,
};
use crate::http::bounds::Bounds;

/// The address of the service range that is the API server's own.
const SERVER_ADDRESS: u32 = 1;
/// The address of the service range that is the DNS server's unless a flag says otherwise.
const DNS_ADDRESS: u32 = 10;
/// Prefix lengths of a service range with room for both.
const SERVICE_LENGTHS: std::ops::RangeInclusive<u8> = 8..=28;
/// Prefix lengths of a range that can be cut into nodes' ranges.
const CLUSTER_LENGTHS: std::ops::RangeInclusive<u8> = 8..=24;

/// All that the server must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where files are.
    pub state: StateDir,
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where nodes and pods reach the server, as far as the flags say.
    pub advertise: Option<Ipv4Addr>,
    /// Where objects are kept.
    pub store: StoreConfig,
    /// What all keys begin with, such as `/registry`.
    pub prefix: String,
    /// How often etcd forgets; `None` leaves that to others.
    pub compact_every: Option<Duration>,
    /// How long events are kept.
    pub event_life: Duration,
    /// Virtual addresses of Services.
    pub services: Range,
    /// Addresses of pods.
    pub pods: Range,
    /// The API server's own virtual address.
    pub server_ip: Ipv4Addr,
    /// The virtual address of the cluster's DNS.
    pub dns_ip: Ipv4Addr,
    /// Further names in the server's certificate.
    pub sans: Vec<String>,
    /// Who issues service account tokens; the first one is put into new ones.
    pub issuers: Vec<String>,
    /// The names of this API in tokens.
    pub audiences: Vec<String>,
    /// How many calls at once, and for how long.
    pub bounds: Bounds,
    /// How long the server serves after it was told to stop.
    pub shutdown_delay: Duration,
}

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// In a file of the state directory.
    Embedded,
    /// In etcd.
    Etcd(EtcdConfig),
}

/// How etcd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// URLs of the members.
    pub endpoints: Vec<String>,
    /// The files for https: authority, and our own certificate with its key.
    pub tls: Option<(PathBuf, Option<(PathBuf, PathBuf)>)>,
    /// A user of etcd, and the file with the password.
    pub user: Option<(String, PathBuf)>,
}

/// A cluster to be copied from one store into the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyConfig {
    /// Which of the two is the source.
    pub from: StoreKind,
    /// Whether what is in the target is replaced.
    pub overwrite: bool,
    /// Where the embedded store is.
    pub state: StateDir,
    /// How etcd is reached.
    pub etcd: EtcdConfig,
    /// What all keys begin with.
    pub prefix: String,
}

impl TryFrom<CopyFlags> for CopyConfig {
    type Error = ConfigError;

    fn try_from(flags: CopyFlags) -> Result<Self, ConfigError> {
        if flags.from == flags.to {
            return Err(ConfigError::new("--to", "source and target are the same", "name the other store"));
        }
        Ok(Self {
            from: flags.from,
            overwrite: flags.overwrite,
            state: StateDir::new(flags.state_dir),
            etcd: etcd(&flags.etcd)?,
            prefix: flags.etcd.etcd_prefix,
        })
    }
}

/// A combination of flags that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {what}; {remedy}")]
pub struct ConfigError {
    flag: String,
    what: String,
    remedy: String,
}

impl ConfigError {
    fn new(flag: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { flag: flag.into(), what: what.into(), remedy: remedy.into() }
    }
}

/// The server's own directory: where each thing lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory at this path, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The certificate authority and what it has issued.
    pub fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }

    /// The embedded store.
    pub fn store(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    /// The administrator's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.0.join("admin.kubeconfig")
    }
}

impl TryFrom<RunFlags> for Config {
    type Error = ConfigError;

    fn try_from(flags: RunFlags) -> Result<Self, ConfigError> {
        check_ranges(&flags)?;
        let store = store(&flags)?;
        let (server_ip, dns_ip) = own_addresses(&flags)?;
        check_advertised(&flags)?;
        Ok(Self {
            state: StateDir::new(flags.state_dir),
            listen: flags.listen,
            advertise: flags.advertise_address,
            store,
            prefix: flags.etcd.etcd_prefix,
            compact_every: Some(flags.etcd_compaction_interval).filter(|every| !every.is_zero()),
            event_life: flags.event_ttl,
            services: flags.service_cidr,
            pods: flags.cluster_cidr,
            server_ip,
            dns_ip,
            sans: flags.tls_san,
            audiences: if flags.api_audiences.is_empty() {
                flags.service_account_issuer.clone()
            } else {
                flags.api_audiences
            },
            issuers: flags.service_account_issuer,
            bounds: Bounds {
                reading: flags.max_requests_inflight,
                writing: flags.max_mutating_requests_inflight,
                request: flags.request_timeout,
                watch: Duration::from_secs(flags.min_request_timeout.into()),
            },
            shutdown_delay: flags.shutdown_delay_duration,
        })
    }
}

fn check_ranges(flags: &RunFlags) -> Result<(), ConfigError> {
    let (services, pods) = (flags.service_cidr, flags.cluster_cidr);
    for (flag, range, lengths) in
        [("--service-cidr", services, SERVICE_LENGTHS), ("--cluster-cidr", pods, CLUSTER_LENGTHS)]
    {
        let length = range.pair().1;
        if !lengths.contains(&length) {
            let (largest, smallest) = (lengths.start(), lengths.end());
            let remedy = format!("choose a prefix length from {largest} to {smallest}");
            let size = if length > *smallest { "small" } else { "large" };
            return Err(ConfigError::new(format!("{flag} {range}"), format!("the range is too {size}"), remedy));
        }
    }
    if services.overlaps(pods) {
        let what = format!("the range shares addresses with --cluster-cidr {pods}");
        return Err(ConfigError::new(format!("--service-cidr {services}"), what, "choose ranges that do not overlap"));
    }
    Ok(())
}

/// The virtual addresses of the API server and of DNS.
fn own_addresses(flags: &RunFlags) -> Result<(Ipv4Addr, Ipv4Addr), ConfigError> {
    let services = flags.service_cidr;
    let too_small = || ConfigError::new("--service-cidr", "the range is too small", "choose a larger one");
    let server = services.nth(SERVER_ADDRESS).ok_or_else(too_small)?;
    let default = services.nth(DNS_ADDRESS).ok_or_else(too_small)?;
    let dns = flags.cluster_dns.unwrap_or(default);
    let what = if !services.contains(dns) {
        format!("the address is not in --service-cidr {services}")
    } else if dns == server {
        "the address is the API server's own".to_owned()
    } else if Some(dns) == services.nth(0) || dns == services.last() {
        "the first and the last address of a range are never given out".to_owned()
    } else {
        return Ok((server, dns));
    };
    Err(ConfigError::new(format!("--cluster-dns {dns}"), what, format!("choose another one, such as {default}")))
}

fn check_advertised(flags: &RunFlags) -> Result<(), ConfigError> {
    let Some(address) = flags.advertise_address else { return Ok(()) };
    let what = if address.is_unspecified() {
        "the address stands for all addresses, and nobody can dial it"
    } else if address.is_loopback() {
        "a loopback address means another machine on every machine"
    } else if address.is_multicast() || address.is_broadcast() || address.is_link_local() {
        "no server can be reached at such an address"
    } else {
        return Ok(());
    };
    let remedy = "give an address of this machine, or leave the flag out";
    Err(ConfigError::new(format!("--advertise-address {address}"), what, remedy))
}

fn store(flags: &RunFlags) -> Result<StoreConfig, ConfigError> {
    if flags.store == StoreKind::Etcd {
        return etcd(&flags.etcd).map(StoreConfig::Etcd);
    }
    let etcd = &flags.etcd;
    let given = [
        ("--etcd-endpoints", !etcd.etcd_endpoints.is_empty()),
        ("--etcd-cafile", etcd.etcd_cafile.is_some()),
        ("--etcd-user", etcd.etcd_user.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(ConfigError::new(flag, "the store is embedded", "add --store etcd")),
        None => Ok(StoreConfig::Embedded),
    }
}

fn etcd(flags: &EtcdFlags) -> Result<EtcdConfig, ConfigError> {
    if flags.etcd_endpoints.is_empty() {
        let remedy = "add --etcd-endpoints http://HOST:PORT";
        return Err(ConfigError::new("--etcd-endpoints", "nothing says where etcd is", remedy));
    }
    let is_https = |url: &&String| url.starts_with("https:");
    let (https, http): (Vec<&String>, Vec<&String>) = flags.etcd_endpoints.iter().partition(is_https);
    if let (Some(https), None) = (https.first(), &flags.etcd_cafile) {
        let flag = format!("--etcd-endpoints {https}");
        return Err(ConfigError::new(flag, "nothing says who has signed etcd's certificates", "add --etcd-cafile"));
    }
    if let (Some(http), Some(_)) = (http.first(), &flags.etcd_cafile) {
        let flag = format!("--etcd-endpoints {http}");
        return Err(ConfigError::new(flag, "certificates are for https", "write https://, or drop --etcd-cafile"));
    }
    let identity = flags.etcd_certfile.clone().zip(flags.etcd_keyfile.clone());
    Ok(EtcdConfig {
        endpoints: flags.etcd_endpoints.clone(),
        tls: flags.etcd_cafile.clone().map(|ca| (ca, identity)),
        user: flags.etcd_user.clone().zip(flags.etcd_password_file.clone()),
    })
}
