//! Claims outlive restarts; what a crash leaves half done is brought in line by the repair.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Bed, ip, node_port, service};
use crate::registry::{Strategy, core::repair::GRACE};

fn asking(address: &str, port: u64) -> Value {
    json!({ "type": "NodePort", "clusterIP": address, "ports": [{ "port": 80, "nodePort": port }] })
}

/// All claims, as `range/item`.
async fn claims(bed: &Bed) -> Vec<String> {
    let page = bed.store.list("/registry/claims/", None, None, 0).await.unwrap();
    page.entries.iter().map(|entry| entry.key.trim_start_matches("/registry/claims/").to_owned()).collect()
}

async fn repair(bed: &Bed, now: Timestamp) {
    bed.services.repair(now).await.unwrap();
}

fn soon() -> Timestamp {
    Timestamp::now()
}

/// When no request of now can still be under way.
fn later() -> Timestamp {
    Timestamp::now() + GRACE + GRACE
}

#[tokio::test]
async fn a_restart_forgets_no_claim() {
    let mut bed = Bed::new();
    bed.create(&service("web", &asking("10.96.0.10", 30_000))).await.unwrap();
    bed.restart();
    repair(&bed, later()).await;
    bed.create(&service("rival", &json!({ "clusterIP": "10.96.0.10" }))).await.unwrap_err();
    bed.create(&service("rival", &json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30_000 }] })))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_crash_before_the_service_is_stored_leaves_a_claim_for_a_while() {
    let mut bed = Bed::new();
    let lost = bed.draft(&service("lost", &asking("10.96.0.10", 30_000))).await.unwrap();
    bed.restart();
    // The request might still be on its way to the store, on another server.
    repair(&bed, soon()).await;
    assert_eq!(claims(&bed).await, ["serviceips/10.96.0.10", "servicenodeports/30000"]);
    repair(&bed, later()).await;
    assert_eq!(claims(&bed).await, Vec::<String>::new());
    let heir = bed.create(&service("heir", &asking("10.96.0.10", 30_000))).await.unwrap();
    assert_eq!((ip(&heir), node_port(&heir, 0)), (ip(&lost), node_port(&lost, 0)));
}

#[tokio::test]
async fn a_crash_after_the_service_is_deleted_leaves_a_claim_for_a_while() {
    let mut bed = Bed::new();
    let gone = bed.create(&service("gone", &asking("10.96.0.10", 30_000))).await.unwrap();
    bed.create(&service("stays", &asking("10.96.0.11", 30_001))).await.unwrap();
    bed.forget(&gone).await;
    bed.restart();
    repair(&bed, later()).await;
    assert_eq!(claims(&bed).await, ["serviceips/10.96.0.11", "servicenodeports/30001"]);
}

#[tokio::test]
async fn a_service_gets_back_what_it_has_lost() {
    let bed = Bed::new();
    let made = bed.create(&service("web", &asking("10.96.0.10", 30_000))).await.unwrap();
    for key in ["serviceips/10.96.0.10", "servicenodeports/30000"] {
        let key = format!("/registry/claims/{key}");
        let entry = bed.store.get(&key).await.unwrap().unwrap();
        bed.store.delete(&key, entry.revision).await.unwrap();
    }
    repair(&bed, soon()).await;
    assert_eq!(claims(&bed).await, ["serviceips/10.96.0.10", "servicenodeports/30000"]);
    bed.draft(&service("rival", &json!({ "clusterIP": ip(&made) }))).await.unwrap_err();
}

#[tokio::test]
async fn a_claim_of_a_former_service_goes_to_the_present_one() {
    let bed = Bed::new();
    // A crash in the middle of delete and create under the same name: another uid.
    let first = bed.create(&service("web", &json!({ "clusterIP": "10.96.0.10" }))).await.unwrap();
    bed.forget(&first).await;
    let mut second = first.clone();
    second["metadata"]["uid"] = "uid-second".into();
    bed.store.create(&super::key(&second), second.to_string().into()).await.unwrap();
    repair(&bed, later()).await;
    // Whoever still holds the former one gives nothing back.
    bed.services.release(&first, None, u64::MAX).await;
    let claim = bed.store.get("/registry/claims/serviceips/10.96.0.10").await.unwrap().unwrap();
    let claim: Value = serde_json::from_slice(&claim.value).unwrap();
    assert_eq!(claim["uid"], "uid-second");
}

#[tokio::test]
async fn of_two_services_with_one_address_the_older_has_it() {
    let bed = Bed::new();
    for (name, since) in [("young", "2025-02-01T00:00:00Z"), ("old", "2025-01-01T00:00:00Z")] {
        let mut service = service(name, &json!({ "type": "ClusterIP", "clusterIP": "10.96.0.10" }));
        service["metadata"]["creationTimestamp"] = since.into();
        bed.store.create(&super::key(&service), service.to_string().into()).await.unwrap();
    }
    repair(&bed, soon()).await;
    let claim = bed.store.get("/registry/claims/serviceips/10.96.0.10").await.unwrap().unwrap();
    let claim: Value = serde_json::from_slice(&claim.value).unwrap();
    assert_eq!(claim["service"], "default/old");
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_freed() {
    let bed = Bed::new();
    bed.store.create("/registry/claims/serviceips/10.96.0.10", "rubbish".into()).await.unwrap();
    repair(&bed, later()).await;
    assert_eq!(claims(&bed).await, Vec::<String>::new());
}
