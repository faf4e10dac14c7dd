use proptest::prelude::*;

use super::{fake::FakeDataplane, *};
use crate::model::{Backend, Frontend, ObjectKey, Protocol, Snapshot};

fn snapshot(services: &[(u8, &[u8])]) -> Snapshot {
    let frontend = |(host, backends): &(u8, &[u8])| Frontend {
        service: ObjectKey { namespace: "default".into(), name: format!("s{host}") },
        port_name: String::new(),
        addr: Ipv4Addr::new(10, 96, 0, *host),
        port: 80,
        protocol: Protocol::Tcp,
        affinity_secs: None,
        backends: backends.iter().map(|b| Backend { addr: Ipv4Addr::new(10, 244, 0, *b), port: 80 }).collect(),
    };
    Snapshot { frontends: services.iter().map(frontend).collect(), rejected: Vec::new() }
}

/// What the maps of a fresh node hold for a snapshot.
fn image_of(snapshot: &Snapshot) -> Image {
    let fake = FakeDataplane::default();
    ServicePlane::new(fake.clone()).sync(snapshot).expect("sync");
    fake.dump().expect("dump")
}

fn endpoint(host: u8, ifindex: u32) -> Endpoint {
    Endpoint { addr: Ipv4Addr::new(10, 244, 0, host), ifindex, pod_mac: [2, 0, 0, 0, 0, 1], host_mac: [2; 6] }
}

#[test]
fn a_sync_without_change_writes_nothing() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    let services = snapshot(&[(1, &[1, 2])]);
    let first = plane.sync(&services).expect("sync");
    assert_eq!((first.frontends, first.backends, first.operations), (1, 2, 6));
    assert_eq!(plane.sync(&services).expect("sync").operations, 0);
    assert_eq!(fake.state().applied.len(), 6);
}

#[test]
fn a_new_agent_over_full_maps_writes_nothing() {
    // An agent with a history: its ids are not those that a fresh one would give.
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    plane.sync(&snapshot(&[(1, &[1, 2]), (2, &[3])])).expect("sync");
    let services = snapshot(&[(2, &[1, 3]), (3, &[4])]);
    plane.sync(&services).expect("sync");
    let restarted = FakeDataplane::holding(fake.state().image.clone());
    assert_eq!(ServicePlane::new(restarted).sync(&services).expect("sync").operations, 0);
}

#[test]
fn services_that_went_while_no_agent_ran_go_with_the_first_sync() {
    let fake = FakeDataplane::holding(image_of(&snapshot(&[(1, &[1]), (2, &[2])])));
    ServicePlane::new(fake.clone()).sync(&snapshot(&[(2, &[2])])).expect("sync");
    let state = fake.state();
    assert_eq!(state.image.frontends.len(), 2, "one port and the rest of its address");
    assert_eq!(state.image.backends.len(), 1);
}

#[test]
fn older_versions_are_told_to_go_once_and_only_after_success() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    fake.state().fail_after = Some(1);
    plane.sync(&snapshot(&[(1, &[1])])).expect_err("told to fail");
    assert_eq!(fake.state().settled, 0);
    for _ in 0..2 {
        plane.sync(&snapshot(&[(1, &[1])])).expect("sync");
        assert_eq!(fake.state().settled, 1);
    }
}

#[test]
fn endpoints_come_and_go_with_their_programs() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    for pod in [endpoint(1, 11), endpoint(2, 12), endpoint(3, 13)] {
        plane.add_endpoint(&pod).expect("add");
    }
    plane.remove_endpoint(endpoint(1, 11).addr).expect("remove");
    plane.remove_endpoint(endpoint(9, 0).addr).expect("nothing to remove");
    // A link whose pod has no entry, as an agent leaves that dies in between.
    fake.state().attached.insert(99);
    plane.keep_endpoints(&[endpoint(2, 12).addr].into()).expect("keep");
    let state = fake.state();
    assert_eq!(state.endpoints.keys().copied().collect::<Vec<_>>(), [endpoint(2, 12).addr]);
    assert_eq!(state.attached.iter().copied().collect::<Vec<_>>(), [12]);
}

proptest! {
    #[test]
    fn a_failure_at_any_point_is_safe_and_the_next_sync_mends_it(
        old in proptest::collection::vec((1u8..5, proptest::collection::vec(1u8..9, 0..4)), 0..4),
        new in proptest::collection::vec((1u8..5, proptest::collection::vec(1u8..9, 0..4)), 0..4),
        fail_after in 0usize..24,
    ) {
        let [old, new] = [old, new].map(|services| {
            let services: BTreeMap<u8, std::collections::BTreeSet<u8>> =
                services.into_iter().map(|(host, backends)| (host, backends.into_iter().collect())).collect();
            let services: Vec<(u8, Vec<u8>)> =
                services.into_iter().map(|(host, backends)| (host, backends.into_iter().collect())).collect();
            snapshot(&services.iter().map(|(host, backends)| (*host, &backends[..])).collect::<Vec<_>>())
        });
        let fake = FakeDataplane::default();
        let plane = ServicePlane::new(fake.clone());
        plane.sync(&old).expect("sync");
        fake.state().fail_after = Some(fail_after);
        let failed = plane.sync(&new).is_err();
        prop_assert_eq!(fake.state().image.check(), Ok(()));
        fake.state().fail_after = None;
        let mended = plane.sync(&new).expect("sync");
        prop_assert_eq!(failed, mended.operations > 0);
        let image = fake.state().image.clone();
        prop_assert_eq!(image.check(), Ok(()));
        prop_assert_eq!(image.frontends.values().filter(|value| value.service != 0).count(), new.frontends.len());
        prop_assert_eq!(image.slots.len(), new.frontends.iter().map(|f| f.backends.len()).sum::<usize>());
        prop_assert_eq!(image.backends.len(), image.slots.len());
    }
}
