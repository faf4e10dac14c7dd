use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::fake::Fake;

const PATIENCE: Duration = Duration::from_secs(20);

fn service(name: &str) -> (String, Value) {
    let object = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "annotations": { "a": "b" }, "labels": { "app": name } },
        "spec": { "clusterIP": "10.96.0.7", "ports": [{ "port": 80 }] }
    });
    (format!("/api/v1/namespaces/shop/services/{name}"), object)
}

fn slice(name: &str, of: &str) -> (String, Value) {
    let object = json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": { "labels": { "kubernetes.io/service-name": of, "app": "x" } },
        "addressType": "IPv4", "endpoints": [{ "addresses": ["10.244.0.1"], "nodeName": "here", "zone": "z" }]
    });
    (format!("/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/{name}"), object)
}

fn put(fake: &Fake, (path, object): (String, Value)) {
    fake.put(&path, object);
}

fn key(name: &str) -> Key {
    Key::new("shop", name)
}

/// Waits until the slices of a Service have these names.
async fn until(services: &Services, changes: &Changes, of: &str, expected: &[&str]) -> BTreeSet<Key> {
    let mut told = BTreeSet::new();
    let reached = async {
        loop {
            changes.changed().await;
            told.extend(changes.take());
            let slices = services.slices_of(&key(of));
            if slices.iter().map(|slice| slice.metadata.name.clone().unwrap()).collect::<Vec<_>>() == expected {
                return;
            }
        }
    };
    assert!(timeout(PATIENCE, reached).await.is_ok(), "never: {of} has {expected:?}");
    told
}

async fn ready(fake: &Fake) -> Services {
    let services = Services::watch(&fake.client());
    timeout(PATIENCE, services.ready()).await.unwrap();
    services
}

#[tokio::test]
async fn everything_that_is_here_is_new_to_a_reader() {
    let fake = Fake::default();
    put(&fake, service("web"));
    put(&fake, slice("db-1", "db"));
    let services = ready(&fake).await;
    for _ in 0..2 {
        let changes = services.follow();
        assert_eq!(changes.take(), BTreeSet::from([key("db"), key("web")]), "a slice without its Service counts");
        assert!(changes.take().is_empty());
    }
}

#[tokio::test]
async fn a_reader_from_before_the_first_lists_has_all_of_them_when_they_are_complete() {
    let fake = Fake::default();
    put(&fake, service("web"));
    put(&fake, slice("db-1", "db"));
    let services = Services::watch(&fake.client());
    let changes = services.follow();
    timeout(PATIENCE, services.ready()).await.unwrap();
    assert!(services.are_ready());
    assert_eq!(changes.take(), BTreeSet::from([key("db"), key("web")]));
}

#[tokio::test]
async fn a_slice_that_moves_is_told_to_both_and_shown_under_one() {
    let fake = Fake::default();
    put(&fake, slice("a", "web"));
    put(&fake, slice("b", "web"));
    let services = ready(&fake).await;
    let changes = services.follow();
    until(&services, &changes, "web", &["a", "b"]).await;
    put(&fake, slice("a", "db"));
    let told = until(&services, &changes, "db", &["a"]).await;
    assert_eq!(told, BTreeSet::from([key("db"), key("web")]));
    assert_eq!(services.slices_of(&key("web")).len(), 1);
    fake.remove(&slice("b", "web").0);
    assert_eq!(until(&services, &changes, "web", &[]).await, BTreeSet::from([key("web")]));
    assert!(services.slices_of(&Key::new("bank", "db")).is_empty(), "of another namespace");
}

#[tokio::test]
async fn a_list_that_is_read_anew_tells_only_what_differs() {
    let fake = Fake::default();
    put(&fake, service("same"));
    put(&fake, service("gone"));
    put(&fake, slice("same-1", "same"));
    let services = ready(&fake).await;
    let changes = services.follow();
    changes.take();
    fake.hold("/api/v1/services");
    fake.remove(&service("gone").0);
    put(&fake, service("new"));
    fake.disconnect_and_compact();
    fake.release();
    let mut told = BTreeSet::new();
    let both = async {
        while told.len() < 2 {
            changes.changed().await;
            told.extend(changes.take());
        }
    };
    timeout(PATIENCE, both).await.unwrap();
    assert_eq!(told, BTreeSet::from([key("gone"), key("new")]));
}

#[tokio::test]
async fn a_reader_that_is_gone_costs_nothing() {
    let fake = Fake::default();
    let services = ready(&fake).await;
    drop(services.follow());
    let changes = services.follow();
    put(&fake, service("web"));
    timeout(PATIENCE, changes.changed()).await.unwrap();
    assert_eq!(lock(&services.joined.readers).len(), 1);
}

#[tokio::test]
async fn what_no_reader_reads_is_not_kept() {
    let fake = Fake::default();
    put(&fake, service("web"));
    put(&fake, slice("web-1", "web"));
    let services = ready(&fake).await;
    let object = services.objects.get(&key("web")).unwrap();
    assert_eq!(
        (&object.metadata.annotations, object.metadata.labels.as_ref().map(std::collections::BTreeMap::len)),
        (&None, Some(0))
    );
    let slice = &services.slices_of(&key("web"))[0];
    assert_eq!(slice.metadata.labels.as_ref().map(std::collections::BTreeMap::len), Some(1));
    assert_eq!(slice.endpoints[0].node_name.as_deref(), Some("here"), "it decides what a local policy keeps");
    assert_eq!(slice.endpoints[0].zone, None);
}
