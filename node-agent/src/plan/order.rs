//! Operations, in an order that is safe to stop anywhere.
//!
//! **Ordering law.** After every single operation, whatever follows or fails: no slot names a missing backend, no
//! frontend counts more slots than are filled, and no backend goes before the last slot that names it. A socket call
//! at any moment therefore finds a backend of the old or of the new state. What grows, grows from the ground up:
//! backends, slots, frontends. What shrinks, shrinks from the top down: frontends, slots, backends.
//!
//! A backend belongs to one service, so the law is kept service by service, and one service is finished before the
//! next one begins: maps that are nearly full never have to hold the old and the new state of everything at once.
//!
//! The law holds if it held before the first operation; the property tests check it on every prefix.

use std::collections::{BTreeMap, BTreeSet};

use nodeplane_ebpf_abi::service::{BackendVal, SlotKey, SvcKey, SvcVal};

use super::Image;

/// One write to one map. Made in this room alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Adds or replaces a backend.
    PutBackend(u32, BackendVal),
    /// Lets a slot name a backend.
    PutSlot(SlotKey, u32),
    /// Adds or replaces a frontend.
    PutFrontend(SvcKey, SvcVal),
    /// Removes a frontend.
    DropFrontend(SvcKey),
    /// Removes a slot.
    DropSlot(SlotKey),
    /// Removes a backend.
    DropBackend(u32),
}

/// Operations so far, and what the maps hold after them.
pub(super) struct Draft<'a> {
    pub(super) image: &'a mut Image,
    pub(super) ops: Vec<Op>,
}

impl<'a> Draft<'a> {
    pub(super) fn on(image: &'a mut Image) -> Self {
        Self { image, ops: Vec::new() }
    }

    pub(super) fn push(&mut self, op: Op) {
        self.image.apply(&op);
        self.ops.push(op);
    }

    /// Lets the slots of the service of `value` name exactly these backends, of which `new` are not there yet; grows,
    /// then shrinks. Whoever has no slot any more goes.
    pub(super) fn shift(&mut self, key: SvcKey, value: SvcVal, new: &[(u32, BackendVal)], slots: &[u32]) {
        let service = value.service;
        let before = self.image.slots_of(service);
        new.iter().for_each(|(id, value)| self.push(Op::PutBackend(*id, *value)));
        for (index, backend) in (0..).zip(slots) {
            let slot = SlotKey { service, index };
            if self.image.slots.get(&slot) != Some(backend) {
                self.push(Op::PutSlot(slot, *backend));
            }
        }
        if self.image.frontends.get(&key) != Some(&value) {
            self.push(Op::PutFrontend(key, value));
        }
        let kept: BTreeSet<u32> = slots.iter().copied().collect();
        for (index, _) in (0..).zip(&before).skip(slots.len()) {
            self.push(Op::DropSlot(SlotKey { service, index }));
        }
        let gone: BTreeSet<u32> = before.into_iter().filter(|backend| !kept.contains(backend)).collect();
        gone.into_iter().for_each(|backend| self.push(Op::DropBackend(backend)));
    }

    /// Removes slots and backends of a service that no frontend names any more.
    pub(super) fn clear(&mut self, service: u32) {
        let backends = self.image.slots_of(service);
        (0..).zip(&backends).for_each(|(index, _)| self.push(Op::DropSlot(SlotKey { service, index })));
        let backends: BTreeSet<u32> = backends.into_iter().collect();
        backends.into_iter().for_each(|backend| self.push(Op::DropBackend(backend)));
    }

    /// Removes every slot that no frontend counts, and every backend that no slot names: what an agent leaves that
    /// dies in the middle.
    pub(super) fn sweep(&mut self) {
        let mut counted: BTreeMap<u32, u32> = BTreeMap::new();
        for value in self.image.frontends.values() {
            let count = counted.entry(value.service).or_default();
            *count = (*count).max(value.count);
        }
        let is_counted = |slot: &SlotKey| counted.get(&slot.service).is_some_and(|count| slot.index < *count);
        let slots: Vec<SlotKey> = self.image.slots.keys().filter(|slot| !is_counted(slot)).copied().collect();
        slots.into_iter().for_each(|slot| self.push(Op::DropSlot(slot)));
        let named: BTreeSet<u32> = self.image.slots.values().copied().collect();
        let backends: Vec<u32> = self.image.backends.keys().filter(|id| !named.contains(id)).copied().collect();
        backends.into_iter().for_each(|backend| self.push(Op::DropBackend(backend)));
    }
}

/// The slots of a service whose present slots keep these backends and lose the others: a new backend takes the place
/// of one that goes, else the one at the end does, and nobody else moves.
pub(super) fn arrange(kept: &[Option<u32>], new: impl Iterator<Item = u32> + Clone) -> Vec<u32> {
    let count = kept.iter().flatten().count() + new.clone().count();
    let (head, tail) = kept.split_at(count.min(kept.len()));
    let mut spare = new.chain(tail.iter().rev().flatten().copied());
    // There are as many gaps as spare ones.
    (0..count).filter_map(|index| head.get(index).copied().flatten().or_else(|| spare.next())).collect()
}
