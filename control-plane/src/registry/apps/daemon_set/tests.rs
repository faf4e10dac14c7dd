#![expect(clippy::needless_pass_by_value, reason = "cases are written where they are used")]

use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, said, updated, with};

fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "log", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": { "app": "log" } },
            "template": {
                "metadata": { "labels": { "app": "log" } },
                "spec": { "containers": [{ "name": "c", "image": "log:1" }] },
            },
        },
    })
}

fn rolling(unavailable: Value, surge: Value) -> [(&'static str, Value); 1] {
    [("/spec/updateStrategy", json!({ "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge } }))]
}

/// Changes of a good one, and what is said about it then.
type Row<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

fn check(rows: &[Row<'_>]) {
    for (changes, expected) in rows {
        assert_eq!(cases::refused(&DaemonSetStrategy, &with(&set(), changes)), *expected, "{changes:?}");
    }
}

#[test]
fn a_daemon_set_gets_the_defaults_of_upstream() {
    let created = created(&DaemonSetStrategy, &set());
    let mut spec = created["spec"].clone();
    assert_eq!(spec["template"].take()["spec"]["restartPolicy"], "Always");
    let expected = json!({
        "revisionHistoryLimit": 10,
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } },
        "selector": { "matchLabels": { "app": "log" } }, "template": null,
    });
    assert_eq!(spec, expected);
    let status = json!({
        "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
    });
    assert_eq!(created["status"], status);
}

#[test]
fn changes_of_the_template_are_counted() {
    let counted = |set: &Value| set["metadata"]["annotations"][TEMPLATE_GENERATION].clone();
    let first = created(&DaemonSetStrategy, &with(&set(), &[("/metadata/annotations", json!({ "a": "b" }))]));
    assert_eq!(first["metadata"]["annotations"], json!({ "a": "b", TEMPLATE_GENERATION: "1" }));
    let scaled = updated(&DaemonSetStrategy, &with(&set(), &[("/spec/minReadySeconds", json!(5))]), &first);
    assert_eq!(counted(&scaled), "1");
    let renewed = with(
        &set(),
        &[
            ("/spec/template/spec/containers/0/image", json!("log:2")),
            ("/metadata/annotations", json!({ TEMPLATE_GENERATION: "7" })),
        ],
    );
    assert_eq!(counted(&updated(&DaemonSetStrategy, &renewed, &scaled)), "2");
    // Only a new one may say where the count begins.
    assert_eq!(counted(&created(&DaemonSetStrategy, &renewed)), "7");
}

#[test]
fn what_is_wrong_is_told_in_words_of_upstream() {
    let empty =
        "v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}";
    let unavailable = "spec.updateStrategy.rollingUpdate.maxUnavailable";
    let surge = "spec.updateStrategy.rollingUpdate.maxSurge";
    check(&[
        (&[], &[]),
        (
            &[("/spec/selector", json!({}))],
            &[&format!("spec.selector: Invalid value: {empty}: empty selector is invalid for daemonset")],
        ),
        (
            &[("/spec/template/metadata/labels/app", json!("web"))],
            &["spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"web\"}: `selector` does not \
               match template `labels`"],
        ),
        (
            &[("/spec/template/spec/restartPolicy", json!("OnFailure"))],
            &["spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\""],
        ),
        (
            &[("/spec/template/spec/activeDeadlineSeconds", json!(5))],
            &[
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
            ],
        ),
        (
            &[("/spec/minReadySeconds", json!(-1)), ("/spec/revisionHistoryLimit", json!(-2))],
            &[
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.revisionHistoryLimit: Invalid value: -2: must be greater than or equal to 0",
            ],
        ),
        (
            &[("/spec/updateStrategy", json!({ "type": "Slowly" }))],
            &["spec.updateStrategy: Unsupported value: apps.DaemonSetUpdateStrategy{Type:\"Slowly\", \
               RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}: supported values: \"RollingUpdate\", \"OnDelete\""],
        ),
        (&[("/spec/updateStrategy", json!({ "type": "OnDelete" }))], &[]),
        (&rolling(json!("0%"), json!("100%")), &[]),
        (&rolling(json!(0), json!("0%")), &[&format!("{unavailable}: Required value: cannot be 0 when maxSurge is 0")]),
        (
            &rolling(json!(1), json!(2)),
            &[&format!(
                "{surge}: Invalid value: intstr.IntOrString{{Type:0, IntVal:2, StrVal:\"\"}}: may not be set when \
                 maxUnavailable is non-zero"
            )],
        ),
        (
            &rolling(json!("101%"), json!(0)),
            &[&format!(
                "{unavailable}: Invalid value: intstr.IntOrString{{Type:1, IntVal:0, StrVal:\"101%\"}}: must not be \
                 greater than 100%"
            )],
        ),
        (
            &rolling(json!(-1), json!(0)),
            &[&format!("{unavailable}: Invalid value: -1: must be greater than or equal to 0")],
        ),
    ]);
}

#[test]
fn the_selector_stays() {
    let new = with(
        &set(),
        &[("/spec/selector/matchLabels/tier", json!("x")), ("/spec/template/metadata/labels/tier", json!("x"))],
    );
    let expected = "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"log\", \
                    \"tier\":\"x\"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable";
    assert_eq!(cases::refused_update(&DaemonSetStrategy, &new, &set()), [expected]);
}

#[test]
fn counts_of_a_status_are_not_negative() {
    let old = json!({ "status": { "collisionCount": 1 } });
    let status = json!({ "status": { "numberReady": -1, "numberAvailable": -2 } });
    let expected = [
        "status.numberReady: Invalid value: -1: must be greater than or equal to 0",
        "status.numberAvailable: Invalid value: -2: must be greater than or equal to 0",
        "status.collisionCount: Invalid value: 0: cannot be decremented",
    ];
    assert_eq!(said(&DaemonSetStrategy.validate_status_update(&status, &old)), expected);
}
