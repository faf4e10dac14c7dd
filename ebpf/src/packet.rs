//! What becomes of a packet that a pod sends: the part of it that reads and writes bytes.
//!
//! In: the first bytes of an Ethernet frame, and a lookup of the node's pods. Out: a [`Route`], and
//! the frame with other addresses. Never reads beyond the fixed part of the IPv4 header, so options
//! do not matter. Layouts: IEEE 802.3, RFC 791.

use nodeplane_ebpf_abi::{
    addr::{Ipv4Be, Mac},
    endpoint::EndpointVal,
    ranges::Ranges,
    service::TCP,
};

#[cfg(test)]
mod tests;

/// The Ethernet header and the fixed part of an IPv4 header.
pub const HEAD: usize = 14 + 20;

const ETHERTYPE: usize = 12;
const IPV4: [u8; 2] = [0x08, 0x00];
const VERSION: usize = 14;
const TOTAL_LENGTH: usize = 16;
const TTL: usize = 22;
const PROTOCOL: usize = 23;
const CHECKSUM: usize = 24;
const SOURCE: usize = 26;
const DESTINATION: usize = 30;

/// What a decision needs to know of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Who sent it.
    pub source: Ipv4Be,
    /// Whom it is for.
    pub destination: Ipv4Be,
    /// Length of the IPv4 packet in bytes; when the kernel joined several, of all of them or zero.
    pub length: u16,
    /// How many more hops it may make.
    pub ttl: u8,
    /// What is inside, as IPv4 numbers it.
    pub protocol: u8,
}

impl Packet {
    /// How long it is on a wire, where packets that the kernel joined are apart again. `segment` is
    /// what each of those carries, zero for a packet that is one. Headers are taken without
    /// options, so that nothing that fits is called too long.
    #[inline(always)]
    pub fn length_on_wire(&self, segment: u32) -> u16 {
        if segment == 0 {
            return self.length;
        }
        let headers = 20 + if self.protocol == TCP { 20 } else { 8 };
        let length = segment.saturating_add(headers);
        u16::try_from(length).unwrap_or(u16::MAX)
    }
}

/// Where a packet of a pod goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Straight into another pod of this node.
    LocalPod(EndpointVal),
    /// To a pod that is not here: past the node's stack when it has a route.
    OtherNode,
    /// To the node's stack.
    Stack,
    /// Nowhere: its source is the address of another pod.
    Spoofed,
}

/// Reads a frame. None when it is not IPv4.
#[inline(always)]
pub fn parse(head: &[u8; HEAD]) -> Option<Packet> {
    if head[ETHERTYPE] != IPV4[0] || head[ETHERTYPE + 1] != IPV4[1] || head[VERSION] >> 4 != 4 {
        return None;
    }
    Some(Packet {
        source: addr_at(head, SOURCE),
        destination: addr_at(head, DESTINATION),
        length: u16::from_be_bytes([head[TOTAL_LENGTH], head[TOTAL_LENGTH + 1]]),
        ttl: head[TTL],
        protocol: head[PROTOCOL],
    })
}

#[inline(always)]
fn addr_at(head: &[u8; HEAD], at: usize) -> Ipv4Be {
    Ipv4Be::from_wire(u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]))
}

/// Decides where a packet goes that came from a pod by the interface `from`. What goes past the
/// stack also goes past its check of sources, so only what bears the address of that very pod may.
#[inline(always)]
pub fn route(packet: &Packet, from: u32, ranges: &Ranges, local_pod: impl Fn(&Ipv4Be) -> Option<EndpointVal>) -> Route {
    match local_pod(&packet.source) {
        // Nobody's address, or that of a pod that is not known yet: the stack checks.
        None => return Route::Stack,
        Some(sender) if sender.ifindex != from => return Route::Spoofed,
        Some(_) => {}
    }
    if let Some(pod) = local_pod(&packet.destination) {
        return Route::LocalPod(pod);
    }
    // The last hop: the stack tells the sender.
    if ranges.pods.contains(packet.destination) && packet.ttl > 1 {
        return Route::OtherNode;
    }
    Route::Stack
}

/// Gives a frame other Ethernet addresses.
#[inline(always)]
pub fn readdress(head: &mut [u8; HEAD], to: Mac, from: Mac) {
    let mut at = 0;
    while at < 6 {
        head[at] = to.0[at];
        head[at + 6] = from.0[at];
        at += 1;
    }
}

/// Takes one hop from the packet's life, as every router does. Call it only for packets with a TTL
/// above one. The checksum is adjusted, not computed anew (RFC 1624, equation 3).
#[inline(always)]
pub fn hop(head: &mut [u8; HEAD]) {
    head[TTL] = head[TTL].wrapping_sub(1);
    let old = u16::from_be_bytes([head[CHECKSUM], head[CHECKSUM + 1]]);
    // The TTL is the upper byte of its half-word: HC' = ~(~HC + ~m + m') with m' = m - 0x100,
    // which is ~(~HC - 0x100) in ones' complement.
    let mut sum = u32::from(!old) + u32::from(!0x0100u16);
    sum = (sum & 0xffff) + (sum >> 16);
    let [upper, lower] = (!(sum as u16)).to_be_bytes();
    head[CHECKSUM] = upper;
    head[CHECKSUM + 1] = lower;
}
