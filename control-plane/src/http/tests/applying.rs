//! Server-side apply, as its clients see it.

use std::collections::BTreeSet;

use http::{Method, header};
use serde_json::{Value, json};

use super::bed::{
    Answer, Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, MERGE_PATCH, PODS, collection, config_map, deployment, kind, pod, rv,
    text,
};
use crate::access::{Caller, MASTERS};

const APPLY: &str = "application/apply-patch+yaml";

async fn apply(bed: &Bed, path: &str, manager: &str, config: Value) -> Answer {
    let mark = if path.contains('?') { '&' } else { '?' };
    bed.patch(&format!("{path}{mark}fieldManager={manager}"), APPLY, config).await
}

fn data(data: Value) -> Value {
    let mut object = config_map("a");
    object["data"] = data;
    object
}

fn replicas(count: i64) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" }, "spec": { "replicas": count } })
}

fn scale(count: i64) -> Value {
    json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "web" }, "spec": { "replicas": count } })
}

/// Everything but the time of each owner.
fn owners(object: &Value) -> Value {
    let mut owners = object["metadata"]["managedFields"].clone();
    for owner in owners.as_array_mut().into_iter().flatten() {
        owner.as_object_mut().unwrap().remove("time");
    }
    owners
}

#[tokio::test]
async fn what_is_applied_is_made_and_then_changed() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let made = apply(&bed, &path, "me", data(json!({ "x": "1" }))).await.created();
    assert_eq!(
        owners(&made),
        json!([{ "manager": "me", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                 "fieldsV1": { "f:data": { "f:x": {} } } }])
    );
    assert_eq!(text(&made, "/metadata/namespace"), "default");
    let same = apply(&bed, &path, "me", data(json!({ "x": "1" }))).await.ok();
    assert_eq!(same, made);
    let next = apply(&bed, &path, "me", data(json!({ "y": "2" }))).await.ok();
    assert_eq!(next["data"], json!({ "y": "2" }));
    assert!(rv(&next) > rv(&made));
}

#[tokio::test]
async fn yaml_is_read_too() {
    let bed = Bed::start().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: \"1\"\n";
    let ask = Ask::new(Method::PATCH, &format!("{CONFIG_MAPS}/a?fieldManager=me"));
    let answer = bed.send(ask.raw_body(yaml).header(header::CONTENT_TYPE, APPLY)).await.created();
    assert_eq!(answer["data"], json!({ "x": "1" }));
}

#[tokio::test]
async fn a_dry_run_applies_nothing() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let dry = apply(&bed, &format!("{path}?dryRun=All"), "me", data(json!({ "x": "1" }))).await.created();
    assert_eq!(dry["data"], json!({ "x": "1" }));
    bed.get(&path).await.failed(404, "NotFound");
    let made = apply(&bed, &path, "me", data(json!({ "x": "1" }))).await.created();
    let dry = apply(&bed, &format!("{path}?dryRun=All"), "me", data(json!({ "x": "2" }))).await.ok();
    assert_eq!(dry["data"], json!({ "x": "2" }));
    assert_eq!(bed.get(&path).await.ok(), made);
}

#[tokio::test]
async fn who_applies_says_who_it_is() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let refused = async |query: &str, media_type: &str| {
        bed.patch(&format!("{path}?{query}"), media_type, data(json!({}))).await.failed(422, "Invalid")
    };
    assert_eq!(
        refused("", APPLY).await,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    assert_eq!(
        refused("force=true", MERGE_PATCH).await,
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
    assert_eq!(
        refused("fieldManager=a%09b", APPLY).await,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\tb\": invalid character U+0009 (at \
         position 1)"
    );
    assert_eq!(
        refused(&format!("fieldManager={}", "x".repeat(129)), APPLY).await,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes"
    );
    let cbor = bed.patch(&format!("{path}?fieldManager=me"), "application/apply-patch+cbor", json!({})).await;
    assert_eq!(
        cbor.failed(415, "UnsupportedMediaType"),
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
         application/apply-patch+yaml"
    );
}

#[tokio::test]
async fn what_others_own_is_a_conflict() {
    let bed = Bed::start().await;
    let client_side = format!("{DEPLOYMENTS}?fieldManager=kubectl-client-side-apply");
    let mut object = deployment("web");
    object["spec"]["replicas"] = 1.into();
    object["spec"]["paused"] = true.into();
    bed.post(&client_side, object).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let refused = apply(&bed, &path, "me", replicas(3)).await;
    assert_eq!(
        refused.body["details"],
        json!({ "causes": [{
            "reason": "FieldManagerConflict", "field": ".spec.replicas",
            "message": "conflict with \"kubectl-client-side-apply\" using apps/v1",
        }] })
    );
    assert_eq!(
        refused.failed(409, "Conflict"),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    let mut config = replicas(3);
    config["spec"]["paused"] = false.into();
    let refused = apply(&bed, &path, "me", config.clone()).await.failed(409, "Conflict");
    assert_eq!(
        refused,
        "Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.paused\n- \
         .spec.replicas"
    );
    let forced = apply(&bed, &format!("{path}?force=true"), "me", config).await.ok();
    assert_eq!(forced["spec"]["replicas"], 3);
    let former = owners(&forced)[1].clone();
    assert_eq!(former["manager"], "kubectl-client-side-apply");
    assert_eq!(former["fieldsV1"]["f:spec"].get("f:replicas"), None);
    let other = apply(&bed, &path, "other", replicas(5)).await.failed(409, "Conflict");
    assert_eq!(other, "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas");
}

#[tokio::test]
async fn what_is_no_configuration_of_the_kind_is_refused() {
    let bed = Bed::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    let mut owned = deployment("web");
    owned["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
    assert_eq!(apply(&bed, &path, "me", owned).await.failed(400, "BadRequest"), "metadata.managedFields must be nil");
    assert_eq!(
        apply(&bed, &path, "me", config_map("web")).await.failed(400, "BadRequest"),
        "invalid object type: /v1, Kind=ConfigMap"
    );
    let mut unknown = deployment("web");
    unknown["spec"]["replicaz"] = 1.into();
    assert_eq!(
        apply(&bed, &format!("{path}?fieldValidation=Ignore"), "me", unknown).await.failed(500, ""),
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.replicaz: field not declared in \
         schema"
    );
    assert_eq!(
        apply(&bed, &path, "me", deployment("other")).await.failed(400, "BadRequest"),
        "the name of the object (other) does not match the name on the URL (web)"
    );
    let mut elsewhere = deployment("web");
    elsewhere["metadata"]["namespace"] = "other".into();
    assert_eq!(
        apply(&bed, &path, "me", elsewhere).await.failed(400, "BadRequest"),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let nameless = json!({ "apiVersion": "apps/v1", "kind": "Deployment" });
    assert_eq!(
        apply(&bed, &path, "me", nameless).await.failed(400, "BadRequest"),
        "the name of the object (web based on URL) was undeterminable: name must be provided"
    );
    let invalid = apply(&bed, &path, "me", replicas(-1)).await.failed(422, "Invalid");
    assert!(invalid.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"), "{invalid}");
    for body in ["[]", "a: b: c", "{\"a\":"] {
        let ask = Ask::new(Method::PATCH, &format!("{path}?fieldManager=me")).raw_body(body);
        let refused = bed.send(ask.header(header::CONTENT_TYPE, APPLY)).await.failed(400, "BadRequest");
        assert!(refused.starts_with("error decoding patch: "), "{refused}");
    }
    bed.get(&path).await.failed(404, "NotFound");
}

#[tokio::test]
async fn fields_that_stand_twice_are_told_or_refused() {
    let bed = Bed::start().await;
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1","x":"2"}}"#;
    let send = async |validation: &str| {
        let path = format!("{CONFIG_MAPS}/a?fieldManager=me&dryRun=All&fieldValidation={validation}");
        bed.send(Ask::new(Method::PATCH, &path).raw_body(twice).header(header::CONTENT_TYPE, APPLY)).await
    };
    assert_eq!(
        send("Strict").await.failed(400, "BadRequest"),
        "error strict decoding patch: duplicate field \"data.x\""
    );
    let warned = send("Warn").await;
    assert!(warned.warnings()[0].contains("duplicate field"), "{:?}", warned.warnings());
    assert_eq!(warned.created()["data"], json!({ "x": "2" }));
    assert!(send("Ignore").await.warnings().is_empty());
}

#[tokio::test]
async fn uid_and_revision_are_conditions() {
    let bed = Bed::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut config = data(json!({ "x": "1" }));
    config["metadata"]["uid"] = "some".into();
    assert_eq!(
        apply(&bed, &path, "me", config.clone()).await.failed(409, "Conflict"),
        "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid some, and no \
         existing object was found"
    );
    let made = apply(&bed, &path, "me", data(json!({ "x": "1" }))).await.created();
    let refused = apply(&bed, &path, "me", config).await.failed(409, "Conflict");
    assert!(refused.contains("UID in precondition: some"), "{refused}");
    let at = |revision: u64, value: &str| {
        let mut config = data(json!({ "x": value }));
        config["metadata"]["resourceVersion"] = revision.to_string().into();
        config
    };
    let next = apply(&bed, &path, "me", at(rv(&made), "2")).await.ok();
    let stale = apply(&bed, &path, "me", at(rv(&made), "3")).await.failed(409, "Conflict");
    assert!(stale.contains("the object has been modified"), "{stale}");
    assert_eq!(bed.get(&path).await.ok(), next);
    assert_eq!(owners(&next)[0]["fieldsV1"], json!({ "f:data": { "f:x": {} } }));
}

#[tokio::test]
async fn who_may_patch_may_not_make() {
    let bed = Bed::start().await;
    let nobody = Caller::named("jane", vec!["system:authenticated".to_owned()]);
    let node = Caller::named("system:node:n1", vec!["system:nodes".to_owned(), "system:authenticated".to_owned()]);
    assert!(!nobody.is_in(MASTERS));
    let ask = |path: &str, config: &Value| {
        Ask::new(Method::PATCH, &format!("{path}?fieldManager=me")).body(config).header(header::CONTENT_TYPE, APPLY)
    };
    let refused = bed.reply(nobody, ask(&format!("{CONFIG_MAPS}/a"), &config_map("a"))).await;
    assert_eq!(Answer::of(refused).code, 403);
    // A node patches the status of its pods, and makes none by that.
    let path = format!("{PODS}/p/status");
    let status =
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "status": { "phase": "Running" } });
    assert_eq!(Answer::of(bed.reply(node, ask(&path, &status)).await).code, 404);
    apply(&bed, &path, "me", status).await.failed(404, "NotFound");
}

#[tokio::test]
async fn a_status_is_applied_by_its_own_path() {
    let bed = Bed::start().await;
    bed.post(&format!("{PODS}?fieldManager=maker"), pod("p")).await.created();
    let status = |phase: &str| {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "labels": { "a": "b" } },
                "spec": { "nodeName": "x" }, "status": { "phase": phase } })
    };
    let path = format!("{PODS}/p/status");
    let applied = apply(&bed, &path, "me", status("Running")).await.ok();
    assert_eq!(text(&applied, "/status/phase"), "Running");
    assert_eq!(applied["spec"].get("nodeName"), None);
    assert_eq!(
        owners(&applied)[0],
        json!({ "manager": "me", "operation": "Apply", "apiVersion": "v1", "subresource": "status",
                "fieldsType": "FieldsV1", "fieldsV1": { "f:status": { "f:phase": {} } } })
    );
    let merge = json!({ "status": { "phase": "Failed" } });
    let merged = bed.patch(&format!("{path}?fieldManager=kubelet"), MERGE_PATCH, merge).await.ok();
    let left = owners(&merged);
    let names: BTreeSet<&str> = left.as_array().unwrap().iter().map(|owner| text(owner, "/manager")).collect();
    assert_eq!(names, BTreeSet::from(["kubelet", "maker"]));
    assert_eq!(
        apply(&bed, &path, "me", status("Pending")).await.failed(409, "Conflict"),
        "Apply failed with 1 conflict: conflict with \"kubelet\" with subresource \"status\" using v1: .status.phase"
    );
}

#[tokio::test]
async fn a_scale_is_applied_to_its_workload() {
    let bed = Bed::start().await;
    bed.post(&format!("{DEPLOYMENTS}?fieldManager=maker"), deployment("web")).await.created();
    let (path, workload) = (format!("{DEPLOYMENTS}/web/scale"), format!("{DEPLOYMENTS}/web"));
    assert_eq!(
        apply(&bed, &path, "me", scale(3)).await.failed(409, "Conflict"),
        "Apply failed with 1 conflict: conflict with \"maker\" using autoscaling/v1: .spec.replicas"
    );
    let applied = apply(&bed, &format!("{path}?force=true"), "me", scale(3)).await.ok();
    assert_eq!((text(&applied, "/kind"), &applied["spec"]["replicas"]), ("Scale", &json!(3)));
    let stored = bed.get(&workload).await.ok();
    assert_eq!(stored["spec"]["replicas"], 3);
    assert_eq!(
        owners(&stored)[0],
        json!({ "manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "subresource": "scale",
                "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:replicas": {} } } })
    );
    let put = bed.put(&format!("{path}?fieldManager=hpa"), scale(4)).await.ok();
    assert_eq!(put["spec"]["replicas"], 4);
    let left = owners(&bed.get(&workload).await.ok());
    assert_eq!(left.as_array().unwrap().len(), 2, "{left}");
    let last = left.as_array().unwrap().iter().find(|owner| owner["manager"] == "hpa").unwrap();
    assert_eq!((text(last, "/operation"), text(last, "/subresource")), ("Update", "scale"));
    assert_eq!(last["fieldsV1"], json!({ "f:spec": { "f:replicas": {} } }));
    let negative = apply(&bed, &format!("{path}?force=1"), "me", scale(-1)).await.failed(422, "Invalid");
    assert!(negative.contains("spec.replicas: Invalid value: -1"), "{negative}");
    assert_eq!(
        apply(&bed, &path, "me", replicas(1)).await.failed(400, "BadRequest"),
        "invalid object type: apps/v1, Kind=Deployment"
    );
    apply(&bed, &format!("{DEPLOYMENTS}/none/scale"), "me", scale(1)).await.failed(404, "NotFound");
}

/// Every kind can be applied: what it says is owned, and applying it again changes nothing.
#[tokio::test]
async fn every_kind_that_is_patched_is_applied() {
    let bed = Bed::start().await;
    for plural in ["configmaps", "secrets", "services", "deployments", "replicasets", "leases", "serviceaccounts"] {
        let kind = kind(plural);
        let mut config = match plural {
            "services" => super::bed::service("x"),
            "deployments" | "replicasets" => deployment("x"),
            _ => json!({ "metadata": { "name": "x" } }),
        };
        config["apiVersion"] = kind.api_version().into();
        config["kind"] = kind.kind.into();
        config["metadata"]["labels"] = json!({ "a": "b" });
        let path = format!("{}/x", collection(kind));
        let made = apply(&bed, &path, "me", config.clone()).await.created();
        assert_eq!(owners(&made)[0]["fieldsV1"]["f:metadata"], json!({ "f:labels": { "f:a": {} } }), "{plural}");
        assert_eq!(apply(&bed, &path, "me", config).await.ok(), made, "{plural}");
    }
}
