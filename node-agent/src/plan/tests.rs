use std::{collections::BTreeSet, net::Ipv4Addr};

use nodeplane_ebpf::lb::{self, Call, Choice, Tables};
use nodeplane_ebpf_abi::{
    affinity::{AffKey, AffVal},
    ranges::Ranges,
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
    verdict::Verdict,
};
use proptest::{collection::btree_map, collection::btree_set, option, prelude::*};

use super::*;
use crate::model::{Backend, Frontend, ObjectKey, Protocol, Snapshot};

/// An image as the programs see it, with the turn of the next call.
struct View<'a> {
    image: &'a Image,
    turn: u64,
}

impl Tables for View<'_> {
    fn frontend(&self, key: &SvcKey) -> Option<SvcVal> {
        self.image.frontends.get(key).copied()
    }
    fn slot(&self, key: &SlotKey) -> Option<u32> {
        self.image.slots.get(key).copied()
    }
    fn backend(&self, id: u32) -> Option<BackendVal> {
        self.image.backends.get(&id).copied()
    }
    fn affinity(&self, _key: &AffKey) -> Option<AffVal> {
        None
    }
    fn remember(&self, _key: &AffKey, _value: &AffVal) {}
    fn turn(&self, _service: u32) -> u64 {
        self.turn
    }
    fn now(&self) -> u64 {
        0
    }
    fn netns(&self) -> u64 {
        0
    }
    fn socket(&self) -> u64 {
        0
    }
}

/// Whom the calls to a frontend may reach: one entry for each slot, or why none.
fn answers(image: &Image, key: &SvcKey) -> BTreeSet<Result<BackendVal, u32>> {
    let count = image.frontends.get(key).map_or(1, |value| value.count.max(1));
    let ask = |turn| match lb::select(&View { image, turn }, key, Call::Connect, &Ranges::NONE) {
        Choice::Send(backend) => Ok(backend),
        Choice::Refuse(why) => Err(why.0),
        Choice::Pass => Err(u32::MAX),
    };
    (0..u64::from(count)).map(ask).collect()
}

fn backends() -> impl Strategy<Value = Vec<Backend>> {
    btree_set((1u8..8, 8080u16..8082), 0..6).prop_map(|places| {
        places.into_iter().map(|(host, port)| Backend { addr: Ipv4Addr::new(10, 244, 0, host), port }).collect()
    })
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let key = (1u8..4, prop_oneof![Just(80u16), Just(53)], prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]);
    btree_map(key, (backends(), option::of(1u32..100)), 0..8).prop_map(|services| Snapshot {
        frontends: services
            .into_iter()
            .map(|((host, port, protocol), (backends, affinity_secs))| Frontend {
                service: ObjectKey { namespace: "default".into(), name: format!("s{host}") },
                port_name: String::new(),
                addr: Ipv4Addr::new(10, 96, 0, host),
                port,
                protocol,
                affinity_secs,
                backends,
            })
            .collect(),
        rejected: Vec::new(),
    })
}

fn planned(snapshot: &Snapshot, ids: &mut Ids) -> Image {
    ids.assign(snapshot);
    desired(snapshot, ids)
}

/// Operations that are done in full.
fn applied(image: &Image, ops: &[Op]) -> Image {
    let mut image = image.clone();
    ops.iter().for_each(|op| image.apply(op));
    image
}

proptest! {
    #[test]
    fn every_prefix_keeps_the_law(old in snapshots(), new in snapshots()) {
        let mut ids = Ids::default();
        let current = planned(&old, &mut ids);
        let wanted = planned(&new, &mut ids);
        let ops = diff(&current, &wanted);
        for length in 0..=ops.len() {
            prop_assert_eq!(applied(&current, &ops[..length]).check(), Ok(()), "after {} of {:?}", length, ops);
        }
    }

    #[test]
    fn every_call_meanwhile_gets_an_old_or_a_new_answer(old in snapshots(), new in snapshots()) {
        let mut ids = Ids::default();
        let current = planned(&old, &mut ids);
        let wanted = planned(&new, &mut ids);
        let ops = diff(&current, &wanted);
        for key in current.frontends.keys().chain(wanted.frontends.keys()) {
            let allowed: BTreeSet<_> = answers(&current, key).union(&answers(&wanted, key)).copied().collect();
            for length in 0..=ops.len() {
                let got = answers(&applied(&current, &ops[..length]), key);
                prop_assert!(!got.contains(&Err(Verdict::TORN.0)));
                prop_assert!(got.is_subset(&allowed), "{:?}: {:?} not in {:?}", key, got, allowed);
            }
        }
    }

    #[test]
    fn the_difference_reaches_what_is_desired_and_then_is_empty(old in snapshots(), new in snapshots()) {
        let mut ids = Ids::default();
        let current = planned(&old, &mut ids);
        let wanted = planned(&new, &mut ids);
        prop_assert_eq!(&applied(&current, &diff(&current, &wanted)), &wanted);
        prop_assert_eq!(diff(&wanted, &wanted), vec![]);
    }

    #[test]
    fn an_image_answers_for_exactly_the_backends_of_the_snapshot(snapshot in snapshots()) {
        let image = planned(&snapshot, &mut Ids::default());
        prop_assert_eq!(image.check(), Ok(()));
        for frontend in &snapshot.frontends {
            let key = desired::svc_key(frontend);
            let got: BTreeSet<_> = answers(&image, &key)
                .into_iter()
                .map(|answer| answer.map(|b| (Ipv4Addr::from(b.addr), b.port.to_number())))
                .collect();
            let mut want: BTreeSet<_> = frontend.backends.iter().map(|b| Ok((b.addr, b.port))).collect();
            if want.is_empty() {
                want.insert(Err(Verdict::NO_ENDPOINT.0));
            }
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn a_restart_changes_nothing(old in snapshots(), new in snapshots()) {
        let mut ids = Ids::default();
        planned(&old, &mut ids);
        let image = planned(&new, &mut ids);
        let mut restored = Ids::restore(&image);
        prop_assert_eq!(planned(&new, &mut restored), image);
    }

    #[test]
    fn ids_stay_with_their_owners(old in snapshots(), new in snapshots()) {
        let mut ids = Ids::default();
        let before = planned(&old, &mut ids);
        let after = planned(&new, &mut ids);
        for (key, value) in &before.frontends {
            if let Some(now) = after.frontends.get(key) {
                prop_assert_eq!(now.service, value.service);
            }
        }
        for (id, value) in &before.backends {
            if let Some(now) = after.backends.get(id) {
                prop_assert_eq!(now, value, "an id changed its owner");
            }
        }
    }
}

fn one_service(hosts: &[u8]) -> Snapshot {
    let backends = hosts.iter().map(|host| Backend { addr: Ipv4Addr::new(10, 244, 0, *host), port: 80 }).collect();
    let frontend = Frontend {
        service: ObjectKey { namespace: "default".into(), name: "web".into() },
        port_name: String::new(),
        addr: Ipv4Addr::new(10, 96, 0, 1),
        port: 80,
        protocol: Protocol::Tcp,
        affinity_secs: None,
        backends,
    };
    Snapshot { frontends: vec![frontend], rejected: Vec::new() }
}

#[test]
fn a_new_backend_costs_three_writes() {
    let mut ids = Ids::default();
    let before = planned(&one_service(&[2, 4]), &mut ids);
    let after = planned(&one_service(&[2, 3, 4]), &mut ids);
    let ops = diff(&before, &after);
    assert!(matches!(ops[..], [Op::PutBackend(3, _), Op::PutSlot(_, 3), Op::PutFrontend(..)]), "{ops:?}");
}

#[test]
fn an_id_is_not_given_to_somebody_else_at_once() {
    let mut ids = Ids::default();
    planned(&one_service(&[1, 2]), &mut ids);
    planned(&one_service(&[1]), &mut ids);
    let image = planned(&one_service(&[1, 3]), &mut ids);
    assert_eq!(image.backends.keys().copied().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn maps_with_doubtful_ids_are_put_right() {
    let mut ids = Ids::default();
    let good = planned(&one_service(&[1, 2]), &mut ids);
    // Two frontends with one service id, and a backend twice.
    let mut image = good.clone();
    let (key, value) = image.frontends.iter().find(|(_, value)| value.count > 0).map(|(k, v)| (*k, *v)).expect("one");
    image.frontends.insert(SvcKey { port: nodeplane_ebpf_abi::addr::PortBe::new(81), ..key }, value);
    image.backends.insert(9, image.backends[&1]);
    let mut restored = Ids::restore(&image);
    let wanted = planned(&one_service(&[1, 2]), &mut restored);
    assert_eq!(wanted.check(), Ok(()));
    assert_eq!(applied(&image, &diff(&image, &wanted)), wanted);
}

#[test]
fn a_probe_comes_and_goes_in_order() {
    let image = planned(&one_service(&[1]), &mut Ids::default());
    let probe = Probe { vip: "127.254.0.1:99".parse().expect("addr"), listener: "127.0.0.1:98".parse().expect("addr") };
    let with_probe = probe.added_to(&image);
    for (from, to) in [(&image, &with_probe), (&with_probe, &image)] {
        let ops = diff(from, to);
        assert_eq!(ops.len(), 3);
        for length in 0..=ops.len() {
            assert_eq!(applied(from, &ops[..length]).check(), Ok(()));
        }
    }
    // Left behind by an agent that died meanwhile, it takes no id and goes with the next sync.
    let mut restored = Ids::restore(&with_probe);
    assert_eq!(planned(&one_service(&[1]), &mut restored), image);
}

#[test]
fn an_image_prints_what_people_ask_for() {
    let image = planned(&one_service(&[1]), &mut Ids::default());
    let text = "frontends:\n  10.96.0.1 any other port: refused\n  10.96.0.1:80/TCP: service 1, 1 slots\nslots:\n  1/0: \
                backend 1\nbackends:\n  1: 10.244.0.1:80/TCP of service 1\n";
    assert_eq!(image.to_string(), text);
}
