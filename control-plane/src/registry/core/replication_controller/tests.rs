use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, said, with};

fn controller() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": "web:1" }] },
            },
        },
    })
}

#[test]
fn labels_and_selector_are_those_of_the_template() {
    let made = created(&ReplicationControllerStrategy, &controller());
    assert_eq!(made["spec"]["selector"], json!({ "app": "web" }));
    assert_eq!(made["metadata"]["labels"], json!({ "app": "web" }));
    assert_eq!((&made["spec"]["replicas"], &made["status"]), (&json!(1), &json!({ "replicas": 0 })));
    let own = with(
        &controller(),
        &[
            ("/spec/selector", json!({ "app": "web" })),
            ("/metadata/labels", json!({ "mine": "x" })),
            ("/spec/template/metadata/labels/tier", json!("front")),
        ],
    );
    let made = created(&ReplicationControllerStrategy, &own);
    assert_eq!(made["spec"]["selector"], json!({ "app": "web" }));
    assert_eq!(made["metadata"]["labels"], json!({ "mine": "x" }));
}

#[test]
fn what_is_wrong_is_told_in_words_of_upstream() {
    for (changes, expected) in [
        (vec![], vec![]),
        (
            vec![("/spec/selector", json!({ "app": "db" }))],
            vec![
                "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"web\"}: `selector` does not \
                 match template `labels`",
            ],
        ),
        (vec![("/spec/template/metadata/labels", Value::Null)], vec!["spec.selector: Required value"]),
        (vec![("/spec/template", Value::Null)], vec!["spec.selector: Required value", "spec.template: Required value"]),
        (
            vec![("/spec/replicas", json!(-1)), ("/spec/minReadySeconds", json!(-2))],
            vec![
                "spec.minReadySeconds: Invalid value: -2: must be greater than or equal to 0",
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            vec![
                ("/spec/template/spec/restartPolicy", json!("Never")),
                ("/spec/template/spec/activeDeadlineSeconds", json!(5)),
            ],
            vec![
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is \
                 not Supported",
            ],
        ),
    ] {
        let wrong = with(&controller(), &changes);
        assert_eq!(cases::refused(&ReplicationControllerStrategy, &wrong), expected, "{changes:?}");
    }
}

#[test]
fn the_selector_may_change() {
    let new = with(
        &controller(),
        &[("/spec/selector", json!({ "v": "2" })), ("/spec/template/metadata/labels/v", json!("2"))],
    );
    assert_eq!(cases::refused_update(&ReplicationControllerStrategy, &new, &controller()), Vec::<String>::new());
}

#[test]
fn a_status_adds_up() {
    let status = json!({ "status": { "replicas": 1, "readyReplicas": 1, "availableReplicas": 2 } });
    let expected = [
        "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
    ];
    assert_eq!(said(&ReplicationControllerStrategy.validate_status_update(&status, &status)), expected);
}
