//! `eviction` and `ephemeralcontainers`.

use serde_json::{Value, json};

use super::bed::{Bed, PODS, STRATEGIC, pod, text};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// A pod that runs on a node.
async fn running(bed: &Bed, name: &str, ready: bool) -> Value {
    let mut object = pod(name);
    object["metadata"]["labels"] = json!({ "app": "web" });
    object["spec"]["nodeName"] = "n1".into();
    let mut made = bed.post(PODS, object).await.created();
    let status = if ready { "True" } else { "False" };
    made["status"] = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": status }] });
    bed.put(&format!("{PODS}/{name}/status"), made).await.ok()
}

async fn budget(bed: &Bed, name: &str, status: &Value) -> Value {
    let object = json!({ "metadata": { "name": name }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    let mut made = bed.post(BUDGETS, object).await.created();
    made["status"] = json!({ "observedGeneration": 1, "expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 1 });
    json_patch::merge(&mut made["status"], status);
    bed.put(&format!("{BUDGETS}/{name}/status"), made).await.ok()
}

fn eviction(name: &str) -> Value {
    json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": name, "namespace": "default" } })
}

fn path(name: &str) -> String {
    format!("{PODS}/{name}/eviction")
}

#[tokio::test]
async fn a_pod_without_a_budget_goes_and_says_why() {
    let bed = Bed::start().await;
    running(&bed, "web", true).await;
    let answer = bed.post(&path("web"), eviction("web")).await.created();
    assert_eq!((text(&answer, "/kind"), text(&answer, "/status"), &answer["code"]), ("Status", "Success", &json!(201)));
    let going = bed.get(&format!("{PODS}/web")).await.ok();
    assert!(!text(&going, "/metadata/deletionTimestamp").is_empty());
    let told = going["status"]["conditions"].as_array().unwrap().iter().find(|is| is["type"] == "DisruptionTarget");
    let told = told.expect("a condition");
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
    // Again, it only shortens what is left.
    bed.post(&path("web"), eviction("web")).await.created();
    bed.post(&path("none"), eviction("none")).await.failed(404, "NotFound");
    let other = bed.post(&path("web"), eviction("other")).await.failed(400, "BadRequest");
    assert_eq!(other, "name in URL does not match name in Eviction object");
}

#[tokio::test]
async fn a_budget_lets_pods_go_as_long_as_it_has_places() {
    let bed = Bed::start().await;
    running(&bed, "a", true).await;
    running(&bed, "b", true).await;
    budget(&bed, "web", &json!({ "disruptionsAllowed": 1 })).await;
    let mut dry = eviction("a");
    dry["deleteOptions"] = json!({ "dryRun": ["All"] });
    bed.post(&path("a"), dry).await.created();
    assert_eq!(bed.get(&format!("{BUDGETS}/web")).await.ok()["status"]["disruptionsAllowed"], 1);
    bed.post(&path("a"), eviction("a")).await.created();
    let status = bed.get(&format!("{BUDGETS}/web")).await.ok()["status"].clone();
    assert_eq!(status["disruptionsAllowed"], 0);
    assert!(status["disruptedPods"]["a"].is_string(), "{status}");
    assert_eq!(text(&status, "/conditions/0/reason"), "InsufficientPods");
    let answer = bed.post(&path("b"), eviction("b")).await;
    let causes = answer.body["details"]["causes"].clone();
    assert_eq!(answer.failed(429, "TooManyRequests"), REFUSED);
    assert_eq!(
        (text(&causes, "/0/reason"), text(&causes, "/0/message")),
        ("DisruptionBudget", "The disruption budget web needs 1 healthy pods and has 2 currently",)
    );
    assert!(text(&bed.get(&format!("{PODS}/b")).await.ok(), "/metadata/deletionTimestamp").is_empty());
}

#[tokio::test]
async fn a_budget_that_its_controller_has_not_seen_lets_nobody_go() {
    let bed = Bed::start().await;
    running(&bed, "a", true).await;
    budget(&bed, "web", &json!({ "disruptionsAllowed": 1, "observedGeneration": 0 })).await;
    let answer = bed.post(&path("a"), eviction("a")).await;
    let details = answer.body["details"].clone();
    assert_eq!(answer.failed(429, "TooManyRequests"), REFUSED);
    assert_eq!(details["retryAfterSeconds"], 10);
    let why = "The disruption budget web is still being processed by the server.";
    assert_eq!(text(&details, "/causes/0/message"), why);
    budget(&bed, "second", &json!({})).await;
    let two = bed.post(&path("a"), eviction("a")).await.failed(500, "");
    let words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!(two, words);
}

#[tokio::test]
async fn what_does_not_count_goes_without_a_place() {
    let bed = Bed::start().await;
    budget(&bed, "web", &json!({})).await;
    // Not ready, and there are enough others.
    running(&bed, "unready", false).await;
    bed.post(&path("unready"), eviction("unready")).await.created();
    // Pending.
    let mut waiting = pod("waiting");
    waiting["metadata"]["labels"] = json!({ "app": "web" });
    bed.post(PODS, waiting).await.created();
    bed.post(&path("waiting"), eviction("waiting")).await.created();
    bed.get(&format!("{PODS}/waiting")).await.failed(404, "NotFound");
    assert_eq!(bed.get(&format!("{BUDGETS}/web")).await.ok()["status"].get("disruptedPods"), None);
    // Too few others are well.
    running(&bed, "late", false).await;
    let status = json!({ "status": { "currentHealthy": 0 } });
    bed.patch(&format!("{BUDGETS}/web/status"), super::bed::MERGE_PATCH, status).await.ok();
    assert_eq!(bed.post(&path("late"), eviction("late")).await.failed(429, "TooManyRequests"), REFUSED);
    let always = json!({ "spec": { "unhealthyPodEvictionPolicy": "AlwaysAllow" } });
    bed.patch(&format!("{BUDGETS}/web"), super::bed::MERGE_PATCH, always).await.ok();
    bed.post(&path("late"), eviction("late")).await.created();
}

#[tokio::test]
async fn preconditions_of_an_eviction_hold() {
    let bed = Bed::start().await;
    let pod = running(&bed, "web", true).await;
    let with = |preconditions: Value| {
        let mut eviction = eviction("web");
        eviction["deleteOptions"] = json!({ "preconditions": preconditions });
        eviction
    };
    bed.post(&path("web"), with(json!({ "uid": "other" }))).await.failed(409, "Conflict");
    bed.post(&path("web"), with(json!({ "resourceVersion": "1" }))).await.failed(409, "Conflict");
    let exact = json!({ "uid": pod["metadata"]["uid"], "resourceVersion": pod["metadata"]["resourceVersion"] });
    bed.post(&path("web"), with(exact)).await.created();
}

#[tokio::test]
async fn discovery_says_that_evictions_are_of_another_group() {
    let bed = Bed::start().await;
    let list = bed.get("/api/v1").await.ok();
    let resources = list["resources"].as_array().unwrap();
    let eviction = resources.iter().find(|resource| resource["name"] == "pods/eviction").expect("a row");
    let expected = json!({ "name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy",
                           "version": "v1", "kind": "Eviction", "verbs": ["create"] });
    assert_eq!(*eviction, expected);
}

#[tokio::test]
async fn containers_that_look_into_a_pod_only_come() {
    let bed = Bed::start().await;
    let made = running(&bed, "web", true).await;
    let path = format!("{PODS}/web/ephemeralcontainers");
    let patch = |container: Value| json!({ "spec": { "ephemeralContainers": [container] } });
    let first = json!({ "name": "debug", "image": "shell", "targetContainerName": "c" });
    let patched = bed.patch(&path, STRATEGIC, patch(first)).await.ok();
    let expected = json!([{ "name": "debug", "image": "shell", "targetContainerName": "c", "imagePullPolicy": "Always",
        "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File" }]);
    assert_eq!(patched["spec"]["ephemeralContainers"], expected);
    assert_eq!(patched["metadata"]["generation"].as_i64(), made["metadata"]["generation"].as_i64().map(|had| had + 1));
    assert_eq!(bed.get(&path).await.ok(), patched);
    let second = bed.patch(&path, STRATEGIC, patch(json!({ "name": "more", "image": "shell:1" }))).await.ok();
    assert_eq!(second["spec"]["ephemeralContainers"].as_array().map(Vec::len), Some(2));

    let mut other = second.clone();
    other["spec"]["ephemeralContainers"][0]["image"] = "other".into();
    other["spec"]["nodeName"] = "elsewhere".into();
    let refused = bed.put(&path, other).await.failed(422, "Invalid");
    assert!(
        refused.contains("spec.ephemeralContainers: Forbidden: existing ephemeral containers \"more\" may not be")
            || refused
                .contains("spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be"),
        "{refused}"
    );
    for (container, expected) in [
        (json!({ "name": "c", "image": "i" }), "name: Duplicate value: \"c\""),
        (
            json!({ "name": "x", "image": "i", "targetContainerName": "none" }),
            "targetContainerName: Not found: \"none\"",
        ),
        (
            json!({ "name": "x", "image": "i", "ports": [{ "containerPort": 80 }] }),
            "ports: Forbidden: cannot be set for an Ephemeral Container",
        ),
    ] {
        let refused = bed.patch(&path, STRATEGIC, patch(container)).await.failed(422, "Invalid");
        assert!(refused.contains(expected), "{refused}");
    }
    // Not by way of the pod itself.
    let mut whole = second;
    whole["spec"]["ephemeralContainers"] = json!([]);
    let refused = bed.put(&format!("{PODS}/web"), whole).await.failed(422, "Invalid");
    assert!(refused.contains("pod updates may not change fields other than"), "{refused}");
}
