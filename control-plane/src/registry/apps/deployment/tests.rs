//! Deployments, and what ReplicaSets have in common with them.

use serde_json::{Value, json};

use super::*;
use crate::registry::{
    apps::replica_set::ReplicaSetStrategy,
    cases::{self, created, said, with},
};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": "web:1" }] },
            },
        },
    })
}

fn replica_set() -> Value {
    with(&deployment(), &[("/kind", json!("ReplicaSet"))])
}

fn refused(changes: &[(&str, Value)]) -> Vec<String> {
    cases::refused(&DeploymentStrategy, &with(&deployment(), changes))
}

/// What differs from the good one, and all that is said about it.
type Row<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

fn check(rows: &[Row<'_>]) {
    for (changes, expected) in rows {
        assert_eq!(refused(changes), *expected, "{changes:?}");
    }
}

#[test]
fn a_deployment_gets_the_defaults_of_upstream() {
    let mut spec = created(&DeploymentStrategy, &deployment())["spec"].take();
    let template = spec["template"].take();
    assert_eq!(template["spec"]["restartPolicy"], "Always");
    // What only pods get is left to them.
    assert_eq!(template["spec"].get("enableServiceLinks"), None);
    let expected = json!({
        "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" } },
        "selector": { "matchLabels": { "app": "web" } }, "template": null,
    });
    assert_eq!(spec, expected);
    let recreate =
        created(&DeploymentStrategy, &with(&deployment(), &[("/spec/strategy", json!({ "type": "Recreate" }))]));
    assert_eq!(recreate["spec"]["strategy"], json!({ "type": "Recreate" }));
    assert_eq!(created(&ReplicaSetStrategy, &replica_set())["spec"]["replicas"], 1);
    assert_eq!(created(&ReplicaSetStrategy, &replica_set())["status"], json!({ "replicas": 0 }));
}

#[test]
fn no_replicas_stay_no_replicas() {
    let spec = created(&DeploymentStrategy, &with(&deployment(), &[("/spec/replicas", json!(0))]))["spec"].take();
    assert_eq!(spec["replicas"], 0);
}

#[test]
fn counts_are_not_negative() {
    let words = "must be greater than or equal to 0";
    check(&[
        (&[("/spec/replicas", json!(-1))], &[&format!("spec.replicas: Invalid value: -1: {words}")]),
        (&[("/spec/minReadySeconds", json!(-1))], &[&format!("spec.minReadySeconds: Invalid value: -1: {words}")]),
        (
            &[("/spec/revisionHistoryLimit", json!(-1))],
            &[&format!("spec.revisionHistoryLimit: Invalid value: -1: {words}")],
        ),
        (
            &[("/spec/minReadySeconds", json!(600))],
            &["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
        ),
    ]);
}

#[test]
fn the_selector_selects_the_template() {
    let mismatch = "`selector` does not match template `labels`";
    let empty =
        "v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}";
    check(&[
        (
            &[("/spec/template/metadata/labels/app", json!("db"))],
            &[&format!(
                "spec.template.metadata.labels: Invalid value: map[string]string{{\"app\":\"db\"}}: {mismatch}"
            )],
        ),
        (
            &[("/spec/template/metadata", json!({}))],
            &[&format!("spec.template.metadata.labels: Invalid value: map[string]string(nil): {mismatch}")],
        ),
        (
            &[("/spec/selector", json!({}))],
            &[&format!("spec.selector: Invalid value: {empty}: empty selector is invalid for deployment")],
        ),
        (
            &[("/spec/selector", json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": [] }] }))],
            &[
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or \
                 'NotIn'",
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), \
                 MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:\"app\", Operator:\"In\", \
                 Values:[]string{}}}}: invalid label selector",
            ],
        ),
        (
            &[("/spec/selector", json!({ "matchExpressions": [{ "key": "app", "operator": "Like" }] }))],
            &[
                "spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator",
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), \
                 MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:\"app\", Operator:\"Like\", \
                 Values:[]string(nil)}}}: invalid label selector",
            ],
        ),
    ]);
    // The shape asks for a selector; null is what an absent one becomes.
    let mut without = created(&DeploymentStrategy, &deployment());
    without["spec"]["selector"] = Value::Null;
    let expected = [
        "spec.selector: Required value".to_owned(),
        format!("spec.template.metadata.labels: Invalid value: map[string]string{{\"app\":\"web\"}}: {mismatch}"),
    ];
    assert_eq!(said(&DeploymentStrategy.validate(&without)), expected);
}

#[test]
fn the_template_is_a_pod_that_goes_on() {
    check(&[
        (
            &[("/spec/template/spec/containers/0/image", json!(""))],
            &["spec.template.spec.containers[0].image: Required value"],
        ),
        // Templates of old may have it.
        (&[("/spec/template/spec/containers/0/image", json!(" web"))], &[]),
        (
            &[("/spec/template/spec/restartPolicy", json!("Never"))],
            &["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""],
        ),
        (
            &[("/spec/template/spec/activeDeadlineSeconds", json!(5))],
            &[
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
            ],
        ),
        (
            &[("/spec/template/metadata/annotations", json!({ "a b": "" }))],
            &[
                "spec.template.annotations: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', \
               '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
               '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ],
        ),
        (
            &[("/spec/template/spec/ephemeralContainers", json!([{ "name": "e", "image": "e" }]))],
            &["spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"],
        ),
    ]);
}

#[test]
fn a_rollout_moves() {
    let rolling = |unavailable: Value, surge: Value| {
        [("/spec/strategy", json!({ "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge } }))]
    };
    let percent = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                   used for validation is '[0-9]+%')";
    let zero = "may not be 0 when `maxSurge` is 0";
    check(&[
        (&rolling(json!(0), json!(1)), &[]),
        (&rolling(json!("100%"), json!("150%")), &[]),
        (
            &rolling(json!(0), json!(0)),
            &[&format!(
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{{Type:0, IntVal:0, \
                 StrVal:\"\"}}: {zero}"
            )],
        ),
        (
            &rolling(json!("0%"), json!("0%")),
            &[&format!(
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{{Type:1, IntVal:0, \
                 StrVal:\"0%\"}}: {zero}"
            )],
        ),
        (
            &rolling(json!("101%"), json!(-1)),
            &[
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, \
                 StrVal:\"101%\"}: must not be greater than 100%",
            ],
        ),
        (
            &rolling(json!("many"), json!(1)),
            &[&format!(
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{{Type:1, IntVal:0, \
                 StrVal:\"many\"}}: {percent}"
            )],
        ),
        (
            &[("/spec/strategy", json!({ "type": "Recreate", "rollingUpdate": { "maxSurge": 1 } }))],
            &["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            &[("/spec/strategy", json!({ "type": "Slowly" }))],
            &["spec.strategy.type: Unsupported value: \"Slowly\": supported values: \"Recreate\", \"RollingUpdate\""],
        ),
    ]);
}

#[test]
fn the_selector_stays() {
    let new = with(
        &deployment(),
        &[("/spec/selector/matchLabels/tier", json!("front")), ("/spec/template/metadata/labels/tier", json!("front"))],
    );
    let expected = "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"web\", \
                    \"tier\":\"front\"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable";
    assert_eq!(cases::refused_update(&DeploymentStrategy, &new, &deployment()), [expected]);
    let new = with(&new, &[("/kind", json!("ReplicaSet"))]);
    assert_eq!(cases::refused_update(&ReplicaSetStrategy, &new, &replica_set()), [expected]);
    let scaled = with(&deployment(), &[("/spec/replicas", json!(5)), ("/spec/template/metadata/labels/v", json!("2"))]);
    assert_eq!(cases::refused_update(&DeploymentStrategy, &scaled, &deployment()), Vec::<String>::new());
}

#[test]
fn a_status_adds_up() {
    let status = json!({ "status": { "replicas": 2, "updatedReplicas": 3, "readyReplicas": 1, "availableReplicas": 2,
                                     "observedGeneration": -1 } });
    let expected = [
        "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
        "status.updatedReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
    ];
    assert_eq!(said(&DeploymentStrategy.validate_status_update(&status, &status)), expected);
    let status = json!({ "status": { "replicas": 2, "fullyLabeledReplicas": 3 } });
    let expected = ["status.fullyLabeledReplicas: Invalid value: 3: cannot be greater than status.replicas"];
    assert_eq!(said(&ReplicaSetStrategy.validate_status_update(&status, &status)), expected);
}
