//! Deletion: grace, finalizers, propagation, preconditions, collections.

use serde_json::{Value, json};

use super::bed::{
    Bed, CONFIG_MAPS, DEPLOYMENTS, MERGE_PATCH, PODS, SERVICES, config_map, deployment, pod, rv, service, text,
};

#[tokio::test]
async fn what_nothing_holds_is_gone_at_once() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let answer = bed.delete(&format!("{DEPLOYMENTS}/web")).await.ok();
    assert_eq!((text(&answer, "/kind"), text(&answer, "/status")), ("Status", "Success"));
    let uid = text(&created, "/metadata/uid");
    assert_eq!(answer["details"], json!({ "name": "web", "group": "apps", "kind": "deployments", "uid": uid }));
    let again = bed.delete(&format!("{DEPLOYMENTS}/web")).await.failed(404, "NotFound");
    assert_eq!(again, "deployments.apps \"web\" not found");
    // Some kinds answer with what is gone.
    bed.post(SERVICES, service("web")).await.created();
    assert_eq!(text(&bed.delete(&format!("{SERVICES}/web")).await.ok(), "/kind"), "Service");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_one_is_taken() {
    let bed = Bed::start().await;
    let mut map = config_map("a");
    map["metadata"]["finalizers"] = json!(["example.com/one", "example.com/two"]);
    bed.post(CONFIG_MAPS, map).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let marked = bed.delete(&path).await.ok();
    assert_eq!(text(&marked, "/kind"), "ConfigMap");
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(bed.delete(&path).await.ok(), marked, "a second deletion changes nothing");

    let finalizers = |list: Value| json!({ "metadata": { "finalizers": list } });
    let new = bed.patch(&path, MERGE_PATCH, finalizers(json!(["example.com/one", "example.com/new"]))).await;
    assert!(new.failed(422, "Invalid").contains("no new finalizers can be added if the object is being deleted"));
    let one = bed.patch(&path, MERGE_PATCH, finalizers(json!(["example.com/one"]))).await.ok();
    assert_eq!(one["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"]);
    bed.get(&path).await.ok();
    bed.patch(&path, MERGE_PATCH, finalizers(Value::Null)).await.ok();
    bed.get(&path).await.failed(404, "NotFound");
}

#[tokio::test]
async fn a_mark_counts_as_a_generation_once() {
    let bed = Bed::start().await;
    let mut object = deployment("web");
    object["metadata"]["finalizers"] = json!(["example.com/one"]);
    bed.post(DEPLOYMENTS, object).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    assert_eq!(bed.delete(&path).await.ok()["metadata"]["generation"], 2);
    assert_eq!(bed.delete(&path).await.ok()["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_becomes_of_dependents_is_said_with_finalizers() {
    let bed = Bed::start().await;
    let cases = [
        (json!({ "propagationPolicy": "Foreground" }), "", Some("foregroundDeletion")),
        (json!({ "propagationPolicy": "Orphan" }), "", Some("orphan")),
        (json!({ "orphanDependents": true }), "", Some("orphan")),
        (Value::Null, "?propagationPolicy=Foreground", Some("foregroundDeletion")),
        (Value::Null, "?orphanDependents=true", Some("orphan")),
        (json!({ "propagationPolicy": "Background" }), "", None),
        (json!({ "orphanDependents": false }), "", None),
        (Value::Null, "", None),
    ];
    for (number, (options, query, finalizer)) in cases.into_iter().enumerate() {
        let name = format!("a{number}");
        bed.post(CONFIG_MAPS, config_map(&name)).await.created();
        let path = format!("{CONFIG_MAPS}/{name}{query}");
        let answer = match options {
            Value::Null => bed.delete(&path).await.ok(),
            options => bed.delete_with(&path, options).await.ok(),
        };
        match finalizer {
            Some(finalizer) => assert_eq!(answer["metadata"]["finalizers"], json!([finalizer])),
            None => assert_eq!(text(&answer, "/status"), "Success"),
        }
    }
    let both = json!({ "orphanDependents": true, "propagationPolicy": "Orphan" });
    let refused = bed.delete_with(&format!("{CONFIG_MAPS}/a0"), both).await.failed(422, "Invalid");
    assert!(refused.ends_with("orphanDependents and deletionPropagation cannot be both set"), "{refused}");
    let odd = bed.delete_with(&format!("{CONFIG_MAPS}/a0"), json!({ "propagationPolicy": "Sideways" })).await;
    let odd = odd.failed(422, "Invalid");
    assert!(
        odd.starts_with("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value"),
        "{odd}"
    );
}

#[tokio::test]
async fn the_old_way_to_cascade_answers_that_it_goes_on() {
    let bed = Bed::start().await;
    let mut map = config_map("a");
    map["metadata"]["finalizers"] = json!(["example.com/one"]);
    bed.post(CONFIG_MAPS, map).await.created();
    let answer = bed.delete_with(&format!("{CONFIG_MAPS}/a"), json!({ "orphanDependents": false })).await;
    assert_eq!(answer.code, 202);
}

#[tokio::test]
async fn events_have_no_dependents_to_wait_for() {
    let bed = Bed::start().await;
    let event = json!({ "metadata": { "name": "e" }, "involvedObject": { "namespace": "default" } });
    let events = "/api/v1/namespaces/default/events";
    bed.post(events, event).await.created();
    bed.delete_with(&format!("{events}/e"), json!({ "propagationPolicy": "Foreground" })).await.ok();
    bed.get(&format!("{events}/e")).await.failed(404, "NotFound");
}

#[tokio::test]
async fn preconditions_hold_or_nothing_happens() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let uid = text(&created, "/metadata/uid").to_owned();
    let other = bed.delete_with(&path, json!({ "preconditions": { "uid": "another" } })).await;
    assert_eq!(
        other.failed(409, "Conflict"),
        format!(
            "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (another) does not match \
             the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    let stale = bed.delete_with(&path, json!({ "preconditions": { "resourceVersion": "1" } })).await;
    assert!(stale.failed(409, "Conflict").ends_with("The object might have been modified"));
    let right = json!({ "preconditions": { "uid": uid, "resourceVersion": rv(&created).to_string() } });
    bed.delete_with(&path, right).await.ok();
}

async fn running_pod(bed: &Bed, name: &str) -> Value {
    let mut running = pod(name);
    running["spec"]["nodeName"] = "n1".into();
    bed.post(PODS, running).await.created()
}

#[tokio::test]
async fn a_running_pod_gets_its_grace_and_later_only_less_of_it() {
    let bed = Bed::start().await;
    running_pod(&bed, "a").await;
    let path = format!("{PODS}/a");
    let marked = bed.delete(&path).await.ok();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let ends = |pod: &Value| text(pod, "/metadata/deletionTimestamp").parse::<jiff::Timestamp>().unwrap();
    assert!(ends(&marked) > jiff::Timestamp::now());
    let longer = bed.delete_with(&path, json!({ "gracePeriodSeconds": 60 })).await.ok();
    assert_eq!(longer, marked);
    let shorter = bed.delete_with(&path, json!({ "gracePeriodSeconds": 5 })).await.ok();
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(ends(&marked).duration_since(ends(&shorter)).as_secs(), 25);
    assert_eq!(shorter["metadata"]["generation"], marked["metadata"]["generation"]);
    let last = bed.delete_with(&path, json!({ "gracePeriodSeconds": 0 })).await.ok();
    assert_eq!(text(&last, "/kind"), "Pod");
    bed.get(&path).await.failed(404, "NotFound");
}

#[tokio::test]
async fn a_pod_that_does_not_run_needs_no_grace() {
    let bed = Bed::start().await;
    bed.post(PODS, pod("waiting")).await.created();
    bed.delete(&format!("{PODS}/waiting")).await.ok();
    bed.get(&format!("{PODS}/waiting")).await.failed(404, "NotFound");
    running_pod(&bed, "done").await;
    let status = json!({ "status": { "phase": "Succeeded" } });
    bed.patch(&format!("{PODS}/done/status"), MERGE_PATCH, status).await.ok();
    bed.delete(&format!("{PODS}/done")).await.ok();
    bed.get(&format!("{PODS}/done")).await.failed(404, "NotFound");
}

#[tokio::test]
async fn a_dry_run_deletes_nothing_wherever_it_is_asked_for() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(text(&bed.delete_with(&path, json!({ "dryRun": ["All"] })).await.ok(), "/status"), "Success");
    bed.delete(&format!("{path}?dryRun=All")).await.ok();
    bed.delete_with(&format!("{path}?dryRun=All"), json!({ "propagationPolicy": "Orphan" })).await.ok();
    bed.delete(&format!("{CONFIG_MAPS}?dryRun=All")).await.ok();
    assert_eq!(bed.get(&path).await.ok(), created);
}

#[tokio::test]
async fn a_namespace_terminates_until_it_is_finalised() {
    let bed = Bed::start().await;
    bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "a" } })).await.created();
    let path = "/api/v1/namespaces/a";
    let marked = bed.delete(path).await.ok();
    assert_eq!((text(&marked, "/kind"), text(&marked, "/status/phase")), ("Namespace", "Terminating"));
    assert_eq!(bed.delete(path).await.ok(), marked);
    let mut emptied = marked;
    emptied["spec"]["finalizers"] = json!([]);
    // Only its own path changes them.
    assert_eq!(bed.put(path, emptied.clone()).await.ok()["spec"]["finalizers"], json!(["kubernetes"]));
    bed.put(&format!("{path}/finalize"), emptied).await.ok();
    bed.get(path).await.failed(404, "NotFound");

    let refused = bed.delete("/api/v1/namespaces/default").await.failed(403, "Forbidden");
    assert_eq!(refused, "namespaces \"default\" is forbidden: this namespace may not be deleted");
    bed.delete("/api/v1/namespaces").await.failed(405, "MethodNotAllowed");
}

#[tokio::test]
async fn a_collection_goes_as_far_as_it_is_chosen() {
    let bed = Bed::start().await;
    for (name, tier) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({ "tier": tier });
        bed.post(CONFIG_MAPS, map).await.created();
    }
    bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "other" } })).await.created();
    bed.post("/api/v1/namespaces/other/configmaps", config_map("a")).await.created();
    let listed = bed.delete(&format!("{CONFIG_MAPS}?labelSelector=tier%3Dx")).await.ok();
    assert_eq!((text(&listed, "/kind"), listed["items"].as_array().unwrap().len()), ("ConfigMapList", 2));
    let left = bed.get("/api/v1/configmaps").await.ok();
    let left: Vec<_> = left["items"].as_array().unwrap().iter().map(|item| text(item, "/metadata/name")).collect();
    assert_eq!(left, ["b", "a"]);
    bed.delete_with(CONFIG_MAPS, json!({ "propagationPolicy": "Orphan" })).await.ok();
    let held = bed.get(&format!("{CONFIG_MAPS}/b")).await.ok();
    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    bed.delete("/api/v1/configmaps").await.failed(405, "MethodNotAllowed");
}

#[tokio::test]
async fn options_must_be_options() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let refused = bed.delete_with(&format!("{CONFIG_MAPS}/a"), config_map("a")).await.failed(400, "BadRequest");
    assert_eq!(refused, "decoded object cannot be converted to DeleteOptions");
    let wrong = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": "soon" });
    bed.delete_with(&format!("{CONFIG_MAPS}/a"), wrong).await.failed(400, "BadRequest");
    bed.get(&format!("{CONFIG_MAPS}/a")).await.ok();
}
