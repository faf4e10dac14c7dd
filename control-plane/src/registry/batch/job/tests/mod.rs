//! Jobs as they are made and changed.

mod policies;
mod status;

use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, updated, with};

const UID: &str = "0f1e2d3c";

/// A job that has been given a uid, as every new object is before its strategy sees it.
fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "pi", "namespace": "default", "uid": UID },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "c", "image": "pi:1" }],
        } } },
    })
}

fn refused(changes: &[(&str, Value)]) -> Vec<String> {
    cases::refused(&JobStrategy, &with(&job(), changes))
}

fn refused_update(changes: &[(&str, Value)], old: &[(&str, Value)]) -> Vec<String> {
    let old = created(&JobStrategy, &with(&job(), old));
    cases::said(&JobStrategy.validate_update(&updated(&JobStrategy, &with(&old, changes), &old), &old))
}

type Row<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

fn check(rows: &[Row<'_>]) {
    for (changes, expected) in rows {
        assert_eq!(refused(changes), *expected, "{changes:?}");
    }
}

#[test]
fn a_job_gets_the_defaults_of_upstream() {
    let mut spec = created(&JobStrategy, &job())["spec"].take();
    assert_eq!(spec["template"].take()["spec"]["terminationGracePeriodSeconds"], 30);
    let expected = json!({
        "completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
        "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": false,
        "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": UID } }, "template": null,
    });
    assert_eq!(spec, expected);
}

#[test]
fn defaults_depend_on_what_is_said() {
    let spec = |changes: &[(&str, Value)]| created(&JobStrategy, &with(&job(), changes))["spec"].take();
    let queue = spec(&[("/spec/parallelism", json!(3))]);
    assert_eq!((&queue["completions"], &queue["parallelism"]), (&Value::Null, &json!(3)));
    assert_eq!(spec(&[("/spec/completions", json!(3))])["parallelism"], 1);
    assert_eq!(spec(&[("/spec/backoffLimitPerIndex", json!(1))])["backoffLimit"], i32::MAX);
    let rule = json!({ "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget" }] });
    let forgiving = spec(&[("/spec/podFailurePolicy", json!({ "rules": [rule] }))]);
    assert_eq!(forgiving["podReplacementPolicy"], "Failed");
    assert_eq!(forgiving["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"], "True");
}

#[test]
fn a_job_selects_its_own_pods() {
    let labels = json!({
        "batch.kubernetes.io/controller-uid": UID, "controller-uid": UID,
        "batch.kubernetes.io/job-name": "pi", "job-name": "pi",
    });
    let made = created(&JobStrategy, &job());
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);
    // A job without labels has those of its pods.
    assert_eq!(made["metadata"]["labels"], labels);
    let own = with(
        &job(),
        &[("/metadata/labels", json!({ "mine": "x" })), ("/spec/template/metadata", json!({ "labels": { "a": "b" } }))],
    );
    let made = created(&JobStrategy, &own);
    assert_eq!(made["metadata"]["labels"], json!({ "mine": "x" }));
    assert_eq!(made["spec"]["template"]["metadata"]["labels"]["a"], "b");
    assert_eq!(made["spec"]["template"]["metadata"]["labels"]["job-name"], "pi");
}

#[test]
fn a_job_may_bring_its_own_selector() {
    let manual = [
        ("/spec/manualSelector", json!(true)),
        ("/spec/selector", json!({ "matchLabels": { "a": "b" } })),
        ("/spec/template/metadata", json!({ "labels": { "a": "b" } })),
    ];
    let made = created(&JobStrategy, &with(&job(), &manual));
    assert_eq!(made["spec"]["selector"], json!({ "matchLabels": { "a": "b" } }));
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], json!({ "a": "b" }));
    assert_eq!(made["metadata"]["labels"], json!({ "a": "b" }));
    assert_eq!(refused(&manual), Vec::<String>::new());
    assert_eq!(refused(&manual[..1]), ["spec.selector: Required value", &unmatched("map[string]string(nil)")]);
}

fn unmatched(labels: &str) -> String {
    format!("spec.template.metadata.labels: Invalid value: {labels}: `selector` does not match template `labels`")
}

#[test]
fn labels_of_another_job_are_refused() {
    let labels = "map[string]string{\"batch.kubernetes.io/controller-uid\":\"0f1e2d3c\", \
                  \"batch.kubernetes.io/job-name\":\"pi\", \"controller-uid\":\"0f1e2d3c\", \"job-name\":\"e\"}";
    check(&[
        (&[], &[]),
        (
            &[("/spec/template/metadata", json!({ "labels": { "job-name": "e" } }))],
            &[&format!("spec.template.metadata.labels[job-name]: Invalid value: {labels}: must be 'pi'")],
        ),
        (
            &[("/spec/selector", json!({ "matchLabels": { "a": "b" } }))],
            &[
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"a\":\"b\", \
                 \"batch.kubernetes.io/controller-uid\":\"0f1e2d3c\"}, \
                 MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: `selector` not auto-generated",
                &unmatched(&labels.replace("\"job-name\":\"e\"", "\"job-name\":\"pi\"")),
            ],
        ),
    ]);
    let made = created(&JobStrategy, &job());
    let bare = with(&made, &[("/spec/template/metadata/labels", json!({ "controller-uid": UID }))]);
    let expected = [
        "spec.template.metadata.labels[job-name]: Required value: must be 'pi'",
        "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: Required value: must be '0f1e2d3c'",
        "spec.template.metadata.labels[batch.kubernetes.io/job-name]: Required value: must be 'pi'",
        &unmatched("map[string]string{\"controller-uid\":\"0f1e2d3c\"}"),
    ];
    assert_eq!(cases::said(&JobStrategy.validate(&bare)), expected);
}

#[test]
fn counts_are_not_negative() {
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        let expected = format!("spec.{field}: Invalid value: -1: must be greater than or equal to 0");
        assert_eq!(refused(&[(&format!("/spec/{field}"), json!(-1))]), [expected]);
    }
}

#[test]
fn pods_of_a_job_end() {
    let path = "spec.template.spec.restartPolicy";
    check(&[
        (&[("/spec/template/spec/restartPolicy", json!("OnFailure"))], &[]),
        (
            &[("/spec/template/spec/restartPolicy", Value::Null)],
            &[&format!("{path}: Required value: valid values: \"OnFailure\", \"Never\"")],
        ),
        (
            &[("/spec/template/spec/restartPolicy", json!("Always"))],
            &[&format!("{path}: Required value: valid values: \"OnFailure\", \"Never\"")],
        ),
        (
            &[("/spec/podReplacementPolicy", json!("Never"))],
            &["spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\", \
               \"TerminatingOrFailed\""],
        ),
    ]);
}

#[test]
fn an_indexed_job_knows_its_indexes() {
    let many = "when completions are above 100000 and used with backoff limit per index";
    let indexed = |more: &[(&'static str, Value)]| {
        let mode = ("/spec/completionMode", json!("Indexed"));
        [&[mode][..], more].concat()
    };
    for (changes, expected) in [
        (indexed(&[]), vec![]),
        (indexed(&[("/spec/parallelism", json!(2))]), vec!["spec.completions: Required value: when completion mode is \
           Indexed".to_owned()]),
        (
            indexed(&[("/spec/completions", json!(5)), ("/spec/parallelism", json!(100_001))]),
            vec!["spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is \
                  Indexed".to_owned()],
        ),
        (
            indexed(&[
                ("/spec/completions", json!(5)),
                ("/spec/backoffLimitPerIndex", json!(1)),
                ("/spec/maxFailedIndexes", json!(6)),
            ]),
            vec!["spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions".to_owned()],
        ),
        (
            indexed(&[("/spec/completions", json!(5)), ("/spec/maxFailedIndexes", json!(1))]),
            vec!["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified".to_owned()],
        ),
        (
            indexed(&[
                ("/spec/completions", json!(100_001)),
                ("/spec/parallelism", json!(10_001)),
                ("/spec/backoffLimitPerIndex", json!(1)),
            ]),
            vec![
                "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000".to_owned(),
                format!("spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 {many}"),
            ],
        ),
        (
            vec![("/spec/backoffLimitPerIndex", json!(1)), ("/spec/maxFailedIndexes", json!(1))],
            vec![
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode".to_owned(),
                "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode".to_owned(),
            ],
        ),
        (
            vec![("/spec/completionMode", json!("Sorted"))],
            vec!["spec.completionMode: Unsupported value: \"Sorted\": supported values: \"NonIndexed\", \"Indexed\""
                .to_owned()],
        ),
        (
            indexed(&[("/metadata/name", json!("p".repeat(62)))]),
            vec![format!(
                "metadata.name: Invalid value: \"{0}\": will not able to create pod with invalid DNS label: {0}-0",
                "p".repeat(62)
            )],
        ),
    ] {
        assert_eq!(refused(&changes), expected, "{changes:?}");
    }
}

#[test]
fn a_manager_has_a_domain() {
    let path = "spec.managedBy";
    check(&[
        (&[("/spec/managedBy", json!("example.com/queue"))], &[]),
        (&[("/spec/managedBy", json!(""))], &[&format!("{path}: Required value")]),
        (
            &[("/spec/managedBy", json!("queue"))],
            &[&format!("{path}: Invalid value: \"queue\": must be a domain-prefixed path (such as \"acme.io/foo\")")],
        ),
        (
            &[("/spec/managedBy", json!("example.com/a b"))],
            &[&format!(
                "{path}: Invalid value: \"a b\": Invalid path (regex used for validation is \
                 '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
            )],
        ),
        (
            &[("/spec/managedBy", json!(format!("example.com/{}", "q".repeat(60))))],
            &[&format!("{path}: Too long: may not be more than 63 bytes")],
        ),
    ]);
}

#[test]
fn most_of_a_job_stays_as_it_is() {
    let words = "field is immutable";
    for (field, value) in [
        ("completionMode", json!("Indexed")),
        ("backoffLimitPerIndex", json!(2)),
        ("managedBy", json!("example.com/queue")),
    ] {
        let expected = format!("spec.{field}: Invalid value: {value}: {words}");
        assert_eq!(refused_update(&[(&format!("/spec/{field}"), value)], &[]), [expected]);
    }
    let said = refused_update(&[("/spec/completions", json!(2))], &[]);
    assert_eq!(said, [format!("spec.completions: Invalid value: 2: {words}")]);
    let said = refused_update(&[("/spec/template/spec/containers/0/image", json!("pi:2"))], &[]);
    assert!(said[0].starts_with("spec.template: Invalid value: ") && said[0].ends_with(words), "{said:?}");
    for (field, value) in [
        ("parallelism", json!(0)),
        ("suspend", json!(true)),
        ("backoffLimit", json!(9)),
        ("activeDeadlineSeconds", json!(9)),
        ("ttlSecondsAfterFinished", json!(9)),
    ] {
        assert_eq!(refused_update(&[(&format!("/spec/{field}"), value)], &[]), Vec::<String>::new(), "{field}");
    }
}

#[test]
fn an_indexed_job_grows_with_its_pods() {
    let indexed = [("/spec/completionMode", json!("Indexed")), ("/spec/completions", json!(2))];
    let grow = |completions: i64, parallelism: i64| {
        let changes = [("/spec/completions", json!(completions)), ("/spec/parallelism", json!(parallelism))];
        refused_update(&changes, &indexed)
    };
    assert_eq!(grow(3, 3), Vec::<String>::new());
    let words = "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism";
    assert_eq!(grow(3, 2), [words]);
}

#[test]
fn before_it_begins_a_job_may_be_told_where_to_run() {
    let places = [
        ("/spec/template/spec/nodeSelector", json!({ "disk": "ssd" })),
        ("/spec/template/spec/tolerations", json!([{ "operator": "Exists" }])),
        ("/spec/template/spec/affinity", json!({ "nodeAffinity": {} })),
        ("/spec/template/metadata/labels/queue", json!("q")),
    ];
    let suspended = [("/spec/suspend", json!(true))];
    assert_eq!(refused_update(&places, &suspended), Vec::<String>::new());
    assert_eq!(refused_update(&places, &[]).len(), 1);
    let image = [("/spec/template/spec/containers/0/image", json!("pi:2"))];
    assert_eq!(refused_update(&image, &suspended).len(), 1);
    let mut begun = created(&JobStrategy, &with(&job(), &suspended));
    begun["status"] = json!({ "startTime": "2025-06-01T12:00:00Z" });
    let changed = updated(&JobStrategy, &with(&begun, &places), &begun);
    assert_eq!(JobStrategy.validate_update(&changed, &begun).0.len(), 1);
}

#[test]
fn a_name_that_no_pod_can_have_is_warned_of() {
    let warnings = JobStrategy.create_warnings(&with(&job(), &[("/metadata/name", json!("a.b"))]));
    let expected = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a \
                    DNS label is recommended: [must not contain dots]";
    assert_eq!(warnings, [expected]);
    assert_eq!(JobStrategy.create_warnings(&job()), Vec::<String>::new());
    let huge = [
        ("/spec/completionMode", json!("Indexed")),
        ("/spec/completions", json!(100_001)),
        ("/spec/parallelism", json!(10_001)),
    ];
    assert!(JobStrategy.warnings(&with(&job(), &huge))[0].starts_with("spec: In Indexed Jobs with a number"));
}
