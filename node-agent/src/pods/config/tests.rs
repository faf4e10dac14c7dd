//! When volumes are told to change.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{AGAIN, Compared, LONGEST, Shown, Subscriptions, Tell, Watches};
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

/// A version by its number.
fn version(number: u32) -> Option<String> {
    Some(number.to_string())
}

#[test]
fn a_watch_that_is_behind_what_was_read_is_no_reason_to_read_again() {
    let mut compared = Compared::default();
    assert_eq!(compared.learn(version(9)), Some(Tell::Now), "nothing is shown yet");
    assert_eq!(compared.show(version(10)), None, "what was read is newer, and 10 is more than 9");
    assert_eq!(compared.learn(version(8)), None, "the watch began anew");
    assert_eq!(compared.learn(version(10)), None);
    assert_eq!(compared.learn(version(11)), Some(Tell::Now));
}

#[test]
fn a_difference_that_stays_is_told_ever_more_slowly() {
    let mut compared = Compared::default();
    compared.learn(version(9));
    assert_eq!(compared.show(None), Some(Tell::Now), "it may have come since");
    let pauses: Vec<_> = (0..9).map(|_| compared.show(None)).collect();
    assert_eq!(pauses[..3], [1, 2, 4].map(|times| Some(Tell::After(AGAIN * times))));
    assert_eq!(pauses[8], Some(Tell::After(LONGEST)));
    assert_eq!(compared.learn(None), None, "the watch says so, too");
    assert_eq!(compared.show(version(12)), Some(Tell::Now), "it is there again, which the watch may not know");
    assert_eq!(compared.learn(version(12)), None);
    assert_eq!(compared.learn(None), Some(Tell::Now), "and gone");
    assert_eq!(compared.show(None), None);
    assert_eq!((compared.told, compared.repeated), (None, 0), "the next difference is told at once");
}

#[tokio::test]
async fn a_delayed_difference_is_told_in_the_end() {
    let (refresh, mut told) = mpsc::unbounded_channel();
    let shown = Shown::new(refresh);
    for reference in references().iter() {
        shown.learn(&reference, version(9));
    }
    for _ in 0..2 {
        shown.show(&references(), &Found::default());
    }
    for _ in 0..2 {
        assert!(matches!(told.try_recv(), Ok(Message::Refreshed)), "learned and shown once");
    }
    assert!(told.try_recv().is_err(), "the second time waits");
    let begun = std::time::Instant::now();
    assert!(matches!(told.recv().await, Some(Message::Refreshed)));
    assert!(begun.elapsed() >= AGAIN);
}
