//! Updates: preconditions, what stays, what counts as a change.

use serde_json::json;

use super::bed::{Bed, CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICES, config_map, deployment, pod, rv, service, text};

#[tokio::test]
async fn a_stale_update_is_refused() {
    let bed = Bed::start().await;
    let first = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let mut newer = first.clone();
    newer["spec"]["replicas"] = 2.into();
    bed.put(&path, newer).await.ok();
    let mut stale = first;
    stale["spec"]["replicas"] = 3.into();
    let refused = bed.put(&path, stale).await;
    assert_eq!(refused.body["details"], json!({ "group": "apps", "kind": "deployments", "name": "web" }));
    assert_eq!(
        refused.failed(409, "Conflict"),
        "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    assert_eq!(bed.get(&path).await.ok()["spec"]["replicas"], 2);
}

#[tokio::test]
async fn an_update_without_a_revision_replaces_whatever_is_there() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let mut other = config_map("a");
    other["data"] = json!({ "b": "2" });
    let updated = bed.put(&format!("{CONFIG_MAPS}/a"), other).await.ok();
    assert_eq!(updated["data"], json!({ "b": "2" }));
    let missing = bed.put(&format!("{CONFIG_MAPS}/b"), config_map("b")).await.failed(404, "NotFound");
    assert_eq!(missing, "configmaps \"b\" not found");
}

#[tokio::test]
async fn an_update_of_another_object_of_the_same_name_is_refused() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let mut other = config_map("a");
    other["metadata"]["uid"] = "another".into();
    let refused = bed.put(&format!("{CONFIG_MAPS}/a"), other).await.failed(409, "Conflict");
    assert!(refused.contains("Precondition failed: UID in precondition: another, UID in object meta: "), "{refused}");
}

#[tokio::test]
async fn an_object_is_that_of_its_path() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(
        bed.put(&path, config_map("b")).await.failed(400, "BadRequest"),
        "the name of the object (b) does not match the name on the URL (a)"
    );
    let mut elsewhere = config_map("a");
    elsewhere["metadata"]["namespace"] = "other".into();
    assert_eq!(
        bed.put(&path, elsewhere).await.failed(400, "BadRequest"),
        "the namespace of the object (other) does not match the namespace on the request (default)"
    );
}

#[tokio::test]
async fn what_the_server_gave_stays() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let mut asked = deployment("web");
    asked["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    asked["metadata"]["generation"] = 99.into();
    asked["metadata"]["managedFields"] = json!([{ "manager": "me", "operation": "Update" }]);
    asked["status"] = json!({ "replicas": 5 });
    asked["spec"]["replicas"] = 4.into();
    let updated = bed.put(&format!("{DEPLOYMENTS}/web"), asked).await.ok();
    for field in ["uid", "creationTimestamp"] {
        assert_eq!(updated["metadata"][field], created["metadata"][field], "{field}");
    }
    assert_eq!(updated["metadata"]["generation"], 2);
    assert_eq!(updated["metadata"]["managedFields"][0]["fieldsType"], "FieldsV1");
    assert_eq!(updated.get("status"), created.get("status"));
}

#[tokio::test]
async fn only_a_change_of_what_is_asked_for_counts_as_a_generation() {
    let bed = Bed::start().await;
    let mut object = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    object["metadata"]["labels"] = json!({ "a": "b" });
    let labelled = bed.put(&path, object.clone()).await.ok();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let mut status = labelled.clone();
    status["status"] = json!({ "replicas": 1, "observedGeneration": 1 });
    let with_status = bed.put(&format!("{path}/status"), status).await.ok();
    assert_eq!(with_status["metadata"]["generation"], 1);
    let mut paused = with_status;
    paused["spec"]["paused"] = true.into();
    assert_eq!(bed.put(&path, paused).await.ok()["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let path = format!("{DEPLOYMENTS}/web");
    let before = bed.store.revision().await.unwrap();
    // As it was answered, and as it was first sent: defaults make them the same.
    assert_eq!(rv(&bed.put(&path, created.clone()).await.ok()), rv(&created));
    assert_eq!(rv(&bed.put(&path, deployment("web")).await.ok()), rv(&created));
    assert_eq!(rv(&bed.put(&format!("{path}/status"), created.clone()).await.ok()), rv(&created));
    assert_eq!(bed.store.revision().await.unwrap(), before);
}

#[tokio::test]
async fn a_dry_run_shows_the_change_and_keeps_the_object() {
    let bed = Bed::start().await;
    let created = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    let mut asked = created.clone();
    asked["spec"]["replicas"] = 5.into();
    let tried = bed.put(&format!("{DEPLOYMENTS}/web?dryRun=All"), asked).await.ok();
    assert_eq!((&tried["spec"]["replicas"], &tried["metadata"]["generation"]), (&json!(5), &json!(2)));
    assert_eq!(rv(&tried), rv(&created));
    assert_eq!(bed.get(&format!("{DEPLOYMENTS}/web")).await.ok(), created);
}

#[tokio::test]
async fn a_change_that_the_kind_forbids_is_told_with_its_field() {
    let bed = Bed::start().await;
    let mut object = bed.post(DEPLOYMENTS, deployment("web")).await.created();
    object["spec"]["selector"]["matchLabels"] = json!({ "app": "other" });
    object["spec"]["template"]["metadata"]["labels"] = json!({ "app": "other" });
    let refused = bed.put(&format!("{DEPLOYMENTS}/web"), object).await.failed(422, "Invalid");
    assert!(refused.contains("spec.selector: Invalid value: ") && refused.ends_with("field is immutable"), "{refused}");

    let mut running = bed.post(PODS, pod("a")).await.created();
    running["spec"]["hostNetwork"] = true.into();
    let refused = bed.put(&format!("{PODS}/a"), running).await.failed(422, "Invalid");
    assert!(refused.contains("spec: Forbidden: pod updates may not change fields other than"), "{refused}");
}

#[tokio::test]
async fn many_writers_of_one_object_lose_nothing() {
    let bed = Bed::start().await;
    bed.post(CONFIG_MAPS, config_map("a")).await.created();
    let path = format!("{CONFIG_MAPS}/a");
    let writers = (0..24).map(|number| {
        let patch = json!({ "data": { format!("k{number}"): "v" } });
        bed.patch(&path, super::bed::MERGE_PATCH, patch)
    });
    for answer in futures::future::join_all(writers).await {
        answer.ok();
    }
    assert_eq!(bed.get(&path).await.ok()["data"].as_object().unwrap().len(), 25);
}

#[tokio::test]
async fn reservations_follow_an_update() {
    let bed = Bed::start().await;
    let created = bed.post(SERVICES, service("web")).await.created();
    let address = text(&created, "/spec/clusterIP").to_owned();
    // A PUT of what the user once wrote keeps what was reserved.
    let again = bed.put(&format!("{SERVICES}/web"), service("web")).await.ok();
    assert_eq!(text(&again, "/spec/clusterIP"), address);
    let external = json!({ "metadata": { "name": "web" }, "spec": { "type": "ExternalName", "externalName": "a.b" } });
    bed.put(&format!("{SERVICES}/web"), external).await.ok();
    let mut next = service("next");
    next["spec"]["clusterIP"] = address.into();
    bed.post(SERVICES, next).await.created();
}

#[tokio::test]
async fn what_rivals_reserve_for_the_same_object_stays_reserved() {
    let bed = Bed::start().await;
    bed.post(SERVICES, service("web")).await.created();
    let path = format!("{SERVICES}/web");
    // Many ask for the same port at once; most of them lose the race at least once.
    let asked = json!({ "spec": { "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30123 }] } });
    let rivals = (0..12).map(|_| bed.patch(&path, super::bed::MERGE_PATCH, asked.clone()));
    for answer in futures::future::join_all(rivals).await {
        assert_eq!(answer.ok()["spec"]["ports"][0]["nodePort"], 30123);
    }
    let mut other = service("other");
    other["spec"]["type"] = "NodePort".into();
    other["spec"]["ports"][0]["nodePort"] = 30123.into();
    let refused = bed.post(SERVICES, other).await.failed(422, "Invalid");
    assert!(refused.contains("provided port is already allocated"), "{refused}");
}
