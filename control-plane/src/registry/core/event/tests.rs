use serde_json::{Value, json};

use super::EventStrategy;
use crate::registry::{
    Strategy,
    cases::{said, with},
};

const LEGACY: EventStrategy = EventStrategy { is_strict: false };
const STRICT: EventStrategy = EventStrategy { is_strict: true };

/// A good event of the new API, as it is stored.
fn event() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e", "namespace": "shop" },
        "involvedObject": { "namespace": "shop", "name": "p" }, "eventTime": "2025-01-01T00:00:00.000000Z",
        "reportingComponent": "agent", "reportingInstance": "agent-1", "action": "Start", "reason": "Started",
        "type": "Normal",
    })
}

fn refused(strategy: &EventStrategy, event: &Value) -> Vec<String> {
    let mut errors = strategy.validate(event);
    errors.extend(strategy.validate_create(event));
    said(&errors)
}

fn check(strategy: &EventStrategy, changes: &[(&str, Value)], expected: &[&str]) {
    assert_eq!(refused(strategy, &with(&event(), changes)), expected, "{changes:?}");
}

#[test]
fn both_groups_take_a_good_one() {
    check(&LEGACY, &[], &[]);
    check(&STRICT, &[], &[]);
    check(&STRICT, &[("/series", json!({ "count": 2, "lastObservedTime": "2025-01-01T00:00:00.000000Z" }))], &[]);
}

#[test]
fn it_lies_where_its_object_is() {
    let words = |namespace: &str| {
        format!("involvedObject.namespace: Invalid value: \"{namespace}\": does not match event.namespace")
    };
    let old = [("/eventTime", Value::Null)];
    let place =
        |own: &str, about: &str| [("/metadata/namespace", json!(own)), ("/involvedObject/namespace", json!(about))];
    check(&LEGACY, &[&old[..], &place("shop", "other")].concat(), &[&words("other")]);
    check(&LEGACY, &[&old[..], &place("kube-system", "")].concat(), &[&words("")]);
    check(&LEGACY, &[&old[..], &place("default", "")].concat(), &[]);
    check(&STRICT, &place("kube-system", ""), &[]);
    check(&STRICT, &place("shop", ""), &[&words("")]);
}

#[test]
fn an_event_with_a_time_says_who_and_what() {
    let long = |length: usize| json!("x".repeat(length));
    for strategy in [&LEGACY, &STRICT] {
        let changes = ["/reportingComponent", "/reportingInstance", "/action", "/reason"].map(|at| (at, Value::Null));
        let said = refused(strategy, &with(&event(), &changes));
        assert_eq!(said[0], "reportingController: Required value");
        assert!(
            said[1].starts_with("reportingController: Invalid value: \"\": name part must be non-empty"),
            "{said:?}"
        );
        let rest = ["reportingInstance: Required value", "action: Required value", "reason: Required value"];
        assert_eq!(said[said.len() - 3..], rest);
        let words = "can have at most 128 characters";
        check(strategy, &[("/action", long(129))], &[&format!("action: Invalid value: \"\": {words}")]);
        let words = "message: Invalid value: \"\": can have at most 1024 characters";
        check(strategy, &[("/message", long(1025))], &[words]);
        check(strategy, &[("/message", long(1024))], &[]);
    }
}

#[test]
fn only_the_new_group_refuses_what_is_deprecated() {
    let changes = [
        ("/type", json!("Odd")),
        ("/firstTimestamp", json!("2025-01-01T00:00:00Z")),
        ("/lastTimestamp", json!("2025-01-01T00:00:00Z")),
        ("/count", json!(1)),
        ("/source", json!({ "component": "c" })),
        ("/series", json!({ "count": 1 })),
    ];
    check(&LEGACY, &changes, &[]);
    check(
        &STRICT,
        &changes,
        &[
            "series.count: Invalid value: \"\": should be at least 2",
            "series.lastObservedTime: Required value",
            "type: Invalid value: \"\": has invalid value: Odd",
            "firstTimestamp: Invalid value: \"\": needs to be unset",
            "lastTimestamp: Invalid value: \"\": needs to be unset",
            "count: Invalid value: \"\": needs to be unset",
            "source: Invalid value: \"\": needs to be unset",
        ],
    );
    check(&STRICT, &[("/eventTime", Value::Null)], &["eventTime: Required value"]);
}

#[test]
fn through_the_new_group_only_the_series_changes() {
    let old = event();
    let change = |strategy: &EventStrategy, changes: &[(&str, Value)]| {
        said(&strategy.validate_update(&with(&old, changes), &old))
    };
    let series = json!({ "count": 2, "lastObservedTime": "2025-01-01T00:00:00.000000Z" });
    assert_eq!(change(&STRICT, &[("/series", series)]), Vec::<String>::new());
    assert_eq!(change(&STRICT, &[("/count", json!(0)), ("/source", json!({}))]), Vec::<String>::new());
    let changes = [("/message", json!("m")), ("/reportingComponent", json!("other"))];
    assert_eq!(change(&LEGACY, &changes), Vec::<String>::new());
    assert_eq!(
        change(&STRICT, &changes),
        [
            "message: Invalid value: \"m\": field is immutable",
            "reportingController: Invalid value: \"other\": field is immutable",
        ]
    );
    assert_eq!(change(&STRICT, &[("/series", json!({ "count": 1 }))]).len(), 2);
}
