//! The first process of every pod: it holds the pod's namespaces and buries the pod's orphans.
//!
//! In: signals. Out: nothing. It ends on SIGTERM or SIGINT, and never otherwise. Compiled alone into a static program.

use std::ffi::{c_int, c_void};

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;
const SIGCHLD: c_int = 17;
const SIG_BLOCK: c_int = 0;
const WNOHANG: c_int = 1;

/// As long as the C library's `sigset_t`.
#[repr(C)]
struct SignalSet([u64; 16]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigprocmask(how: c_int, set: *const SignalSet, old: *mut c_void) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

fn main() {
    let mut set = SignalSet([0; 16]);
    // SAFETY: `set` is a writable sigset_t of glibc's size on Linux, and the pointers live through each call.
    unsafe {
        sigemptyset(&mut set);
        for signal in [SIGINT, SIGTERM, SIGCHLD] {
            sigaddset(&mut set, signal);
        }
        sigprocmask(SIG_BLOCK, &set, std::ptr::null_mut());
    }
    loop {
        let mut signal = 0;
        // SAFETY: `set` was filled above and `signal` is writable.
        if unsafe { sigwait(&set, &mut signal) } != 0 {
            continue;
        }
        if signal != SIGCHLD {
            return;
        }
        // One SIGCHLD may stand for several children.
        // SAFETY: a null status pointer is allowed by waitpid(2).
        while unsafe { waitpid(-1, std::ptr::null_mut(), WNOHANG) } > 0 {}
    }
}
