//! Restarts and deaths: what was acknowledged is there afterwards, on either store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bed::{DEADLINE, Etcd, Server, share_authority};

/// Times that the server is killed.
const ROUNDS: usize = 3;
/// Writers at a time.
const WRITERS: usize = 4;
/// Acknowledged writes of a kind before a kill.
const ENOUGH: usize = 40;

/// What was acknowledged: config maps with their value, Services with their address.
#[derive(Clone, Default)]
struct Acknowledged {
    maps: Arc<Mutex<BTreeMap<String, String>>>,
    services: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Acknowledged {
    fn has(&self, count: usize) -> bool {
        self.maps.lock().unwrap().len() >= count && self.services.lock().unwrap().len() >= count
    }
}

/// Creates, changes and remembers until the server is gone.
async fn write(client: Client, acknowledged: Acknowledged, round: usize, writer: usize) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let services: Api<Service> = Api::default_namespaced(client);
    for number in 0.. {
        let name = format!("w-{round}-{writer}-{number}");
        let mut map: ConfigMap =
            serde_json::from_value(json!({ "metadata": { "name": name }, "data": { "value": "1" } })).unwrap();
        match maps.create(&PostParams::default(), &map).await {
            Ok(created) => map = created,
            Err(_) => return,
        }
        acknowledged.maps.lock().unwrap().insert(name.clone(), "1".to_owned());
        map.data = Some(BTreeMap::from([("value".to_owned(), "2".to_owned())]));
        // A change whose answer is lost may have happened: nothing is known of the value then.
        acknowledged.maps.lock().unwrap().remove(&name);
        if maps.replace(&name, &PostParams::default(), &map).await.is_err() {
            return;
        }
        acknowledged.maps.lock().unwrap().insert(name.clone(), "2".to_owned());
        let service = json!({ "metadata": { "name": name }, "spec": { "ports": [{ "port": 80 }] } });
        match services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await {
            Ok(created) => acknowledged.services.lock().unwrap().insert(name, address(&created)),
            Err(_) => return,
        };
    }
}

fn address(service: &Service) -> String {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).expect("a Service has an address")
}

async fn nothing_acknowledged_is_lost(dir: &Path, more: &[&str]) {
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let server = Server::start(dir, more);
        let client = server.client().await;
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(client.clone(), acknowledged.clone(), round, writer));
        }
        let enough = async {
            while !acknowledged.has((round + 1) * ENOUGH) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, enough).await.expect("nothing is written");
        server.kill();
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
    }
    let server = Server::start(dir, more);
    check(&server.client().await, &acknowledged).await;
}

async fn check(client: &Client, acknowledged: &Acknowledged) {
    let maps = Api::<ConfigMap>::default_namespaced(client.clone()).list(&ListParams::default()).await.unwrap();
    let found: BTreeMap<String, String> = maps
        .iter()
        .map(|map| (map.name_any(), map.data.clone().unwrap_or_default().remove("value").unwrap_or_default()))
        .collect();
    for (name, value) in acknowledged.maps.lock().unwrap().iter() {
        assert_eq!(found.get(name), Some(value), "{name}");
    }
    let services = Api::<Service>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let addresses: BTreeMap<String, String> =
        services.iter().map(|service| (service.name_any(), address(service))).collect();
    for (name, address) in acknowledged.services.lock().unwrap().iter() {
        assert_eq!(addresses.get(name), Some(address), "{name}");
    }
    let distinct: BTreeSet<&String> = addresses.values().collect();
    assert_eq!(distinct.len(), addresses.len(), "two Services share an address: {addresses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_lost_nothing_on_its_own_store() {
    let dir = tempfile::tempdir().unwrap();
    nothing_acknowledged_is_lost(dir.path(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_lost_nothing_on_etcd() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    nothing_acknowledged_is_lost(dir.path(), &["--store", "etcd", "--etcd-endpoints", &etcd.url]).await;
}

#[tokio::test]
async fn two_servers_on_one_etcd_are_one_cluster() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let etcd = Etcd::start(dirs[0].path());
    let flags = ["--store", "etcd", "--etcd-endpoints", &etcd.url, "--etcd-prefix", "/one"];
    let start = |dir: &tempfile::TempDir| Server::start(dir.path(), &flags);
    let one = start(&dirs[0]);
    share_authority(dirs[0].path(), dirs[1].path());
    let servers = [one, start(&dirs[1])];
    let map = json!({ "metadata": { "name": "shared" }, "data": { "value": "1" } });
    let [first, second] = [servers[0].client().await, servers[1].client().await];
    let made = Api::<ConfigMap>::default_namespaced(first)
        .create(&PostParams::default(), &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    // A read without a revision is a read of the newest, whichever server is asked.
    let seen = Api::<ConfigMap>::default_namespaced(second).get("shared").await.unwrap();
    assert_eq!(seen.metadata.uid, made.metadata.uid);
}

#[tokio::test]
async fn a_prefix_of_etcd_is_a_cluster_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(dir.path());
    let flags = |prefix| ["--store", "etcd", "--etcd-endpoints", &etcd.url, "--etcd-prefix", prefix];
    let server = Server::start(dir.path(), &flags("/one"));
    let map = json!({ "metadata": { "name": "mine" } });
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    drop(server);
    let server = Server::start(dir.path(), &flags("/two"));
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    assert!(maps.get_opt("mine").await.unwrap().is_none());
}

#[tokio::test]
async fn an_orderly_end_ends_watches_and_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let maps = Api::<ConfigMap>::default_namespaced(server.client().await);
    let mut watch = Box::pin(maps.watch(&WatchParams::default(), "0").await.unwrap());
    let map = json!({ "metadata": { "name": "last" } });
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    // The watch runs when the server is told to stop.
    let mut next = async || tokio::time::timeout(DEADLINE, futures::StreamExt::next(&mut watch)).await.unwrap();
    while let Some(event) = next().await {
        if matches!(event.unwrap(), WatchEvent::Added(map) if map.name_any() == "last") {
            break;
        }
    }
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    while next().await.is_some() {}
    let (status, log) = stopping.await.unwrap();
    assert!(status.success(), "{log}");
    let (_, end) = log.split_once("told to stop signal=\"SIGTERM\"").expect("it says who wants it to stop");
    assert!(end.contains(": stopping") && end.contains(": stopped"), "{log}");
    // Whoever watches the API ends before it does: nobody is surprised.
    assert!(!end.contains(" WARN ") && !end.contains(" ERROR "), "{log}");
}
