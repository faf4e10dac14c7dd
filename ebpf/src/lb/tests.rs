use core::{cell::Cell, net::Ipv4Addr};
use std::{cell::RefCell, collections::BTreeMap, vec::Vec};

use nodeplane_ebpf_abi::{
    addr::PortBe,
    affinity::{SCOPE_ADDRESS, SCOPE_NETNS},
    ranges::Range,
    service::TCP,
};

use super::*;

extern crate std;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Tables in memory, with a clock and callers that the test moves.
#[derive(Default)]
struct Fake {
    frontends: RefCell<BTreeMap<SvcKey, SvcVal>>,
    slots: RefCell<BTreeMap<SlotKey, u32>>,
    backends: RefCell<BTreeMap<u32, BackendVal>>,
    affinity: RefCell<BTreeMap<AffKey, AffVal>>,
    flows: RefCell<BTreeMap<FlowKey, AffVal>>,
    noted: Cell<u32>,
    turns: Cell<u64>,
    now: Cell<u64>,
    netns: Cell<u64>,
    socket: Cell<u64>,
    /// Runs once, when a slot is first looked up: the agent writes in between.
    meanwhile: RefCell<Option<fn(&Fake)>>,
}

impl Tables for Fake {
    fn frontend(&self, key: &SvcKey) -> Option<SvcVal> {
        self.frontends.borrow().get(key).copied()
    }
    fn slot(&self, key: &SlotKey) -> Option<u32> {
        if let Some(act) = self.meanwhile.take() {
            act(self);
        }
        self.slots.borrow().get(key).copied()
    }
    fn backend(&self, id: u32) -> Option<BackendVal> {
        self.backends.borrow().get(&id).copied()
    }
    fn affinity(&self, key: &AffKey) -> Option<AffVal> {
        self.affinity.borrow().get(key).copied()
    }
    fn note_affinity(&self, key: &AffKey, value: &AffVal) {
        self.noted.set(self.noted.get() + 1);
        self.affinity.borrow_mut().insert(*key, *value);
    }
    fn flow(&self, key: &FlowKey) -> Option<AffVal> {
        self.flows.borrow().get(key).copied()
    }
    fn note_flow(&self, key: &FlowKey, value: &AffVal) {
        self.noted.set(self.noted.get() + 1);
        self.flows.borrow_mut().insert(*key, *value);
    }
    fn turn(&self, _service: u32) -> u64 {
        self.turns.replace(self.turns.get() + 1)
    }
}

impl Caller for Fake {
    fn client(&self) -> (Client, u32) {
        (Client::cookie(self.netns.get()), SCOPE_NETNS)
    }
    fn socket(&self) -> Option<u64> {
        Some(self.socket.get())
    }
    fn now(&self) -> u64 {
        self.now.get()
    }
}

impl Fake {
    /// Service 1 at VIP:80/TCP and 2 at VIP:53/UDP, with `count` backends each.
    fn with_backends(count: u32) -> Self {
        let fake = Self::default();
        for (service, key) in [(1, key(80, TCP)), (2, key(53, UDP))] {
            let val = SvcVal { service, count, flags: 0, affinity_secs: 0 };
            fake.frontends.borrow_mut().insert(key, val);
            for index in 0..count {
                fake.slots.borrow_mut().insert(SlotKey { service, index }, service * 100 + index);
                fake.backends.borrow_mut().insert(service * 100 + index, backend(service, index));
            }
        }
        fake.frontends.borrow_mut().insert(SvcKey::any_port(VIP.into()), SvcVal::default());
        fake
    }

    fn sticky(self, secs: u32) -> Self {
        let old = self.frontends.borrow()[&key(80, TCP)];
        let val = SvcVal { flags: FLAG_CLIENT_IP, affinity_secs: secs, ..old };
        self.frontends.borrow_mut().insert(key(80, TCP), val);
        self
    }

    fn connect(&self) -> Choice {
        select(self, self, &key(80, TCP), &ranges())
    }

    fn send(&self) -> Choice {
        select(self, self, &key(53, UDP), &ranges())
    }
}

fn key(port: u16, proto: u8) -> SvcKey {
    SvcKey::new(VIP.into(), PortBe::new(port), proto)
}

fn backend(service: u32, index: u32) -> BackendVal {
    let addr = Ipv4Addr::from(0x0af4_0001 + index);
    BackendVal { service, addr: addr.into(), port: PortBe::new(8080), proto: TCP, pad: 0 }
}

fn ranges() -> Ranges {
    Ranges { services: Range::new(Ipv4Addr::new(10, 96, 0, 0), 16), pods: Range::NONE }
}

#[test]
fn each_backend_has_its_turn() {
    let fake = Fake::with_backends(3);
    let got: Vec<_> = (0..6).map(|_| fake.connect()).collect();
    let want: Vec<_> = [0, 1, 2, 0, 1, 2].map(|index| Choice::Send(backend(1, index))).into();
    assert_eq!(got, want);
}

#[test]
fn no_endpoint_is_refused() {
    assert_eq!(Fake::with_backends(0).connect(), Choice::Refuse(Verdict::NO_ENDPOINT));
}

#[test]
fn another_port_or_protocol_of_a_service_is_refused() {
    let fake = Fake::with_backends(1);
    for asked in [key(81, TCP), key(80, UDP), key(53, TCP)] {
        assert_eq!(select(&fake, &fake, &asked, &ranges()), Choice::Refuse(Verdict::NO_PORT));
    }
}

#[test]
fn addresses_without_a_service_pass() {
    let fake = Fake::with_backends(1);
    for addr in [Ipv4Addr::new(10, 96, 0, 2), Ipv4Addr::new(10, 244, 0, 1), Ipv4Addr::new(192, 0, 2, 1)] {
        let asked = SvcKey::new(addr.into(), PortBe::new(80), TCP);
        assert_eq!(select(&fake, &fake, &asked, &ranges()), Choice::Pass);
    }
}

#[test]
fn a_client_keeps_its_backend_until_it_was_idle_too_long() {
    let fake = Fake::with_backends(3).sticky(10);
    let first = fake.connect();
    for secs in [1, 9, 19, 29] {
        fake.now.set(secs * NANOS);
        assert_eq!(fake.connect(), first, "after {secs} s");
    }
    fake.now.set(39 * NANOS + 1);
    assert_ne!(fake.connect(), first);
}

#[test]
fn clients_do_not_share_affinity() {
    let fake = Fake::with_backends(2).sticky(10);
    let first = fake.connect();
    fake.netns.set(1);
    assert_ne!(fake.connect(), first);
    fake.netns.set(0);
    assert_eq!(fake.connect(), first);
}

#[test]
fn affinity_to_a_lost_backend_is_ignored() {
    let fake = Fake::with_backends(2).sticky(10);
    assert_eq!(fake.connect(), Choice::Send(backend(1, 0)));
    // The agent took the first backend away: one slot is left.
    fake.slots.borrow_mut().insert(SlotKey { service: 1, index: 0 }, 101);
    fake.frontends.borrow_mut().get_mut(&key(80, TCP)).expect("frontend").count = 1;
    fake.backends.borrow_mut().remove(&100);
    assert_eq!(fake.connect(), Choice::Send(backend(1, 1)));
    // Its id now belongs to another service.
    fake.affinity.borrow_mut().values_mut().for_each(|had| had.backend = 200);
    assert_eq!(fake.connect(), Choice::Send(backend(1, 1)));
}

#[test]
fn a_busy_client_costs_few_notes() {
    let fake = Fake::with_backends(2).sticky(10_800);
    for millis in 0..3_000 {
        fake.now.set(millis * 1_000_000);
        fake.connect();
    }
    assert_eq!(fake.noted.get(), 3);
}

#[test]
fn a_clock_that_seems_to_run_backwards_keeps_affinity() {
    let fake = Fake::with_backends(2).sticky(10);
    fake.now.set(5 * NANOS);
    let first = fake.connect();
    fake.now.set(4 * NANOS);
    assert_eq!(fake.connect(), first);
}

#[test]
fn datagrams_of_one_socket_reach_one_backend_and_sockets_take_turns() {
    let fake = Fake::with_backends(2);
    let first = fake.send();
    assert_eq!(fake.send(), first);
    fake.socket.set(1);
    assert_ne!(fake.send(), first);
    fake.socket.set(0);
    fake.now.set((u64::from(UDP_FLOW_SECS) + 1) * NANOS);
    fake.turns.set(1);
    assert_ne!(fake.send(), first, "an idle flow is forgotten");
}

#[test]
fn flows_do_not_evict_affinity() {
    let fake = Fake::with_backends(2).sticky(10_800);
    fake.connect();
    for socket in 0..100 {
        fake.socket.set(socket);
        fake.send();
    }
    assert_eq!((fake.affinity.borrow().len(), fake.flows.borrow().len()), (1, 100), "they lie apart");
}

#[test]
fn one_backend_needs_no_memory_of_flows_but_affinity_does() {
    let fake = Fake::with_backends(1).sticky(10_800);
    fake.send();
    assert_eq!(fake.noted.get(), 0);
    let only = fake.connect();
    // Another comes, and has the next turn: the client stays where it was.
    fake.slots.borrow_mut().insert(SlotKey { service: 1, index: 1 }, 101);
    fake.backends.borrow_mut().insert(101, backend(1, 1));
    fake.frontends.borrow_mut().get_mut(&key(80, TCP)).expect("frontend").count = 2;
    fake.turns.set(1);
    assert_eq!(fake.connect(), only);
}

/// As a packet hook asks: no socket, and an address for a name.
struct Packet(Ipv4Addr);

impl Caller for Packet {
    fn client(&self) -> (Client, u32) {
        (Client::ipv4(self.0.into()), SCOPE_ADDRESS)
    }
    fn socket(&self) -> Option<u64> {
        None
    }
    fn now(&self) -> u64 {
        0
    }
}

#[test]
fn a_packet_has_affinity_by_its_address_and_no_flow() {
    let fake = Fake::with_backends(2).sticky(10);
    let ask = |host, asked| select(&fake, &Packet(Ipv4Addr::new(192, 0, 2, host)), &asked, &ranges());
    let first = ask(1, key(80, TCP));
    assert_ne!(ask(2, key(80, TCP)), first);
    assert_eq!(ask(1, key(80, TCP)), first);
    let noted = fake.noted.get();
    assert_ne!(ask(1, key(53, UDP)), ask(1, key(53, UDP)));
    assert_eq!(fake.noted.get(), noted);
}

#[test]
fn a_table_written_in_between_is_read_again() {
    let fake = Fake::with_backends(2);
    fake.turns.set(1);
    *fake.meanwhile.borrow_mut() = Some(|fake| {
        fake.frontends.borrow_mut().get_mut(&key(80, TCP)).expect("frontend").count = 1;
        fake.slots.borrow_mut().remove(&SlotKey { service: 1, index: 1 });
        fake.backends.borrow_mut().remove(&101);
    });
    assert_eq!(fake.connect(), Choice::Send(backend(1, 0)));
}

#[test]
fn tables_that_contradict_each_other_refuse() {
    let fake = Fake::with_backends(2);
    fake.slots.borrow_mut().clear();
    assert_eq!(fake.connect(), Choice::Refuse(Verdict::TORN));
}
