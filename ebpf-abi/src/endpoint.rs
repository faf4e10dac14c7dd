//! The pods of this node, for packets that go from one to another. The key of the map is the
//! pod's address ([`crate::addr::Ipv4Be`]).

use crate::{addr::Mac, plain};

/// How to hand a packet to a local pod.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EndpointVal {
    /// The interface on the node's side; its peer is the pod's `eth0`.
    pub ifindex: u32,
    /// Address of the pod's `eth0`.
    pub pod_mac: Mac,
    /// Address of the interface on the node's side.
    pub host_mac: Mac,
}

plain!(EndpointVal = 4 + 6 + 6);
