//! Workloads besides Deployments: what clients see of them that is their own.

use serde_json::{Value, json};

use super::bed::{Bed, STRATEGIC, text};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const CRON_JOBS: &str = "/apis/batch/v1/namespaces/default/cronjobs";
const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";
const STATEFUL_SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const PRESERVED: &str = "299 - \"child pods are preserved by default when jobs are deleted; set \
                         propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this \
                         warning\"";

fn template(policy: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "restartPolicy": policy, "containers": [{ "name": "c", "image": "web:1" }] },
    })
}

fn job(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "template": template("Never") } })
}

fn controller(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "template": template("Always") } })
}

#[tokio::test]
async fn a_job_is_known_by_its_uid() {
    let bed = Bed::start().await;
    let made = bed.post(JOBS, job("pi")).await;
    assert_eq!(made.warnings(), Vec::<String>::new());
    let made = made.created();
    let uid = text(&made, "/metadata/uid");
    let labels = json!({
        "app": "web", "batch.kubernetes.io/controller-uid": uid, "controller-uid": uid,
        "batch.kubernetes.io/job-name": "pi", "job-name": "pi",
    });
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(made["spec"]["selector"], json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } }));
    assert_eq!((&made["metadata"]["labels"], &made["metadata"]["generation"]), (&labels, &json!(1)));
    let found = bed.get(&format!("{JOBS}?labelSelector=batch.kubernetes.io%2Fjob-name%3Dpi")).await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let patch = json!({ "spec": { "suspend": true } });
    let suspended = bed.patch(&format!("{JOBS}/pi"), STRATEGIC, patch).await.ok();
    assert_eq!(suspended["metadata"]["generation"], 2);
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "web:2" }] } } } });
    let refused = bed.patch(&format!("{JOBS}/pi"), STRATEGIC, patch).await.failed(422, "Invalid");
    assert!(refused.starts_with("Job.batch \"pi\" is invalid: spec.template: Invalid value: "), "{refused}");
    assert!(refused.ends_with(": field is immutable"), "{refused}");
}

#[tokio::test]
async fn pods_of_a_job_stay_unless_the_client_says_otherwise() {
    let bed = Bed::start().await;
    for name in ["a", "b", "c", "d"] {
        bed.post(JOBS, job(name)).await.created();
    }
    let marked = bed.delete(&format!("{JOBS}/a")).await;
    assert_eq!(marked.warnings(), [PRESERVED]);
    assert_eq!(marked.ok()["metadata"]["finalizers"], json!(["orphan"]));
    let gone = bed.delete_with(&format!("{JOBS}/b"), json!({ "propagationPolicy": "Background" })).await;
    assert_eq!(gone.warnings(), Vec::<String>::new());
    assert_eq!(text(&gone.ok(), "/status"), "Success");
    let orphaned = bed.delete(&format!("{JOBS}/c?propagationPolicy=Orphan")).await;
    assert_eq!(orphaned.warnings(), Vec::<String>::new());
    assert_eq!(orphaned.ok()["metadata"]["finalizers"], json!(["orphan"]));
    let all = bed.delete(JOBS).await;
    assert_eq!(all.warnings(), [PRESERVED]);
    assert_eq!(bed.get(&format!("{JOBS}/d")).await.ok()["metadata"]["finalizers"], json!(["orphan"]));
    // A CronJob takes its jobs with it.
    let cron = json!({
        "metadata": { "name": "c" },
        "spec": { "schedule": "@daily", "jobTemplate": { "spec": { "template": template("Never") } } },
    });
    bed.post(CRON_JOBS, cron).await.created();
    let gone = bed.delete(&format!("{CRON_JOBS}/c")).await;
    assert_eq!(gone.warnings(), Vec::<String>::new());
    assert_eq!(text(&gone.ok(), "/status"), "Success");
}

#[tokio::test]
async fn pods_of_a_replication_controller_stay_without_a_word() {
    let bed = Bed::start().await;
    bed.post(CONTROLLERS, controller("web")).await.created();
    let marked = bed.delete(&format!("{CONTROLLERS}/web")).await;
    assert_eq!(marked.warnings(), Vec::<String>::new());
    assert_eq!(marked.ok()["metadata"]["finalizers"], json!(["orphan"]));
}

#[tokio::test]
async fn names_that_pods_cannot_have_are_warned_of_once() {
    let bed = Bed::start().await;
    let made = bed.post(JOBS, job("a.b")).await;
    let warning = "299 - \"metadata.name: this is used in Pod names and hostnames, which can result in surprising \
                   behavior; a DNS label is recommended: [must not contain dots]\"";
    assert_eq!(made.warnings(), [warning]);
    made.created();
    let patched = bed.patch(&format!("{JOBS}/a.b"), STRATEGIC, json!({ "spec": { "suspend": true } })).await;
    assert_eq!(patched.warnings(), Vec::<String>::new());
    patched.ok();
}

#[tokio::test]
async fn whatever_has_replicas_can_be_scaled() {
    let bed = Bed::start().await;
    bed.post(CONTROLLERS, controller("web")).await.created();
    let mut set = controller("web");
    set["spec"]["selector"] = json!({ "matchLabels": { "app": "web" } });
    bed.post(STATEFUL_SETS, set).await.created();
    for path in [format!("{CONTROLLERS}/web"), format!("{STATEFUL_SETS}/web")] {
        let mut scale = bed.get(&format!("{path}/scale")).await.ok();
        assert_eq!(scale["status"], json!({ "replicas": 0, "selector": "app=web" }));
        scale["spec"]["replicas"] = 3.into();
        bed.put(&format!("{path}/scale"), scale).await.ok();
        let object = bed.get(&path).await.ok();
        assert_eq!((&object["spec"]["replicas"], &object["metadata"]["generation"]), (&json!(3), &json!(2)), "{path}");
    }
}
