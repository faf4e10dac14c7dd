//! Which backend a call goes to: the one decision of the Service dataplane.
//!
//! In: what was asked ([`SvcKey`]), who asks ([`Caller`]), and lookups ([`Tables`]). Out: a
//! [`Choice`]. The kernel's hooks and the tests on the host run this same function. It trusts no
//! table to agree with another: the agent rewrites them while calls are made, so a contradiction is
//! answered by looking again from the start.

use nodeplane_ebpf_abi::{
    affinity::{AffKey, AffVal, Client, FlowKey, UDP_FLOW_SECS},
    ranges::Ranges,
    service::{BackendVal, FLAG_CLIENT_IP, SlotKey, SvcKey, SvcVal, UDP},
    verdict::Verdict,
};

#[cfg(test)]
mod tests;

/// How often a call looks at the tables before it gives up: once, and once more when the agent
/// wrote in between.
const ATTEMPTS: u32 = 2;

const NANOS: u64 = 1_000_000_000;

/// The lookups that a decision needs. Values are copies: nobody else changes them meanwhile.
pub trait Tables {
    /// The frontend of a key.
    fn frontend(&self, key: &SvcKey) -> Option<SvcVal>;
    /// The backend id in a slot.
    fn slot(&self, key: &SlotKey) -> Option<u32>;
    /// The backend of an id.
    fn backend(&self, id: u32) -> Option<BackendVal>;
    /// What a client had before.
    fn affinity(&self, key: &AffKey) -> Option<AffVal>;
    /// Notes what a client has now. May fail silently: a memory is an effort, not a promise.
    fn note_affinity(&self, key: &AffKey, value: &AffVal);
    /// What a UDP socket had before.
    fn flow(&self, key: &FlowKey) -> Option<AffVal>;
    /// Notes what a UDP socket has now, as [`Self::note_affinity`].
    fn note_flow(&self, key: &FlowKey, value: &AffVal);
    /// Counts the calls of a service; every call gets the next number.
    fn turn(&self, service: u32) -> u64;
}

/// Who asks, and when. Only asked for what the decision needs.
pub trait Caller {
    /// What session affinity knows it by, and of which kind that is (of the `SCOPE_` constants).
    fn client(&self) -> (Client, u32);
    /// Cookie of the socket, by which a UDP flow is known; none for a packet, which belongs to a
    /// flow that was decided with its first one.
    fn socket(&self) -> Option<u64>;
    /// The monotonic clock, in nanoseconds.
    fn now(&self) -> u64;
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Not a Service: leave it alone.
    Pass,
    /// To this backend.
    Send(BackendVal),
    /// Answer ECONNREFUSED, for this reason.
    Refuse(Verdict),
}

/// Decides where a call goes.
#[inline(always)]
pub fn select<T: Tables, C: Caller>(tables: &T, caller: &C, asked: &SvcKey, ranges: &Ranges) -> Choice {
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        let Some(svc) = tables.frontend(asked) else {
            return unknown(tables, asked, ranges);
        };
        if svc.count == 0 {
            return Choice::Refuse(Verdict::NO_ENDPOINT);
        }
        if let Some(backend) = pick(tables, caller, asked, &svc) {
            return Choice::Send(backend);
        }
        attempt += 1;
    }
    Choice::Refuse(Verdict::TORN)
}

/// A key without a frontend: refused when it is another port of a Service's address. An address of
/// the range that no Service has is left to the routes, which call it unreachable.
#[inline(always)]
fn unknown<T: Tables>(tables: &T, asked: &SvcKey, ranges: &Ranges) -> Choice {
    if ranges.services.contains(asked.addr) && tables.frontend(&SvcKey::any_port(asked.addr)).is_some() {
        return Choice::Refuse(Verdict::NO_PORT);
    }
    Choice::Pass
}

/// The caller's backend if it must keep one, else the next in turn. None when a slot or a backend
/// is missing.
///
/// A UDP socket asks again with every datagram, also one that was connected before, and one flow
/// must reach one backend. A Service with one backend needs no memory for that: names are asked for
/// so often that each would cost an entry that says nothing.
#[inline(always)]
fn pick<T: Tables, C: Caller>(tables: &T, caller: &C, asked: &SvcKey, svc: &SvcVal) -> Option<BackendVal> {
    if svc.flags & FLAG_CLIENT_IP != 0 {
        let (client, scope) = caller.client();
        let key = AffKey { client, service: svc.service, scope };
        return stay(tables, svc, &key, caller.now(), u64::from(svc.affinity_secs) * NANOS);
    }
    if asked.proto == UDP
        && svc.count > 1
        && let Some(socket) = caller.socket()
    {
        let key = FlowKey { socket, service: svc.service, pad: 0 };
        return stay(tables, svc, &key, caller.now(), u64::from(UDP_FLOW_SECS) * NANOS);
    }
    next(tables, svc).map(|(_, backend)| backend)
}

/// Under which key it is noted what a caller had. The two kinds lie apart: flows come by the
/// hundred in a second, and must not evict hours of affinity. Not an enum, of which the verifier
/// would see parts that nobody has written.
trait Memory {
    fn recall<T: Tables>(&self, tables: &T) -> Option<AffVal>;
    fn note<T: Tables>(&self, tables: &T, value: &AffVal);
}

impl Memory for AffKey {
    #[inline(always)]
    fn recall<T: Tables>(&self, tables: &T) -> Option<AffVal> {
        tables.affinity(self)
    }
    #[inline(always)]
    fn note<T: Tables>(&self, tables: &T, value: &AffVal) {
        tables.note_affinity(self, value);
    }
}

impl Memory for FlowKey {
    #[inline(always)]
    fn recall<T: Tables>(&self, tables: &T) -> Option<AffVal> {
        tables.flow(self)
    }
    #[inline(always)]
    fn note<T: Tables>(&self, tables: &T, value: &AffVal) {
        tables.note_flow(self, value);
    }
}

/// What the caller had, else the next in turn, which is noted.
#[inline(always)]
fn stay<T: Tables>(tables: &T, svc: &SvcVal, memory: &impl Memory, now: u64, idle: u64) -> Option<BackendVal> {
    if let Some(backend) = kept(tables, svc, memory, now, idle) {
        return Some(backend);
    }
    let (id, backend) = next(tables, svc)?;
    memory.note(tables, &AffVal { last_used: now, backend: id, pad: 0 });
    Some(backend)
}

/// What the caller had, unless it was idle too long or the service has lost that backend.
#[inline(always)]
fn kept<T: Tables>(tables: &T, svc: &SvcVal, memory: &impl Memory, now: u64, idle: u64) -> Option<BackendVal> {
    let had = memory.recall(tables)?;
    // Another CPU may have noted a later time than ours.
    let age = now.saturating_sub(had.last_used);
    if age > idle {
        return None;
    }
    let backend = tables.backend(had.backend)?;
    if backend.service != svc.service {
        return None;
    }
    // Noting every datagram would cost a write for each; a second is fine enough, or an eighth of
    // a shorter timeout.
    if age >= NANOS || age >= idle / 8 {
        memory.note(tables, &AffVal { last_used: now, ..had });
    }
    Some(backend)
}

/// Round robin: the backend in the slot whose turn it is, with its id.
#[inline(always)]
fn next<T: Tables>(tables: &T, svc: &SvcVal) -> Option<(u32, BackendVal)> {
    let index = (tables.turn(svc.service) % u64::from(svc.count)) as u32;
    let id = tables.slot(&SlotKey { service: svc.service, index })?;
    Some((id, tables.backend(id)?))
}
