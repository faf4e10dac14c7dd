//! A Service that only the self-test asks for.

use std::net::SocketAddrV4;

use nodeplane_ebpf_abi::{
    addr::PortBe,
    service::{BackendVal, SlotKey, SvcKey, SvcVal, TCP},
};

use super::{Op, ids::LAST};

/// Service and backend id of the probe; nobody else gets one above [`LAST`].
const ID: u32 = LAST + 1;

/// One TCP frontend with one backend.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// What the self-test connects to.
    pub vip: SocketAddrV4,
    /// Where it must arrive.
    pub listener: SocketAddrV4,
}

impl Probe {
    /// Operations that put the probe beside whatever the maps hold.
    pub fn added(&self) -> [Op; 3] {
        let (addr, port) = (self.listener.ip().to_owned().into(), PortBe::new(self.listener.port()));
        [
            Op::PutBackend(ID, BackendVal { service: ID, addr, port, proto: TCP, pad: 0 }),
            Op::PutSlot(Self::slot(), ID),
            Op::PutFrontend(self.key(), SvcVal { service: ID, count: 1, flags: 0, affinity_secs: 0 }),
        ]
    }

    /// Operations that take it away again.
    pub fn removed(&self) -> [Op; 3] {
        [Op::DropFrontend(self.key()), Op::DropSlot(Self::slot()), Op::DropBackend(ID)]
    }

    fn key(&self) -> SvcKey {
        SvcKey::new(self.vip.ip().to_owned().into(), PortBe::new(self.vip.port()), TCP)
    }

    const fn slot() -> SlotKey {
        SlotKey { service: ID, index: 0 }
    }
}
