//! The maps, as `nodeplane_ebpf_abi::maps` describes them, and the constants set at load time.

use aya_ebpf::{
    Global,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray},
};
use nodeplane_ebpf_abi::{
    addr::Ipv4Be,
    affinity::{AffKey, AffVal, FlowKey},
    endpoint::EndpointVal,
    maps,
    ranges::Ranges,
    reverse::{ReverseKey, ReverseVal},
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
    verdict::Verdict,
};

/// The cluster's address ranges; the loader overrides them.
#[unsafe(no_mangle)]
pub(crate) static RANGES: Global<Ranges> = Global::new(Ranges::NONE);

#[map(name = "NP_FRONTENDS")]
pub(crate) static FRONTENDS: HashMap<SvcKey, SvcVal> =
    HashMap::pinned(maps::FRONTENDS.capacity, maps::FRONTENDS.kind.flags());
#[map(name = "NP_SLOTS")]
pub(crate) static SLOTS: HashMap<SlotKey, u32> = HashMap::pinned(maps::SLOTS.capacity, maps::SLOTS.kind.flags());
#[map(name = "NP_BACKENDS")]
pub(crate) static BACKENDS: HashMap<u32, BackendVal> =
    HashMap::pinned(maps::BACKENDS.capacity, maps::BACKENDS.kind.flags());
#[map(name = "NP_TURNS")]
pub(crate) static TURNS: Array<u64> = Array::pinned(maps::TURNS.capacity, maps::TURNS.kind.flags());
#[map(name = "NP_AFFINITY")]
pub(crate) static AFFINITY: LruHashMap<AffKey, AffVal> =
    LruHashMap::pinned(maps::AFFINITY.capacity, maps::AFFINITY.kind.flags());
#[map(name = "NP_UDP_FLOWS")]
pub(crate) static UDP_FLOWS: LruHashMap<FlowKey, AffVal> =
    LruHashMap::pinned(maps::UDP_FLOWS.capacity, maps::UDP_FLOWS.kind.flags());
#[map(name = "NP_REVERSE")]
pub(crate) static REVERSE: LruHashMap<ReverseKey, ReverseVal> =
    LruHashMap::pinned(maps::REVERSE.capacity, maps::REVERSE.kind.flags());
#[map(name = "NP_ENDPOINTS")]
pub(crate) static ENDPOINTS: HashMap<Ipv4Be, EndpointVal> =
    HashMap::pinned(maps::ENDPOINTS.capacity, maps::ENDPOINTS.kind.flags());
#[map(name = "NP_VERDICTS")]
pub(crate) static VERDICTS: PerCpuArray<u64> =
    PerCpuArray::pinned(maps::VERDICTS.capacity, maps::VERDICTS.kind.flags());

/// Counts a verdict on this CPU.
#[inline(always)]
pub(crate) fn count(verdict: Verdict) {
    if let Some(counter) = VERDICTS.get_ptr_mut(verdict.0) {
        // SAFETY: the pointer is to this CPU's slot of the map, which lives as long as the program,
        // and programs of these types do not interrupt each other on one CPU with the same slot but
        // for a lost count.
        unsafe { *counter = (*counter).wrapping_add(1) };
    }
}
