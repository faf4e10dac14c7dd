//! The zone: everything the cluster's names say, as of one moment.
//!
//! In: one service's [`Entry`] at a time, and the namespaces. Out: an immutable picture that
//! [`crate::answer`] reads. Cloning a zone is cheap, because the maps share what did not change;
//! that makes a change cost the same for ten services and for ten thousand.
//! Never does I/O, never looks at a clock: the serial is a parameter.

pub mod entry;
pub mod facts;
pub mod range;
mod shards;
#[cfg(test)]
pub(crate) mod snapshot;

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
};

use hickory_proto::rr::Name;

pub use self::entry::Entry;
use self::{entry::Body, range::Range, shards::Shards};
use crate::config::PodNames;

/// What does not change while the server runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster domain, fully qualified, in lower case.
    pub domain: Name,
    /// This server's own name in it, `ns.dns.domain`.
    pub name_server: Name,
    /// The mailbox of who is responsible, `hostmaster.domain`.
    pub hostmaster: Name,
    /// TTL of the zone's records, in seconds.
    pub ttl: u32,
    /// Whether `a-b-c-d.namespace.pod.domain` has an address.
    pub pods: PodNames,
    /// The ranges whose reverse zones are ours alone.
    pub reverse_zones: Vec<Range>,
    /// The addresses at which this server is asked; they decide which service is the name server.
    pub own_addresses: Vec<IpAddr>,
}

/// What an address is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressName {
    /// It is an address of this service (`name.namespace`).
    Service(Arc<str>),
    /// It is the ready endpoint of this service with this label.
    Endpoint(Arc<str>, Box<str>),
}

/// Everything the cluster's names say, as of one moment.
#[derive(Clone, Debug)]
pub struct Zone {
    settings: Arc<Settings>,
    services: Shards<Arc<str>, Arc<Entry>>,
    addresses: Shards<IpAddr, Vec<AddressName>>,
    namespaces: Arc<HashSet<Box<str>>>,
    name_servers: BTreeSet<Arc<str>>,
    serial: u32,
    synced: bool,
}

impl Zone {
    /// A zone without any service, not yet synced.
    pub fn empty(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            services: Shards::default(),
            addresses: Shards::default(),
            namespaces: Arc::default(),
            name_servers: BTreeSet::new(),
            serial: 0,
            synced: false,
        }
    }

    /// Replaces what is known of one service; `None` forgets it.
    pub fn put(&mut self, namespace: &str, name: &str, entry: Option<Entry>) {
        let key = service_key(namespace, name);
        if let Some(old) = self.services.get(&*key).cloned() {
            self.forget_addresses(&key, &old);
        }
        self.name_servers.remove(&key);
        match entry {
            Some(entry) => {
                self.learn_addresses(&key, &entry);
                if self.settings.own_addresses.iter().any(|own| entry.serves(*own)) {
                    self.name_servers.insert(key.clone());
                }
                self.services.insert(key, Arc::new(entry));
            }
            None => self.services.remove(&*key),
        }
    }

    /// Replaces the namespaces that exist.
    pub fn set_namespaces<'a>(&mut self, namespaces: impl Iterator<Item = &'a str>) {
        self.namespaces = Arc::new(namespaces.map(|name| name.to_ascii_lowercase().into_boxed_str()).collect());
    }

    /// Sets the serial of the last change, and whether every object has been seen.
    pub fn mark(&mut self, serial: u32, synced: bool) {
        self.serial = serial;
        self.synced = synced;
    }

    /// What is known of the service `key` (`name.namespace` in lower case).
    pub fn service(&self, key: &str) -> Option<&Entry> {
        self.services.get(key).map(|entry| &**entry)
    }

    /// The names of an address, in a stable order.
    pub fn names_of(&self, address: IpAddr) -> &[AddressName] {
        self.addresses.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether this namespace (in lower case) exists.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    /// The services (`name.namespace`) behind which this server answers, in a stable order.
    pub fn name_servers(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.name_servers.iter().filter_map(|key| Some((&**key, self.service(key)?)))
    }

    /// What does not change while the server runs.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The SOA serial.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether a missing name is known to be missing.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// How many services have names.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether no service has a name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn learn_addresses(&mut self, key: &Arc<str>, entry: &Entry) {
        for (address, name) in address_names(key, entry) {
            self.addresses.update(&address, |names| {
                // Sorted, so that answers do not depend on the order of changes.
                if let Err(place) = names.binary_search(&name) {
                    names.insert(place, name);
                }
                false
            });
        }
    }

    fn forget_addresses(&mut self, key: &Arc<str>, entry: &Entry) {
        for (address, name) in address_names(key, entry) {
            self.addresses.update(&address, |names| {
                names.retain(|known| *known != name);
                names.is_empty()
            });
        }
    }
}

/// `name.namespace` in lower case. Unambiguous, because neither part may contain a dot.
pub fn service_key(namespace: &str, name: &str) -> Arc<str> {
    let mut key = format!("{name}.{namespace}");
    key.make_ascii_lowercase();
    key.into()
}

/// The addresses of an entry that have a PTR record. An endpoint has one if its service is
/// headless, or if it has a hostname of its own (Kubernetes DNS specification 2.4.3, and CoreDNS
/// for the hostname of an endpoint behind a cluster IP).
fn address_names(key: &Arc<str>, entry: &Entry) -> Vec<(IpAddr, AddressName)> {
    let mut names = Vec::new();
    if let Body::ClusterIp { addresses, .. } = entry.body() {
        names.extend(addresses.iter().map(|address| (*address, AddressName::Service(key.clone()))));
    }
    let headless = matches!(entry.body(), Body::Headless);
    for endpoint in entry.endpoints().filter(|endpoint| headless || endpoint.hostname().is_some()) {
        names.push((endpoint.address(), AddressName::Endpoint(key.clone(), endpoint.label().into())));
    }
    names
}

#[cfg(test)]
mod tests;
