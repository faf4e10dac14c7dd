//! Deletes Events that are older than an hour.
//!
//! In: the Events of the server, asked for once per period and not kept. Out: deletions, each only
//! of the event as it was seen: one that was counted up meanwhile stays.

use std::time::Duration;

use jiff::Timestamp;
use nodeplane_api::{
    kinds::{self, Kind},
    meta::{self, Key},
};
use nodeplane_client::write::{Hands, Propagation, Write};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::pod_facts::elapsed;

/// How long an event is kept after it last happened. The default of `--event-ttl` upstream.
const TIME_TO_LIVE: Duration = Duration::from_secs(3600);
const PERIOD: Duration = Duration::from_secs(300);

/// Runs until `shutdown`.
pub async fn run(hands: Hands, shutdown: CancellationToken) {
    let Some(kind) = kinds::by_plural("", "v1", "events") else { return };
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => sweep(kind, &hands).await,
            () = shutdown.cancelled() => return,
        }
    }
}

async fn sweep(kind: &'static Kind, hands: &Hands) {
    let events = match hands.list(kind, "").await {
        Ok(events) => events,
        Err(error) => return warn!(%error, "events are not swept"),
    };
    for write in plan(kind, &events, Timestamp::now()) {
        if let Err(error) = hands.apply(&write).await {
            debug!(%error, %write, "event is not deleted");
        }
    }
}

fn plan(kind: &'static Kind, events: &[Value], now: Timestamp) -> Vec<Write> {
    let over = events.iter().filter(|event| last_time(event).is_some_and(|at| elapsed(at, now) > TIME_TO_LIVE));
    let delete = |event: &Value| Write::Delete {
        kind,
        key: Key::of_value(event),
        uid: meta::uid(event).to_owned(),
        revision: Some(meta::text(event, "resourceVersion").to_owned()),
        propagation: Propagation::Background,
        grace: None,
    };
    over.map(delete).collect()
}

/// When an event happened last, by whichever of the fields its writer used.
fn last_time(event: &Value) -> Option<Timestamp> {
    let series = event["series"]["lastObservedTime"].as_str();
    let fields =
        [series, event["lastTimestamp"].as_str(), event["eventTime"].as_str(), event["firstTimestamp"].as_str()];
    let created = Some(meta::text(event, "creationTimestamp"));
    fields.into_iter().chain([created]).flatten().find_map(|time| time.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_events_that_last_happened_long_ago_go() {
        let event = |name: &str, fields: Value| {
            let mut event = json!({ "metadata": { "name": name, "namespace": "a", "uid": name, "resourceVersion": "7",
                                                  "creationTimestamp": "2024-01-01T00:00:00Z" } });
            json_patch::merge(&mut event, &fields);
            event
        };
        let events = [
            event("old", json!({ "lastTimestamp": "2024-01-01T10:00:00Z" })),
            event(
                "repeated",
                json!({ "firstTimestamp": "2024-01-01T10:00:00Z", "lastTimestamp": "2024-01-01T11:30:00Z" }),
            ),
            event("new-style", json!({ "eventTime": "2024-01-01T11:30:00.000001Z" })),
            event("bare", json!({})),
        ];
        let kind = kinds::by_plural("", "v1", "events").unwrap();
        let writes = plan(kind, &events, "2024-01-01T12:00:00Z".parse().unwrap());
        let names: Vec<_> = writes.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["delete events a/old", "delete events a/bare"]);
        assert!(matches!(&writes[0], Write::Delete { revision: Some(revision), .. } if revision == "7"));
    }
}
