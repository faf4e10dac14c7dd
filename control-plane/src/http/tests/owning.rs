//! Who owns the fields of objects that are written in other ways than by applying.

use http::{Method, header};
use serde_json::{Value, json};

use super::bed::{
    Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, JSON_PATCH, MERGE_PATCH, PODS, STRATEGIC, config_map, deployment, pod, rv, text,
};

fn owner<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let owners = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    owners.iter().find(|owner| owner["manager"] == manager).unwrap_or(&Value::Null)
}

fn managers(object: &Value) -> Vec<&str> {
    let owners = object["metadata"]["managedFields"].as_array().map_or(&[][..], Vec::as_slice);
    owners.iter().map(|owner| text(owner, "/manager")).collect()
}

#[tokio::test]
async fn every_writer_owns_what_it_changes() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let ask = Ask::new(Method::POST, CONFIG_MAPS).body(&config_map("a"));
    let made = bed.send(ask.header(header::USER_AGENT, "kubectl/v1.33.0 (linux/amd64)")).await.created();
    let own = owner(&made, "kubectl");
    assert_eq!((text(own, "/operation"), text(own, "/apiVersion")), ("Update", "v1"));
    assert_eq!(own["fieldsV1"], json!({ "f:data": { ".": {}, "f:a": {} } }));
    assert!(text(own, "/time").ends_with('Z'));
    let merge = json!({ "metadata": { "labels": { "x": "y" } } });
    bed.patch(&format!("{path}?fieldManager=merge"), MERGE_PATCH, merge).await.ok();
    let steps = json!([{ "op": "add", "path": "/data/b", "value": "2" }]);
    bed.patch(&format!("{path}?fieldManager=json"), JSON_PATCH, steps).await.ok();
    let strategic = json!({ "data": { "c": "3" } });
    let last = bed.patch(&format!("{path}?fieldManager=strategic"), STRATEGIC, strategic).await.ok();
    assert_eq!(owner(&last, "merge")["fieldsV1"], json!({ "f:metadata": { "f:labels": { ".": {}, "f:x": {} } } }));
    assert_eq!(owner(&last, "json")["fieldsV1"], json!({ "f:data": { "f:b": {} } }));
    assert_eq!(owner(&last, "strategic")["fieldsV1"], json!({ "f:data": { "f:c": {} } }));
    let mut replaced = config_map("a");
    replaced["data"] = json!({ "b": "9" });
    let replaced = bed.put(&format!("{path}?fieldManager=put"), replaced).await.ok();
    assert_eq!(managers(&replaced), ["kubectl", "put"]);
    assert_eq!(owner(&replaced, "kubectl")["fieldsV1"], json!({ "f:data": {} }));
}

#[tokio::test]
async fn a_write_that_changes_nothing_changes_no_owner() {
    let bed = Bed::start().await;
    let made = bed.post(&format!("{DEPLOYMENTS}?fieldManager=a"), deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    assert_eq!(bed.put(&format!("{path}?fieldManager=b"), made.clone()).await.ok(), made);
    let mut without = made.clone();
    without["metadata"].as_object_mut().unwrap().remove("managedFields");
    assert_eq!(bed.put(&format!("{path}?fieldManager=b"), without).await.ok(), made);
    let same = json!({ "spec": { "replicas": 1 }, "status": { "replicas": 9 } });
    assert_eq!(bed.patch(&format!("{path}?fieldManager=b"), MERGE_PATCH, same).await.ok(), made);
    let path_of_status = format!("{path}/status?fieldManager=b");
    let paused = json!({ "spec": { "paused": true } });
    assert_eq!(bed.patch(&path_of_status, MERGE_PATCH, paused).await.ok(), made);
    assert_eq!(bed.get(&path).await.ok(), made);
}

#[tokio::test]
async fn what_the_server_adds_belongs_to_nobody() {
    let bed = Bed::start().await;
    let made = bed.post(&format!("{PODS}?fieldManager=me"), pod("p")).await.created();
    let fields = &owner(&made, "me")["fieldsV1"];
    assert_eq!(fields.get("f:metadata"), None);
    assert_eq!(fields.get("f:status"), None);
    let spec = &fields["f:spec"];
    // Defaults are the writer's; what admission adds is not.
    assert_eq!(spec["f:restartPolicy"], json!({}));
    assert!(made["spec"]["tolerations"].is_array() && spec.get("f:tolerations").is_none());
    assert!(made["spec"]["serviceAccountName"].is_string() && spec.get("f:serviceAccountName").is_none());
    let service =
        bed.post("/api/v1/namespaces/default/services?fieldManager=me", super::bed::service("s")).await.created();
    assert!(service["spec"]["clusterIP"].is_string());
    assert_eq!(owner(&service, "me")["fieldsV1"]["f:spec"].get("f:clusterIP"), None);
}

#[tokio::test]
async fn a_binding_and_a_deletion_leave_owners_as_they_are() {
    let bed = Bed::start().await;
    let mut object = pod("p");
    object["metadata"]["finalizers"] = json!(["example.com/x"]);
    let made = bed.post(&format!("{PODS}?fieldManager=me"), object).await.created();
    let binding = json!({ "metadata": { "name": "p" }, "target": { "kind": "Node", "name": "n" } });
    bed.post(&format!("{PODS}/p/binding"), binding).await.created();
    bed.delete(&format!("{PODS}/p")).await.ok();
    let marked = bed.get(&format!("{PODS}/p")).await.ok();
    assert_eq!(text(&marked, "/spec/nodeName"), "n");
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());
    assert_eq!(marked["metadata"]["managedFields"], made["metadata"]["managedFields"]);
}

#[tokio::test]
async fn a_client_may_say_who_owns_what_and_forget_it() {
    let bed = Bed::start().await;
    let made = bed.post(&format!("{CONFIG_MAPS}?fieldManager=a"), config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    // As kubectl moves what it applied by itself before.
    let mut moved = made["metadata"]["managedFields"].clone();
    moved[0]["manager"] = "kubectl".into();
    moved[0]["operation"] = "Apply".into();
    let steps = json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": moved },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": rv(&made).to_string() },
    ]);
    let next = bed.patch(&path, JSON_PATCH, steps.clone()).await.ok();
    assert_eq!(next["metadata"]["managedFields"], moved);
    bed.patch(&path, JSON_PATCH, steps).await.failed(409, "Conflict");
    let unreadable = json!({ "metadata": { "managedFields": [{ "manager": "x", "operation": "Own" }] } });
    assert_eq!(bed.patch(&path, MERGE_PATCH, unreadable).await.ok(), next);
    let mut long = moved.clone();
    long[0]["manager"] = "x".repeat(129).into();
    let refused = bed.patch(&path, MERGE_PATCH, json!({ "metadata": { "managedFields": long } })).await;
    assert_eq!(
        refused.failed(422, "Invalid"),
        "ConfigMap \"a\" is invalid: metadata.managedFields[0].manager: Too long: may not be more than 128 bytes"
    );
    for nothing in [json!([]), json!([{}])] {
        let forgotten = bed.patch(&path, MERGE_PATCH, json!({ "metadata": { "managedFields": nothing } })).await.ok();
        assert_eq!(forgotten["metadata"].get("managedFields"), None);
    }
    let later = bed.patch(&path, MERGE_PATCH, json!({ "data": { "a": "5" } })).await.ok();
    assert_eq!(later["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn parts_of_this_process_own_under_their_names() {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, PostParams};

    let bed = Bed::start().await;
    let client = crate::http::in_process::client(&bed.api, "system:kube-scheduler");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let object = serde_json::from_value(config_map("a")).unwrap();
    maps.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(managers(&bed.get(&format!("{CONFIG_MAPS}/a")).await.ok()), ["kube-scheduler"]);
}

/// An event is stored in another form than it is written through its newer API.
#[tokio::test]
async fn fields_are_those_of_the_version_that_was_written() {
    let bed = Bed::start().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e", "namespace": "default" },
        "eventTime": "2025-01-01T00:00:00.000000Z", "reportingController": "example.com/x", "reportingInstance": "i",
        "action": "Test", "reason": "Testing", "type": "Normal", "note": "words",
        "regarding": { "kind": "Pod", "name": "p", "namespace": "default" },
    });
    let made = bed.post("/apis/events.k8s.io/v1/namespaces/default/events?fieldManager=me", event).await.created();
    let own = owner(&made, "me");
    assert_eq!(text(own, "/apiVersion"), "events.k8s.io/v1");
    assert_eq!(own["fieldsV1"]["f:note"], json!({}));
    let stored = bed.get("/api/v1/namespaces/default/events/e").await.ok();
    assert_eq!(owner(&stored, "me"), own);
}
