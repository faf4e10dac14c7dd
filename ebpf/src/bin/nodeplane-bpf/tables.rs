//! The lookups of [`nodeplane_ebpf::lb`], answered by the maps and the kernel.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_ktime_get_ns};
use nodeplane_ebpf::lb::{Caller, Tables};
use nodeplane_ebpf_abi::{
    affinity::{AffKey, AffVal, Client, FlowKey, SCOPE_NETNS},
    maps,
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
};

use crate::maps::{AFFINITY, BACKENDS, FRONTENDS, SLOTS, TURNS, UDP_FLOWS};

/// The tables of the kernel.
pub(crate) struct Kernel;

/// Whoever makes a socket call. A pod is known by its network namespace, whose processes all share
/// the cookie; so do all processes of the host, which count as one client.
pub(crate) struct Process {
    /// The call's context, for the helpers that say who calls.
    pub(crate) ctx: *mut c_void,
}

impl Tables for Kernel {
    // SAFETY of the `get`s: the memory stays a map element while the program runs (RCU), and the
    // value is copied at once. The kernel may give an element that was replaced to another key, but
    // the agent would have to make two system calls between the lookup and the copy.
    #[inline(always)]
    fn frontend(&self, key: &SvcKey) -> Option<SvcVal> {
        // SAFETY: see above.
        unsafe { FRONTENDS.get(key) }.copied()
    }

    #[inline(always)]
    fn slot(&self, key: &SlotKey) -> Option<u32> {
        // SAFETY: see above.
        unsafe { SLOTS.get(key) }.copied()
    }

    #[inline(always)]
    fn backend(&self, id: u32) -> Option<BackendVal> {
        // SAFETY: see above.
        unsafe { BACKENDS.get(id) }.copied()
    }

    #[inline(always)]
    fn affinity(&self, key: &AffKey) -> Option<AffVal> {
        // SAFETY: see above; a value of another client is a wrong but living backend at worst.
        unsafe { AFFINITY.get(key) }.copied()
    }

    #[inline(always)]
    fn note_affinity(&self, key: &AffKey, value: &AffVal) {
        let _ = AFFINITY.insert(key, value, 0);
    }

    #[inline(always)]
    fn flow(&self, key: &FlowKey) -> Option<AffVal> {
        // SAFETY: as for `affinity`.
        unsafe { UDP_FLOWS.get(key) }.copied()
    }

    #[inline(always)]
    fn note_flow(&self, key: &FlowKey, value: &AffVal) {
        let _ = UDP_FLOWS.insert(key, value, 0);
    }

    #[inline(always)]
    fn turn(&self, service: u32) -> u64 {
        let Some(counter) = TURNS.get_ptr_mut(service & (maps::TURNS.capacity - 1)) else { return 0 };
        // SAFETY: the counter lives as long as the map and is aligned to eight bytes.
        unsafe { fetch_increment(counter) }
    }
}

impl Caller for Process {
    #[inline(always)]
    fn client(&self) -> (Client, u32) {
        // SAFETY: `ctx` is the context the kernel gave to this program.
        (Client::cookie(unsafe { bpf_get_netns_cookie(self.ctx) }), SCOPE_NETNS)
    }

    #[inline(always)]
    fn socket(&self) -> Option<u64> {
        // SAFETY: `ctx` is the context the kernel gave to this program.
        Some(unsafe { bpf_get_socket_cookie(self.ctx) })
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: no arguments.
        unsafe { bpf_ktime_get_ns() }
    }
}

/// Adds one atomically and returns what was there: callers on several CPUs never take one turn
/// twice. `core` has no read-modify-write atomics for this target, so it is the instruction itself
/// (Linux 5.12).
///
/// # Safety
/// `counter` points into a map value and is aligned to eight bytes.
#[inline(always)]
unsafe fn fetch_increment(counter: *mut u64) -> u64 {
    let mut value = 1u64;
    // SAFETY: the instruction reads and writes the eight bytes at `counter` only.
    unsafe {
        asm!("{value} = atomic_fetch_add((u64 *)({at} + 0), {value})", value = inout(reg) value, at = in(reg) counter);
    }
    value
}
