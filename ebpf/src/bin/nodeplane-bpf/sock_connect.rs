//! `connect`: TCP, and UDP sockets that want one peer.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};

use crate::sock_addr::{ALLOW, Family, SockAddr};

#[cgroup_sock_addr(connect4)]
pub(crate) fn connect4(ctx: SockAddrContext) -> i32 {
    SockAddr::new(&ctx, Family::V4).map_or(ALLOW, |addr| addr.translate())
}

#[cgroup_sock_addr(connect6)]
pub(crate) fn connect6(ctx: SockAddrContext) -> i32 {
    SockAddr::new(&ctx, Family::V6).map_or(ALLOW, |addr| addr.translate())
}
