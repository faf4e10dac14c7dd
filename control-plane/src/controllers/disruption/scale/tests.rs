use std::time::Duration;

use nodeplane_client::fake::Fake;
use serde_json::json;

use super::*;

const ROOT: &str = "/apis/apps/v1/namespaces/shop";

/// Puts an object that these own, and tells how it is referred to.
fn put(fake: &Fake, (kind, name): (&str, &str), replicas: i64, owners: &[&Value]) -> Value {
    let path = format!("{ROOT}/{}s/{name}", kind.to_lowercase());
    let object = json!({ "apiVersion": "apps/v1", "kind": kind, "spec": { "replicas": replicas },
                         "metadata": { "name": name, "namespace": "shop", "ownerReferences": owners } });
    fake.put(&path, object);
    let uid = fake.get(&path).expect("it was put")["metadata"]["uid"].clone();
    json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true })
}

async fn found(fake: &Fake, owner: &Value) -> Found<(String, i64)> {
    let owner = serde_json::from_value(owner.clone()).unwrap();
    let hands = Hands::new(fake.client());
    let answer = tokio::time::timeout(Duration::from_secs(20), scale(&owner, "shop", &hands));
    answer.await.expect("it follows owners without an end").unwrap()
}

fn says(owner: &Value, replicas: i64) -> Found<(String, i64)> {
    Ok(Some((owner["uid"].as_str().unwrap().to_owned(), replicas)))
}

#[tokio::test]
async fn deployments_that_own_each_other_are_not_followed() {
    let fake = Fake::default();
    let a = put(&fake, ("Deployment", "a"), 2, &[]);
    let b = put(&fake, ("Deployment", "b"), 3, &[&a]);
    put(&fake, ("Deployment", "a"), 2, &[&b]);
    let set = put(&fake, ("ReplicaSet", "set"), 1, &[&a]);
    assert_eq!(found(&fake, &a).await, says(&a, 2));
    assert_eq!(found(&fake, &b).await, says(&b, 3));
    let before = fake.requests().len();
    assert_eq!(found(&fake, &set).await, says(&a, 2));
    assert_eq!(fake.requests().len() - before, 2);
}

#[tokio::test]
async fn a_set_without_a_deployment_speaks_for_itself_and_one_whose_is_gone_for_nobody() {
    let fake = Fake::default();
    let set = put(&fake, ("ReplicaSet", "set"), 5, &[]);
    assert_eq!(found(&fake, &set).await, says(&set, 5));
    let gone = put(&fake, ("Deployment", "gone"), 5, &[]);
    let orphan = put(&fake, ("ReplicaSet", "orphan"), 5, &[&gone]);
    fake.remove(&format!("{ROOT}/deployments/gone"));
    assert_eq!(found(&fake, &orphan).await, Ok(None));
}
