//! On the real API over a real store.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    http::{Api, in_process},
    pki::Pki,
    registry::{Registry, RegistryConfig, objects::Objects},
    store::{Store, embedded::EmbeddedStore, keys::Keys, watch_cache::WatchCache},
    tokens::Tokens,
};

struct Bed {
    client: Client,
    hands: Hands,
    store: Arc<dyn Store>,
    facts: Facts,
    _dir: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        let pki = Pki::open(&dir.path().join("pki")).unwrap();
        let keys = Keys::new("/registry");
        let config = RegistryConfig { keys: keys.clone(), service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16) };
        let api = Arc::new(Api::new(
            Objects::new(store.clone(), WatchCache::start(store.clone(), &keys), keys),
            Arc::new(Registry::new(store.clone(), config)),
            "127.0.0.1:6443".to_owned(),
            Arc::new(pki.client_config(&pki.client("test", &[]).unwrap()).unwrap()),
            Tokens::open(&pki, vec!["issuer".to_owned()], vec!["issuer".to_owned()]).unwrap(),
        ));
        let facts = Facts {
            server_ip: Ipv4Addr::new(10, 96, 0, 1),
            dns_ip: Ipv4Addr::new(10, 96, 0, 10),
            port: 6443,
            advertised: Some(Ipv4Addr::new(192, 0, 2, 7)),
            ca_pem: "PEM".to_owned(),
            token_key: "key".to_owned(),
            shares_store: false,
        };
        let client = in_process::client(&api, "test");
        Self { hands: Hands::new(client.clone()), client, store, facts, _dir: dir }
    }

    async fn bootstrap(&self) {
        run(&self.client, &self.facts).await.unwrap();
    }

    async fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kinds::by_plural(group, "v1", plural).unwrap();
        self.hands.get(kind, &Key::new(namespace, name)).await.unwrap()
    }

    async fn service(&self, namespace: &str, name: &str) -> Value {
        self.get("", "services", namespace, name).await.unwrap_or_else(|| panic!("no service {namespace}/{name}"))
    }

    async fn change(&self, object: &Value) {
        self.hands.apply(&Write::replace(kind_of(object), None, object)).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_cluster_gets_its_namespaces_and_services() {
    let bed = Bed::new();
    bed.bootstrap().await;
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = bed.get("", "namespaces", "", name).await.unwrap();
        assert_eq!(namespace["status"]["phase"], "Active", "{name}");
    }
    let server = bed.service("default", "kubernetes").await;
    assert_eq!(server["spec"]["clusterIP"], "10.96.0.1");
    let port = json!({ "name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443 });
    assert_eq!(server["spec"]["ports"], json!([port]));
    let dns = bed.service("kube-system", "kube-dns").await;
    assert_eq!(dns["spec"]["clusterIPs"], json!(["10.96.0.10"]));
    assert_eq!(dns["spec"]["internalTrafficPolicy"], "Local");
    assert_eq!(dns["spec"].get("selector"), None);
    let ports = dns["spec"]["ports"].as_array().unwrap();
    let ports: Vec<_> = ports.iter().map(|port| [&port["name"], &port["protocol"], &port["port"]]).collect();
    assert_eq!(json!(ports), json!([["dns", "UDP", 53], ["dns-tcp", "TCP", 53]]));
    assert_eq!(dns["metadata"]["labels"]["kubernetes.io/cluster-service"], "true");
}

#[tokio::test]
async fn a_new_cluster_gets_the_classes_of_its_own_pods() {
    let bed = Bed::new();
    bed.bootstrap().await;
    for (name, value) in [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)] {
        let class = bed.get("scheduling.k8s.io", "priorityclasses", "", name).await.unwrap();
        assert_eq!((&class["value"], &class["preemptionPolicy"]), (&json!(value), &json!("PreemptLowerPriority")));
    }
}

#[tokio::test]
async fn a_second_start_writes_nothing() {
    let bed = Bed::new();
    bed.bootstrap().await;
    let revision = bed.store.revision().await.unwrap();
    bed.bootstrap().await;
    assert_eq!(bed.store.revision().await.unwrap(), revision);
}

#[tokio::test]
async fn what_others_add_stays_and_what_they_break_is_mended() {
    let bed = Bed::new();
    bed.bootstrap().await;
    let mut dns = bed.service("kube-system", "kube-dns").await;
    dns["metadata"]["annotations"] = json!({ "mine": "yes" });
    dns["spec"]["ports"][0]["targetPort"] = 5353.into();
    dns["metadata"]["labels"] = json!({ "own": "label" });
    bed.change(&dns).await;
    bed.bootstrap().await;
    let dns = bed.service("kube-system", "kube-dns").await;
    assert_eq!(dns["metadata"]["annotations"]["mine"], "yes");
    assert_eq!(dns["metadata"]["labels"]["own"], "label");
    assert_eq!(dns["metadata"]["labels"]["k8s-app"], "kube-dns");
    assert_eq!(dns["spec"]["ports"][0]["targetPort"], 53);
}

#[tokio::test]
async fn another_address_of_dns_moves_its_service() {
    let mut bed = Bed::new();
    bed.bootstrap().await;
    bed.facts.dns_ip = Ipv4Addr::new(10, 96, 0, 11);
    bed.bootstrap().await;
    assert_eq!(bed.service("kube-system", "kube-dns").await["spec"]["clusterIP"], "10.96.0.11");
    // The former address is free again.
    bed.facts.dns_ip = Ipv4Addr::new(10, 96, 0, 10);
    bed.bootstrap().await;
    assert_eq!(bed.service("kube-system", "kube-dns").await["spec"]["clusterIP"], "10.96.0.10");
}

#[tokio::test]
async fn the_endpoint_of_the_server_follows_its_address() {
    let mut bed = Bed::new();
    for address in [Some("192.0.2.7"), Some("192.0.2.8"), None, Some("192.0.2.7")] {
        bed.facts.advertised = address.map(|address| address.parse().unwrap());
        bed.bootstrap().await;
        let slice = bed.get("discovery.k8s.io", "endpointslices", "default", "kubernetes").await;
        let endpoints = bed.get("", "endpoints", "default", "kubernetes").await;
        let Some(address) = address else {
            assert_eq!((slice, endpoints), (None, None));
            continue;
        };
        let (slice, endpoints) = (slice.unwrap(), endpoints.unwrap());
        assert_eq!(slice["endpoints"][0]["addresses"], json!([address]));
        assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "kubernetes");
        assert_eq!((&slice["ports"][0]["name"], &slice["ports"][0]["port"]), (&json!("https"), &json!(6443)));
        assert_eq!(endpoints["subsets"][0]["addresses"], json!([{ "ip": address }]));
        assert_eq!(endpoints["subsets"][0]["ports"][0]["port"], 6443);
    }
}

#[tokio::test]
async fn what_is_deleted_comes_back() {
    let bed = Bed::new();
    bed.bootstrap().await;
    let dns = bed.service("kube-system", "kube-dns").await;
    bed.hands.apply(&Write::delete(kind_of(&dns), key_of(&dns), meta::uid(&dns))).await.unwrap();
    let shutdown = CancellationToken::new();
    // As after a failure, so that the next look is near.
    let told = Arc::new(tokio::sync::Notify::new());
    let tells = told.clone();
    let done = move || tells.notify_one();
    let keeping = tokio::spawn(keep(bed.client.clone(), bed.facts.clone(), true, done, shutdown.clone()));
    let back = async {
        while bed.get("", "services", "kube-system", "kube-dns").await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PERIOD, back).await.expect("kube-dns does not come back");
    timeout(PERIOD, told.notified()).await.expect("nobody says that nothing is missing");
    shutdown.cancel();
    keeping.await.unwrap();
}

#[tokio::test]
async fn servers_that_share_a_store_need_one_authority() {
    let mut bed = Bed::new();
    bed.facts.shares_store = true;
    bed.bootstrap().await;
    let published = async || {
        let map = bed.get("", "configmaps", "kube-system", "extension-apiserver-authentication").await.unwrap();
        map["data"]["client-ca-file"].as_str().unwrap().to_owned()
    };
    assert_eq!(published().await, "PEM");
    let mut other = bed.facts.clone();
    other.ca_pem = "OTHER".to_owned();
    assert!(matches!(run(&bed.client, &other).await, Err(BootstrapError::Authority)));
    let other_key = Facts { token_key: "another".to_owned(), ..bed.facts.clone() };
    assert!(matches!(run(&bed.client, &other_key).await, Err(BootstrapError::TokenKey)));
    assert_eq!(published().await, "PEM");
    // Who is alone may have another one.
    other.shares_store = false;
    run(&bed.client, &other).await.unwrap();
    assert_eq!(published().await, "OTHER");
}

/// Where the Service of the API server leads to: by its slice, and by its Endpoints.
async fn led_to(bed: &Bed) -> [Vec<String>; 2] {
    let slice = bed.get("discovery.k8s.io", "endpointslices", "default", "kubernetes").await.unwrap();
    let endpoints = bed.get("", "endpoints", "default", "kubernetes").await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_slice = slice["endpoints"].as_array().unwrap().iter().map(|endpoint| text(&endpoint["addresses"][0]));
    let of_endpoints = endpoints["subsets"][0]["addresses"].as_array().unwrap().iter();
    [of_slice.collect(), of_endpoints.map(|address| text(&address["ip"])).collect()]
}

#[tokio::test]
async fn servers_that_share_a_store_are_all_led_to_while_they_live() {
    let mut bed = Bed::new();
    bed.facts.shares_store = true;
    let mut other = bed.facts.clone();
    other.advertised = Some(Ipv4Addr::new(192, 0, 2, 8));
    let both = ["192.0.2.7".to_owned(), "192.0.2.8".to_owned()];
    bed.bootstrap().await;
    assert_eq!(led_to(&bed).await, [&both[..1], &both[..1]]);
    run(&bed.client, &other).await.unwrap();
    // Neither drops the other.
    for facts in [&bed.facts, &other, &bed.facts] {
        assert_eq!(led_to(&bed).await, [&both[..], &both[..]]);
        run(&bed.client, facts).await.unwrap();
    }
    // The other one falls silent.
    let (mut peers, now) = (Peers::default(), Instant::now());
    let mut meet =
        async |after: u64| peers.meet(&bed.hands, &bed.facts, now + Duration::from_secs(after)).await.unwrap();
    assert_eq!((meet(0).await.len(), meet(20).await.len(), meet(21).await.len()), (2, 2, 1));
    bed.bootstrap().await;
    assert_eq!(led_to(&bed).await, [&both[..1], &both[..1]]);
    // It comes back, and this one ends in order.
    run(&bed.client, &other).await.unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    keep(bed.client.clone(), bed.facts.clone(), false, || {}, shutdown.clone()).await;
    assert_eq!(led_to(&bed).await, [&both[1..], &both[1..]]);
    // The last one leaves the way to it, for its next start.
    keep(bed.client.clone(), other, false, || {}, shutdown).await;
    assert_eq!(led_to(&bed).await, [&both[1..], &both[1..]]);
}

#[tokio::test]
async fn every_served_version_is_an_object_that_comes_back() {
    let bed = Bed::new();
    bed.bootstrap().await;
    let service = |name: &'static str| bed.get("apiregistration.k8s.io", "apiservices", "", name);
    for name in ["v1.", "v1.apps", "v1.autoscaling", "v2.autoscaling", "v1.events.k8s.io"] {
        let found = service(name).await.unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(found["status"]["conditions"][0]["reason"], "Local", "{name}");
    }
    assert!(service("v1.apiregistration.k8s.io").await.is_none());

    let mut apps = service("v1.apps").await.unwrap();
    apps["spec"]["versionPriority"] = 16.into();
    bed.change(&apps).await;
    remove(&bed.hands, &service("v1.batch").await.unwrap()).await.unwrap();
    assert!(service("v1.batch").await.is_none());
    bed.bootstrap().await;
    assert!(service("v1.batch").await.is_some());
    assert_eq!(service("v1.apps").await.unwrap()["spec"]["versionPriority"], 16);
}
