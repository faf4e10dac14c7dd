use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, said, updated, with};

fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db", "namespace": "default" },
        "spec": {
            "serviceName": "db",
            "selector": { "matchLabels": { "app": "db" } },
            "template": {
                "metadata": { "labels": { "app": "db" } },
                "spec": { "containers": [{ "name": "c", "image": "db:1" }] },
            },
        },
    })
}

/// Changes of a good one, and what is said about it then.
type Row<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

fn check(rows: &[Row<'_>]) {
    for (changes, expected) in rows {
        assert_eq!(cases::refused(&StatefulSetStrategy, &with(&set(), changes)), *expected, "{changes:?}");
    }
}

#[test]
fn a_stateful_set_gets_the_defaults_of_upstream() {
    let created = created(&StatefulSetStrategy, &set());
    let mut spec = created["spec"].clone();
    assert_eq!(spec["template"].take()["spec"]["restartPolicy"], "Always");
    let expected = json!({
        "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady", "serviceName": "db",
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
        "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
        "selector": { "matchLabels": { "app": "db" } }, "template": null,
    });
    assert_eq!(spec, expected);
    assert_eq!(created["status"], json!({ "replicas": 0, "availableReplicas": 0 }));
}

#[test]
fn a_named_strategy_gets_only_what_it_lacks() {
    for (strategy, expected) in [
        (json!({ "type": "OnDelete" }), json!({ "type": "OnDelete" })),
        (json!({ "type": "RollingUpdate" }), json!({ "type": "RollingUpdate" })),
        (
            json!({ "rollingUpdate": { "partition": 2, "maxUnavailable": 3 } }),
            // The gate of `maxUnavailable` is closed.
            json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } }),
        ),
    ] {
        let set = created(&StatefulSetStrategy, &with(&set(), &[("/spec/updateStrategy", strategy)]));
        assert_eq!(set["spec"]["updateStrategy"], expected);
    }
}

#[test]
fn claims_in_a_template_say_what_they_are() {
    let claim = json!({
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    let set = with(&set(), &[("/spec/volumeClaimTemplates", json!([claim]))]);
    let created = created(&StatefulSetStrategy, &set);
    let expected = json!([{
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
            "volumeMode": "Filesystem",
        },
        "status": { "phase": "Pending" },
    }]);
    assert_eq!(created["spec"]["volumeClaimTemplates"], expected);
    // Written again as the user wrote it, nothing changes.
    assert_eq!(updated(&StatefulSetStrategy, &set, &created)["spec"], created["spec"]);
    assert_eq!(cases::refused_update(&StatefulSetStrategy, &set, &set), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_told_in_words_of_upstream() {
    let empty =
        "v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}";
    let negative = "must be greater than or equal to 0";
    check(&[
        (&[], &[]),
        (
            &[("/spec/podManagementPolicy", json!("Fast"))],
            &["spec.podManagementPolicy: Invalid value: \"Fast\": must be 'OrderedReady' or 'Parallel'"],
        ),
        (
            &[("/spec/updateStrategy", json!({ "type": "Slowly" }))],
            &["spec.updateStrategy: Invalid value: apps.StatefulSetUpdateStrategy{Type:\"Slowly\", \
               RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}: must be 'RollingUpdate' or 'OnDelete'"],
        ),
        (
            &[("/spec/updateStrategy", json!({ "type": "OnDelete", "rollingUpdate": { "partition": 1 } }))],
            &["spec.updateStrategy.rollingUpdate: Invalid value: apps.RollingUpdateStatefulSetStrategy{Partition:1, \
               MaxUnavailable:(*intstr.IntOrString)(nil)}: only allowed for updateStrategy 'RollingUpdate'"],
        ),
        (
            &[("/spec/updateStrategy", json!({ "rollingUpdate": { "partition": -1 } }))],
            &[&format!("spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: {negative}")],
        ),
        (
            &[("/spec/persistentVolumeClaimRetentionPolicy", json!({ "whenDeleted": "Keep" }))],
            &["spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Keep\": supported values: \
               \"Retain\", \"Delete\""],
        ),
        (&[("/spec/replicas", json!(-1))], &[&format!("spec.replicas: Invalid value: -1: {negative}")]),
        (
            &[("/spec/ordinals", json!({ "start": -1 }))],
            &[&format!("spec.ordinals.start: Invalid value: -1: {negative}")],
        ),
        (
            &[("/spec/selector", json!({}))],
            &[&format!("spec.selector: Invalid value: {empty}: empty selector is invalid for statefulset")],
        ),
        (
            &[("/spec/template/metadata/labels/app", json!("web"))],
            &["spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"web\"}: `selector` does not \
               match template `labels`"],
        ),
        (
            &[("/spec/template/spec/restartPolicy", json!("Never"))],
            &["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""],
        ),
        (
            &[("/spec/template/spec/activeDeadlineSeconds", json!(5))],
            &["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not \
               Supported"],
        ),
        // The claims of the set are volumes of its pods, which no template of pods knows.
        (&[("/spec/template/spec/containers/0/volumeMounts", json!([{ "name": "data", "mountPath": "/data" }]))], &[]),
    ]);
}

#[test]
fn a_new_set_has_a_service_that_can_be_named() {
    let wrong = with(&set(), &[("/spec/serviceName", json!("Not_Good"))]);
    let said = said(&StatefulSetStrategy.validate_create(&wrong));
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("spec.serviceName: Invalid value: \"Not_Good\": a lowercase RFC 1123 label"),
        "{said:?}"
    );
    // What is there already may stay.
    assert_eq!(cases::refused_update(&StatefulSetStrategy, &wrong, &wrong), Vec::<String>::new());
    let without = with(&set(), &[("/spec/serviceName", Value::Null)]);
    assert!(StatefulSetStrategy.validate_create(&without).is_empty());
}

#[test]
fn little_of_a_set_may_change() {
    let all = with(
        &set(),
        &[
            ("/spec/replicas", json!(3)),
            ("/spec/ordinals", json!({ "start": 1 })),
            ("/spec/template/spec/containers/0/image", json!("db:2")),
            ("/spec/updateStrategy", json!({ "type": "OnDelete" })),
            ("/spec/revisionHistoryLimit", json!(2)),
            ("/spec/persistentVolumeClaimRetentionPolicy", json!({ "whenDeleted": "Delete" })),
            ("/spec/minReadySeconds", json!(5)),
        ],
    );
    assert_eq!(cases::refused_update(&StatefulSetStrategy, &all, &set()), Vec::<String>::new());
    let words = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' \
                 are forbidden";
    for change in [
        ("/spec/serviceName", json!("other")),
        ("/spec/podManagementPolicy", json!("Parallel")),
        ("/spec/selector/matchLabels/tier", json!("data")),
    ] {
        let new = with(&set(), std::slice::from_ref(&change));
        assert_eq!(cases::refused_update(&StatefulSetStrategy, &new, &set()), [words], "{change:?}");
    }
}

#[test]
fn a_status_adds_up() {
    let old = json!({ "status": { "collisionCount": 2 } });
    let status = json!({ "status": {
        "replicas": 1, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2, "availableReplicas": 3,
        "observedGeneration": -1, "collisionCount": 1,
    } });
    let all = "cannot be greater than status.replicas";
    let expected = [
        "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0".to_owned(),
        format!("status.readyReplicas: Invalid value: 2: {all}"),
        format!("status.currentReplicas: Invalid value: 2: {all}"),
        format!("status.updatedReplicas: Invalid value: 2: {all}"),
        format!("status.availableReplicas: Invalid value: 3: {all}"),
        "status.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas".to_owned(),
        "status.collisionCount: Invalid value: 1: cannot be decremented".to_owned(),
    ];
    assert_eq!(said(&StatefulSetStrategy.validate_status_update(&status, &old)), expected);
}

#[test]
fn a_history_without_end_is_warned_of() {
    let endless = with(&set(), &[("/spec/revisionHistoryLimit", json!(-1))]);
    let expected = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is \
                    recommended";
    assert_eq!(StatefulSetStrategy.warnings(&endless), [expected]);
    assert_eq!(cases::refused(&StatefulSetStrategy, &endless), Vec::<String>::new());
}
