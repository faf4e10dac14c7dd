use serde_json::{Value, json};

use super::*;
use crate::controllers::world::{World, object};

fn service(world: &World) -> Service {
    world.get("web").unwrap()
}

fn world(spec: &Value) -> World {
    let mut world = World::default();
    world.put::<Service>(&object(json!({
        "metadata": { "name": "web", "namespace": "default", "labels": { "team": "a" } }, "spec": spec
    })));
    world.put::<Node>(&object(json!({ "metadata": { "name": "n1", "labels": { ZONE: "z1" } } })));
    world
}

fn simple() -> Value {
    json!({ "selector": { "app": "web" }, "clusterIP": "10.96.0.9", "ports": [{ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" }] })
}

fn pod(name: &str, number: usize, ready: bool) -> Pod {
    object(json!({
        "metadata": { "name": name, "namespace": "default", "labels": { "app": "web" } },
        "spec": { "nodeName": "n1", "hostname": name, "subdomain": "web",
                  "containers": [{ "name": "c", "ports": [{ "name": "web", "containerPort": 9000 + number / 100 }] }] },
        "status": { "phase": "Running", "podIP": format!("10.244.{}.{}", number / 200, number % 200 + 1),
                    "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" },
                                     "lastTransitionTime": "2024-05-06T07:08:09Z" }] }
    }))
}

fn plans(world: &World) -> (Vec<nodeplane_client::write::Write>, Vec<nodeplane_client::write::Write>) {
    let service = service(world);
    let node: Node = world.get("n1").unwrap();
    let backing: Vec<_> = world
        .list::<Pod>()
        .into_iter()
        .filter(|pod| facts::selects(&service, pod))
        .filter_map(|pod| {
            let node = (super::super::pod_facts::node(&pod) == "n1").then_some(&node);
            Backing::of(&service, pod, node)
        })
        .collect();
    let facts = Facts { service: &service, backing: &backing };
    let endpoints = world.list::<Endpoints>();
    (slices::plan(&facts, &world.list()), legacy::plan(&facts, endpoints.first().map(|e| &**e)))
}

/// Reconciles, and checks that a second look finds nothing to do. Returns how many slice writes.
fn reconcile(world: &mut World) -> usize {
    let (slices, endpoints) = plans(world);
    world.apply_all(&slices);
    world.apply_all(&endpoints);
    let again = plans(world);
    assert!(again.0.is_empty() && again.1.is_empty(), "not stable: {again:?}");
    slices.len()
}

fn slice(world: &World) -> EndpointSlice {
    let slices = world.list::<EndpointSlice>();
    assert_eq!(slices.len(), 1);
    (*slices[0]).clone()
}

#[test]
fn a_ready_pod_is_an_endpoint_with_all_its_facts() {
    let mut world = world(&simple());
    world.put(&pod("a", 0, true));
    reconcile(&mut world);
    let slice = slice(&world);
    assert_eq!(slice.metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(slice.address_type, "IPv4");
    assert_eq!(slice.labels()[SERVICE_NAME], "web");
    assert_eq!(slice.labels()[MANAGED_BY], US);
    assert_eq!(slice.labels()["team"], "a");
    assert_eq!(slice.annotations()[TRIGGER_TIME], "2024-05-06T07:08:09Z");
    assert_eq!(slice.metadata.owner_references.as_ref().unwrap()[0].kind, "Service");
    assert_eq!(
        serde_json::to_value(&slice.ports).unwrap(),
        json!([{ "name": "http", "port": 8080, "protocol": "TCP" }])
    );
    assert_eq!(
        serde_json::to_value(&slice.endpoints).unwrap(),
        json!([{ "addresses": ["10.244.0.1"], "hostname": "a", "nodeName": "n1", "zone": "z1",
                 "conditions": { "ready": true, "serving": true, "terminating": false },
                 "targetRef": { "kind": "Pod", "namespace": "default", "name": "a",
                                "uid": world.get::<Pod>("a").unwrap().uid() } }])
    );
    let endpoints: Endpoints = world.get("web").unwrap();
    assert_eq!(
        serde_json::to_value(&endpoints.subsets).unwrap(),
        json!([{ "addresses": [{ "ip": "10.244.0.1", "hostname": "a", "nodeName": "n1",
                                 "targetRef": { "kind": "Pod", "namespace": "default", "name": "a",
                                                "uid": world.get::<Pod>("a").unwrap().uid() } }],
                 "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }] }])
    );
}

#[test]
fn readiness_and_termination_show_as_conditions() {
    let mut world = world(&simple());
    world.put(&pod("unready", 0, false));
    world.put(&pod("leaving", 1, true));
    world.edit::<Pod>("leaving", |pod| pod["metadata"]["deletionTimestamp"] = "2024-05-06T07:08:09Z".into());
    reconcile(&mut world);
    let conditions: Vec<_> = slice(&world)
        .endpoints
        .iter()
        .map(|endpoint| {
            let c = endpoint.conditions.clone().unwrap();
            (endpoint.hostname.clone().unwrap(), c.ready.unwrap(), c.serving.unwrap(), c.terminating.unwrap())
        })
        .collect();
    assert_eq!(conditions, [("leaving".into(), false, true, true), ("unready".into(), false, false, false)]);
    let subsets = world.get::<Endpoints>("web").unwrap().subsets.unwrap();
    assert_eq!(subsets[0].addresses, None);
    assert_eq!(subsets[0].not_ready_addresses.as_ref().unwrap().len(), 1);
    // A service that publishes what is not ready calls it ready.
    world.edit::<Service>("web", |service| service["spec"]["publishNotReadyAddresses"] = true.into());
    reconcile(&mut world);
    assert!(slice(&world).endpoints.iter().all(|endpoint| endpoint.conditions.as_ref().unwrap().ready == Some(true)));
    assert_eq!(world.get::<Endpoints>("web").unwrap().subsets.unwrap()[0].addresses.as_ref().unwrap().len(), 2);
}

#[test]
fn pods_without_address_node_or_life_are_left_out() {
    let mut world = world(&simple());
    for (name, edit) in [
        ("finished", json!({ "status": { "phase": "Succeeded" } })),
        ("addressless", json!({ "status": { "podIP": null } })),
        ("lost", json!({ "spec": { "nodeName": "gone" } })),
        ("other", json!({ "metadata": { "labels": { "app": "other" } } })),
    ] {
        world.put(&pod(name, 0, true));
        world.edit::<Pod>(name, |pod| json_patch::merge(pod, &edit));
    }
    reconcile(&mut world);
    let slice = slice(&world);
    assert!(slice.endpoints.is_empty() && slice.ports.is_none());
    assert_eq!(world.get::<Endpoints>("web").unwrap().subsets, None);
}

#[test]
fn named_ports_group_pods_by_what_the_name_means() {
    let mut world = world(&json!({ "selector": { "app": "web" }, "clusterIP": "None",
        "ports": [{ "name": "http", "port": 80, "targetPort": "web" }, { "name": "nope", "port": 81, "targetPort": "missing" }] }));
    world.put(&pod("a", 0, true));
    world.put(&pod("b", 100, true));
    reconcile(&mut world);
    let mut ports: Vec<_> = world
        .list::<EndpointSlice>()
        .iter()
        .map(|slice| slice.ports.as_ref().unwrap().iter().map(|port| port.port.unwrap()).collect::<Vec<_>>())
        .collect();
    ports.sort();
    assert_eq!(ports, [[9000], [9001]]);
    assert!(world.list::<EndpointSlice>().iter().all(|slice| slice.labels().contains_key(HEADLESS)));
    assert_eq!(world.get::<Endpoints>("web").unwrap().subsets.unwrap().len(), 2);
}

#[test]
fn slices_hold_a_hundred_and_change_with_few_writes() {
    let mut world = world(&simple());
    for number in 0..250 {
        world.put(&pod(&format!("p{number:03}"), number, true));
    }
    reconcile(&mut world);
    let sizes = |world: &World| {
        let mut sizes: Vec<_> = world.list::<EndpointSlice>().iter().map(|slice| slice.endpoints.len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&world), [50, 100, 100]);
    // One pod changes: one slice is written.
    world.edit::<Pod>("p007", |pod| pod["status"]["conditions"][0]["status"] = "False".into());
    assert_eq!(reconcile(&mut world), 1);
    // One pod is replaced by another: the gap is filled in the same write.
    world.edit::<Pod>("p042", |pod| pod["status"]["phase"] = "Failed".into());
    world.put(&pod("q", 300, true));
    assert_eq!(reconcile(&mut world), 1);
    assert_eq!(sizes(&world), [50, 100, 100]);
    // Most pods go: empty slices go with them.
    for number in 0..245 {
        world.edit::<Pod>(&format!("p{number:03}"), |pod| pod["status"]["phase"] = "Failed".into());
    }
    reconcile(&mut world);
    assert_eq!(sizes(&world).iter().sum::<usize>(), 6);
}

#[test]
fn of_many_endpoints_each_stays_where_it_is_whatever_their_order() {
    let mut world = world(&simple());
    for number in 0..250 {
        world.put(&pod(&format!("p{number:03}"), number, true));
    }
    reconcile(&mut world);
    let existing = world.list::<EndpointSlice>();
    let existing: Vec<_> = existing.iter().map(|slice| &**slice).collect();
    let mut shuffled: Vec<_> = existing.iter().flat_map(|slice| slice.endpoints.clone()).collect();
    shuffled.reverse();
    let twin = shuffled[0].clone();
    let packed = slices::pack(&existing, shuffled.clone(), 100);
    assert!(packed.kept.iter().all(|(slice, held)| slice.endpoints == *held));
    assert_eq!((packed.kept.len(), packed.new.len(), packed.empty.len()), (3, 0, 0));
    // What is named twice is not lost: the second one takes the room that there is.
    let packed = slices::pack(&existing, [shuffled, vec![twin.clone()]].concat(), 100);
    let held = packed.kept.iter().flat_map(|(_, held)| held);
    assert_eq!(held.clone().count(), 251);
    assert_eq!(held.filter(|endpoint| **endpoint == twin).count(), 2);
}

#[test]
fn crash_between_slice_writes_converges_without_losing_endpoints() {
    for crash in 0..4 {
        let mut world = world(&simple());
        for number in 0..250 {
            world.put(&pod(&format!("p{number:03}"), number, true));
        }
        let (slices, _) = plans(&world);
        world.apply_all(&slices[..crash.min(slices.len())]);
        reconcile(&mut world);
        let mut names: Vec<_> = world
            .list::<EndpointSlice>()
            .iter()
            .flat_map(|slice| slice.endpoints.iter().map(|endpoint| endpoint.hostname.clone()).collect::<Vec<_>>())
            .collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 250);
    }
}

#[test]
fn others_slices_and_services_without_selector_are_left_alone() {
    let mut world = world(&json!({ "clusterIP": "10.96.0.10", "ports": [{ "port": 53 }] }));
    assert_eq!(reconcile(&mut world), 0);
    assert!(world.list::<EndpointSlice>().is_empty() && world.list::<Endpoints>().is_empty());
    let foreign: EndpointSlice = object(json!({ "metadata": { "name": "kube-dns-n1", "namespace": "kube-system",
        "labels": { SERVICE_NAME: "kube-dns" } }, "addressType": "IPv4", "endpoints": [] }));
    assert_eq!(service_of(&foreign, US), None);
}

#[test]
fn slices_of_an_earlier_service_of_the_same_name_are_replaced() {
    let mut world = world(&simple());
    world.put(&pod("a", 0, true));
    reconcile(&mut world);
    world.edit::<Service>("web", |service| service["metadata"]["uid"] = "second-life".into());
    let (writes, _) = plans(&world);
    assert_eq!(writes.len(), 2);
    assert!(writes[0].to_string().starts_with("create") && writes[1].to_string().starts_with("delete"));
    // And when it is gone for good, all go.
    assert_eq!(slices::delete(&world.list()).len(), 1);
    let endpoints: Endpoints = world.get("web").unwrap();
    assert_eq!(legacy::delete(Some(&endpoints)).len(), 1);
    assert_eq!(legacy::delete(Some(&Endpoints::default())).len(), 0);
}
