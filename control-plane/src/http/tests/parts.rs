//! Subresources: status, scale, binding, finalize.

use http::{Method, header};
use serde_json::{Value, json};

use super::bed::{
    Ask, Bed, CONFIG_MAPS, DEPLOYMENTS, JSON_PATCH, MERGE_PATCH, PODS, STRATEGIC, TABLE, deployment, pod, rv, text,
};

#[tokio::test]
async fn status_is_written_at_its_own_path_and_nothing_else_is() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web/status");
    let mut asked = created.clone();
    asked["status"] = json!({ "replicas": 2, "observedGeneration": 1 });
    asked["spec"]["replicas"] = 9.into();
    asked["metadata"]["labels"] = json!({ "no": "no" });
    asked["metadata"]["annotations"] = json!({ "agent": "note" });
    let updated = bed.put(&path, asked).await.ok();
    assert_eq!(updated["status"]["replicas"], 2);
    assert_eq!(updated["spec"], created["spec"]);
    assert!(updated["metadata"].get("labels").is_none());
    assert_eq!(text(&updated, "/metadata/annotations/agent"), "note");
    assert_eq!(bed.get(&path).await.ok(), updated);

    let condition = json!({ "type": "Available", "status": "True" });
    let patch = json!({ "status": { "conditions": [condition] } });
    let patched = bed.patch(&path, STRATEGIC, patch).await.ok();
    assert_eq!((&patched["status"]["replicas"], text(&patched, "/status/conditions/0/type")), (&json!(2), "Available"));
    let bad = bed.patch(&path, MERGE_PATCH, json!({ "status": { "replicas": -1 } })).await.failed(422, "Invalid");
    assert!(bad.contains("status.replicas: Invalid value: -1"), "{bad}");
    let stale = bed.put(&path, created).await.failed(409, "Conflict");
    assert!(stale.contains("the object has been modified"), "{stale}");
    bed.get(&format!("{CONFIG_MAPS}/a/status")).await.no_such_path();
    bed.delete(&path).await.failed(405, "MethodNotAllowed");
}

#[tokio::test]
async fn scale_shows_and_sets_the_replicas() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web/scale");
    let scale = bed.get(&path).await.ok();
    assert_eq!((text(&scale, "/kind"), text(&scale, "/apiVersion")), ("Scale", "autoscaling/v1"));
    assert_eq!(scale["spec"]["replicas"], 1);
    assert_eq!(scale["status"], json!({ "replicas": 0, "selector": "app=web" }));
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        assert_eq!(scale["metadata"][field], created["metadata"][field], "{field}");
    }

    let mut asked = scale.clone();
    asked["spec"]["replicas"] = 3.into();
    let scaled = bed.put(&path, asked).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 3);
    let object = bed.get(&format!("{DEPLOYMENTS}/web")).await.ok();
    assert_eq!((&object["spec"]["replicas"], &object["metadata"]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(rv(&scaled), rv(&object));

    bed.put(&path, scale).await.failed(409, "Conflict");
    let unconditional = json!({ "metadata": { "name": "web" }, "spec": { "replicas": 4 } });
    assert_eq!(bed.put(&path, unconditional).await.ok()["spec"]["replicas"], 4);
}

#[tokio::test]
async fn scale_has_columns_of_its_own() {
    let bed = Bed::start().await;
    bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let ask = Ask::new(Method::GET, &format!("{DEPLOYMENTS}/web/scale")).header(header::ACCEPT, TABLE);
    let table = bed.send(ask).await.ok();
    let headings = table["columnDefinitions"].as_array().unwrap().iter().map(|column| text(column, "/name"));
    assert_eq!(headings.collect::<Vec<_>>(), ["Name", "Desired", "Available", "Age"]);
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..3], [json!("web"), json!(1), json!(0)]);
}

#[tokio::test]
async fn scale_takes_patches() {
    let bed = Bed::start().await;
    bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web/scale");
    for (replicas, media_type) in [(2, MERGE_PATCH), (3, STRATEGIC)] {
        let patch = json!({ "spec": { "replicas": replicas } });
        assert_eq!(bed.patch(&path, media_type, patch).await.ok()["spec"]["replicas"], replicas);
    }
    let steps = json!([{ "op": "replace", "path": "/spec/replicas", "value": 0 }]);
    assert_eq!(bed.patch(&path, JSON_PATCH, steps).await.ok()["spec"]["replicas"], 0);
    let dry = bed.patch(&format!("{path}?dryRun=All"), MERGE_PATCH, json!({ "spec": { "replicas": 8 } })).await.ok();
    assert_eq!(dry["spec"]["replicas"], 8);
    assert_eq!(bed.get(&path).await.ok()["spec"]["replicas"], 0);
    assert_eq!(
        bed.patch(&path, MERGE_PATCH, json!({ "spec": { "replicas": -2 } })).await.failed(422, "Invalid"),
        "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -2: must be greater than or equal to 0"
    );
    bed.patch(&path, MERGE_PATCH, json!({ "spec": { "replicas": "two" } })).await.failed(422, "Invalid");
    bed.get(&format!("{DEPLOYMENTS}/other/scale")).await.failed(404, "NotFound");
}

fn binding(node: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "a", "annotations": { "why": "because" } },
            "target": { "kind": "Node", "name": node } })
}

#[tokio::test]
async fn a_binding_gives_a_pod_its_node_once() {
    let bed = Bed::start().await;
    bed.post(PODS, pod("a")).await.created();
    let path = format!("{PODS}/a/binding");
    let answer = bed.post(&path, binding("n1")).await.created();
    assert_eq!((text(&answer, "/kind"), text(&answer, "/status")), ("Status", "Success"));
    let bound = bed.get(&format!("{PODS}/a")).await.ok();
    assert_eq!(text(&bound, "/spec/nodeName"), "n1");
    assert_eq!(text(&bound, "/metadata/annotations/why"), "because");
    let condition = &bound["status"]["conditions"][0];
    assert_eq!((text(condition, "/type"), text(condition, "/status")), ("PodScheduled", "True"));
    assert!(!text(condition, "/lastTransitionTime").is_empty());
    assert_eq!(
        bed.post(&path, binding("n2")).await.failed(409, "Conflict"),
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\""
    );
    assert_eq!(text(&bed.get(&format!("{PODS}/a")).await.ok(), "/spec/nodeName"), "n1");
    // What binding stored has the shape of its kind: it can be sent back as it is.
    assert_eq!(rv(&bed.put(&format!("{PODS}/a"), bound.clone()).await.ok()), rv(&bound));
}

#[tokio::test]
async fn only_one_of_many_bindings_wins() {
    let bed = Bed::start().await;
    bed.post(PODS, pod("a")).await.created();
    let path = format!("{PODS}/a/binding");
    let nodes: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    let answers = futures::future::join_all(nodes.iter().map(|node| bed.post(&path, binding(node)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code == 201).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.code, 201 | 409)));
}

#[tokio::test]
async fn a_binding_must_make_sense() {
    let bed = Bed::start().await;
    let mut gated = pod("a");
    gated["spec"]["schedulingGates"] = json!([{ "name": "example.com/wait" }]);
    bed.post(PODS, gated).await.created();
    let path = format!("{PODS}/a/binding");
    let waiting = bed.post(&path, binding("n1")).await.failed(409, "Conflict");
    assert!(waiting.ends_with("pod a has non-empty .spec.schedulingGates"), "{waiting}");
    let nowhere = bed.post(&path, binding("")).await.failed(422, "Invalid");
    assert!(nowhere.contains("target.name: Required value"), "{nowhere}");
    let mut other = binding("n1");
    other["metadata"]["name"] = "b".into();
    let refused = bed.post(&path, other).await.failed(400, "BadRequest");
    assert_eq!(refused, "name in URL does not match name in Binding object");
    bed.post(&format!("{PODS}/b/binding"), json!({ "target": { "name": "n1" } })).await.failed(404, "NotFound");
}

#[tokio::test]
async fn finalize_changes_the_finalizers_of_a_namespace_only() {
    let bed = Bed::start().await;
    let created = bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "a" } })).await.created();
    let mut asked = created.clone();
    asked["spec"]["finalizers"] = json!(["kubernetes", "example.com/mine"]);
    asked["metadata"]["labels"]["no"] = "no".into();
    let updated = bed.put("/api/v1/namespaces/a/finalize", asked).await.ok();
    assert_eq!(updated["spec"]["finalizers"], json!(["kubernetes", "example.com/mine"]));
    assert_eq!(updated["metadata"]["labels"], created["metadata"]["labels"]);
    // It lives on: nobody asked for its deletion.
    let mut none = updated;
    none["spec"]["finalizers"] = json!([]);
    bed.put("/api/v1/namespaces/a/finalize", none).await.ok();
    bed.get("/api/v1/namespaces/a").await.ok();
}

#[tokio::test]
async fn finalize_takes_no_finalizer_that_has_no_domain() {
    let bed = Bed::start().await;
    let created = bed.post("/api/v1/namespaces", json!({ "metadata": { "name": "a" } })).await.created();
    let mut asked = created.clone();
    asked["spec"]["finalizers"] = json!(["kubernetes", "mine"]);
    let refused = bed.put("/api/v1/namespaces/a/finalize", asked).await.failed(422, "Invalid");
    let words = "spec.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it \
                 fully qualified";
    assert!(refused.ends_with(words), "{refused}");
    assert_eq!(bed.get("/api/v1/namespaces/a").await.ok()["spec"], created["spec"]);
}

#[tokio::test]
async fn a_binding_with_an_empty_uid_names_none() {
    let bed = Bed::start().await;
    let created = bed.post(PODS, pod("web")).await.created();
    let binding =
        json!({ "metadata": { "name": "web", "uid": "", "resourceVersion": "" }, "target": { "name": "n1" } });
    bed.post(&format!("{PODS}/web/binding"), binding).await.created();
    let bound = bed.get(&format!("{PODS}/web")).await.ok();
    assert_eq!(bound["metadata"]["uid"], created["metadata"]["uid"]);
    assert_eq!(text(&bound, "/spec/nodeName"), "n1");
}
