//! When volumes are told to change.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{Shown, Subscriptions, Watches};
use crate::pods::{
    api::fake::FakeApi,
    env::{Found, References},
    fixtures::eventually,
    message::Message,
};

struct Bed {
    api: FakeApi,
    watches: Arc<Watches>,
}

struct PodOf {
    subscriptions: Subscriptions,
    shown: Shown,
    told: UnboundedReceiver<Message>,
}

impl Bed {
    fn new() -> Self {
        let api = FakeApi::default();
        api.put_config("config", "key", "old");
        Self { watches: Arc::new(Watches::new(Arc::new(api.clone()))), api }
    }

    fn pod(&self) -> PodOf {
        let (refresh, told) = mpsc::unbounded_channel();
        let shown = Shown::new(refresh);
        let mut subscriptions = Subscriptions::new(self.watches.clone(), shown.clone());
        subscriptions.set("default", &references());
        PodOf { subscriptions, shown, told }
    }

    fn found(&self) -> Found {
        Found { config_maps: self.api.state().config_maps.clone(), ..Found::default() }
    }
}

fn references() -> References {
    References { config_maps: ["config".to_owned()].into(), ..References::default() }
}

impl PodOf {
    async fn is_told(&mut self) {
        assert!(matches!(self.told.recv().await, Some(Message::Refreshed)));
        while self.told.try_recv().is_ok() {}
    }
}

#[tokio::test]
async fn a_change_is_told_to_every_pod_that_shows_the_object() {
    let bed = Bed::new();
    let mut pods = [bed.pod(), bed.pod()];
    for pod in &mut pods {
        pod.is_told().await;
        pod.shown.show(&references(), &bed.found());
    }
    assert_eq!(bed.watches.count(), 1, "they share one watch");
    bed.api.put_config("config", "key", "new");
    for pod in &mut pods {
        pod.is_told().await;
        pod.shown.show(&references(), &bed.found());
        assert!(pod.told.try_recv().is_err(), "what is shown is the newest");
    }
}

#[tokio::test]
async fn an_old_object_that_was_read_late_is_noticed() {
    let bed = Bed::new();
    let before = bed.found();
    bed.api.put_config("config", "key", "new");
    let mut pod = bed.pod();
    pod.is_told().await;
    pod.shown.show(&references(), &before);
    pod.is_told().await;
}

#[tokio::test]
async fn a_missing_object_that_comes_is_told() {
    let bed = Bed::new();
    bed.api.state().config_maps.clear();
    let mut pod = bed.pod();
    pod.shown.show(&references(), &bed.found());
    bed.api.put_config("config", "key", "new");
    pod.is_told().await;
}

#[tokio::test]
async fn a_watch_ends_with_the_last_pod() {
    let bed = Bed::new();
    let (first, mut second) = (bed.pod(), bed.pod());
    assert_eq!(bed.watches.count(), 1);
    drop(first);
    assert_eq!(bed.watches.count(), 1);
    second.subscriptions.set("default", &References::default());
    eventually("the watch has ended", || bed.watches.count() == 0).await;
}
