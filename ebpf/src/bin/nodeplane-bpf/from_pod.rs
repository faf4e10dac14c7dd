//! TCX ingress of a pod's interface on the node's side: every packet that the pod sends.
//!
//! With the address of another pod for a source: nowhere. To a pod of this node: into its namespace at once, past the node's stack. To a pod elsewhere:
//! out of the interface that the routes name, if they name one. Everything else, and every packet
//! for the service range that no socket hook has translated (the node has an unreachable route for
//! it), is the stack's.

use core::{
    ffi::{c_int, c_void},
    mem::zeroed,
};

use aya_ebpf::{
    EbpfContext as _,
    bindings::{bpf_fib_lookup as FibLookup, bpf_redir_neigh as Neighbour},
    helpers::generated::{bpf_fib_lookup, bpf_redirect_neigh, bpf_redirect_peer},
    macros::classifier,
    programs::TcContext,
};
use nodeplane_ebpf::packet::{self, HEAD, Packet, Route};
use nodeplane_ebpf_abi::{endpoint::EndpointVal, verdict::Verdict};

use crate::maps::{ENDPOINTS, RANGES, count};

/// To the next program, if there is one, else to the stack.
const NEXT: i32 = -1;
/// Nowhere (TC_ACT_SHOT).
const DROP: i32 = 2;
const AF_INET: u8 = 2;
/// `bpf_fib_lookup` found a route and knows the neighbour.
const FIB_SUCCESS: i64 = 0;
/// `bpf_fib_lookup` found a route; `bpf_redirect_neigh` will find the neighbour.
const FIB_NO_NEIGHBOUR: i64 = 7;

#[classifier]
pub(crate) fn from_pod(mut ctx: TcContext) -> i32 {
    let Some(packet) = head(&mut ctx).and_then(|head| packet::parse(head)) else { return NEXT };
    // SAFETY: copied at once. An interface that went before its entry, as when a sandbox dies, is
    // one that nothing can be sent by.
    let local_pod = |addr: &_| unsafe { ENDPOINTS.get(addr) }.copied();
    let sent = match packet::route(&packet, arrived_at(&ctx), &RANGES.load(), local_pod) {
        Route::LocalPod(pod) => to_local_pod(&mut ctx, &pod),
        Route::OtherNode => to_other_node(&mut ctx, &packet),
        Route::Stack => None,
        Route::Spoofed => {
            count(Verdict::SPOOFED);
            Some(DROP)
        }
    };
    sent.unwrap_or_else(|| {
        count(Verdict::TO_STACK);
        NEXT
    })
}

/// The headers, in the packet itself; None when it is shorter.
#[inline(always)]
fn head(ctx: &mut TcContext) -> Option<&mut [u8; HEAD]> {
    let start = ctx.data();
    if start + HEAD > ctx.data_end() {
        return None;
    }
    // SAFETY: the bytes up to `start + HEAD` are inside the packet, as just checked; every caller
    // lets go of the reference before it asks again or changes the packet by a helper.
    Some(unsafe { &mut *(start as *mut [u8; HEAD]) })
}

/// The interface that the packet came in by.
#[inline(always)]
fn arrived_at(ctx: &TcContext) -> u32 {
    // SAFETY: the context is the kernel's.
    unsafe { (*ctx.skb.skb).ingress_ifindex }
}

#[inline(always)]
fn to_local_pod(ctx: &mut TcContext, pod: &EndpointVal) -> Option<i32> {
    packet::readdress(head(ctx)?, pod.pod_mac, pod.host_mac);
    count(Verdict::TO_LOCAL_POD);
    // SAFETY: plain numbers.
    Some(unsafe { bpf_redirect_peer(pod.ifindex, 0) } as i32)
}

#[inline(always)]
fn to_other_node(ctx: &mut TcContext, packet: &Packet) -> Option<i32> {
    let (ifindex, mut gateway) = next_hop(ctx, packet)?;
    packet::hop(head(ctx)?);
    count(Verdict::TO_OTHER_NODE);
    // SAFETY: `gateway` is initialised and as long as said.
    Some(unsafe { bpf_redirect_neigh(ifindex, &raw mut gateway, size_of::<Neighbour>() as c_int, 0) } as i32)
}

/// The interface and the neighbour that the node's routes name. None when there is no route, when
/// the packet is too long for it, or when forwarding is off: the stack says so to the sender.
#[inline(always)]
fn next_hop(ctx: &TcContext, packet: &Packet) -> Option<(u32, Neighbour)> {
    // SAFETY: integers and arrays of them; all zero is a value.
    let mut fib: FibLookup = unsafe { zeroed() };
    fib.family = AF_INET;
    fib.ifindex = arrived_at(ctx);
    // SAFETY: the context is the kernel's.
    fib.__bindgen_anon_1.tot_len = packet.length_on_wire(unsafe { (*ctx.skb.skb).gso_size });
    fib.__bindgen_anon_3.ipv4_src = packet.source.to_wire();
    fib.__bindgen_anon_4.ipv4_dst = packet.destination.to_wire();
    // SAFETY: `fib` is initialised and as long as said.
    let found =
        unsafe { bpf_fib_lookup(ctx.as_ptr().cast::<c_void>(), &raw mut fib, size_of::<FibLookup>() as c_int, 0) };
    if (found != FIB_SUCCESS && found != FIB_NO_NEIGHBOUR) || fib.ifindex == arrived_at(ctx) {
        return None;
    }
    // SAFETY: as above.
    let mut gateway: Neighbour = unsafe { zeroed() };
    gateway.nh_family = u32::from(AF_INET);
    // SAFETY: the kernel has written the gateway, or left the destination, as an IPv4 address.
    gateway.__bindgen_anon_1.ipv4_nh = unsafe { fib.__bindgen_anon_4.ipv4_dst };
    Some((fib.ifindex, gateway))
}
