//! A dataplane in memory, that records what was asked of it and fails when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nodeplane_ebpf_abi::endpoint::EndpointVal;

use super::{Dataplane, Error, Result, Verdicts, verdicts};
use crate::plan::{Image, Limits, Op};

/// Clones share one state: keep one to look at what the other was told.
#[derive(Clone, Debug, Default)]
pub struct FakeDataplane {
    state: Arc<Mutex<State>>,
}

/// Everything that a fake knows.
#[derive(Debug, Default)]
pub struct State {
    /// The Service maps.
    pub image: Image,
    /// Operations that were applied, in their order.
    pub applied: Vec<Op>,
    /// The operation after so many more fails, once.
    pub fail_after: Option<usize>,
    /// Pods.
    pub endpoints: BTreeMap<Ipv4Addr, EndpointVal>,
    /// Interfaces with `from_pod`.
    pub attached: BTreeSet<u32>,
    /// How often it was told that the maps are complete.
    pub settled: u32,
    /// How many entries the maps hold; as many as the kernel's if nothing else is said.
    pub capacity: Option<Limits>,
}

impl State {
    fn limits(&self) -> Limits {
        self.capacity.unwrap_or(Limits::MAPS)
    }

    /// Whether there is an entry for what is written, or room for one.
    fn has_room(&self, op: &Op) -> bool {
        let (image, limits) = (&self.image, self.limits());
        match op {
            Op::PutBackend(id, _) => image.backends.contains_key(id) || image.backends.len() < limits.backends,
            Op::PutSlot(key, _) => image.slots.contains_key(key) || image.slots.len() < limits.slots,
            Op::PutFrontend(key, _) => image.frontends.contains_key(key) || image.frontends.len() < limits.frontends,
            Op::DropFrontend(_) | Op::DropSlot(_) | Op::DropBackend(_) => true,
        }
    }

    fn apply(&mut self, op: &Op) -> std::result::Result<(), String> {
        if let Some(left) = self.fail_after {
            self.fail_after = left.checked_sub(1);
            if left == 0 {
                return Err("told to fail".into());
            }
        }
        if !self.has_room(op) {
            return Err("no room in the map".into());
        }
        self.image.apply(op);
        self.applied.push(*op);
        Ok(())
    }
}

impl FakeDataplane {
    /// One whose maps already hold something, as after a restart of the agent.
    pub fn holding(image: Image) -> Self {
        let fake = Self::default();
        fake.state().image = image;
        fake
    }

    /// Its state, to read or to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dataplane for FakeDataplane {
    fn limits(&self) -> Limits {
        self.state().limits()
    }

    fn dump(&self) -> Result<Image> {
        Ok(self.state().image.clone())
    }

    fn apply(&self, ops: &[Op]) -> Result<()> {
        let mut state = self.state();
        for (done, op) in ops.iter().enumerate() {
            let failed = |reason| Error::Apply { done, total: ops.len(), op: *op, reason };
            state.apply(op).map_err(failed)?;
        }
        Ok(())
    }

    fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>> {
        Ok(self.state().endpoints.clone())
    }

    fn put_endpoint(&self, addr: Ipv4Addr, value: EndpointVal) -> Result<()> {
        self.state().endpoints.insert(addr, value);
        Ok(())
    }

    fn drop_endpoint(&self, addr: Ipv4Addr) -> Result<()> {
        self.state().endpoints.remove(&addr);
        Ok(())
    }

    fn attach_pod(&self, ifindex: u32) -> Result<()> {
        self.state().attached.insert(ifindex);
        Ok(())
    }

    fn detach_pod(&self, ifindex: u32) -> Result<()> {
        self.state().attached.remove(&ifindex);
        Ok(())
    }

    fn attached_pods(&self) -> Result<Vec<u32>> {
        Ok(self.state().attached.iter().copied().collect())
    }

    fn settled(&self) -> Result<()> {
        self.state().settled += 1;
        Ok(())
    }

    fn verdicts(&self) -> Result<Verdicts> {
        verdicts(|_| Ok(0))
    }
}
