use std::collections::BTreeMap;

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    dataplane::fake::FakeDataplane,
    model::{ObjectKey, Protocol},
    plan::Limits,
};

/// A Service at 10.96.0.`host`, as old as its number is small, with endpoints 10.244.0.`backends`.
fn objects(host: u8, backends: &[u8]) -> (Service, EndpointSlice) {
    let name = format!("s{host}");
    let service = json!({
        "metadata": {
            "namespace": "default", "name": name, "creationTimestamp": format!("2026-01-01T00:00:{host:02}Z")
        },
        "spec": { "clusterIP": format!("10.96.0.{host}"), "ports": [{ "port": 80 }] },
    });
    let endpoints: Vec<_> = backends.iter().map(|host| json!({ "addresses": [format!("10.244.0.{host}")] })).collect();
    let slice = json!({
        "metadata": { "namespace": "default", "name": name, "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4", "ports": [{ "port": 80 }], "endpoints": endpoints,
    });
    (serde_json::from_value(service).expect("a Service"), serde_json::from_value(slice).expect("an EndpointSlice"))
}

fn services(all: &[(u8, &[u8])]) -> Services {
    let (services, slices): (Vec<_>, Vec<_>) = all.iter().map(|(host, backends)| objects(*host, backends)).unzip();
    Services::build(services, slices, "here")
}

fn put(all: &mut Services, host: u8, backends: Option<&[u8]>) -> BTreeSet<Listen> {
    let key = ObjectKey { namespace: "default".into(), name: format!("s{host}") };
    let objects = backends.map(|backends| objects(host, backends));
    all.put(&key, objects.as_ref().map(|(service, _)| service), objects.iter().map(|(_, slice)| slice))
}

fn listen(host: u8) -> Listen {
    Listen { addr: Ipv4Addr::new(10, 96, 0, host).into(), port: 80, protocol: Protocol::Tcp }
}

/// The Services that the maps serve, by the number of their address.
fn served(fake: &FakeDataplane) -> Vec<u8> {
    let state = fake.state();
    let ports = state.image.frontends.iter().filter(|(_, value)| value.service != 0);
    let mut hosts: Vec<u8> = ports.map(|(key, _)| Ipv4Addr::from(key.addr).octets()[3]).collect();
    hosts.sort_unstable();
    hosts
}

/// What the maps of a fresh node hold.
fn image_of(all: &Services) -> Image {
    let fake = FakeDataplane::default();
    ServicePlane::new(fake.clone()).sync(all).expect("sync");
    fake.dump().expect("dump")
}

fn endpoint(host: u8, ifindex: u32) -> Endpoint {
    Endpoint { addr: Ipv4Addr::new(10, 244, 0, host), ifindex, pod_mac: [2, 0, 0, 0, 0, 1], host_mac: [2; 6] }
}

#[test]
fn a_sync_without_change_writes_nothing() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    let all = services(&[(1, &[1, 2])]);
    let first = plane.sync(&all).expect("sync");
    assert_eq!((first.frontends, first.backends, first.operations), (1, 2, 6));
    assert_eq!(plane.sync(&all).expect("sync").operations, 0);
    assert_eq!(fake.state().applied.len(), 6);
}

#[test]
fn a_new_agent_over_full_maps_writes_nothing() {
    // An agent with a history: its ids are not those that a fresh one would give.
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    plane.sync(&services(&[(1, &[1, 2]), (2, &[3])])).expect("sync");
    let all = services(&[(2, &[1, 3]), (3, &[4])]);
    plane.sync(&all).expect("sync");
    let restarted = FakeDataplane::holding(fake.state().image.clone());
    assert_eq!(ServicePlane::new(restarted).sync(&all).expect("sync").operations, 0);
}

#[test]
fn services_that_went_while_no_agent_ran_go_with_the_first_sync() {
    let fake = FakeDataplane::holding(image_of(&services(&[(1, &[1]), (2, &[2])])));
    ServicePlane::new(fake.clone()).sync(&services(&[(2, &[2])])).expect("sync");
    let state = fake.state();
    assert_eq!(state.image.frontends.len(), 2, "one port and the rest of its address");
    assert_eq!(state.image.backends.len(), 1);
}

#[test]
fn older_versions_are_told_to_go_once_and_only_after_success() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    fake.state().fail_after = Some(1);
    plane.sync(&services(&[(1, &[1])])).expect_err("told to fail");
    assert_eq!(fake.state().settled, 0);
    for _ in 0..2 {
        plane.sync(&services(&[(1, &[1])])).expect("sync");
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

#[test]
fn a_pod_with_another_interface_leaves_no_program_at_the_old_one() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    for ifindex in [11, 12, 12] {
        plane.add_endpoint(&endpoint(1, ifindex)).expect("add");
        let state = fake.state();
        assert_eq!(state.endpoints[&endpoint(1, 0).addr].ifindex, ifindex);
        assert_eq!(state.attached.iter().copied().collect::<Vec<_>>(), [ifindex]);
    }
}

#[test]
fn a_pod_does_not_wait_for_services() {
    let plane = ServicePlane::new(FakeDataplane::default());
    // As long as an update holds it.
    let _writing = lock(&plane.services);
    plane.add_endpoint(&endpoint(1, 11)).expect("add");
    plane.remove_endpoint(endpoint(1, 11).addr).expect("remove");
    plane.keep_endpoints(&BTreeSet::new()).expect("keep");
}

#[test]
fn an_update_writes_what_has_changed_and_looks_at_nothing_else() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    let mut all = services(&[(1, &[1, 2]), (2, &[3])]);
    plane.sync(&all).expect("sync");
    let changed = put(&mut all, 1, Some(&[2, 4]));
    assert_eq!(changed, BTreeSet::from([listen(1)]));
    // Not told, and so not seen.
    put(&mut all, 2, None);
    let stats = plane.update(&all, &changed).expect("update");
    assert_eq!((stats.operations, stats.frontends, stats.backends), (3, 2, 3));
    assert_eq!(served(&fake), [1, 2]);
    assert_eq!(plane.update(&all, &BTreeSet::from([listen(2)])).expect("update").operations, 4);
    assert_eq!(served(&fake), [1]);
}

#[test]
fn an_update_after_a_failure_looks_at_everything() {
    let fake = FakeDataplane::default();
    let plane = ServicePlane::new(fake.clone());
    let mut all = services(&[(1, &[1])]);
    plane.update(&all, &BTreeSet::new()).expect("the first one sees everything");
    let changed = put(&mut all, 2, Some(&[2]));
    fake.state().fail_after = Some(2);
    plane.update(&all, &changed).expect_err("told to fail");
    plane.update(&all, &BTreeSet::new()).expect("update");
    assert_eq!(served(&fake), [1, 2]);
}

#[test]
fn who_does_not_fit_is_left_out_and_all_others_go_on() {
    let fake = FakeDataplane::default();
    fake.state().capacity = Some(Limits { frontends: 100, slots: 5, backends: 5 });
    let plane = ServicePlane::new(fake.clone());
    let mut all = services(&[(1, &[1, 2]), (3, &[3])]);
    plane.sync(&all).expect("sync");
    let mut step = |host, backends| {
        let changed = put(&mut all, host, backends);
        plane.update(&all, &changed).expect("the others are served");
        let left_out: Vec<String> = plane.left_out().iter().map(ToString::to_string).collect();
        (served(&fake), left_out)
    };
    let third = || vec!["Service default/s3: no room for 1 endpoints: the node has 5 at most".to_owned()];
    assert_eq!(step(4, Some(&[4, 5, 6])).0, [1, 3], "the newest");
    assert_eq!(step(1, Some(&[7, 8])).0, [1, 3], "one that is served still changes");
    // An older one takes the room of a newer one.
    let (hosts, left_out) = step(2, Some(&[1, 2, 3]));
    assert_eq!((hosts, left_out.len()), (vec![1, 2], 2));
    assert_eq!(step(4, None), (vec![1, 2], third()));
    assert_eq!(step(1, Some(&[7])), (vec![1, 2, 3], vec![]), "the room that another one leaves");
    assert_eq!(image_of(&all).slots.len(), fake.state().image.slots.len());
}

type Cluster = BTreeMap<u8, BTreeSet<u8>>;

fn cluster() -> impl Strategy<Value = Cluster> {
    proptest::collection::btree_map(1u8..5, proptest::collection::btree_set(1u8..9, 0..4), 0..4)
}

fn of(cluster: &Cluster) -> Services {
    let all: Vec<(u8, Vec<u8>)> =
        cluster.iter().map(|(host, backends)| (*host, backends.iter().copied().collect())).collect();
    services(&all.iter().map(|(host, backends)| (*host, &backends[..])).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn a_failure_at_any_point_is_safe_and_the_next_update_mends_it(
        old in cluster(), new in cluster(), fail_after in 0usize..24, tight in any::<bool>(),
    ) {
        let (old, new) = (of(&old), of(&new));
        let fake = FakeDataplane::default();
        if tight {
            let (old, new) = (image_of(&old), image_of(&new));
            fake.state().capacity = Some(Limits {
                frontends: old.frontends.len().max(new.frontends.len()),
                slots: old.slots.len().max(new.slots.len()),
                backends: old.backends.len().max(new.backends.len()),
            });
        }
        let plane = ServicePlane::new(fake.clone());
        plane.sync(&old).expect("sync");
        fake.state().fail_after = Some(fail_after);
        let failed = plane.sync(&new).is_err();
        prop_assert_eq!(fake.state().image.check(), Ok(()));
        fake.state().fail_after = None;
        let mended = plane.update(&new, &BTreeSet::new()).expect("update");
        prop_assert_eq!(failed, mended.operations > 0);
        prop_assert!(plane.left_out().is_empty());
        let image = fake.state().image.clone();
        prop_assert_eq!(image.check(), Ok(()));
        prop_assert_eq!(served(&fake).len(), new.frontends().count());
        prop_assert_eq!(image.slots.len(), new.frontends().map(|f| f.backends.len()).sum::<usize>());
        prop_assert_eq!(image.backends.len(), image.slots.len());
    }

    #[test]
    fn updates_serve_what_a_fresh_start_would(
        steps in proptest::collection::vec((1u8..6, proptest::option::of(proptest::collection::btree_set(1u8..9, 0..4))), 0..12),
        backends in 2usize..12,
    ) {
        let fake = FakeDataplane::default();
        fake.state().capacity = Some(Limits { frontends: 8, slots: backends, backends });
        let plane = ServicePlane::new(fake.clone());
        let mut all = services(&[]);
        for (host, is) in steps {
            let is: Option<Vec<u8>> = is.map(|backends| backends.into_iter().collect());
            let changed = put(&mut all, host, is.as_deref());
            plane.update(&all, &changed).expect("never too much");
            let fresh = FakeDataplane::default();
            fresh.state().capacity = fake.state().capacity;
            let new = ServicePlane::new(fresh.clone());
            new.sync(&all).expect("sync");
            prop_assert_eq!(served(&fake), served(&fresh));
            prop_assert_eq!(plane.left_out(), new.left_out());
        }
    }
}
