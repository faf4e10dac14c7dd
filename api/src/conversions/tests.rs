use std::borrow::Cow;

use serde_json::{Value, json};

use crate::kinds::{Kind, by_plural};

/// The row of a view.
fn view(group: &str, version: &str, plural: &str) -> &'static Kind {
    let kind = by_plural(group, version, plural).expect("a served kind");
    assert!(kind.is_view());
    kind
}

/// Checks that a stored object is shown like this, and kept from there as it was.
fn check(kind: &Kind, stored: &Value, expected: &Value) {
    let shown = kind.shown(Cow::Borrowed(stored)).into_owned();
    assert_eq!(shown, *expected);
    assert_eq!(kind.kept(shown), *stored);
}

#[test]
fn an_event_changes_names_and_loses_nothing() {
    let about = json!({ "kind": "Pod", "namespace": "default", "name": "p" });
    let source = json!({ "component": "agent", "host": "node-1" });
    let same = json!({
        "metadata": { "name": "e", "namespace": "default", "resourceVersion": "7" },
        "eventTime": "2025-01-01T00:00:00.000000Z", "series": { "count": 2 }, "action": "Start", "reason": "Started",
        "related": about, "reportingInstance": "agent-1", "type": "Normal",
    });
    let with = |more: Value| {
        let mut event = same.clone();
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let stored = with(json!({
        "apiVersion": "v1", "kind": "Event", "involvedObject": about, "message": "m", "count": 3, "source": source,
        "firstTimestamp": "2025-01-01T00:00:01Z", "lastTimestamp": null, "reportingComponent": "agent",
    }));
    let shown = with(json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": about, "note": "m", "deprecatedCount": 3,
        "deprecatedSource": source, "deprecatedFirstTimestamp": "2025-01-01T00:00:01Z",
        "deprecatedLastTimestamp": null, "reportingController": "agent",
    }));
    check(view("events.k8s.io", "v1", "events"), &stored, &shown);
}
