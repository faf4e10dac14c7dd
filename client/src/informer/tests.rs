use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::fake::Fake;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn start(fake: &Fake) -> Informer<ConfigMap> {
    Informer::start(Api::namespaced(fake.client(), "default"), watcher::Config::default())
}

fn map(value: &str) -> serde_json::Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "default" }, "data": { "k": value } })
}

fn put(fake: &Fake, name: &str, value: &str) {
    fake.put(&format!("{MAPS}/{name}"), map(value));
}

/// `name=value` of all objects, sorted.
fn seen(informer: &Informer<ConfigMap>) -> Vec<String> {
    let mut seen: Vec<_> = informer
        .list()
        .iter()
        .map(|map| format!("{}={}", map.metadata.name.as_ref().unwrap(), map.data.as_ref().unwrap()["k"]))
        .collect();
    seen.sort();
    seen
}

async fn until(informer: &Informer<ConfigMap>, expected: &[&str]) {
    let mut generation = informer.generation();
    let reached = async {
        while seen(informer) != expected {
            generation.changed().await.unwrap();
        }
    };
    if timeout(Duration::from_secs(20), reached).await.is_err() {
        panic!("expected {expected:?}, have {:?}", seen(informer));
    }
}

#[tokio::test]
async fn reflects_the_list_and_every_kind_of_change() {
    let fake = Fake::default();
    put(&fake, "a", "1");
    let informer = start(&fake);
    timeout(Duration::from_secs(20), informer.ready()).await.unwrap();
    assert_eq!(seen(&informer), ["a=1"]);
    put(&fake, "b", "2");
    put(&fake, "a", "3");
    until(&informer, &["a=3", "b=2"]).await;
    fake.remove(&format!("{MAPS}/a"));
    until(&informer, &["b=2"]).await;
    assert!(informer.get(&Key::new("default", "b")).is_some());
    assert!(informer.get(&Key::new("default", "a")).is_none());
}

#[tokio::test]
async fn a_refused_watch_after_compaction_leads_to_a_new_list() {
    let fake = Fake::default();
    put(&fake, "a", "1");
    put(&fake, "b", "1");
    let informer = start(&fake);
    until(&informer, &["a=1", "b=1"]).await;
    let mut notices = informer.subscribe();
    fake.hold(MAPS);
    put(&fake, "a", "2");
    fake.remove(&format!("{MAPS}/b"));
    fake.disconnect_and_compact();
    fake.release();
    until(&informer, &["a=2"]).await;
    assert_eq!(timeout(Duration::from_secs(20), notices.recv()).await.unwrap().unwrap(), Notice::Relisted);
}

#[tokio::test]
async fn handlers_miss_nothing_and_hear_of_a_list_as_differences() {
    let fake = Fake::default();
    put(&fake, "a", "1");
    put(&fake, "same", "1");
    let informer = start(&fake);
    until(&informer, &["a=1", "same=1"]).await;
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    informer.on_change({
        let heard = heard.clone();
        move |change| {
            let text =
                |map: Option<&Arc<ConfigMap>>| map.map_or("-".to_owned(), |m| m.data.as_ref().unwrap()["k"].clone());
            heard.lock().unwrap().push(format!("{} {}>{}", change.key.name, text(change.old), text(change.new)));
        }
    });
    fake.hold(MAPS);
    put(&fake, "a", "2");
    put(&fake, "new", "1");
    fake.disconnect_and_compact();
    fake.release();
    until(&informer, &["a=2", "new=1", "same=1"]).await;
    fake.remove(&format!("{MAPS}/a"));
    until(&informer, &["new=1", "same=1"]).await;
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    assert_eq!(heard, ["a ->1", "a 1>2", "a 2>-", "new ->1", "same ->1"]);
}

#[tokio::test]
async fn knows_which_revisions_it_has_seen() {
    let fake = Fake::default();
    put(&fake, "a", "1");
    let informer = start(&fake);
    until(&informer, &["a=1"]).await;
    let mark = informer.mark();
    assert!(informer.has_seen(1, mark));
    assert!(!informer.has_seen(2, mark));
    put(&fake, "a", "2");
    until(&informer, &["a=2"]).await;
    timeout(Duration::from_secs(20), async {
        while !informer.has_seen(2, mark) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // A list that begins later shows everything, even what came and went unseen.
    assert!(!informer.has_seen(100, mark));
    let mut notices = informer.subscribe();
    fake.disconnect_and_compact();
    assert_eq!(timeout(Duration::from_secs(20), notices.recv()).await.unwrap().unwrap(), Notice::Relisted);
    assert!(informer.has_seen(100, mark));
}

#[tokio::test]
async fn managed_fields_are_not_kept() {
    let fake = Fake::default();
    let mut object = map("1");
    object["metadata"]["managedFields"] = json!([{ "manager": "kubectl" }]);
    fake.put(&format!("{MAPS}/a"), object);
    let informer = start(&fake);
    until(&informer, &["a=1"]).await;
    assert_eq!(informer.list()[0].metadata.managed_fields, None);
}

#[tokio::test]
async fn a_handler_that_is_told_of_a_change_finds_its_revision_seen() {
    let fake = Fake::default();
    let informer = start(&fake);
    timeout(Duration::from_secs(20), informer.ready()).await.unwrap();
    let unseen: Arc<Mutex<Vec<String>>> = Arc::default();
    informer.on_change({
        let (shared, unseen) = (informer.shared.clone(), unseen.clone());
        move |change| {
            // A removal is a revision of its own, later than that of the object as it was.
            let least = match (change.new, change.old) {
                (Some(new), _) => revision_of(&**new).unwrap(),
                (None, old) => revision_of(&**old.unwrap()).unwrap() + 1,
            };
            if shared.revision.load(Ordering::SeqCst) < least {
                unseen.lock().unwrap().push(format!("{} at {least}", change.key));
            }
        }
    });
    put(&fake, "a", "1");
    put(&fake, "a", "2");
    until(&informer, &["a=2"]).await;
    fake.remove(&format!("{MAPS}/a"));
    until(&informer, &[]).await;
    assert_eq!(*unseen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_panicking_informer_does_not_freeze_silently() {
    let fake = Fake::default();
    let informer = start(&fake);
    timeout(Duration::from_secs(20), informer.ready()).await.unwrap();
    informer.on_change(|change| assert_ne!(change.key.name, "bad"));
    let mut notices = informer.subscribe();
    put(&fake, "good", "1");
    assert_eq!(notices.recv().await.unwrap(), Notice::Changed(Key::new("default", "good")));
    assert!(timeout(Duration::ZERO, informer.ended()).await.is_err(), "ended without a reason");
    put(&fake, "bad", "1");
    timeout(Duration::from_secs(20), informer.ended()).await.unwrap();
    let closed = Err(broadcast::error::RecvError::Closed);
    assert_eq!(notices.recv().await, closed);
    assert_eq!(informer.subscribe().recv().await, closed);
}

#[tokio::test]
async fn a_server_that_keeps_refusing_old_revisions_is_not_asked_without_pause() {
    let fake = Fake::default();
    put(&fake, "a", "1");
    fake.expire_watches(true);
    let began = Instant::now();
    let informer = start(&fake);
    while fake.requests().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "given up after {:?}", fake.requests());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(800), "two lists within {:?}", began.elapsed());
    put(&fake, "b", "1");
    fake.expire_watches(false);
    until(&informer, &["a=1", "b=1"]).await;
}

#[tokio::test]
async fn notices_take_memory_only_when_somebody_listens() {
    let fake = Fake::default();
    let informer = start(&fake);
    put(&fake, "a", "1");
    until(&informer, &["a=1"]).await;
    assert!(matches!(*informer.shared.notices(), Notices::Unheard));
    let (mut one, mut other) = (informer.subscribe(), informer.subscribe());
    put(&fake, "b", "1");
    let expected = Ok(Notice::Changed(Key::new("default", "b")));
    assert_eq!((one.recv().await, other.recv().await), (expected.clone(), expected));
}
