//! The difference between two images as operations, in an order that is safe to stop anywhere.
//!
//! **Ordering law.** After every single operation, whatever follows or fails:
//! no slot names a missing backend, no frontend counts more slots than are filled, and no backend
//! goes before the last slot that names it. A socket call at any moment therefore finds a backend
//! of the old or of the new image. What grows, grows from the ground up: backends, slots,
//! frontends. What shrinks, shrinks from the top down: frontends, slots, backends.
//!
//! The law holds if it held before the first operation; the property tests check it on every
//! prefix.

use std::collections::BTreeMap;

use nodeplane_ebpf_abi::service::{BackendVal, SlotKey, SvcKey, SvcVal};

use super::Image;

/// One write to one map. Made by [`diff`] alone.
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

/// The operations that turn `current` into `desired`, in safe order. Empty when they are equal.
pub fn diff(current: &Image, desired: &Image) -> Vec<Op> {
    let mut ops = Vec::new();
    ops.extend(changed(&current.backends, &desired.backends).map(|(id, value)| Op::PutBackend(id, value)));
    ops.extend(changed(&current.slots, &desired.slots).map(|(key, id)| Op::PutSlot(key, id)));
    ops.extend(changed(&current.frontends, &desired.frontends).map(|(key, value)| Op::PutFrontend(key, value)));
    ops.extend(gone(&current.frontends, &desired.frontends).map(Op::DropFrontend));
    ops.extend(gone(&current.slots, &desired.slots).map(Op::DropSlot));
    ops.extend(gone(&current.backends, &desired.backends).map(Op::DropBackend));
    ops
}

fn changed<'a, K: Ord + Copy, V: PartialEq + Copy>(
    current: &'a BTreeMap<K, V>,
    desired: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, V)> {
    desired.iter().filter(|(key, value)| current.get(key) != Some(value)).map(|(key, value)| (*key, *value))
}

fn gone<'a, K: Ord + Copy, V>(current: &'a BTreeMap<K, V>, desired: &'a BTreeMap<K, V>) -> impl Iterator<Item = K> {
    current.keys().filter(|key| !desired.contains_key(key)).copied()
}
