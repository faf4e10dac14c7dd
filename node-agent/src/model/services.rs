//! The facts of every Service by its key, and who has which address.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
};

use k8s_openapi::{
    api::{core::v1::Service, discovery::v1::EndpointSlice},
    apimachinery::pkg::apis::meta::v1::Time,
};
use nodeplane_api::meta::Key;
use nodeplane_client::services::service_of;

use super::{Frontend, Listen, ObjectKey, Rejected, service, slice::Endpoints};

/// All frontends of the cluster as this node must serve them.
///
/// What it says does not depend on the order in which objects came. Of several Services with one address, port and
/// protocol the oldest has it, as the allocator would have decided; when that goes, the next one takes over.
#[derive(Debug, PartialEq, Eq)]
pub struct Services {
    node_name: String,
    facts: BTreeMap<ObjectKey, Facts>,
    claims: BTreeMap<Listen, BTreeSet<Claim>>,
    /// What more than one Service claims.
    disputed: BTreeSet<Listen>,
    /// Services whose facts hold rejections.
    faulty: BTreeSet<ObjectKey>,
}

/// What is known of one Service, whether or not it gets the addresses that it claims.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    age: Option<Time>,
    frontends: BTreeMap<Listen, Frontend>,
    rejected: Vec<Rejected>,
}

/// Sorted by age.
type Claim = (Option<Time>, ObjectKey);

impl Services {
    /// No Service. `node_name` decides what `internalTrafficPolicy: Local` keeps.
    pub fn new(node_name: &str) -> Self {
        Self {
            node_name: node_name.to_owned(),
            facts: BTreeMap::new(),
            claims: BTreeMap::new(),
            disputed: BTreeSet::new(),
            faulty: BTreeSet::new(),
        }
    }

    /// Takes complete lists over.
    pub fn build<S, E>(
        services: impl IntoIterator<Item = S>,
        slices: impl IntoIterator<Item = E>,
        node_name: &str,
    ) -> Self
    where
        S: Borrow<Service>,
        E: Borrow<EndpointSlice>,
    {
        let mut objects: BTreeMap<Key, (Option<S>, Vec<E>)> = BTreeMap::new();
        for service in services {
            let key = Key::of(service.borrow());
            objects.entry(key).or_default().0 = Some(service);
        }
        for slice in slices {
            if let Some(key) = service_of(slice.borrow()) {
                objects.entry(key).or_default().1.push(slice);
            }
        }
        let mut all = Self::new(node_name);
        for (key, (service, slices)) in objects {
            all.put(&key.into(), service.as_ref().map(Borrow::borrow), slices.iter().map(Borrow::borrow));
        }
        all
    }

    /// Takes over what a Service is now, none if it is gone, and the slices that belong to it. Says which addresses
    /// are served otherwise than before.
    pub fn put<'a>(
        &mut self,
        key: &ObjectKey,
        service: Option<&Service>,
        slices: impl IntoIterator<Item = &'a EndpointSlice>,
    ) -> BTreeSet<Listen> {
        let new = read(key, service, slices, &self.node_name);
        let old = self.facts.remove(key).unwrap_or_default();
        let touched: BTreeSet<Listen> = old
            .frontends
            .keys()
            .chain(new.frontends.keys())
            .filter(|at| old.age != new.age || old.frontends.get(at) != new.frontends.get(at))
            .copied()
            .collect();
        for at in &touched {
            self.claim(*at, key, &old, &new);
        }
        if new.rejected.is_empty() {
            self.faulty.remove(key)
        } else {
            self.faulty.insert(key.clone())
        };
        if !(new.frontends.is_empty() && new.rejected.is_empty()) {
            self.facts.insert(key.clone(), new);
        }
        touched
    }

    /// Who is served at an address.
    pub fn frontend(&self, at: &Listen) -> Option<&Frontend> {
        let (_, owner) = self.claims.get(at)?.first()?;
        self.facts.get(owner)?.frontends.get(at)
    }

    /// All frontends, sorted by address, port and protocol; each of those once.
    pub fn frontends(&self) -> impl Iterator<Item = &Frontend> {
        self.claims.keys().filter_map(|at| self.frontend(at))
    }

    /// All Services that are served somewhere, the oldest first.
    pub fn by_age(&self) -> impl Iterator<Item = (&ObjectKey, Vec<&Frontend>)> {
        let mut keys: Vec<_> = self.facts.iter().map(|(key, facts)| (&facts.age, key)).collect();
        keys.sort_unstable();
        keys.into_iter().filter_map(|(_, key)| {
            let own = self.facts.get(key)?.frontends.keys().filter_map(|at| self.frontend(at));
            let own: Vec<_> = own.filter(|frontend| frontend.service == *key).collect();
            (!own.is_empty()).then_some((key, own))
        })
    }

    /// What was left out, sorted.
    pub fn rejected(&self) -> Vec<Rejected> {
        let faulty = self.faulty.iter().filter_map(|key| self.facts.get(key)).flat_map(|facts| facts.rejected.clone());
        let lost = self.disputed.iter().flat_map(|at| {
            let mut claims = self.claims.get(at).into_iter().flatten();
            let owner = claims.next();
            claims.filter_map(move |(_, key)| Some(taken(key, at, &owner?.1)))
        });
        let mut all: Vec<_> = faulty.chain(lost).collect();
        all.sort_unstable();
        all
    }

    fn claim(&mut self, at: Listen, key: &ObjectKey, old: &Facts, new: &Facts) {
        let claims = self.claims.entry(at).or_default();
        if old.frontends.contains_key(&at) {
            claims.remove(&(old.age.clone(), key.clone()));
        }
        if new.frontends.contains_key(&at) {
            claims.insert((new.age.clone(), key.clone()));
        }
        if claims.len() > 1 {
            self.disputed.insert(at)
        } else {
            self.disputed.remove(&at)
        };
        if claims.is_empty() {
            self.claims.remove(&at);
        }
    }
}

fn read<'a>(
    key: &ObjectKey,
    service: Option<&Service>,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    node_name: &str,
) -> Facts {
    let mut facts = Facts::default();
    let mut endpoints = Endpoints::default();
    for slice in slices {
        endpoints.add(slice, &mut facts.rejected);
    }
    let Some(service) = service else { return facts };
    facts.age = service.metadata.creation_timestamp.clone();
    for frontend in service::frontends(key, service, &endpoints, node_name, &mut facts.rejected) {
        // A Service that names one port twice has the first.
        match facts.frontends.entry(frontend.at) {
            Entry::Vacant(free) => {
                free.insert(frontend);
            }
            Entry::Occupied(at) => facts.rejected.push(taken(key, at.key(), key)),
        }
    }
    facts
}

fn taken(key: &ObjectKey, at: &Listen, owner: &ObjectKey) -> Rejected {
    Rejected::service(key, format!("{at} already belongs to {owner}"))
}
