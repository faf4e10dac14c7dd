//! Patches in their three languages.

use http::{Method, header};
use serde_json::json;

use super::bed::{
    Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, JSON_PATCH, MERGE_PATCH, STRATEGIC, config_map, deployment, rv, text,
};

#[tokio::test]
async fn a_merge_patch_sets_and_deletes() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let patch = json!({ "data": { "a": null, "b": "2" }, "metadata": { "labels": { "x": "y" } } });
    let patched = bed.patch(&format!("{CONFIG_MAPS}/a"), MERGE_PATCH, patch).await.ok();
    assert_eq!(patched["data"], json!({ "b": "2" }));
    assert_eq!(text(&patched, "/metadata/labels/x"), "y");
}

#[tokio::test]
async fn a_json_patch_works_in_steps_or_not_at_all() {
    let bed = Bed::start().await;
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let failing = json!([
        { "op": "add", "path": "/data/b", "value": "2" },
        { "op": "test", "path": "/data/a", "value": "9" },
    ]);
    bed.patch(&path, JSON_PATCH, failing).await.failed(422, "Invalid");
    assert_eq!(bed.get(&path).await.ok(), created);
    let working = json!([
        { "op": "test", "path": "/data/a", "value": "1" },
        { "op": "move", "from": "/data/a", "path": "/data/b" },
    ]);
    assert_eq!(bed.patch(&path, JSON_PATCH, working).await.ok()["data"], json!({ "b": "1" }));
    let many: Vec<_> = (0..10_001).map(|_| json!({ "op": "test", "path": "/kind", "value": "ConfigMap" })).collect();
    bed.patch(&path, JSON_PATCH, json!(many)).await.failed(413, "RequestEntityTooLarge");
    bed.patch(&path, JSON_PATCH, json!({ "not": "a list" })).await.failed(400, "BadRequest");
}

#[tokio::test]
async fn a_strategic_patch_merges_lists_by_their_keys() {
    let bed = Bed::start().await;
    bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let containers = |containers| json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    let added = containers(json!([{ "name": "side", "image": "s" }]));
    let patched = bed.patch(&path, STRATEGIC, added).await.ok();
    let names = |object: &serde_json::Value| -> Vec<String> {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        containers.iter().map(|c| format!("{}={}", text(c, "/name"), text(c, "/image"))).collect()
    };
    let mut found = names(&patched);
    found.sort();
    assert_eq!(found, ["c=i", "side=s"]);
    assert_eq!(patched["metadata"]["generation"], 2);
    let changed = containers(json!([{ "name": "c", "image": "j" }, { "name": "side", "$patch": "delete" }]));
    assert_eq!(names(&bed.patch(&path, STRATEGIC, changed).await.ok()), ["c=j"]);
}

#[tokio::test]
async fn a_patch_cannot_do_what_an_update_cannot() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let patch = json!({ "metadata": { "creationTimestamp": null, "generation": 50 }, "status": { "replicas": 3 } });
    assert_eq!(bed.patch(&path, MERGE_PATCH, patch).await.ok(), created);
    let renamed = bed.patch(&path, MERGE_PATCH, json!({ "metadata": { "name": "b" } })).await;
    assert_eq!(
        renamed.failed(400, "BadRequest"),
        "the name of the object (b) does not match the name on the URL (web)"
    );
    let other = bed.patch(&path, MERGE_PATCH, json!({ "metadata": { "uid": "another" } })).await;
    assert!(other.failed(409, "Conflict").contains("UID in precondition: another"));
    let negative = bed.patch(&path, MERGE_PATCH, json!({ "spec": { "replicas": -1 } })).await.failed(422, "Invalid");
    assert!(negative.contains("spec.replicas: Invalid value: -1"), "{negative}");
}

#[tokio::test]
async fn a_revision_in_a_patch_is_a_condition() {
    let bed = Bed::start().await;
    let first = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let patch = |revision: u64, value: &str| json!({ "metadata": { "resourceVersion": revision.to_string() }, "data": { "a": value } });
    let second = bed.patch(&path, MERGE_PATCH, patch(rv(&first), "2")).await.ok();
    let stale = bed.patch(&path, MERGE_PATCH, patch(rv(&first), "3")).await.failed(409, "Conflict");
    assert!(stale.contains("the object has been modified"), "{stale}");
    assert_eq!(bed.get(&path).await.ok(), second);
}

#[tokio::test]
async fn a_patch_of_nothing_is_not_found_and_one_that_changes_nothing_is_not_written() {
    let bed = Bed::start().await;
    let missing = bed.patch(&format!("{CONFIG_MAPS}/a"), MERGE_PATCH, json!({ "data": {} })).await;
    assert_eq!(missing.failed(404, "NotFound"), "configmaps \"a\" not found");
    let created = bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let same = bed.patch(&format!("{CONFIG_MAPS}/a"), STRATEGIC, json!({ "data": { "a": "1" } })).await.ok();
    assert_eq!(same, created);
}

#[tokio::test]
async fn unknown_fields_of_a_patch_fail_or_warn_as_asked() {
    let bed = Bed::start().await;
    bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let patch = json!({ "spec": { "foo": 1 } });
    let strict = bed.patch(&format!("{path}?fieldValidation=Strict"), STRATEGIC, patch.clone()).await;
    assert!(strict.body["details"].get("kind").is_none());
    assert_eq!(text(&strict.body, "/details/causes/0/field"), "patch");
    assert_eq!(
        strict.failed(422, "Invalid"),
        " \"\" is invalid: patch: Invalid value: \"map[spec:map[foo:1]]\": strict decoding error: unknown field \
         \"spec.foo\""
    );
    let merged = bed.patch(&format!("{path}?fieldValidation=Strict"), MERGE_PATCH, patch.clone()).await;
    assert!(merged.failed(422, "Invalid").ends_with("strict decoding error: unknown field \"spec.foo\""));
    let warned = bed.patch(&path, MERGE_PATCH, patch).await;
    assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"spec.foo\\\"\""]);
    warned.ok();
    let wrong = bed.patch(&path, STRATEGIC, json!({ "spec": { "replicas": "many" } })).await.failed(422, "Invalid");
    assert!(wrong.starts_with(" \"\" is invalid: patch: Invalid value: \"map[spec:map[replicas:many]]\": "), "{wrong}");
}

#[tokio::test]
async fn a_patch_in_another_language_is_told_which_ones_there_are() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    for media_type in ["application/apply-patch+cbor", "application/json", "text/plain"] {
        let ask = Ask::new(Method::PATCH, &format!("{CONFIG_MAPS}/a?force=false"));
        let refused = bed.send(ask.raw_body("{}").header(header::CONTENT_TYPE, media_type)).await;
        assert_eq!(
            refused.failed(415, "UnsupportedMediaType"),
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
             application/apply-patch+yaml"
        );
    }
    let forced = bed.patch(&format!("{CONFIG_MAPS}/a?force=true"), MERGE_PATCH, json!({})).await.failed(422, "Invalid");
    assert!(forced.contains("force: Forbidden: may not be specified for non-apply patch"), "{forced}");
}

#[tokio::test]
async fn the_media_type_may_have_parameters() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let media_type = format!("{MERGE_PATCH}; charset=utf-8");
    bed.patch(&format!("{CONFIG_MAPS}/a"), &media_type, json!({ "data": { "a": "2" } })).await.ok();
}
