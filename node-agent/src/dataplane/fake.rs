//! A dataplane in memory, that records what was asked of it and fails when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nodeplane_ebpf_abi::endpoint::EndpointVal;

use super::{Dataplane, Error, Result, Verdicts, verdicts};
use crate::plan::{Image, Op};

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
    fn dump(&self) -> Result<Image> {
        Ok(self.state().image.clone())
    }

    fn apply(&mut self, ops: &[Op]) -> Result<()> {
        let mut state = self.state();
        for (done, op) in ops.iter().enumerate() {
            match state.fail_after {
                Some(0) => {
                    state.fail_after = None;
                    return Err(Error::Apply { done, total: ops.len(), op: *op, reason: "told to fail".into() });
                }
                Some(left) => state.fail_after = Some(left - 1),
                None => {}
            }
            state.image.apply(op);
            state.applied.push(*op);
        }
        Ok(())
    }

    fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>> {
        Ok(self.state().endpoints.clone())
    }

    fn put_endpoint(&mut self, addr: Ipv4Addr, value: EndpointVal) -> Result<()> {
        self.state().endpoints.insert(addr, value);
        Ok(())
    }

    fn drop_endpoint(&mut self, addr: Ipv4Addr) -> Result<()> {
        self.state().endpoints.remove(&addr);
        Ok(())
    }

    fn attach_pod(&mut self, ifindex: u32) -> Result<()> {
        self.state().attached.insert(ifindex);
        Ok(())
    }

    fn detach_pod(&mut self, ifindex: u32) -> Result<()> {
        self.state().attached.remove(&ifindex);
        Ok(())
    }

    fn attached_pods(&self) -> Result<Vec<u32>> {
        Ok(self.state().attached.iter().copied().collect())
    }

    fn settled(&mut self) -> Result<()> {
        self.state().settled += 1;
        Ok(())
    }

    fn verdicts(&self) -> Result<Verdicts> {
        verdicts(|_| Ok(0))
    }
}
