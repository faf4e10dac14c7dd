//! The BPF programs: one hook per file, thin. What they decide is decided in the library.
//!
//! In: socket calls and packets. Out: rewritten addresses, redirects, refusals, counted verdicts.
//! A hook never leaves a call half rewritten, and passes whatever it does not understand.
#![no_std]
#![no_main]
// One instruction that `core` does not offer here; see `tables`.
#![feature(asm_experimental_arch)]
#![expect(clippy::needless_pass_by_value, reason = "the macros hand every program its context by value")]

mod from_pod;
mod maps;
mod sock_addr;
mod sock_connect;
mod sock_getpeername;
mod sock_recvmsg;
mod sock_sendmsg;
mod tables;

/// Helpers such as `bpf_fib_lookup` are given only to programs that say so.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The verifier proves that nothing gets here; the compiler wants to hear where it would go.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
