//! The Service maps as values.

use std::{collections::BTreeMap, fmt};

use nodeplane_ebpf_abi::{
    addr::{Ipv4Be, PortBe},
    service::{ANY_PROTO, BackendVal, FLAG_CLIENT_IP, SlotKey, SvcKey, SvcVal, TCP, UDP},
};

use super::Op;

/// Exactly what the frontend, slot and backend maps hold, or should hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Image {
    /// The frontend map.
    pub frontends: BTreeMap<SvcKey, SvcVal>,
    /// The slot map: backend ids.
    pub slots: BTreeMap<SlotKey, u32>,
    /// The backend map, by backend id.
    pub backends: BTreeMap<u32, BackendVal>,
}

/// A way in which an image contradicts itself: a socket call could be misled by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A slot names a backend that is not there.
    #[error("slot {slot:?} names backend {backend}, which is missing")]
    MissingBackend {
        /// Which slot.
        slot: SlotKey,
        /// The id it names.
        backend: u32,
    },
    /// A frontend counts a slot that is not filled.
    #[error("frontend {frontend:?} counts slot {slot:?}, which is empty")]
    EmptySlot {
        /// Which frontend.
        frontend: SvcKey,
        /// Which slot.
        slot: SlotKey,
    },
}

impl Image {
    /// Does what the dataplane would do.
    pub fn apply(&mut self, op: &Op) {
        match *op {
            Op::PutBackend(id, value) => drop(self.backends.insert(id, value)),
            Op::PutSlot(key, id) => drop(self.slots.insert(key, id)),
            Op::PutFrontend(key, value) => drop(self.frontends.insert(key, value)),
            Op::DropFrontend(key) => drop(self.frontends.remove(&key)),
            Op::DropSlot(key) => drop(self.slots.remove(&key)),
            Op::DropBackend(id) => drop(self.backends.remove(&id)),
        }
    }

    /// What the slots of a service name, up to the first that is empty.
    pub(super) fn slots_of(&self, service: u32) -> Vec<u32> {
        let slots = self.slots.range(SlotKey { service, index: 0 }..=SlotKey { service, index: u32::MAX });
        (0..).zip(slots).take_while(|(index, (slot, _))| slot.index == *index).map(|(_, (_, id))| *id).collect()
    }

    /// The frontends at an address, without the one for all other ports.
    pub(super) fn ports_of(&self, addr: Ipv4Be) -> impl Iterator<Item = &SvcKey> {
        let others = SvcKey::any_port(addr);
        let last = SvcKey { addr, port: PortBe::from_wire(u16::MAX), proto: u8::MAX, pad: u8::MAX };
        self.frontends.range(others..=last).map(|(key, _)| key).filter(move |key| **key != others)
    }

    /// Checks the ordering law on this image; see [`super::order`].
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), Contradiction> {
        for (slot, backend) in &self.slots {
            if !self.backends.contains_key(backend) {
                return Err(Contradiction::MissingBackend { slot: *slot, backend: *backend });
            }
        }
        for (frontend, value) in &self.frontends {
            for index in 0..value.count {
                let slot = SlotKey { service: value.service, index };
                if !self.slots.contains_key(&slot) {
                    return Err(Contradiction::EmptySlot { frontend: *frontend, slot });
                }
            }
        }
        Ok(())
    }
}

/// One line for each entry, in the order of the keys.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "frontends:")?;
        for (SvcKey { addr, port, proto, pad: _ }, value) in &self.frontends {
            if *proto == ANY_PROTO {
                writeln!(f, "  {addr} any other port: refused")?;
                continue;
            }
            let SvcVal { service, count, flags, affinity_secs } = value;
            write!(f, "  {addr}:{port}/{}: service {service}, {count} slots", proto_name(*proto))?;
            if flags & FLAG_CLIENT_IP != 0 {
                write!(f, ", one backend for a client until idle for {affinity_secs} s")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "slots:")?;
        for (SlotKey { service, index }, backend) in &self.slots {
            writeln!(f, "  {service}/{index}: backend {backend}")?;
        }
        writeln!(f, "backends:")?;
        for (id, BackendVal { service, addr, port, proto, pad: _ }) in &self.backends {
            writeln!(f, "  {id}: {addr}:{port}/{} of service {service}", proto_name(*proto))?;
        }
        Ok(())
    }
}

fn proto_name(proto: u8) -> String {
    match proto {
        TCP => "TCP".into(),
        UDP => "UDP".into(),
        other => other.to_string(),
    }
}
