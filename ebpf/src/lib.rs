//! What happens to a packet or a socket call: decisions, tested on the host.
//!
//! In: table lookups and the bytes of a packet, given by whoever calls. Out: a choice. The hooks of
//! the `nodeplane-bpf` binary act on it. This library knows no kernel, no map and no aya; it never
//! allocates, and never loops without a bound.
#![no_std]

pub mod lb;
pub mod packet;
