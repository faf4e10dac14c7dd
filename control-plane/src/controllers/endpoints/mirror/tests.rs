use serde_json::{Value, json};

use super::*;
use crate::controllers::world::{World, object};

/// A Service without a selector, and Endpoints for it.
fn written(endpoints: &Value) -> World {
    let mut world = World::default();
    world.put::<Service>(&object(json!({
        "metadata": { "name": "db", "namespace": "default" },
        "spec": { "clusterIP": "10.96.0.9", "ports": [{ "name": "pg", "port": 5432 }] }
    })));
    world.put::<Endpoints>(&object(endpoints.clone()));
    world
}

fn simple() -> Value {
    json!({
        "metadata": { "name": "db", "namespace": "default", "labels": { "team": "a" },
                      "annotations": { "note": "by hand", LAST_APPLIED: "{}", TRIGGER_TIME: "2024-05-06T07:08:09Z" } },
        "subsets": [{
            "addresses": [{ "ip": "192.0.2.1", "hostname": "one", "nodeName": "n1" }],
            "notReadyAddresses": [{ "ip": "192.0.2.2" }],
            "ports": [{ "name": "pg", "port": 5432, "protocol": "TCP" }]
        }]
    })
}

/// Does what the controller does. Returns how many writes, and what was skipped.
fn look(world: &World) -> (Vec<Write>, Skipped) {
    let (service, endpoints) = (world.get::<Service>("db"), world.get::<Endpoints>("db"));
    match endpoints.filter(|endpoints| is_mirrored(service.as_ref(), endpoints)) {
        Some(endpoints) => plan(&endpoints, &world.list()),
        None => (slices::delete(&world.list()), Skipped::default()),
    }
}

/// Reconciles, and checks that a second look finds nothing to do.
fn reconcile(world: &mut World) -> (usize, Skipped) {
    let (writes, skipped) = look(world);
    world.apply_all(&writes);
    let again = look(world).0;
    assert!(again.is_empty(), "not stable: {again:?}");
    (writes.len(), skipped)
}

fn only(world: &World) -> EndpointSlice {
    let slices = world.list::<EndpointSlice>();
    assert_eq!(slices.len(), 1, "{slices:?}");
    (*slices[0]).clone()
}

#[test]
fn endpoints_by_hand_become_a_slice_with_all_their_facts() {
    let mut world = written(&simple());
    assert_eq!(reconcile(&mut world), (1, Skipped::default()));
    let slice = only(&world);
    assert_eq!(slice.metadata.generate_name.as_deref(), Some("db-"));
    assert_eq!(slice.address_type, "IPv4");
    assert_eq!(
        json!(slice.labels()),
        json!({ "team": "a", "kubernetes.io/service-name": "db",
                "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io" })
    );
    assert_eq!(json!(slice.annotations()), json!({ "note": "by hand" }));
    let owner = &slice.metadata.owner_references.as_ref().unwrap()[0];
    let uid = world.get::<Endpoints>("db").unwrap().uid().unwrap();
    assert_eq!(
        (owner.api_version.as_str(), owner.kind.as_str(), owner.name.as_str(), &owner.uid, owner.controller),
        ("v1", "Endpoints", "db", &uid, Some(true))
    );
    assert_eq!(json!(slice.ports), json!([{ "name": "pg", "port": 5432, "protocol": "TCP" }]));
    assert_eq!(
        json!(slice.endpoints),
        json!([{ "addresses": ["192.0.2.1"], "conditions": { "ready": true }, "hostname": "one", "nodeName": "n1" },
               { "addresses": ["192.0.2.2"], "conditions": { "ready": false } }])
    );
}

#[test]
fn the_slice_follows_what_is_written() {
    let mut world = written(&simple());
    reconcile(&mut world);
    let before = only(&world);
    world.edit::<Endpoints>("db", |endpoints| {
        endpoints["subsets"][0]["notReadyAddresses"] = Value::Null;
        endpoints["subsets"][0]["addresses"] = json!([{ "ip": "192.0.2.2" }, { "ip": "192.0.2.3" }]);
        endpoints["metadata"]["labels"]["team"] = "b".into();
    });
    assert_eq!(reconcile(&mut world).0, 1);
    let after = only(&world);
    assert_eq!(after.metadata.name, before.metadata.name);
    assert_eq!(after.labels()["team"], "b");
    let state = |endpoint: &Endpoint| (endpoint.addresses[0].clone(), endpoint.conditions.as_ref().unwrap().ready);
    let all: Vec<_> = after.endpoints.iter().map(state).collect();
    assert_eq!(all, [("192.0.2.2".to_owned(), Some(true)), ("192.0.2.3".to_owned(), Some(true))]);
}

#[test]
fn families_and_ports_have_slices_of_their_own() {
    let mut endpoints = simple();
    endpoints["subsets"] = json!([
        { "addresses": [{ "ip": "192.0.2.1" }, { "ip": "2001:db8::1" }], "ports": [{ "name": "pg", "port": 5432 }] },
        { "addresses": [{ "ip": "192.0.2.1" }], "ports": [{ "name": "pg", "port": 5433 }] },
    ]);
    let mut world = written(&endpoints);
    reconcile(&mut world);
    let mut all: Vec<_> = world
        .list::<EndpointSlice>()
        .iter()
        .map(|slice| {
            let port = slice.ports.as_ref().unwrap()[0].port.unwrap();
            (slice.address_type.clone(), port, slice.endpoints[0].addresses[0].clone())
        })
        .collect();
    all.sort();
    let expected = [("IPv4", 5432, "192.0.2.1"), ("IPv4", 5433, "192.0.2.1"), ("IPv6", 5432, "2001:db8::1")];
    assert_eq!(all, expected.map(|(family, port, address)| (family.to_owned(), port, address.to_owned())));
    // A set of ports that is gone takes its slice along.
    world.edit::<Endpoints>("db", |endpoints| drop(endpoints["subsets"].as_array_mut().unwrap().pop()));
    assert_eq!(reconcile(&mut world).0, 1);
    assert_eq!(world.list::<EndpointSlice>().len(), 2);
}

#[test]
fn slices_end_with_their_reason() {
    let skip = |world: &mut World| {
        world.edit::<Endpoints>("db", |endpoints| endpoints["metadata"]["labels"][SKIP] = "true".into());
    };
    let elect = |world: &mut World| {
        world.edit::<Endpoints>("db", |endpoints| endpoints["metadata"]["annotations"][ELECTION] = "{}".into());
    };
    let select = |world: &mut World| {
        world.edit::<Service>("db", |service| service["spec"]["selector"] = json!({ "app": "db" }));
    };
    let unwrite = |world: &mut World| {
        let key = Key::new("default", "db");
        world.apply(&Write::delete(row::<Endpoints>(), key, "")).unwrap();
    };
    let unserve = |world: &mut World| {
        let key = Key::new("default", "db");
        world.apply(&Write::delete(row::<Service>(), key, "")).unwrap();
    };
    let empty = |world: &mut World| world.edit::<Endpoints>("db", |endpoints| endpoints["subsets"] = json!([]));
    for (number, end) in [&skip as &dyn Fn(&mut World), &elect, &select, &unwrite, &unserve, &empty].iter().enumerate()
    {
        let mut world = written(&simple());
        reconcile(&mut world);
        only(&world);
        end(&mut world);
        assert_eq!(reconcile(&mut world).0, 1, "{number}");
        assert!(world.list::<EndpointSlice>().is_empty(), "{number}");
    }
    // A label that says something else is no reason, nor a selector that selects nothing.
    let mut world = written(&simple());
    world.edit::<Endpoints>("db", |endpoints| endpoints["metadata"]["labels"][SKIP] = "false".into());
    world.edit::<Service>("db", |service| service["spec"]["selector"] = json!({}));
    assert_eq!(reconcile(&mut world).0, 1);
}

#[test]
fn endpoints_of_an_earlier_life_lose_their_slice() {
    let mut world = written(&simple());
    reconcile(&mut world);
    let before = only(&world);
    world.edit::<Endpoints>("db", |endpoints| endpoints["metadata"]["uid"] = "second-life".into());
    assert_eq!(reconcile(&mut world).0, 2);
    assert_ne!(only(&world).metadata.name, before.metadata.name);
}

#[test]
fn a_subset_has_a_thousand_addresses_those_that_serve_first() {
    let addresses = |net: u8, count: usize| -> Value {
        (0..count).map(|n| json!({ "ip": format!("10.{net}.{}.{}", n / 200, n % 200) })).collect()
    };
    let mut endpoints = simple();
    endpoints["subsets"] = json!([{ "addresses": addresses(1, 900), "notReadyAddresses": addresses(2, 150),
                                    "ports": [{ "port": 80 }] }]);
    let mut world = written(&endpoints);
    assert_eq!(reconcile(&mut world), (1, Skipped { too_many: 50, invalid: 0 }));
    let ready = |endpoint: &&Endpoint| endpoint.conditions.as_ref().unwrap().ready == Some(true);
    let slice = only(&world);
    assert_eq!((slice.endpoints.len(), slice.endpoints.iter().filter(ready).count()), (1000, 900));
    // Another subset with the same ports does not share in the thousand.
    endpoints["subsets"] = json!([{ "addresses": addresses(1, 900), "ports": [{ "port": 80 }] },
                                  { "addresses": addresses(3, 900), "ports": [{ "port": 80 }] }]);
    let mut world = written(&endpoints);
    assert_eq!(reconcile(&mut world), (2, Skipped::default()));
    assert_eq!(world.list::<EndpointSlice>().iter().map(|slice| slice.endpoints.len()).sum::<usize>(), 1800);
}

#[test]
fn an_address_counts_once_and_only_if_it_is_one() {
    let mut endpoints = simple();
    endpoints["subsets"] = json!([{ "addresses": [{ "ip": "192.0.2.1" }, { "ip": "nowhere" }],
                                    "notReadyAddresses": [{ "ip": "192.0.2.1" }], "ports": [{ "port": 80 }] }]);
    let mut world = written(&endpoints);
    assert_eq!(reconcile(&mut world), (1, Skipped { too_many: 0, invalid: 1 }));
    assert_eq!(json!(only(&world).endpoints), json!([{ "addresses": ["192.0.2.1"], "conditions": { "ready": true } }]));
}
