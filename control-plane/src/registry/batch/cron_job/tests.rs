use serde_json::{Value, json};

use super::*;
use crate::registry::cases::{self, created, said, updated, with};

fn cron() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "hello", "namespace": "default" },
        "spec": {
            "schedule": "*/5 * * * *",
            "jobTemplate": { "spec": { "template": { "spec": {
                "restartPolicy": "OnFailure", "containers": [{ "name": "c", "image": "hello:1" }],
            } } } },
        },
    })
}

fn refused_create(changes: &[(&str, Value)]) -> Vec<String> {
    said(&CronJobStrategy.validate_create(&created(&CronJobStrategy, &with(&cron(), changes))))
}

#[test]
fn a_cron_job_gets_the_defaults_of_upstream() {
    let mut spec = created(&CronJobStrategy, &cron())["spec"].take();
    let job = spec["jobTemplate"].take()["spec"].take();
    let expected = json!({
        "schedule": "*/5 * * * *", "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1, "jobTemplate": null,
    });
    assert_eq!(spec, expected);
    // What jobs get is left to them; pods are filled.
    assert_eq!(job.get("parallelism"), None);
    assert_eq!(job["template"]["spec"]["dnsPolicy"], "ClusterFirst");
}

#[test]
fn what_is_wrong_is_told_in_words_of_upstream() {
    let selector = json!({ "matchLabels": { "a": "b" } });
    for (changes, expected) in [
        (vec![], vec![]),
        (vec![("/spec/schedule", json!(""))], vec!["spec.schedule: Required value"]),
        (
            vec![("/spec/schedule", json!("61 * * * *"))],
            vec!["spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61"],
        ),
        (
            vec![("/spec/startingDeadlineSeconds", json!(-1))],
            vec!["spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            vec![("/spec/concurrencyPolicy", json!("Never"))],
            vec![
                "spec.concurrencyPolicy: Unsupported value: \"Never\": supported values: \"Allow\", \"Forbid\", \
                 \"Replace\"",
            ],
        ),
        (
            vec![("/spec/successfulJobsHistoryLimit", json!(-1)), ("/spec/failedJobsHistoryLimit", json!(-2))],
            vec![
                "spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.failedJobsHistoryLimit: Invalid value: -2: must be greater than or equal to 0",
            ],
        ),
        (
            vec![("/spec/jobTemplate/spec/selector", selector), ("/spec/jobTemplate/spec/manualSelector", json!(true))],
            vec![
                "spec.jobTemplate.spec.selector: Invalid value: \
                 v1.LabelSelector{MatchLabels:map[string]string{\"a\":\"b\"}, \
                 MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: `selector` will be auto-generated",
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ],
        ),
        (
            vec![("/spec/jobTemplate/spec/template/spec/restartPolicy", Value::Null)],
            vec![
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \
                 \"Never\"",
            ],
        ),
    ] {
        assert_eq!(cases::refused(&CronJobStrategy, &with(&cron(), &changes)), expected, "{changes:?}");
    }
}

#[test]
fn a_time_zone_is_one_of_the_database() {
    let zone = |name: &str| refused_create(&[("/spec/timeZone", json!(name))]);
    let unknown = |name: &str| vec![format!("spec.timeZone: Invalid value: \"{name}\": unknown time zone {name}")];
    for name in ["Europe/Berlin", "Etc/GMT+5", "UTC", "America/Argentina/Buenos_Aires"] {
        assert_eq!(zone(name), Vec::<String>::new(), "{name}");
    }
    for name in ["Europe/Pariss", "europe/berlin", "/UTC", "UTC/", "..", "-x", "a b"] {
        assert_eq!(zone(name), unknown(name), "{name}");
    }
    assert_eq!(zone(""), ["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"]);
    let explicit = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    assert_eq!(zone("Local"), [format!("spec.timeZone: Invalid value: \"Local\": {explicit}")]);
    let local = [format!("spec.timeZone: Invalid value: \"local\": {explicit}"), unknown("local").remove(0)];
    assert_eq!(zone("local"), local);
}

#[test]
fn a_schedule_of_old_may_keep_its_zone() {
    let schedule = ("/spec/schedule", json!("CRON_TZ=UTC 0 * * * *"));
    let said_of = |words: &str| format!("spec.schedule: Invalid value: \"CRON_TZ=UTC 0 * * * *\": {words}");
    let apart = said_of("cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    assert_eq!(refused_create(std::slice::from_ref(&schedule)), [apart.as_str()]);
    let old = with(&cron(), std::slice::from_ref(&schedule));
    assert_eq!(cases::refused_update(&CronJobStrategy, &old, &cron()), [apart]);
    assert_eq!(cases::refused_update(&CronJobStrategy, &old, &old), Vec::<String>::new());
    let both = with(&old, &[("/spec/timeZone", json!("UTC"))]);
    let expected = said_of("cannot use both timeZone field and TZ or CRON_TZ in schedule");
    assert_eq!(cases::refused_update(&CronJobStrategy, &both, &old), [expected]);
    let warning = "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
                   https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
    assert_eq!(CronJobStrategy.warnings(&old), [warning]);
}

#[test]
fn a_zone_that_is_gone_keeps_nobody() {
    let old = created(&CronJobStrategy, &with(&cron(), &[("/spec/timeZone", json!("Mars/Base"))]));
    let suspended = updated(&CronJobStrategy, &with(&old, &[("/spec/suspend", json!(true))]), &old);
    assert!(CronJobStrategy.validate_update(&suspended, &old).is_empty());
}

#[test]
fn a_name_leaves_room_for_those_of_jobs() {
    let name = |length: usize| refused_create(&[("/metadata/name", json!("c".repeat(length)))]);
    assert_eq!(name(52), Vec::<String>::new());
    let words = "must be no more than 52 characters";
    assert_eq!(name(53), [format!("metadata.name: Invalid value: \"{}\": {words}", "c".repeat(53))]);
}
