//! A Service that only the self-test asks for.

use std::net::SocketAddrV4;

use nodeplane_ebpf_abi::{
    addr::PortBe,
    service::{BackendVal, SlotKey, SvcKey, SvcVal, TCP},
};

use super::{Image, ids::LAST};

/// Service and backend id of the probe; [`super::Ids`] gives out none above [`LAST`].
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
    /// `image` with the probe in it.
    pub fn added_to(&self, image: &Image) -> Image {
        let mut image = image.clone();
        let (addr, port) = (self.listener.ip().to_owned().into(), PortBe::new(self.listener.port()));
        image.backends.insert(ID, BackendVal { service: ID, addr, port, proto: TCP, pad: 0 });
        image.slots.insert(SlotKey { service: ID, index: 0 }, ID);
        let key = SvcKey::new(self.vip.ip().to_owned().into(), PortBe::new(self.vip.port()), TCP);
        image.frontends.insert(key, SvcVal { service: ID, count: 1, flags: 0, affinity_secs: 0 });
        image
    }
}
