//! The Service plane of a node: keeps the maps at what the Services say, and knows the node's pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nodeplane_ebpf_abi::endpoint::EndpointVal;
use tracing::{debug, info};

use crate::{
    dataplane::{Dataplane, Endpoint, Result, Verdicts},
    model::{Listen, Rejected, Services},
    plan::{self, Held, Image},
};

#[cfg(test)]
mod tests;

/// What an [update](ServicePlane::update) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Frontends served now.
    pub frontends: usize,
    /// Backends behind them.
    pub backends: usize,
    /// Map writes that it took; zero when nothing had changed.
    pub operations: usize,
    /// How long it took.
    pub took: Duration,
}

/// Shared by whoever watches Services and whoever runs pods; every method takes `&self`.
///
/// The methods block for as long as their system calls take: microseconds for a pod, as long for every entry of a
/// Service that has changed. Those for pods never wait for those for Services.
pub struct ServicePlane {
    dataplane: Arc<dyn Dataplane>,
    services: Mutex<State>,
    /// Held while the entry of a pod is read and changed.
    pods: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// None before the first update and after a failed one: then the maps are read.
    held: Option<Held>,
    left_out: Vec<Rejected>,
    settled: bool,
}

impl ServicePlane {
    /// A plane over a dataplane whose maps may still hold what an earlier agent wrote.
    pub fn new(dataplane: impl Dataplane + 'static) -> Self {
        Self { dataplane: Arc::new(dataplane), services: Mutex::default(), pods: Mutex::new(()) }
    }

    /// Makes the maps hold what `services` say: what is not in it goes.
    ///
    /// They must be made from complete lists, never before every informer has delivered its first one. The first time
    /// the ids that the maps hold are taken over, so that a restart changes nothing that clients could see.
    ///
    /// Services for which the maps have no room are [left out](Self::left_out), the newest first; that is no error.
    ///
    /// # Errors
    /// A map could not be read or written. The maps are then in a safe state between the old and the new one, and the
    /// next update goes on from there.
    pub fn sync(&self, services: &Services) -> Result<Stats> {
        lock(&self.services).update(&*self.dataplane, services, None)
    }

    /// Like [`Self::sync`], when only what is served at the addresses in `changed` may differ from the last time: costs
    /// as much as they do. After an error, and the first time, it looks at everything by itself.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn update(&self, services: &Services, changed: &BTreeSet<Listen>) -> Result<Stats> {
        lock(&self.services).update(&*self.dataplane, services, Some(changed))
    }

    /// The Services for which the maps had no room the last time.
    pub fn left_out(&self) -> Vec<Rejected> {
        lock(&self.services).left_out.clone()
    }

    /// Makes a pod of this node reachable by its neighbours, and its packets seen by `from_pod`. Doing so again, for
    /// example when a restarted agent adopts a pod, replaces program and entry without a gap; when the pod has got
    /// another interface, the program leaves the old one.
    ///
    /// # Errors
    /// The program could not be attached or detached, or the map not read or written.
    pub fn add_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let _alone = lock(&self.pods);
        let before = self.dataplane.endpoints()?.remove(&endpoint.addr);
        self.dataplane.attach_pod(endpoint.ifindex)?;
        self.dataplane.put_endpoint(endpoint.addr, endpoint.value())?;
        if let Some(before) = before.filter(|before| before.ifindex != endpoint.ifindex) {
            self.dataplane.detach_pod(before.ifindex)?;
        }
        debug!(addr = %endpoint.addr, ifindex = endpoint.ifindex, "pod endpoint added");
        Ok(())
    }

    /// Forgets a pod; best before its interface goes. It is no error that it was not known.
    ///
    /// # Errors
    /// The map could not be read or written, or the pin not removed.
    pub fn remove_endpoint(&self, addr: Ipv4Addr) -> Result<()> {
        let _alone = lock(&self.pods);
        let Some(value) = self.dataplane.endpoints()?.remove(&addr) else { return Ok(()) };
        self.dataplane.drop_endpoint(addr)?;
        self.dataplane.detach_pod(value.ifindex)?;
        debug!(%addr, ifindex = value.ifindex, "pod endpoint removed");
        Ok(())
    }

    /// Forgets every pod that is not in `live`: those that ended while no agent was running.
    ///
    /// # Errors
    /// As [`Self::remove_endpoint`].
    pub fn keep_endpoints(&self, live: &BTreeSet<Ipv4Addr>) -> Result<()> {
        let _alone = lock(&self.pods);
        let (kept, gone): (BTreeMap<Ipv4Addr, EndpointVal>, _) =
            self.dataplane.endpoints()?.into_iter().partition(|(addr, _)| live.contains(addr));
        for addr in gone.keys() {
            self.dataplane.drop_endpoint(*addr)?;
        }
        let in_use: BTreeSet<u32> = kept.values().map(|value| value.ifindex).collect();
        for ifindex in self.dataplane.attached_pods()? {
            if !in_use.contains(&ifindex) {
                self.dataplane.detach_pod(ifindex)?;
            }
        }
        Ok(())
    }

    /// The pods that are known.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>> {
        self.dataplane.endpoints()
    }

    /// What the Service maps hold, read from them.
    ///
    /// # Errors
    /// A map could not be read.
    pub fn dump(&self) -> Result<Image> {
        self.dataplane.dump()
    }

    /// How often each verdict was reached.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn verdicts(&self) -> Result<Verdicts> {
        self.dataplane.verdicts()
    }
}

impl State {
    fn update(
        &mut self,
        dataplane: &dyn Dataplane,
        services: &Services,
        changed: Option<&BTreeSet<Listen>>,
    ) -> Result<Stats> {
        let begun = Instant::now();
        let limits = dataplane.limits();
        // Whoever is left out may get the room that another one leaves.
        let changed = changed.filter(|_| self.left_out.is_empty() && self.held.is_some());
        let changes = changed.map(|changed| changed.iter().map(|at| (*at, services.frontend(at))).collect::<Vec<_>>());
        let mut held = match self.held.take() {
            Some(held) => held,
            None => Held::restore(dataplane.dump()?),
        };
        let ops = match changes.filter(|changes| held.has_room(changes, &limits)) {
            Some(changes) => held.update(&changes, &limits),
            None => {
                let (admitted, left_out) = plan::admit(services.by_age(), &limits);
                self.left_out = left_out;
                held.whole(&admitted, &limits)
            }
        };
        dataplane.apply(&ops)?;
        let stats = Stats {
            frontends: held.ports(),
            backends: held.image().backends.len(),
            operations: ops.len(),
            took: begun.elapsed(),
        };
        self.held = Some(held);
        if !self.settled {
            dataplane.settled()?;
            self.settled = true;
            info!(frontends = stats.frontends, backends = stats.backends, "services are in place");
        }
        debug!(?stats, "services synced");
        Ok(stats)
    }
}

/// A panic elsewhere leaves the state at worst older than the maps, which are then read again.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
