//! Loads, attaches and fills the BPF programs and maps.
//!
//! In: operations from the plan, and the pods of this node. Out: a kernel that does what they say.
//! [`Dataplane`] has two implementations: [`bpf`], and [`fake`] for tests of everything above. Never
//! knows Kubernetes, and never decides what the maps should hold.

pub mod bpf;
pub mod cgroup;
pub mod dump;
pub mod fake;

use std::{collections::BTreeMap, net::Ipv4Addr};

use nodeplane_ebpf_abi::{addr::Mac, endpoint::EndpointVal, verdict::Verdict};

use crate::plan::{Image, Limits, Op};

/// A pod of this node, as packets need to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod's address.
    pub addr: Ipv4Addr,
    /// The interface on the node's side, whose peer is the pod's.
    pub ifindex: u32,
    /// Ethernet address of the pod's interface.
    pub pod_mac: [u8; 6],
    /// Ethernet address of the interface on the node's side.
    pub host_mac: [u8; 6],
}

impl Endpoint {
    /// Its entry in the map.
    pub fn value(&self) -> EndpointVal {
        EndpointVal { ifindex: self.ifindex, pod_mac: Mac(self.pod_mac), host_mac: Mac(self.host_mac) }
    }
}

/// How often each verdict was reached since the maps were made, by its name.
pub type Verdicts = BTreeMap<&'static str, u64>;

/// The names of all verdicts, counted by `count`.
fn verdicts(mut count: impl FnMut(Verdict) -> Result<u64>) -> Result<Verdicts> {
    (0u32..).zip(Verdict::NAMES).map(|(number, name)| Ok((name, count(Verdict(number))?))).collect()
}

/// What can go wrong between the agent and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write to a map failed. Everything before it is done, nothing after it.
    #[error("{done} of {total} operations done, then {op:?} failed: {reason}")]
    Apply {
        /// How many operations were done.
        done: usize,
        /// How many there were.
        total: usize,
        /// Which one failed.
        op: Op,
        /// Why.
        reason: String,
    },
    /// A map is not there, cannot be read, or has another shape.
    #[error("map {map}: {reason}")]
    Map {
        /// Which map.
        map: &'static str,
        /// Why.
        reason: String,
    },
    /// The pinned maps of this ABI version have another layout: another build of the agent made
    /// them.
    #[error(
        "pinned map {map} has {found}, this agent needs {wanted}: it was made by an incompatible build of the same \
         ABI version; stop that agent and run `nodeplane-agent cleanup`"
    )]
    Layout {
        /// Which map.
        map: &'static str,
        /// What is there.
        found: String,
        /// What should be.
        wanted: String,
    },
    /// The object or one of its programs was not accepted.
    #[error("loading BPF program {program}: {reason}")]
    Load {
        /// Which program, or "object".
        program: String,
        /// What the kernel said.
        reason: String,
    },
    /// A program could not be attached or replaced.
    #[error("attaching {program} to {target}: {reason}")]
    Attach {
        /// Which program.
        program: &'static str,
        /// A cgroup or an interface.
        target: String,
        /// Why.
        reason: String,
    },
    /// The BPF file system is not usable.
    #[error("BPF file system at {path}: {reason}")]
    Pins {
        /// Which path.
        path: String,
        /// Why.
        reason: String,
    },
    /// There is no usable cgroup2 hierarchy.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// The socket hooks do not act on processes in the cgroup.
    #[error("socket hooks do not work in cgroup {cgroup}: {reason}")]
    SelfTest {
        /// Where they are attached.
        cgroup: String,
        /// What the probe saw.
        reason: String,
    },
}

/// Results of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// The kernel's side of the Service plane.
///
/// What is done to pods never waits for what is done to Services.
pub trait Dataplane: Send + Sync {
    /// How many entries the Service maps may hold.
    fn limits(&self) -> Limits;

    /// Reads the Service maps.
    ///
    /// # Errors
    /// [`Error::Map`].
    fn dump(&self) -> Result<Image>;

    /// Writes the operations in their order, and stops at the first that fails.
    ///
    /// # Errors
    /// [`Error::Apply`].
    fn apply(&self, ops: &[Op]) -> Result<()>;

    /// Reads which pods of this node are known.
    ///
    /// # Errors
    /// [`Error::Map`].
    fn endpoints(&self) -> Result<BTreeMap<Ipv4Addr, EndpointVal>>;

    /// Makes a pod known, or known anew.
    ///
    /// # Errors
    /// [`Error::Map`].
    fn put_endpoint(&self, addr: Ipv4Addr, value: EndpointVal) -> Result<()>;

    /// Forgets a pod. It is no error that it was not known.
    ///
    /// # Errors
    /// [`Error::Map`].
    fn drop_endpoint(&self, addr: Ipv4Addr) -> Result<()>;

    /// Lets `from_pod` see what comes in by an interface, or replaces what saw it before without a
    /// gap.
    ///
    /// # Errors
    /// [`Error::Attach`].
    fn attach_pod(&self, ifindex: u32) -> Result<()>;

    /// Takes `from_pod` off an interface. It is no error that it, or the interface, was not there.
    ///
    /// # Errors
    /// [`Error::Pins`].
    fn detach_pod(&self, ifindex: u32) -> Result<()>;

    /// The interfaces that `from_pod` is attached to, or was until they disappeared.
    ///
    /// # Errors
    /// [`Error::Pins`].
    fn attached_pods(&self) -> Result<Vec<u32>>;

    /// The maps hold everything now: what an earlier version of the programs left may go.
    ///
    /// # Errors
    /// [`Error::Pins`].
    fn settled(&self) -> Result<()>;

    /// Reads the counters.
    ///
    /// # Errors
    /// [`Error::Map`].
    fn verdicts(&self) -> Result<Verdicts>;
}
