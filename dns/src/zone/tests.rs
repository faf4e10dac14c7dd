use std::collections::BTreeMap;

use hickory_proto::op::Query;
use nodeplane_api::meta::Key;
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    facts::{EndpointFacts, Port, Protocol, ServiceFacts, ServiceKind, SliceFacts},
    snapshot::Snapshot,
    *,
};
use crate::{
    answer::{Verdict, answer},
    config::Config,
    golden::query,
};

const NAMESPACES: [&str; 2] = ["shop", "bank"];
const SERVICES: [&str; 3] = ["web", "db", "peers"];
const HOSTNAMES: [&str; 2] = ["one", "two"];
const PORTS: [&str; 3] = ["", "http", "sql"];

/// The addresses of the tests; the first one is the server's own.
fn address(number: u8) -> IpAddr {
    [10, 244, 0, number].into()
}

fn settings() -> Arc<Settings> {
    let config = Config {
        listen: vec![(address(0), 53).into()],
        reverse_zones: vec!["10.244.0.0/16".parse().unwrap()],
        ..Config::default()
    };
    config.settings().unwrap()
}

fn port() -> impl Strategy<Value = Port> {
    (select(&PORTS[..]), select(vec![Protocol::Tcp, Protocol::Udp]), 1..3u16)
        .prop_map(|(name, protocol, number)| Port { name: name.into(), protocol, number })
}

fn kind() -> impl Strategy<Value = ServiceKind> {
    prop_oneof![
        vec(0..4u8, 1..3).prop_map(|numbers| ServiceKind::ClusterIp(numbers.into_iter().map(address).collect())),
        Just(ServiceKind::Headless),
        select(vec!["example.org", "web.shop.svc.cluster.local", "10.0.0.1", "no name"])
            .prop_map(|name| ServiceKind::ExternalName(name.to_owned())),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    (select(&NAMESPACES[..]), select(&SERVICES[..])).prop_map(|(namespace, name)| Key::new(namespace, name))
}

fn service() -> impl Strategy<Value = (Key, ServiceFacts)> {
    (key(), kind(), vec(port(), 0..3)).prop_map(|(key, kind, ports)| (key, ServiceFacts { kind, ports }))
}

fn slice() -> impl Strategy<Value = (Key, SliceFacts)> {
    let endpoint = (vec(0..6u8, 1..3), proptest::option::of(select(&HOSTNAMES[..]))).prop_map(|(numbers, hostname)| {
        EndpointFacts { addresses: numbers.into_iter().map(address).collect(), hostname: hostname.map(str::to_owned) }
    });
    (key(), vec(port(), 0..3), vec(endpoint, 0..4))
        .prop_map(|(service, ports, endpoints)| (service, SliceFacts { ports, endpoints }))
}

/// Facts as a cluster has them: no service twice.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    (vec(select(&NAMESPACES[..]), 0..3), vec(service(), 0..6), vec(slice(), 0..6)).prop_map(
        |(namespaces, services, slices)| {
            let unique: BTreeMap<_, _> = services.into_iter().collect();
            Snapshot {
                namespaces: namespaces.into_iter().map(str::to_owned).collect(),
                services: unique.into_iter().collect(),
                slices,
            }
        },
    )
}

/// Every question that the facts of these tests can have an answer to, and some that they cannot.
fn questions() -> Vec<Query> {
    let mut names = vec!["cluster.local".to_owned(), "ns.dns.cluster.local".to_owned()];
    for namespace in NAMESPACES {
        names.push(format!("{namespace}.svc.cluster.local"));
        for service in SERVICES {
            let name = format!("{service}.{namespace}.svc.cluster.local");
            names.extend(HOSTNAMES.map(|hostname| format!("{hostname}.{name}")));
            names.extend((0..6).map(|number| format!("10-244-0-{number}.{name}")));
            names.extend(["tcp", "udp"].map(|protocol| format!("_{protocol}.{name}")));
            names.extend(PORTS.map(|port| format!("_{port}._tcp.{name}")));
            names.push(name);
        }
    }
    names.extend((0..6).map(|number| format!("{number}.0.244.10.in-addr.arpa")));
    names.iter().flat_map(|name| ["A", "SRV", "PTR", "NS"].map(|wanted| query(&format!("{name} {wanted}")))).collect()
}

fn answers(zone: &Zone) -> Vec<Verdict> {
    questions().iter().map(|query| answer(zone, query)).collect()
}

/// Puts the services of `new` into `zone`, as after a change of each of them.
fn update(zone: &mut Zone, old: &Snapshot, new: &Snapshot) {
    zone.set_namespaces(new.namespaces.iter().map(String::as_str));
    for key in old.services.iter().chain(&new.services).map(|(key, _)| key).collect::<BTreeSet<_>>() {
        let service = new.services.iter().find(|(other, _)| other == key);
        let slices = || new.slices.iter().filter(|(service, _)| service == key).map(|(_, slice)| slice);
        zone.put(&key.namespace, &key.name, service.and_then(|(_, service)| Entry::new(service, slices())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_objects_says_nothing(snapshot in snapshot(), seed in any::<u64>()) {
        use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
        let mut random = StdRng::seed_from_u64(seed);
        let mut shuffled = snapshot.clone();
        shuffled.namespaces.shuffle(&mut random);
        shuffled.services.shuffle(&mut random);
        shuffled.slices.shuffle(&mut random);
        for (_, slice) in &mut shuffled.slices {
            slice.ports.shuffle(&mut random);
            slice.endpoints.shuffle(&mut random);
        }
        let (one, other) = (Zone::build(settings(), &snapshot, 1, true), Zone::build(settings(), &shuffled, 1, true));
        prop_assert_eq!(answers(&one), answers(&other));
    }

    #[test]
    fn changes_lead_to_what_a_new_zone_would_be(snapshots in vec(snapshot(), 1..4)) {
        let mut zone = Zone::empty(settings());
        let mut old = Snapshot::default();
        for new in snapshots {
            update(&mut zone, &old, &new);
            zone.mark(1, true);
            let rebuilt = Zone::build(settings(), &new, 1, true);
            prop_assert_eq!(answers(&zone), answers(&rebuilt));
            prop_assert_eq!(zone.len(), rebuilt.len());
            prop_assert!(zone.name_servers().map(|(key, _)| key).eq(rebuilt.name_servers().map(|(key, _)| key)));
            old = new;
        }
        update(&mut zone, &old, &Snapshot::default());
        prop_assert!(zone.is_empty() && (0..6).all(|number| zone.names_of(address(number)).is_empty()));
    }

    #[test]
    fn a_copy_does_not_see_later_changes(old in snapshot(), new in snapshot()) {
        let copy = Zone::build(settings(), &old, 1, true);
        let before = answers(&copy);
        let mut zone = copy.clone();
        update(&mut zone, &old, &new);
        prop_assert_eq!(answers(&copy), before);
    }

    #[test]
    fn the_label_of_an_address_spells_it(octets in any::<[u8; 16]>(), four in any::<bool>()) {
        let address = if four { IpAddr::from([octets[0], octets[1], octets[2], octets[3]]) } else { octets.into() };
        // `::ffff:1.2.3.4` has dots of its own; no cluster hands such addresses out.
        prop_assume!(!matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()));
        let label = entry::dashed(address);
        prop_assert!(!label.ends_with('-') && label.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric()));
        prop_assert_eq!(entry::undashed(label.as_bytes()), Some(address));
    }
}

#[test]
fn an_external_name_that_is_no_name_has_none() {
    let service = |target: &str| ServiceFacts { kind: ServiceKind::ExternalName(target.to_owned()), ports: Vec::new() };
    for wrong in ["", ".", "10.0.0.1", "fd00::1", "a..b", &"x".repeat(64)] {
        assert_eq!(Entry::new(&service(wrong), [].iter()), None, "{wrong:?}");
    }
    assert!(Entry::new(&service("example.org."), [].iter()).is_some());
}

#[test]
fn a_hostname_that_is_no_label_is_as_none() {
    let facts = ServiceFacts { kind: ServiceKind::Headless, ports: Vec::new() };
    let endpoint = |hostname: &str| EndpointFacts { addresses: vec![address(7)], hostname: Some(hostname.to_owned()) };
    let label = |hostname: &str| {
        let slice = SliceFacts { endpoints: vec![endpoint(hostname)], ..SliceFacts::default() };
        Entry::new(&facts, [slice].iter()).unwrap().endpoints().next().unwrap().label()
    };
    assert_eq!(label("Db-0"), "db-0");
    assert_eq!(label("db.0"), "10-244-0-7");
    assert_eq!(label(&"x".repeat(64)), "10-244-0-7");
}
