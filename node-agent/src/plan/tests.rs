use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use nodeplane_ebpf::lb::{self, Caller, Choice, Tables};
use nodeplane_ebpf_abi::{
    addr::PortBe,
    affinity::{AffKey, AffVal, Client, FlowKey, SCOPE_NETNS},
    ranges::Ranges,
    service::{BackendVal, SlotKey, SvcKey, SvcVal},
    verdict::Verdict,
};
use proptest::{collection::btree_map, collection::btree_set, option, prelude::*};

use super::*;
use crate::model::{Backend, Frontend, Listen, ObjectKey, Protocol};

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
    fn note_affinity(&self, _key: &AffKey, _value: &AffVal) {}
    fn flow(&self, _key: &FlowKey) -> Option<AffVal> {
        None
    }
    fn note_flow(&self, _key: &FlowKey, _value: &AffVal) {}
    fn turn(&self, _service: u32) -> u64 {
        self.turn
    }
}

/// A pod that asks for the first time.
struct Stranger;

impl Caller for Stranger {
    fn client(&self) -> (Client, u32) {
        (Client::default(), SCOPE_NETNS)
    }
    fn socket(&self) -> Option<u64> {
        None
    }
    fn now(&self) -> u64 {
        0
    }
}

/// Whom the calls to a frontend may reach: one entry for each slot, or why none.
fn answers(image: &Image, key: &SvcKey) -> BTreeSet<Result<BackendVal, u32>> {
    let count = image.frontends.get(key).map_or(1, |value| value.count.max(1));
    let ask = |turn| match lb::select(&View { image, turn }, &Stranger, key, &Ranges::NONE) {
        Choice::Send(backend) => Ok(backend),
        Choice::Refuse(why) => Err(why.0),
        Choice::Pass => Err(u32::MAX),
    };
    (0..u64::from(count)).map(ask).collect()
}

/// More than any case here needs.
const AMPLE: Limits = Limits { frontends: 1000, slots: 1000, backends: 1000 };

type Wanted = Vec<Frontend>;

fn backend(host: u8, port: u16) -> Backend {
    Backend { addr: Ipv4Addr::new(10, 244, 0, host).into(), port }
}

fn backends() -> impl Strategy<Value = Vec<Backend>> {
    btree_set((1u8..8, 8080u16..8082), 0..6)
        .prop_map(|places| places.into_iter().map(|(host, port)| backend(host, port)).collect())
}

/// Frontends, sorted.
fn wanted() -> impl Strategy<Value = Wanted> {
    let key = (1u8..4, prop_oneof![Just(80u16), Just(53)], prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)]);
    btree_map(key, (backends(), option::of(1u32..100)), 0..8).prop_map(|services| {
        services
            .into_iter()
            .map(|((host, port, protocol), (backends, affinity_secs))| Frontend {
                service: ObjectKey { namespace: "default".into(), name: format!("s{host}") },
                port_name: String::new(),
                at: Listen { addr: Ipv4Addr::new(10, 96, 0, host).into(), port, protocol },
                affinity_secs,
                backends,
            })
            .collect()
    })
}

fn whole(held: &mut Held, wanted: &Wanted, limits: &Limits) -> Vec<Op> {
    held.whole(&wanted.iter().collect::<Vec<_>>(), limits)
}

/// What changes from one to the other.
fn changes<'a>(old: &Wanted, new: &'a Wanted) -> Vec<(Listen, Option<&'a Frontend>)> {
    let at: BTreeSet<Listen> = old.iter().chain(new).map(|frontend| frontend.at).collect();
    let find = |at: &Listen| new.iter().find(|frontend| frontend.at == *at);
    let same = |at: &Listen| old.iter().find(|frontend| frontend.at == *at) == find(at);
    at.into_iter().filter(|at| !same(at)).map(|at| (at, find(&at))).collect()
}

/// What a plane holds that has written `wanted` over empty maps.
fn holding(wanted: &Wanted) -> Held {
    let mut held = Held::restore(Image::default());
    whole(&mut held, wanted, &AMPLE);
    held
}

/// Operations that are done in full.
fn applied(image: &Image, ops: &[Op]) -> Image {
    let mut image = image.clone();
    ops.iter().for_each(|op| image.apply(op));
    image
}

/// Both ways from `old` to `new`: everything is looked at, or only what differs. With what is held before and after.
fn ways(old: &Wanted, new: &Wanted, limits: &Limits) -> [(Image, Vec<Op>, Held); 2] {
    let held = holding(old);
    let (mut all, mut some) = (held.clone(), held.clone());
    let ops = [whole(&mut all, new, limits), some.update(&changes(old, new), limits)];
    let [first, second] = ops;
    [(held.image().clone(), first, all), (held.image().clone(), second, some)]
}

fn fits(image: &Image, limits: &Limits) -> bool {
    image.frontends.len() <= limits.frontends
        && image.slots.len() <= limits.slots
        && image.backends.len() <= limits.backends
}

/// Room for the larger one of two, and not one entry more.
fn tight(old: &Image, new: &Image) -> Limits {
    Limits {
        frontends: old.frontends.len().max(new.frontends.len()),
        slots: old.slots.len().max(new.slots.len()),
        backends: old.backends.len().max(new.backends.len()),
    }
}

/// Addresses and ports.
type Answering = BTreeSet<(Ipv4Addr, u16)>;

/// Who answers for each frontend, whatever the ids are.
fn meaning(image: &Image) -> BTreeMap<SvcKey, (u32, u32, Answering)> {
    let answering = |value: &SvcVal| {
        (0..value.count)
            .map(|index| &image.backends[&image.slots[&SlotKey { service: value.service, index }]])
            .map(|backend| (backend.addr.into(), backend.port.to_number()))
            .collect()
    };
    image.frontends.iter().map(|(key, value)| (*key, (value.flags, value.affinity_secs, answering(value)))).collect()
}

/// The maps hold what is wanted, and nothing besides.
fn assert_reached(image: &Image, wanted: &Wanted) -> Result<(), TestCaseError> {
    prop_assert_eq!(image.check(), Ok(()));
    prop_assert_eq!(meaning(image), meaning(holding(wanted).image()));
    let backends: usize = wanted.iter().map(|frontend| frontend.backends.len()).sum();
    prop_assert_eq!((image.slots.len(), image.backends.len()), (backends, backends));
    Ok(())
}

proptest! {
    #[test]
    fn every_prefix_keeps_the_law(old in wanted(), new in wanted()) {
        for (before, ops, _) in ways(&old, &new, &AMPLE) {
            for length in 0..=ops.len() {
                prop_assert_eq!(applied(&before, &ops[..length]).check(), Ok(()), "after {} of {:?}", length, ops);
            }
        }
    }

    #[test]
    fn every_call_meanwhile_gets_an_old_or_a_new_answer(old in wanted(), new in wanted()) {
        for (before, ops, after) in ways(&old, &new, &AMPLE) {
            for key in before.frontends.keys().chain(after.image().frontends.keys()) {
                let allowed: BTreeSet<_> =
                    answers(&before, key).union(&answers(after.image(), key)).copied().collect();
                for length in 0..=ops.len() {
                    let got = answers(&applied(&before, &ops[..length]), key);
                    prop_assert!(!got.contains(&Err(Verdict::TORN.0)));
                    prop_assert!(got.is_subset(&allowed), "{:?}: {:?} not in {:?}", key, got, allowed);
                }
            }
        }
    }

    #[test]
    fn the_operations_reach_what_is_wanted_and_then_there_are_none(old in wanted(), new in wanted()) {
        for (before, ops, mut after) in ways(&old, &new, &AMPLE) {
            prop_assert_eq!(&applied(&before, &ops), after.image());
            assert_reached(after.image(), &new)?;
            prop_assert_eq!(after.ports(), new.len());
            prop_assert_eq!(whole(&mut after, &new, &AMPLE), vec![]);
        }
    }

    #[test]
    fn both_ways_do_the_same(old in wanted(), new in wanted()) {
        let [(_, _, all), (_, _, some)] = ways(&old, &new, &AMPLE);
        prop_assert_eq!(all, some);
    }

    #[test]
    fn what_fits_is_reached_though_old_and_new_together_do_not(old in wanted(), new in wanted()) {
        let limits = tight(holding(&old).image(), holding(&new).image());
        for (before, ops, after) in ways(&old, &new, &limits) {
            for length in 0..=ops.len() {
                let image = applied(&before, &ops[..length]);
                prop_assert!(fits(&image, &limits), "after {} of {:?}", length, ops);
                prop_assert_eq!(image.check(), Ok(()), "after {} of {:?}", length, ops);
            }
            assert_reached(after.image(), &new)?;
        }
    }

    #[test]
    fn whoever_goes_on_from_the_middle_reaches_it_in_the_same_room(
        old in wanted(), new in wanted(), newer in wanted(), done in 0usize..40,
    ) {
        let larger = tight(holding(&new).image(), holding(&newer).image());
        let limits = tight(holding(&old).image(), holding(&new).image());
        let limits = Limits {
            frontends: limits.frontends.max(larger.frontends),
            slots: limits.slots.max(larger.slots),
            backends: limits.backends.max(larger.backends),
        };
        let [(before, ops, _), _] = ways(&old, &new, &limits);
        let middle = applied(&before, &ops[..done.min(ops.len())]);
        let mut held = Held::restore(middle.clone());
        let ops = whole(&mut held, &newer, &limits);
        for length in 0..=ops.len() {
            let image = applied(&middle, &ops[..length]);
            prop_assert!(fits(&image, &limits), "after {} of {:?}", length, ops);
            prop_assert_eq!(image.check(), Ok(()), "after {} of {:?}", length, ops);
        }
        assert_reached(held.image(), &newer)?;
    }

    #[test]
    fn who_stays_is_served_without_a_gap_even_in_full_maps(old in wanted(), new in wanted()) {
        let limits = tight(holding(&old).image(), holding(&new).image());
        let stays = |frontend: &&Frontend| {
            new.iter().any(|now| now.at == frontend.at && now.backends.iter().any(|b| frontend.backends.contains(b)))
        };
        for (before, ops, _) in ways(&old, &new, &limits) {
            for frontend in old.iter().filter(stays) {
                let key = bytes::svc_key(&frontend.at).expect("IPv4");
                for length in 0..=ops.len() {
                    let got = answers(&applied(&before, &ops[..length]), &key);
                    prop_assert!(got.iter().all(Result::is_ok), "{:?} after {} of {:?}", got, length, ops);
                }
            }
        }
    }

    #[test]
    fn an_image_answers_for_exactly_the_backends_that_are_wanted(wanted in wanted()) {
        let held = holding(&wanted);
        for frontend in &wanted {
            let key = bytes::svc_key(&frontend.at).expect("IPv4");
            let got: BTreeSet<_> = answers(held.image(), &key)
                .into_iter()
                .map(|answer| answer.map(|b| (Ipv4Addr::from(b.addr).into(), b.port.to_number())))
                .collect();
            let mut want: BTreeSet<_> = frontend.backends.iter().map(|b| Ok((b.addr, b.port))).collect();
            if want.is_empty() {
                want.insert(Err(Verdict::NO_ENDPOINT.0));
            }
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn a_restart_changes_nothing(old in wanted(), new in wanted()) {
        let [(_, _, held), _] = ways(&old, &new, &AMPLE);
        let mut restored = Held::restore(held.image().clone());
        prop_assert_eq!(whole(&mut restored, &new, &AMPLE), vec![]);
        prop_assert_eq!(restored.image(), held.image());
    }

    #[test]
    fn ids_stay_with_their_owners(old in wanted(), new in wanted()) {
        for (before, _, after) in ways(&old, &new, &AMPLE) {
            for (key, value) in &before.frontends {
                if let Some(now) = after.image().frontends.get(key) {
                    prop_assert_eq!(now.service, value.service);
                }
            }
            for (id, value) in &before.backends {
                if let Some(now) = after.image().backends.get(id) {
                    prop_assert_eq!(now, value, "an id changed its owner");
                }
            }
        }
    }

    #[test]
    fn nobody_moves_but_the_last_into_a_gap(old in wanted(), new in wanted()) {
        for (before, _, after) in ways(&old, &new, &AMPLE) {
            for (slot, backend) in &after.image().slots {
                let from = before.slots.iter().find(|(from, id)| from.service == slot.service && *id == backend);
                if let Some((from, _)) = from.filter(|(from, _)| *from != slot) {
                    prop_assert!(!after.image().slots.contains_key(from), "{:?} to {:?}", from, slot);
                }
            }
        }
    }

    #[test]
    fn there_is_room_when_it_is_said(old in wanted(), new in wanted(), limit in 0usize..40) {
        let limits = Limits { frontends: limit, slots: limit, backends: limit };
        let mut held = holding(&old);
        let changes = changes(&old, &new);
        if held.has_room(&changes, &limits) {
            held.update(&changes, &limits);
            prop_assert!(fits(held.image(), &limits));
        }
    }

    #[test]
    fn the_admitted_fit_and_the_oldest_come_first(wanted in wanted(), limit in 0usize..24) {
        let limits = Limits { frontends: limit, slots: limit, backends: limit };
        let mut services: BTreeMap<&ObjectKey, Vec<&Frontend>> = BTreeMap::new();
        wanted.iter().for_each(|frontend| services.entry(&frontend.service).or_default().push(frontend));
        let (admitted, rejected) = admit(services.clone().into_iter(), &limits);
        let admitted: Wanted = admitted.into_iter().cloned().collect();
        prop_assert!(fits(holding(&admitted).image(), &limits));
        prop_assert!(admitted.is_sorted_by_key(|frontend| frontend.at));
        prop_assert_eq!(admitted.len() + rejected.iter().map(|r| services[&r.key].len()).sum::<usize>(), wanted.len());
        // Whoever is left out does not even fit beside the older ones that are served.
        for left_out in &rejected {
            let older = admitted.iter().filter(|frontend| frontend.service < left_out.key);
            let beside: Wanted = older.chain(services[&left_out.key].iter().copied()).cloned().collect();
            prop_assert!(!fits(holding(&beside).image(), &limits), "{}", left_out);
        }
    }
}

fn one_service(hosts: &[u8]) -> Wanted {
    vec![Frontend {
        service: ObjectKey { namespace: "default".into(), name: "web".into() },
        port_name: String::new(),
        at: Listen { addr: Ipv4Addr::new(10, 96, 0, 1).into(), port: 80, protocol: Protocol::Tcp },
        affinity_secs: None,
        backends: hosts.iter().map(|host| backend(*host, 80)).collect(),
    }]
}

#[test]
fn a_new_backend_costs_three_writes() {
    let [_, (_, ops, _)] = ways(&one_service(&[2, 4]), &one_service(&[2, 3, 4]), &AMPLE);
    assert!(matches!(ops[..], [Op::PutBackend(3, _), Op::PutSlot(_, 3), Op::PutFrontend(..)]), "{ops:?}");
}

#[test]
fn a_backend_that_goes_costs_four_however_many_there_are() {
    let hosts: Vec<u8> = (1..100).collect();
    let [_, (_, ops, _)] = ways(&one_service(&hosts), &one_service(&hosts[1..]), &AMPLE);
    assert!(
        matches!(
            ops[..],
            [
                Op::PutSlot(SlotKey { index: 0, .. }, 99),
                Op::PutFrontend(..),
                Op::DropSlot(SlotKey { index: 98, .. }),
                Op::DropBackend(1)
            ]
        ),
        "{ops:?}"
    );
}

#[test]
fn a_backend_in_the_place_of_another_costs_three() {
    let [_, (_, ops, _)] = ways(&one_service(&[1, 2]), &one_service(&[3, 2]), &AMPLE);
    assert!(matches!(ops[..], [Op::PutBackend(3, _), Op::PutSlot(_, 3), Op::DropBackend(1)]), "{ops:?}");
}

#[test]
fn an_id_is_not_given_to_somebody_else_at_once() {
    let mut held = holding(&one_service(&[1, 2]));
    whole(&mut held, &one_service(&[1]), &AMPLE);
    whole(&mut held, &one_service(&[1, 3]), &AMPLE);
    assert_eq!(held.image().backends.keys().copied().collect::<Vec<_>>(), [1, 3]);
}

/// What happened to maps, and how.
type Damage<'a> = (&'a str, &'a dyn Fn(&mut Image));

#[test]
fn maps_that_contradict_themselves_are_put_right() {
    let good = holding(&one_service(&[1, 2])).image().clone();
    let (key, value) = good.frontends.iter().find(|(_, value)| value.count > 0).map(|(k, v)| (*k, *v)).expect("one");
    let other = SvcKey { port: PortBe::new(81), ..key };
    let damages: [Damage<'_>; 4] = [
        ("two frontends with one id", &|image| {
            image.frontends.insert(other, value);
        }),
        ("a backend twice", &|image| {
            image.backends.insert(9, image.backends[&1]);
        }),
        ("a slot that names another service's backend", &|image| {
            image.backends.insert(9, BackendVal { service: 7, ..image.backends[&1] });
            image.slots.insert(SlotKey { service: value.service, index: 1 }, 9);
        }),
        ("an empty slot", &|image| {
            image.slots.remove(&SlotKey { service: value.service, index: 1 });
        }),
    ];
    for (what, damage) in damages {
        let mut image = good.clone();
        damage(&mut image);
        let mut restored = Held::restore(image.clone());
        let ops = whole(&mut restored, &one_service(&[1, 2]), &AMPLE);
        assert_eq!(&applied(&image, &ops), restored.image(), "{what}");
        assert_reached(restored.image(), &one_service(&[1, 2])).expect(what);
    }
}

#[test]
fn a_probe_comes_and_goes_in_order() {
    let image = holding(&one_service(&[1])).image().clone();
    let probe = Probe { vip: "127.254.0.1:99".parse().expect("addr"), listener: "127.0.0.1:98".parse().expect("addr") };
    let ops = [probe.added(), probe.removed()].concat();
    for length in 0..=ops.len() {
        let middle = applied(&image, &ops[..length]);
        assert_eq!(middle.check(), Ok(()));
        // Left behind by an agent that died meanwhile, it takes no id and goes with the next sync.
        let mut restored = Held::restore(middle);
        whole(&mut restored, &one_service(&[1]), &AMPLE);
        assert_eq!(restored, holding(&one_service(&[1])));
    }
    assert_eq!(applied(&image, &ops), image);
}

#[test]
fn a_service_that_does_not_fit_says_what_it_wants() {
    let limits = Limits { frontends: 2, slots: 3, backends: 3 };
    let (many, web) = (one_service(&[1, 2, 3, 4]), one_service(&[1]));
    let keys = ["old", "new"].map(|name| ObjectKey { namespace: "default".into(), name: name.into() });
    let services = [(&keys[0], many.iter().collect()), (&keys[1], web.iter().collect())];
    let (admitted, rejected) = admit(services.into_iter(), &limits);
    assert_eq!(admitted, [&web[0]]);
    assert_eq!(rejected[0].to_string(), "Service default/old: no room for 4 endpoints: the node has 3 at most");
}

#[test]
fn an_image_prints_what_people_ask_for() {
    let text = "frontends:\n  10.96.0.1 any other port: refused\n  10.96.0.1:80/TCP: service 1, 1 slots\nslots:\n  1/0: \
                backend 1\nbackends:\n  1: 10.244.0.1:80/TCP of service 1\n";
    assert_eq!(holding(&one_service(&[1])).image().to_string(), text);
}
