//! The Service plane of a node: keeps the maps at what the latest snapshot says, and knows the
//! node's pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nodeplane_ebpf_abi::endpoint::EndpointVal;
use tracing::{debug, info, warn};

use super::{Dataplane, Endpoint, Result, Verdicts};
use crate::{
    model::Snapshot,
    plan::{self, Ids, Image},
};

/// What a [sync](ServicePlane::sync) did.
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
/// The methods block for as long as a few system calls take (microseconds per changed entry).
pub struct ServicePlane {
    state: Mutex<State>,
}

struct State {
    dataplane: Box<dyn Dataplane>,
    /// What the maps hold and the ids in them; none before the first sync and after a failed one:
    /// then the maps are read.
    known: Option<(Image, Ids)>,
    settled: bool,
    reported: BTreeSet<String>,
}

impl ServicePlane {
    /// A plane over a dataplane whose maps may still hold what an earlier agent wrote.
    pub fn new(dataplane: impl Dataplane + 'static) -> Self {
        let dataplane = Box::new(dataplane);
        Self { state: Mutex::new(State { dataplane, known: None, settled: false, reported: BTreeSet::new() }) }
    }

    /// Makes the maps hold what `snapshot` says: what is not in it goes.
    ///
    /// `snapshot` must be built from complete lists, never before every informer has delivered its
    /// first one. The first sync takes the ids over that the maps hold, so that a restart changes
    /// nothing that clients could see.
    ///
    /// # Errors
    /// A map could not be read or written. The maps are then in a safe state between the old and
    /// the new one, and the next sync goes on from there.
    pub fn sync(&self, snapshot: &Snapshot) -> Result<Stats> {
        self.lock().sync(snapshot)
    }

    /// Makes a pod of this node reachable by its neighbours, and its packets seen by `from_pod`.
    /// Doing so again, for example when a restarted agent adopts a pod, replaces program and entry
    /// without a gap.
    ///
    /// # Errors
    /// The program could not be attached, or the map not written.
    pub fn add_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        let mut state = self.lock();
        state.dataplane.attach_pod(endpoint.ifindex)?;
        state.dataplane.put_endpoint(endpoint.addr, endpoint.value())?;
        debug!(addr = %endpoint.addr, ifindex = endpoint.ifindex, "pod endpoint added");
        Ok(())
    }

    /// Forgets a pod; best before its interface goes. It is no error that it was not known.
    ///
    /// # Errors
    /// The map could not be read or written, or the pin not removed.
    pub fn remove_endpoint(&self, addr: Ipv4Addr) -> Result<()> {
        let mut state = self.lock();
        let Some(value) = state.dataplane.endpoints()?.remove(&addr) else { return Ok(()) };
        state.dataplane.drop_endpoint(addr)?;
        state.dataplane.detach_pod(value.ifindex)?;
        debug!(%addr, ifindex = value.ifindex, "pod endpoint removed");
        Ok(())
    }

    /// Forgets every pod that is not in `live`: those that ended while no agent was running.
    ///
    /// # Errors
    /// As [`Self::remove_endpoint`].
    pub fn keep_endpoints(&self, live: &BTreeSet<Ipv4Addr>) -> Result<()> {
        let mut state = self.lock();
        let (kept, gone): (BTreeMap<Ipv4Addr, EndpointVal>, _) =
            state.dataplane.endpoints()?.into_iter().partition(|(addr, _)| live.contains(addr));
        for addr in gone.keys() {
            state.dataplane.drop_endpoint(*addr)?;
        }
        let in_use: BTreeSet<u32> = kept.values().map(|value| value.ifindex).collect();
        for ifindex in state.dataplane.attached_pods()? {
            if !in_use.contains(&ifindex) {
                state.dataplane.detach_pod(ifindex)?;
            }
        }
        Ok(())
    }

    /// The pods that are known.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>> {
        self.lock().dataplane.endpoints()
    }

    /// What the Service maps hold, read from them.
    ///
    /// # Errors
    /// A map could not be read.
    pub fn dump(&self) -> Result<Image> {
        self.lock().dataplane.dump()
    }

    /// How often each verdict was reached.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn verdicts(&self) -> Result<Verdicts> {
        self.lock().dataplane.verdicts()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state at worst older than the maps, which the next sync
        // bears.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sync(&mut self, snapshot: &Snapshot) -> Result<Stats> {
        let begun = Instant::now();
        self.report(snapshot);
        let (current, mut ids) = match self.known.take() {
            Some(known) => known,
            None => {
                let image = self.dataplane.dump()?;
                let ids = Ids::restore(&image);
                (image, ids)
            }
        };
        ids.assign(snapshot);
        let desired = plan::desired(snapshot, &ids);
        let ops = plan::diff(&current, &desired);
        self.dataplane.apply(&ops)?;
        let stats = Stats {
            frontends: snapshot.frontends.len(),
            backends: desired.backends.len(),
            operations: ops.len(),
            took: begun.elapsed(),
        };
        self.known = Some((desired, ids));
        if !self.settled {
            self.dataplane.settled()?;
            self.settled = true;
            info!(frontends = stats.frontends, backends = stats.backends, "services are in place");
        }
        debug!(?stats, "services synced");
        Ok(stats)
    }

    /// Says once, and again only when it comes back, what could not be taken over.
    fn report(&mut self, snapshot: &Snapshot) {
        let rejected: BTreeSet<String> = snapshot.rejected.iter().map(ToString::to_string).collect();
        for reason in rejected.difference(&self.reported) {
            warn!(%reason, "object left out of the Service plane");
        }
        self.reported = rejected;
    }
}
