//! `recvfrom` and `recvmsg` on a UDP socket: the source of an answer is the Service that was asked.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};

use crate::sock_addr::{ALLOW, Family, SockAddr};

#[cgroup_sock_addr(recvmsg4)]
pub(crate) fn recvmsg4(ctx: SockAddrContext) -> i32 {
    if let Some(addr) = SockAddr::new(&ctx, Family::V4) {
        addr.reverse();
    }
    ALLOW
}

#[cgroup_sock_addr(recvmsg6)]
pub(crate) fn recvmsg6(ctx: SockAddrContext) -> i32 {
    if let Some(addr) = SockAddr::new(&ctx, Family::V6) {
        addr.reverse();
    }
    ALLOW
}
