//! Typed reading and writing of `bpf_sock_addr`, for IPv4 and for IPv4 inside IPv6 sockets; and
//! the two things that all socket hooks do with it: ask for a Service, and answer in its name.
//!
//! A dual-stack socket (Java's default) reaches 10.96.0.1 as ::ffff:10.96.0.1: the same Service
//! by the same decision. The verifier wants each field read and written as a whole word at its own
//! offset of the context, hence the volatile accesses.

use core::ptr::{addr_of, addr_of_mut};

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sock_addr,
    helpers::generated::{bpf_get_socket_cookie, bpf_set_retval},
    programs::SockAddrContext,
};
use aya_log_ebpf::debug;
use nodeplane_ebpf::lb::{self, Choice};
use nodeplane_ebpf_abi::{
    addr::{Ipv4Be, PortBe},
    reverse::{ReverseKey, ReverseVal},
    service::{BackendVal, SvcKey, TCP, UDP},
    verdict::Verdict,
};

use crate::{
    maps::{RANGES, REVERSE, count},
    tables::{Kernel, Process},
};

/// The call goes on.
pub(crate) const ALLOW: i32 = 1;
/// The call fails, with the error of `bpf_set_retval`.
const DENY: i32 = 0;
const ECONNREFUSED: i32 = 111;

/// The third word of ::ffff:a.b.c.d.
const MAPPED: u32 = 0xffff_u32.to_be();

/// How the socket writes its addresses.
#[derive(Clone, Copy)]
pub(crate) enum Family {
    /// AF_INET.
    V4,
    /// AF_INET6; only mapped IPv4 addresses concern us.
    V6,
}

/// The address of a socket call.
pub(crate) struct SockAddr<'a> {
    ctx: &'a SockAddrContext,
    raw: *mut bpf_sock_addr,
    family: Family,
}

impl<'a> SockAddr<'a> {
    /// None when it is not IPv4.
    #[inline(always)]
    pub(crate) fn new(ctx: &'a SockAddrContext, family: Family) -> Option<Self> {
        let raw = ctx.sock_addr;
        let is_v4 = match family {
            Family::V4 => true,
            // SAFETY: the kernel gave us the context; the fields are read whole.
            Family::V6 => unsafe {
                addr_of!((*raw).user_ip6[0]).read_volatile() == 0
                    && addr_of!((*raw).user_ip6[1]).read_volatile() == 0
                    && addr_of!((*raw).user_ip6[2]).read_volatile() == MAPPED
            },
        };
        is_v4.then_some(Self { ctx, raw, family })
    }

    #[inline(always)]
    fn addr(&self) -> Ipv4Be {
        // SAFETY: as in `new`.
        Ipv4Be::from_wire(unsafe {
            match self.family {
                Family::V4 => addr_of!((*self.raw).user_ip4).read_volatile(),
                Family::V6 => addr_of!((*self.raw).user_ip6[3]).read_volatile(),
            }
        })
    }

    #[inline(always)]
    fn port(&self) -> PortBe {
        // SAFETY: as in `new`. The word holds the port in its first two bytes.
        PortBe::from_wire(unsafe { addr_of!((*self.raw).user_port).read_volatile() } as u16)
    }

    #[inline(always)]
    fn set(&self, addr: Ipv4Be, port: PortBe) {
        // SAFETY: as in `new`; these fields may be written by these programs.
        unsafe {
            match self.family {
                Family::V4 => addr_of_mut!((*self.raw).user_ip4).write_volatile(addr.to_wire()),
                Family::V6 => addr_of_mut!((*self.raw).user_ip6[3]).write_volatile(addr.to_wire()),
            }
            addr_of_mut!((*self.raw).user_port).write_volatile(u32::from(port.to_wire()));
        }
    }

    /// None unless it is TCP or UDP.
    #[inline(always)]
    fn proto(&self) -> Option<u8> {
        // SAFETY: as in `new`.
        let proto = unsafe { addr_of!((*self.raw).protocol).read_volatile() };
        (proto == u32::from(TCP) || proto == u32::from(UDP)).then_some(proto as u8)
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: the context is the kernel's.
        unsafe { bpf_get_socket_cookie(self.ctx.as_ptr()) }
    }

    /// Sends the call to a backend when it is for a Service. Returns the program's verdict.
    #[inline(always)]
    pub(crate) fn translate(&self) -> i32 {
        let Some(proto) = self.proto() else { return ALLOW };
        let asked = SvcKey::new(self.addr(), self.port(), proto);
        let caller = Process { ctx: self.ctx.as_ptr() };
        match lb::select(&Kernel, &caller, &asked, &RANGES.load()) {
            Choice::Pass => ALLOW,
            Choice::Send(backend) => self.send(&asked, &backend),
            Choice::Refuse(why) => self.refuse(&asked, why),
        }
    }

    #[inline(always)]
    fn send(&self, asked: &SvcKey, backend: &BackendVal) -> i32 {
        self.note(asked, backend);
        self.set(backend.addr, backend.port);
        count(Verdict::TRANSLATED);
        debug!(
            self.ctx,
            "service hit: {:i}:{} proto {} to {:i}:{}",
            asked.addr.to_number(),
            asked.port.to_number(),
            asked.proto,
            backend.addr.to_number(),
            backend.port.to_number()
        );
        ALLOW
    }

    /// Notes which Service is meant by this backend. A socket that sends again writes nothing: a
    /// look costs less, and other sockets' entries are not driven out.
    #[inline(always)]
    fn note(&self, asked: &SvcKey, backend: &BackendVal) {
        let key = ReverseKey { cookie: self.cookie(), addr: backend.addr, port: backend.port, pad: 0 };
        let val = ReverseVal { addr: asked.addr, port: asked.port, pad: 0 };
        // SAFETY: compared at once; an entry reused meanwhile costs a write, or a wrong name.
        if unsafe { REVERSE.get(key) } == Some(&val) {
            return;
        }
        if REVERSE.insert(key, val, 0).is_err() {
            count(Verdict::NOT_NOTED);
        }
    }

    #[inline(always)]
    fn refuse(&self, asked: &SvcKey, why: Verdict) -> i32 {
        count(why);
        debug!(
            self.ctx,
            "refused: {:i}:{} proto {} verdict {}",
            asked.addr.to_number(),
            asked.port.to_number(),
            asked.proto,
            why.0
        );
        // SAFETY: a plain number.
        unsafe { bpf_set_retval(-ECONNREFUSED) };
        DENY
    }

    /// Writes the Service's address over the backend's, if this socket asked for a Service there.
    #[inline(always)]
    pub(crate) fn reverse(&self) {
        let key = ReverseKey { cookie: self.cookie(), addr: self.addr(), port: self.port(), pad: 0 };
        // SAFETY: copied at once; an entry reused meanwhile costs a wrong name, never memory.
        let Some(service) = unsafe { REVERSE.get(key) }.copied() else { return };
        self.set(service.addr, service.port);
        count(Verdict::REVERSED);
    }
}
