//! A snapshot and its ids as exact bytes.

use nodeplane_ebpf_abi::{
    addr::PortBe,
    service::{BackendVal, FLAG_CLIENT_IP, SlotKey, SvcKey, SvcVal, TCP, UDP},
};

use super::{Ids, Image};
use crate::model::{Backend, Frontend, Protocol, Snapshot};

/// What the maps should hold. `ids` must have been [assigned](Ids::assign) from the same snapshot;
/// an owner without an id is left out.
///
/// Slots are filled in the order of backend ids: a new backend takes the slot at the end, and the
/// others stay where they are.
pub fn desired(snapshot: &Snapshot, ids: &Ids) -> Image {
    let mut image = Image::default();
    for frontend in &snapshot.frontends {
        let key = svc_key(frontend);
        let Some(service) = ids.service(&key) else { continue };
        let count = add_backends(&mut image, service, frontend, ids);
        image.frontends.insert(key, svc_val(frontend, service, count));
        // Whatever other port of this address somebody asks for is refused.
        image.frontends.insert(SvcKey::any_port(key.addr), SvcVal::default());
    }
    image
}

/// Fills the slots of one service; returns how many.
fn add_backends(image: &mut Image, service: u32, frontend: &Frontend, ids: &Ids) -> u32 {
    let mut backends: Vec<(u32, BackendVal)> = Vec::with_capacity(frontend.backends.len());
    for backend in &frontend.backends {
        let value = backend_val(*backend, service, frontend.protocol);
        backends.extend(ids.backend(&(service, value.addr, value.port)).map(|id| (id, value)));
    }
    backends.sort_unstable_by_key(|(id, _)| *id);
    let mut index = 0;
    for (id, value) in backends {
        image.backends.insert(id, value);
        image.slots.insert(SlotKey { service, index }, id);
        index += 1;
    }
    index
}

pub(super) fn svc_key(frontend: &Frontend) -> SvcKey {
    SvcKey::new(frontend.addr.into(), PortBe::new(frontend.port), proto(frontend.protocol))
}

fn svc_val(frontend: &Frontend, service: u32, count: u32) -> SvcVal {
    let flags = if frontend.affinity_secs.is_some() { FLAG_CLIENT_IP } else { 0 };
    SvcVal { service, count, flags, affinity_secs: frontend.affinity_secs.unwrap_or(0) }
}

fn backend_val(backend: Backend, service: u32, protocol: Protocol) -> BackendVal {
    BackendVal { service, addr: backend.addr.into(), port: PortBe::new(backend.port), proto: proto(protocol), pad: 0 }
}

fn proto(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => TCP,
        Protocol::Udp => UDP,
    }
}
