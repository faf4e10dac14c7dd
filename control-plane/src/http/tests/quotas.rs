//! Quotas under many hands, and by way of views.

use std::sync::Arc;

use serde_json::{Value, json};

use super::bed::{Bed, CONFIG_MAPS, config_map};

const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";

/// A quota of which nothing is used yet.
async fn quota(bed: &Bed, name: &str, what: &str, hard: &str) {
    let object = json!({ "metadata": { "name": name }, "spec": { "hard": { what: hard } } });
    let mut made = bed.post(QUOTAS, object).await.created();
    made["status"] = json!({ "hard": { what: hard }, "used": { what: "0" } });
    bed.put(&format!("{QUOTAS}/{name}/status"), made).await.ok();
    // Admission reads the names of quotas from the cache.
    bed.get(QUOTAS).await.ok();
}

async fn used(bed: &Bed, name: &str) -> Value {
    bed.get(&format!("{QUOTAS}/{name}")).await.ok()["status"]["used"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_quota_gives_all_its_places_to_many_at_once_and_not_one_more() {
    let bed = Arc::new(Bed::start().await);
    quota(&bed, "q", "configmaps", "40").await;
    let creators: Vec<_> = (0..64)
        .map(|number| {
            let bed = bed.clone();
            tokio::spawn(async move { bed.post(CONFIG_MAPS, config_map(&format!("m{number}"))).await })
        })
        .collect();
    let (mut made, mut refused) = (0, 0);
    for creator in creators {
        let answer = creator.await.unwrap();
        if answer.code == 201 {
            made += 1;
            continue;
        }
        let why = answer.failed(403, "Forbidden");
        assert!(why.contains("exceeded quota: q, requested: configmaps=1, used: configmaps=40"), "{why}");
        refused += 1;
    }
    assert_eq!((made, refused), (40, 24));
    assert_eq!(used(&bed, "q").await, json!({ "configmaps": "40" }));
}

#[tokio::test]
async fn what_is_made_through_a_view_is_counted_as_what_is_stored() {
    let bed = Bed::start().await;
    let counted = "count/horizontalpodautoscalers.autoscaling";
    quota(&bed, "q", counted, "1").await;
    let scaler = |name: &str| {
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
        json!({ "metadata": { "name": name }, "spec": { "maxReplicas": 3, "scaleTargetRef": target } })
    };
    let path = |version: &str| format!("/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers");
    bed.post(&path("v1"), scaler("a")).await.created();
    assert_eq!(used(&bed, "q").await, json!({ counted: "1" }));
    for version in ["v1", "v2"] {
        let why = bed.post(&path(version), scaler("b")).await.failed(403, "Forbidden");
        assert!(why.contains(&format!("exceeded quota: q, requested: {counted}=1")), "{why}");
    }
}
