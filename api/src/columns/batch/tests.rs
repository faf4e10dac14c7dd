use serde_json::{Value, json};

use crate::{
    columns::tests::{cells_of, check, headings},
    kinds,
};

#[test]
fn the_headings_are_those_of_upstream() {
    let wide = "Age | (Containers) | (Images) | (Selector)";
    assert_eq!(headings("Job"), format!("Name | Status | Completions | Duration | {wide}"));
    let cron = format!("Name | Schedule | Timezone | Suspend | Active | Last Schedule | {wide}");
    assert_eq!(headings("CronJob"), cron);
    let kind = kinds::by_plural("batch", "v1", "cronjobs").unwrap();
    let types: Vec<&str> = kind.columns[..7].iter().map(|column| column.kind).collect();
    assert_eq!(types, ["string", "string", "string", "boolean", "integer", "string", "string"]);
}

fn job(spec: &Value, status: &Value) -> Value {
    let mut spec = spec.clone();
    spec["template"] = json!({ "spec": { "containers": [{ "name": "a", "image": "img:1" }] } });
    spec["selector"] = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } });
    json!({ "metadata": { "name": "j", "creationTimestamp": "2025-06-01T11:59:00Z" }, "spec": spec, "status": status })
}

#[test]
fn a_job_shows_how_far_it_is() {
    let done = json!({
        "succeeded": 2, "startTime": "2025-06-01T11:59:05Z", "completionTime": "2025-06-01T11:59:35Z",
        "conditions": [{ "type": "SuccessCriteriaMet", "status": "True" }, { "type": "Complete", "status": "True" }],
    });
    let wide = ["a", "img:1", "batch.kubernetes.io/controller-uid=u"];
    let expected = ["j", "Complete", "2/2", "30s", "60s"];
    check("batch", "jobs", &job(&json!({ "completions": 2 }), &done), &[&expected[..], &wide[..]].concat());

    let fresh = cells_of("batch", "jobs", &job(&json!({ "completions": 1 }), &json!({})));
    assert_eq!(fresh[1..4], ["Running", "0/1", ""]);
    let running = json!({ "startTime": "2025-06-01T11:57:57Z" });
    assert_eq!(cells_of("batch", "jobs", &job(&json!({ "completions": 1 }), &running))[3], "2m3s");
    for (parallelism, expected) in [(1, "3/1"), (4, "3/1 of 4")] {
        let job = job(&json!({ "parallelism": parallelism }), &json!({ "succeeded": 3 }));
        assert_eq!(cells_of("batch", "jobs", &job)[2], expected);
    }
}

#[test]
fn the_word_for_a_job_is_what_matters_most() {
    let status = |conditions: &[(&str, &str)], deleted: bool| {
        let conditions: Vec<Value> =
            conditions.iter().map(|(kind, is)| json!({ "type": kind, "status": is })).collect();
        let mut job = job(&json!({}), &json!({ "conditions": conditions }));
        if deleted {
            job["metadata"]["deletionTimestamp"] = "2025-06-01T11:59:30Z".into();
        }
        cells_of("batch", "jobs", &job)[1].clone()
    };
    assert_eq!(status(&[("Suspended", "True")], false), "Suspended");
    assert_eq!(status(&[("Suspended", "False")], false), "Running");
    assert_eq!(status(&[("Suspended", "True")], true), "Terminating");
    assert_eq!(status(&[("Suspended", "True"), ("FailureTarget", "True")], false), "Suspended");
    assert_eq!(status(&[("FailureTarget", "True")], false), "FailureTarget");
    assert_eq!(status(&[("FailureTarget", "True"), ("Failed", "True")], true), "Failed");
    // Of two conditions of a type, the first counts.
    assert_eq!(status(&[("Failed", "False"), ("Failed", "True")], false), "Running");
}

#[test]
fn a_cron_job_shows_its_schedule() {
    let template = json!({ "spec": { "containers": [{ "name": "a", "image": "img:1" }] } });
    let cron = json!({
        "metadata": { "name": "c", "creationTimestamp": "2025-06-01T11:00:00Z" },
        "spec": {
            "schedule": "*/5 * * * *", "timeZone": "Europe/Berlin", "suspend": true,
            "jobTemplate": { "spec": { "template": template } },
        },
        "status": { "active": [{ "name": "c-1" }, { "name": "c-2" }], "lastScheduleTime": "2025-06-01T11:57:57Z" },
    });
    let expected = ["c", "*/5 * * * *", "Europe/Berlin", "True", "2", "2m3s", "60m", "a", "img:1", "<none>"];
    check("batch", "cronjobs", &cron, &expected);
    let fresh = json!({ "spec": { "schedule": "@daily", "suspend": false } });
    assert_eq!(cells_of("batch", "cronjobs", &fresh)[1..6], ["@daily", "<none>", "False", "0", "<none>"]);
    assert_eq!(cells_of("batch", "cronjobs", &json!({}))[3], "<unset>");
}
