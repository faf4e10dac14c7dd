//! `sendto` and `sendmsg` with an address, on a UDP socket, be it connected or not. A dual-stack socket that
//! sends to a mapped IPv4 address comes here as well: the kernel takes it to the IPv4 path before
//! any IPv6 hook.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};

use crate::sock_addr::{ALLOW, Family, SockAddr};

#[cgroup_sock_addr(sendmsg4)]
pub(crate) fn sendmsg4(ctx: SockAddrContext) -> i32 {
    SockAddr::new(&ctx, Family::V4).map_or(ALLOW, |addr| addr.translate())
}
