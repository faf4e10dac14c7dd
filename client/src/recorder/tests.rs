use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::*;
use crate::fake::Fake;

const EVENTS: &str = "/api/v1/namespaces/default/events";

fn pod(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".into()),
        namespace: Some("default".into()),
        name: Some(name.into()),
        uid: Some(format!("uid-{name}")),
        ..ObjectReference::default()
    }
}

async fn events(fake: &Fake, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let hands = crate::write::Hands::new(fake.client());
        let kind = nodeplane_api::kinds::by_plural("", "v1", "events").unwrap();
        let events = hands.list(kind, "default").await.unwrap();
        if enough(&events) {
            return events;
        }
        assert!(Instant::now() < deadline, "not enough events: {events:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn repetitions_are_counted_and_different_messages_are_not() {
    let fake = Fake::default();
    let recorder = Recorder::new(fake.client(), "kubelet", "node-1");
    for _ in 0..3 {
        recorder.event(pod("a"), Severity::Warning, "BackOff", "again");
    }
    recorder.event(pod("a"), Severity::Normal, "Pulled", "image");
    let events = events(&fake, |events| events.len() == 2).await;
    let repeated = events.iter().find(|event| event["reason"] == "BackOff").unwrap();
    assert_eq!(repeated["count"], 3);
    assert_eq!(repeated["type"], "Warning");
    assert_eq!(repeated["source"], serde_json::json!({ "component": "kubelet", "host": "node-1" }));
    assert_eq!(repeated["involvedObject"]["uid"], "uid-a");
    assert!(repeated["metadata"]["name"].as_str().unwrap().starts_with("a."));
}

#[tokio::test]
async fn an_expired_event_starts_over() {
    let fake = Fake::default();
    let recorder = Recorder::new(fake.client(), "kubelet", "");
    recorder.event(pod("a"), Severity::Normal, "Started", "container");
    let first = events(&fake, |events| events.len() == 1).await;
    let name = first[0]["metadata"]["name"].as_str().unwrap();
    fake.remove(&format!("{EVENTS}/{name}"));
    recorder.event(pod("a"), Severity::Normal, "Started", "container");
    let second = events(&fake, |events| events.len() == 1).await;
    assert_eq!(second[0]["count"], 1);
    assert_ne!(second[0]["metadata"]["name"], first[0]["metadata"]["name"]);
}

#[test]
fn memory_is_bounded() {
    let mut memory = Memory::default();
    for n in 0..REMEMBERED + 10 {
        let note = Note {
            object: pod("a"),
            severity: Severity::Normal,
            reason: "R".into(),
            message: n.to_string(),
            at: Timestamp::UNIX_EPOCH,
        };
        memory.keep(Sameness::of(&note), Written { name: n.to_string(), count: 1 });
    }
    assert_eq!((memory.written.len(), memory.order.len()), (REMEMBERED, REMEMBERED));
}
