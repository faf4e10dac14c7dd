//! A job's status goes forward.

use serde_json::{Value, json};

use super::{JobStrategy, Strategy, job};
use crate::registry::cases::{created, said, with};

const NOON: &str = "2025-06-01T12:00:00Z";

fn conditions(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({ "type": kind, "status": "True" })).collect()
}

/// What is wrong with a change of the status of a job with this spec.
fn refused(spec: &[(&str, Value)], before: Value, now: Value) -> Vec<String> {
    let mut old = created(&JobStrategy, &with(&job(), spec));
    let mut new = old.clone();
    old["status"] = before;
    new["status"] = now;
    said(&JobStrategy.validate_status_update(&new, &old))
}

fn plain(before: Value, now: Value) -> Vec<String> {
    refused(&[], before, now)
}

fn indexed(before: Value, now: Value) -> Vec<String> {
    let spec = [
        ("/spec/completionMode", json!("Indexed")),
        ("/spec/completions", json!(5)),
        ("/spec/backoffLimitPerIndex", json!(1)),
    ];
    refused(&spec, before, now)
}

const NONE: [&str; 0] = [];

#[test]
fn a_job_goes_from_its_start_to_its_end() {
    let running = json!({ "startTime": NOON, "active": 1, "ready": 1 });
    assert_eq!(plain(json!({}), running.clone()), NONE);
    let done = json!({
        "startTime": NOON, "completionTime": "2025-06-01T12:01:00Z", "succeeded": 1,
        "conditions": conditions(&["SuccessCriteriaMet", "Complete"]),
    });
    assert_eq!(plain(running.clone(), done.clone()), NONE);
    let failed = json!({ "startTime": NOON, "failed": 7, "conditions": conditions(&["FailureTarget", "Failed"]) });
    assert_eq!(plain(running, failed), NONE);
    // What has ended does not run again.
    let back = plain(done.clone(), json!({ "startTime": NOON, "active": 1, "succeeded": 1 }));
    assert_eq!(
        back,
        [
            "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ]
    );
    let later = with(&done, &[("/completionTime", json!("2025-06-01T12:02:00Z"))]);
    let expected =
        "status.completionTime: Invalid value: 2025-06-01 12:02:00 +0000 UTC: completionTime cannot be mutated";
    assert_eq!(plain(done, later), [expected]);
}

#[test]
fn an_end_is_told_whole() {
    for (status, expected) in [
        (
            json!({ "conditions": conditions(&["Complete"]) }),
            vec![
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            json!({ "startTime": NOON, "completionTime": NOON }),
            vec![
                "status.completionTime: Invalid value: 2025-06-01 12:00:00 +0000 UTC: cannot set completionTime when there \
                 is no Complete=True condition",
            ],
        ),
        (
            json!({ "startTime": NOON, "completionTime": "2025-06-01T11:00:00Z",
                    "conditions": conditions(&["Complete"]) }),
            vec![
                "status.completionTime: Invalid value: 2025-06-01 11:00:00 +0000 UTC: completionTime cannot be set before \
                 startTime",
            ],
        ),
        (
            json!({ "startTime": NOON, "active": 1, "uncountedTerminatedPods": { "succeeded": ["a"] },
                    "conditions": conditions(&["FailureTarget", "Failed"]) }),
            vec![
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                "status.uncountedTerminatedPods: Invalid value: batch.UncountedTerminatedPods{Succeeded:[]types.UID{\"a\"}, \
                 Failed:[]types.UID(nil)}: uncountedTerminatedPods needs to be empty for finished job",
            ],
        ),
        (
            json!({ "startTime": NOON, "completionTime": NOON,
                    "conditions": conditions(&["Complete", "Failed", "FailureTarget"]) }),
            vec![
                "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
                "status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions",
            ],
        ),
        (
            json!({ "startTime": NOON, "conditions": conditions(&["SuccessCriteriaMet", "Failed", "FailureTarget"]) }),
            vec![
                "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions",
                "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
            ],
        ),
    ] {
        assert_eq!(plain(json!({}), status.clone()), expected, "{status}");
    }
}

#[test]
fn what_was_wrong_before_keeps_nobody() {
    let odd = json!({ "conditions": conditions(&["Complete"]) });
    assert_eq!(plain(odd.clone(), with(&odd, &[("/ready", json!(1))])), NONE);
}

#[test]
fn counters_do_not_go_back() {
    let said = plain(json!({ "failed": 2, "succeeded": 2 }), json!({ "failed": 1, "succeeded": 1, "active": -1 }));
    let expected = [
        "status.active: Invalid value: -1: must be greater than or equal to 0",
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
        "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
    ];
    assert_eq!(said, expected);
    // An indexed job that shrinks forgets what succeeded beyond its end.
    let elastic =
        [("/spec/completionMode", json!("Indexed")), ("/spec/completions", json!(1)), ("/spec/parallelism", json!(1))];
    assert_eq!(refused(&elastic, json!({ "succeeded": 2 }), json!({ "succeeded": 1 })), NONE);
}

#[test]
fn a_start_stays_unless_the_job_is_suspended() {
    let words = "status.startTime: Required value: startTime cannot be removed for unsuspended job";
    assert_eq!(plain(json!({ "startTime": NOON }), json!({})), [words]);
    let suspended = [("/spec/suspend", json!(true))];
    assert_eq!(refused(&suspended, json!({ "startTime": NOON }), json!({})), NONE);
}

#[test]
fn a_pod_is_counted_once() {
    let pods = json!({ "succeeded": ["a", "b", ""], "failed": ["b"] });
    let expected = [
        "status.uncountedTerminatedPods.succeeded[2]: Invalid value: \"\": must not be empty",
        "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"b\"",
    ];
    assert_eq!(plain(json!({}), json!({ "uncountedTerminatedPods": pods })), expected);
}

#[test]
fn indexes_are_those_of_the_job() {
    assert_eq!(indexed(json!({}), json!({ "completedIndexes": "0,2-3", "failedIndexes": "1" })), NONE);
    for (status, expected) in [
        (
            json!({ "completedIndexes": "9" }),
            "status.completedIndexes: Invalid value: \"9\": error parsing completedIndexes: too large index: \"9\"",
        ),
        (
            json!({ "failedIndexes": "1,0" }),
            "status.failedIndexes: Invalid value: \"1,0\": error parsing failedIndexes: non-increasing order, previous: 1, \
             current: 0",
        ),
        (
            json!({ "completedIndexes": "0-2,4", "failedIndexes": "2-3" }),
            "status.failedIndexes: Invalid value: \"2-3\": failedIndexes and completedIndexes overlap at index: 2",
        ),
    ] {
        assert_eq!(indexed(json!({}), status.clone()), [expected], "{status}");
    }
    let expected = [
        "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion \
         mode",
        "status.failedIndexes: Invalid value: \"\": cannot set non-null failedIndexes when backoffLimitPerIndex is null",
    ];
    assert_eq!(plain(json!({}), json!({ "completedIndexes": "0", "failedIndexes": "" })), expected);
}

#[test]
fn success_by_policy_is_told_first() {
    let spec = [
        ("/spec/completionMode", json!("Indexed")),
        ("/spec/completions", json!(5)),
        ("/spec/successPolicy", json!({ "rules": [{ "succeededCount": 1 }] })),
    ];
    let done = |kinds: &[&str]| json!({ "startTime": NOON, "completionTime": NOON, "conditions": conditions(kinds) });
    let words = "status.conditions: Invalid value: cannot set Complete=True for Job with SuccessPolicy unless \
                 SuccessCriteriaMet=True";
    assert_eq!(refused(&spec, json!({}), done(&["Complete"])), [words]);
    assert_eq!(refused(&spec, json!({}), done(&["SuccessCriteriaMet", "Complete"])), NONE);
    let late = plain(done(&["Complete"]), done(&["Complete", "SuccessCriteriaMet"]));
    let words = "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True for Job already has Complete=true \
                 conditions";
    assert_eq!(late, [words]);
}
