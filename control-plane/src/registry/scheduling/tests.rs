use serde_json::json;

use super::*;
use crate::registry::cases::{created, refused, refused_update, with};

fn class(name: &str, value: i64) -> Value {
    json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": name }, "value": value })
}

#[test]
fn a_class_of_the_system_has_its_value() {
    for (name, value) in SYSTEM_CLASSES {
        assert_eq!(refused(&PriorityClassStrategy, &class(name, value)), Vec::<String>::new());
    }
    let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use \
                    only. error: ";
    for (class, why) in [
        (class("system-mine", 1), "system-mine is not a known system priority class"),
        (class("system-node-critical", 1), "value of system-node-critical PriorityClass must be 2000001000"),
        (
            with(&class("system-node-critical", 2_000_001_000), &[("/globalDefault", json!(true))]),
            "globalDefault of system-node-critical PriorityClass must be false",
        ),
    ] {
        assert_eq!(refused(&PriorityClassStrategy, &class), [format!("{reserved}{why}")]);
    }
}

#[test]
fn other_classes_are_below_and_stay_as_they_are() {
    let high = class("high", 1_000_000_000);
    let made = created(&PriorityClassStrategy, &high);
    assert_eq!(
        (&made["preemptionPolicy"], &made["metadata"]["generation"]),
        (&json!("PreemptLowerPriority"), &json!(1))
    );
    assert_eq!(refused(&PriorityClassStrategy, &high), Vec::<String>::new());
    assert_eq!(
        refused(&PriorityClassStrategy, &class("high", 1_000_000_001)),
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
    );
    assert_eq!(
        refused(&PriorityClassStrategy, &with(&high, &[("/preemptionPolicy", json!("Maybe"))])),
        ["preemptionPolicy: Unsupported value: \"Maybe\": supported values: \"PreemptLowerPriority\", \"Never\""]
    );
    let changed = with(&high, &[("/value", json!(1)), ("/preemptionPolicy", json!("Never"))]);
    assert_eq!(
        refused_update(&PriorityClassStrategy, &changed, &high),
        [
            "value: Forbidden: may not be changed in an update.",
            "preemptionPolicy: Invalid value: \"Never\": field is immutable",
        ]
    );
    let described = with(&high, &[("/description", json!("d")), ("/globalDefault", json!(true))]);
    assert_eq!(refused_update(&PriorityClassStrategy, &described, &high), Vec::<String>::new());
}
