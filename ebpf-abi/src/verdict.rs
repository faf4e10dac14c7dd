//! What a program decided. Numbers are append-only: they are indices of the counter map and will
//! be read by tools that are older or newer than the programs.

/// A number of this list.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Verdict(pub u32);

impl Verdict {
    /// A socket call to a Service was sent to a backend.
    pub const TRANSLATED: Self = Self(0);
    /// A socket call was refused: the Service has no endpoint.
    pub const NO_ENDPOINT: Self = Self(1);
    /// A socket call was refused: the Service has no such port.
    pub const NO_PORT: Self = Self(2);
    /// A socket call was refused: the maps contradicted each other twice in a row.
    pub const TORN: Self = Self(3);
    /// An answer got the Service's address back.
    pub const REVERSED: Self = Self(4);
    /// A packet was handed to another pod of this node.
    pub const TO_LOCAL_POD: Self = Self(5);
    /// A packet was sent on to another node.
    pub const TO_OTHER_NODE: Self = Self(6);
    /// A packet was left to the kernel's own forwarding.
    pub const TO_STACK: Self = Self(7);
    /// A packet was dropped: its source is not the address of the pod that sent it.
    pub const SPOOFED: Self = Self(8);
    /// A socket call was sent to a backend, but which Service was meant could not be noted: answers will seem to come
    /// from the backend. Counted besides [`Self::TRANSLATED`].
    pub const NOT_NOTED: Self = Self(9);

    /// How many there are, with the name of each for people and metrics.
    pub const NAMES: [&'static str; 10] = [
        "translated",
        "no_endpoint",
        "no_port",
        "torn",
        "reversed",
        "to_local_pod",
        "to_other_node",
        "to_stack",
        "spoofed",
        "not_noted",
    ];
}
