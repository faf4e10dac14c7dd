use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt, runtime::watcher};
use nodeplane_api::kinds;
use serde_json::json;

use super::*;
use crate::fake::Fake;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Keeps as many pods as a config map asks for: the smallest controller that a stale cache could
/// lead to doing too much.
struct Pods {
    maps: Arc<Informer<ConfigMap>>,
    pods: Arc<Informer<Pod>>,
    calls: Arc<AtomicUsize>,
}

impl Reconcile for Pods {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let Some(map) = self.maps.get(key) else { return Ok(Next::Wait) };
        let wanted: usize = map.data.as_ref().unwrap()["replicas"].parse().unwrap();
        let kind = kinds::by_plural("", "v1", "pods").unwrap();
        let have = self.pods.list();
        let missing: Vec<_> = (have.len()..wanted)
            .map(|_| Write::create(kind, &json!({ "metadata": { "generateName": "p-", "namespace": "default" } })))
            .collect();
        let excess: Vec<_> =
            have.iter().skip(wanted).map(|pod| Write::delete(kind, Key::of(&**pod), pod.uid().unwrap())).collect();
        apply.in_batches(&missing, |_, _| {}).await.map_err(|(error, _)| error)?;
        apply.all(&excess).await?;
        Ok(Next::Wait)
    }
}

struct Bed {
    fake: Fake,
    calls: Arc<AtomicUsize>,
    maps: Arc<Informer<ConfigMap>>,
    pods: Arc<Informer<Pod>>,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Bed {
    fn start() -> Self {
        let fake = Fake::default();
        let maps = Arc::new(Informer::start(Api::namespaced(fake.client(), "default"), watcher::Config::default()));
        let pods = Arc::new(Informer::start(Api::namespaced(fake.client(), "default"), watcher::Config::default()));
        let calls = Arc::new(AtomicUsize::new(0));
        let shutdown = CancellationToken::new();
        let reconcile = Pods { maps: maps.clone(), pods: pods.clone(), calls: calls.clone() };
        let controller = Controller::new("pods", Hands::new(fake.client()))
            .on(&maps, |map: &ConfigMap| vec![Key::of(map)])
            .on(&pods, |_: &Pod| vec![Key::new("default", "a")]);
        let running = tokio::spawn(controller.run(2, reconcile, shutdown.clone()));
        Self { fake, calls, maps, pods, shutdown, running }
    }

    fn want(&self, replicas: &str) {
        self.fake.put(
            &format!("{MAPS}/a"),
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "default" },
                    "data": { "replicas": replicas } }),
        );
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(self) {
            assert!(Instant::now() < deadline, "never: {what}; pods {}", self.fake.count(PODS));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.running).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn converges_and_ends_on_shutdown() {
    let bed = Bed::start();
    bed.want("5");
    bed.until("five pods", |bed| bed.fake.count(PODS) == 5).await;
    bed.until("cache of five", |bed| bed.pods.list().len() == 5).await;
    bed.want("2");
    bed.until("two pods", |bed| bed.fake.count(PODS) == 2).await;
    bed.end().await;
}

#[tokio::test]
async fn a_stale_cache_never_leads_to_the_same_write_twice() {
    let bed = Bed::start();
    bed.want("1");
    bed.until("one pod", |bed| bed.fake.count(PODS) == 1).await;
    bed.until("cache of one", |bed| bed.pods.list().len() == 1).await;
    bed.fake.hold(PODS);
    bed.want("4");
    bed.until("four pods", |bed| bed.fake.count(PODS) == 4).await;
    // The wish changes while the cache still shows one pod: planning from it would create five.
    bed.want("6");
    bed.until("the wish is seen", |bed| bed.maps.list().iter().any(|m| m.data.as_ref().unwrap()["replicas"] == "6"))
        .await;
    bed.fake.release();
    bed.until("six pods", |bed| bed.fake.count(PODS) == 6).await;
    let creations = bed.fake.requests().iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(creations, 6, "more pods were created than ever wanted");
    bed.end().await;
}

#[tokio::test]
async fn a_missed_watch_is_made_up_by_the_list() {
    let bed = Bed::start();
    bed.want("3");
    bed.until("three pods", |bed| bed.fake.count(PODS) == 3).await;
    bed.fake.hold(PODS);
    let victim = bed.pods.list().first().map(|pod| pod.name_any());
    if let Some(victim) = victim {
        bed.fake.remove(&format!("{PODS}/{victim}"));
    }
    bed.fake.disconnect_and_compact();
    bed.fake.release();
    bed.until("three pods again", |bed| bed.fake.count(PODS) == 3 && bed.pods.list().len() == 3).await;
    bed.end().await;
}

#[tokio::test]
async fn failures_are_tried_again() {
    let bed = Bed::start();
    (0..4).for_each(|_| bed.fake.refuse(500, "InternalError"));
    bed.fake.refuse(409, "Conflict");
    bed.want("2");
    bed.until("two pods", |bed| bed.fake.count(PODS) == 2).await;
    assert!(bed.calls.load(Ordering::SeqCst) >= 6);
    bed.end().await;
}

#[tokio::test]
async fn a_resync_looks_again_without_events() {
    let fake = Fake::default();
    let maps: Arc<Informer<ConfigMap>> =
        Arc::new(Informer::start(Api::namespaced(fake.client(), "default"), watcher::Config::default()));
    let pods = Arc::new(Informer::start(Api::namespaced(fake.client(), "default"), watcher::Config::default()));
    let calls = Arc::new(AtomicUsize::new(0));
    let shutdown = CancellationToken::new();
    let reconcile = Pods { maps: maps.clone(), pods, calls: calls.clone() };
    let controller = Controller::new("pods", Hands::new(fake.client()))
        .reads(&maps)
        .resync(Duration::from_millis(10), || vec![Key::new("default", "a")]);
    let running = tokio::spawn(controller.run(1, reconcile, shutdown.clone()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while calls.load(Ordering::SeqCst) < 3 {
        assert!(Instant::now() < deadline, "no resync");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    shutdown.cancel();
    running.await.unwrap();
}

fn pod() -> Write {
    let kind = kinds::by_plural("", "v1", "pods").unwrap();
    Write::create(kind, &json!({ "metadata": { "generateName": "p-", "namespace": "default" } }))
}

/// Pods of all namespaces, so that lists have another path than creations; and hands that note
/// what they must see.
async fn hands_that_note(fake: &Fake) -> (Arc<Informer<Pod>>, Arc<Apply>) {
    let pods = Arc::new(Informer::<Pod>::start(Api::all(fake.client()), watcher::Config::default()));
    tokio::time::timeout(Duration::from_secs(20), pods.ready()).await.unwrap();
    let view = Cache { group: String::new(), kind: "Pod".to_owned(), informer: pods.clone() };
    let views: Arc<[Arc<dyn View>]> = [Arc::new(view) as Arc<dyn View>].into();
    (pods, Arc::new(Apply { hands: Hands::new(fake.client()), views, expected: Mutex::default() }))
}

impl Apply {
    fn unseen(&self) -> usize {
        self.expected.lock().unwrap().iter().filter(|expected| !expected.is_seen()).count()
    }
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_list_in_mid_batch_shows_nothing_of_later_batches() {
    let fake = Fake::default();
    let (pods, apply) = hands_that_note(&fake).await;
    let mut notices = pods.subscribe();
    let writing = tokio::spawn({
        let (apply, fake) = (apply.clone(), fake.clone());
        async move {
            let mut answers = 0;
            let writes: Vec<_> = (0..7).map(|_| pod()).collect();
            // After batches of one and two, that of four is sent but not carried out.
            let each = |_: &Write, _: &Result<Value, WriteError>| {
                answers += 1;
                if answers == 3 {
                    fake.withhold(PODS);
                }
            };
            apply.in_batches(&writes, each).await.map_err(|(error, _)| error)
        }
    });
    until("cache of three", || pods.list().len() == 3).await;
    fake.disconnect_and_compact();
    while notices.recv().await.unwrap() != crate::informer::Notice::Relisted {}
    fake.hold("/api/v1/pods");
    fake.answer_again(PODS);
    writing.await.unwrap().unwrap();
    assert_eq!((fake.count(PODS), pods.list().len()), (7, 3));
    assert_eq!(apply.unseen(), 4, "a list from before a write counts as if it showed it");
    fake.release();
    until("all seen", || apply.unseen() == 0).await;
}

#[tokio::test]
async fn a_list_that_begins_while_a_write_is_under_way_does_not_show_it() {
    let fake = Fake::default();
    let (pods, apply) = hands_that_note(&fake).await;
    let mut notices = pods.subscribe();
    fake.withhold(PODS);
    let writing = tokio::spawn({
        let apply = apply.clone();
        async move { apply.one(&pod()).await }
    });
    // Let it be sent.
    tokio::task::yield_now().await;
    fake.disconnect_and_compact();
    while notices.recv().await.unwrap() != crate::informer::Notice::Relisted {}
    fake.hold("/api/v1/pods");
    fake.answer_again(PODS);
    writing.await.unwrap().unwrap();
    assert_eq!((pods.list().len(), apply.unseen()), (0, 1));
    fake.release();
    until("seen", || apply.unseen() == 0).await;
}

/// Creates one pod for every key.
struct Once;

impl Reconcile for Once {
    async fn reconcile(&self, _: &Key, apply: &Apply) -> Result<Next, WriteError> {
        apply.one(&pod()).await?;
        Ok(Next::Wait)
    }
}

#[tokio::test]
async fn expectations_of_keys_that_never_come_again_are_forgotten() {
    let fake = Fake::default();
    let (pods, apply) = hands_that_note(&fake).await;
    let runtime = Runtime {
        name: "once",
        hands: apply.hands.clone(),
        views: apply.views.clone(),
        queue: Arc::new(Queue::new()),
        expectations: Mutex::default(),
        reconcile: Once,
    };
    fake.hold("/api/v1/pods");
    for n in 0..3 {
        runtime.reconcile(&Key::new("default", format!("k{n}"))).await;
    }
    let kept = || runtime.expectations.lock().unwrap().len();
    runtime.sweep();
    assert_eq!(kept(), 3, "what is not seen yet must be waited for");
    fake.release();
    until("cache of three", || pods.list().len() == 3).await;
    runtime.sweep();
    assert_eq!(kept(), 0);
}

#[tokio::test]
async fn a_controller_whose_informer_panicked_does_not_go_on() {
    let bed = Bed::start();
    bed.want("1");
    bed.until("cache of one", |bed| bed.pods.list().len() == 1).await;
    bed.pods.on_change(|change| assert!(change.new.is_some(), "a handler that panics"));
    let pod = bed.pods.list()[0].name_any();
    bed.fake.remove(&format!("{PODS}/{pod}"));
    let ended = tokio::time::timeout(Duration::from_secs(20), bed.running).await.unwrap();
    let told = ended.unwrap_err().into_panic();
    assert_eq!(told.downcast_ref::<String>().unwrap(), "controller pods: the informer of Pod ended");
}
