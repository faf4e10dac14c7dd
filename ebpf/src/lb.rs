//! Which backend a socket call goes to: the one decision of the Service dataplane.
//!
//! In: what was asked ([`SvcKey`]), what kind of call it is ([`Call`]), and lookups ([`Tables`]).
//! Out: a [`Choice`]. The kernel's hooks and the tests on the host run this same function. It
//! trusts no table to agree with another: the agent rewrites them while calls are made, so a
//! contradiction is answered by looking again from the start.

use nodeplane_ebpf_abi::{
    affinity::{AffKey, AffVal, Client, SCOPE_NETNS, SCOPE_SOCKET, UDP_FLOW_SECS},
    ranges::Ranges,
    service::{BackendVal, FLAG_CLIENT_IP, SlotKey, SvcKey, SvcVal},
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
    /// Notes what a client has now. May fail silently: affinity is an effort, not a promise.
    fn remember(&self, key: &AffKey, value: &AffVal);
    /// Counts the calls of a service; every call gets the next number.
    fn turn(&self, service: u32) -> u64;
    /// The monotonic clock, in nanoseconds.
    fn now(&self) -> u64;
    /// Cookie of the caller's network namespace. All processes of a pod share it; so do all
    /// processes of the host, which count as one client.
    fn netns(&self) -> u64;
    /// Cookie of the caller's socket.
    fn socket(&self) -> u64;
}

/// What kind of call wants a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// The socket keeps what it gets: `connect`.
    Connect,
    /// The socket will ask again with every datagram, and one flow must reach one backend:
    /// `sendto` on an unconnected socket.
    Datagram,
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
pub fn select<T: Tables>(tables: &T, asked: &SvcKey, call: Call, ranges: &Ranges) -> Choice {
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        let Some(svc) = tables.frontend(asked) else {
            return unknown(tables, asked, ranges);
        };
        if svc.count == 0 {
            return Choice::Refuse(Verdict::NO_ENDPOINT);
        }
        if let Some(backend) = pick(tables, &svc, call) {
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

/// The client's backend if it must keep one, else the next in turn. None when a slot or a backend
/// is missing.
#[inline(always)]
fn pick<T: Tables>(tables: &T, svc: &SvcVal, call: Call) -> Option<BackendVal> {
    let (key, idle) = if svc.flags & FLAG_CLIENT_IP != 0 {
        let key = AffKey { client: Client::cookie(tables.netns()), service: svc.service, scope: SCOPE_NETNS };
        (key, u64::from(svc.affinity_secs) * NANOS)
    } else if matches!(call, Call::Datagram) {
        let key = AffKey { client: Client::cookie(tables.socket()), service: svc.service, scope: SCOPE_SOCKET };
        (key, u64::from(UDP_FLOW_SECS) * NANOS)
    } else {
        return next(tables, svc).map(|(_, backend)| backend);
    };
    let now = tables.now();
    if let Some(backend) = kept(tables, svc, &key, now, idle) {
        return Some(backend);
    }
    let (id, backend) = next(tables, svc)?;
    tables.remember(&key, &AffVal { last_used: now, backend: id, pad: 0 });
    Some(backend)
}

/// What the client had, unless it was idle too long or the service has lost that backend.
#[inline(always)]
fn kept<T: Tables>(tables: &T, svc: &SvcVal, key: &AffKey, now: u64, idle: u64) -> Option<BackendVal> {
    let had = tables.affinity(key)?;
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
        tables.remember(key, &AffVal { last_used: now, ..had });
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
