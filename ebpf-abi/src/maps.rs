//! The maps: name, capacity, and who writes and reads each. A pin has the name of its map.

use crate::{
    addr::Ipv4Be,
    affinity::{AffKey, AffVal, FlowKey},
    endpoint::EndpointVal,
    reverse::{ReverseKey, ReverseVal},
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
    verdict::Verdict,
};

/// How the kernel keeps a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Takes memory as it fills (`BPF_F_NO_PREALLOC`): a small cluster shall not pay for a large one.
    Hash,
    /// Full from the beginning; least recently used go first.
    LruHash,
    /// All entries, always.
    Array,
    /// All entries, always, for each CPU.
    PerCpuArray,
}

impl Kind {
    /// The flags that it is made with.
    pub const fn flags(self) -> u32 {
        match self {
            Self::Hash => 1,
            Self::LruHash | Self::Array | Self::PerCpuArray => 0,
        }
    }
}

/// What a map must look like; checked against every pinned map before it is used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapSpec {
    /// Of the symbol in the object, of the map in the kernel, and of the pin. At most 15 bytes.
    pub name: &'static str,
    /// How it is kept.
    pub kind: Kind,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries.
    pub capacity: u32,
}

impl MapSpec {
    const fn of<K, V>(name: &'static str, kind: Kind, capacity: u32) -> Self {
        assert!(name.len() <= 15);
        Self { name, kind, key_size: size_of::<K>() as u32, value_size: size_of::<V>() as u32, capacity }
    }
}

/// Frontends. Written by the agent, read by the socket hooks.
pub const FRONTENDS: MapSpec = MapSpec::of::<SvcKey, SvcVal>("NP_FRONTENDS", Kind::Hash, 65_536);
/// Slots. Written by the agent, read by the socket hooks.
pub const SLOTS: MapSpec = MapSpec::of::<SlotKey, u32>("NP_SLOTS", Kind::Hash, 262_144);
/// Backends. Written by the agent, read by the socket hooks.
pub const BACKENDS: MapSpec = MapSpec::of::<u32, BackendVal>("NP_BACKENDS", Kind::Hash, 262_144);
/// Round-robin counters, an array indexed by the service id modulo the capacity (a power of two).
/// Written and read by the socket hooks.
pub const TURNS: MapSpec = MapSpec::of::<u32, u64>("NP_TURNS", Kind::Array, 65_536);
/// Session affinity. Written and read by the socket hooks.
pub const AFFINITY: MapSpec = MapSpec::of::<AffKey, AffVal>("NP_AFFINITY", Kind::LruHash, 65_536);
/// Flows of UDP sockets. Written and read by the socket hooks. Apart from [`AFFINITY`], because every lookup of a name
/// makes one, and hours of affinity must not be evicted by them.
pub const UDP_FLOWS: MapSpec = MapSpec::of::<FlowKey, AffVal>("NP_UDP_FLOWS", Kind::LruHash, 65_536);
/// Translated sockets. Written and read by the socket hooks.
pub const REVERSE: MapSpec = MapSpec::of::<ReverseKey, ReverseVal>("NP_REVERSE", Kind::LruHash, 131_072);
/// Pods of this node. Written by the agent, read by `from_pod`.
pub const ENDPOINTS: MapSpec = MapSpec::of::<Ipv4Be, EndpointVal>("NP_ENDPOINTS", Kind::Hash, 4_096);
/// How often each verdict was reached, per CPU. Written by all programs, read by the agent, which looks at those that it
/// has a name for. There is room for many more, so that a new verdict changes no map.
pub const VERDICTS: MapSpec = MapSpec::of::<u32, u64>("NP_VERDICTS", Kind::PerCpuArray, 256);

/// All of them.
pub const ALL: [MapSpec; 9] = [FRONTENDS, SLOTS, BACKENDS, TURNS, AFFINITY, UDP_FLOWS, REVERSE, ENDPOINTS, VERDICTS];

const _: () = assert!(TURNS.capacity.is_power_of_two());
const _: () = assert!(Verdict::NAMES.len() <= VERDICTS.capacity as usize);
