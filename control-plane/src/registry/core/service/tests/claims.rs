//! Attempts to write one Service side by side, and the ports that several of them want.

use serde_json::{Value, json};

use super::{Bed, service};
use crate::registry::{Attempt, Strategy, cases};

async fn take(bed: &Bed, attempt: &Attempt) -> Value {
    let wants = service(
        "web",
        &json!({ "type": "NodePort", "clusterIP": "10.96.0.10", "ports": [{ "port": 80, "nodePort": 30_100 }] }),
    );
    let mut draft = cases::created(&bed.services, &wants);
    bed.services.allocate(&mut draft, None, attempt).await.unwrap();
    draft
}

async fn claimed(bed: &Bed) -> usize {
    bed.store.list("/registry/claims/", None, None, 0).await.unwrap().entries.len()
}

#[tokio::test]
async fn who_gives_up_leaves_the_claim_to_who_relies_on_it() {
    for second_gives_up in [true, false] {
        let bed = Bed::new();
        let (first, second) = (Attempt::new(false), Attempt::new(false));
        let service = take(&bed, &first).await;
        take(&bed, &second).await;
        let loser = if second_gives_up { &second } else { &first };
        bed.services.give_up(&service, None, loser).await;
        assert_eq!(claimed(&bed).await, 2, "an address and a port");
        bed.services.give_up(&service, None, loser).await;
        assert_eq!(claimed(&bed).await, 2, "once is all");
    }
}

#[tokio::test]
async fn when_all_give_up_the_claim_goes() {
    let bed = Bed::new();
    let (first, second) = (Attempt::new(false), Attempt::new(false));
    let service = take(&bed, &first).await;
    take(&bed, &second).await;
    bed.services.give_up(&service, None, &first).await;
    bed.services.give_up(&service, None, &second).await;
    assert_eq!(claimed(&bed).await, 0);
}

#[tokio::test]
async fn what_is_claimed_again_after_it_was_dropped_stays() {
    let bed = Bed::new();
    let service = take(&bed, &Attempt::new(false)).await;
    let dropped_at = bed.store.revision().await.unwrap() + 1;
    // Something else is stored at that revision: the Service without its port.
    bed.store.create("/registry/objects/configmaps/default/x", "{}".into()).await.unwrap();
    take(&bed, &Attempt::new(false)).await;
    bed.services.release(&service, None, dropped_at).await;
    assert_eq!(claimed(&bed).await, 2);
    bed.services.release(&service, None, u64::MAX).await;
    assert_eq!(claimed(&bed).await, 0);
}

#[tokio::test]
async fn what_the_stored_service_has_is_not_given_up() {
    let bed = Bed::new();
    let stored = take(&bed, &Attempt::new(false)).await;
    let attempt = Attempt::new(false);
    let mut changed = stored.clone();
    changed["spec"]["externalTrafficPolicy"] = "Local".into();
    bed.services.allocate(&mut changed, Some(&stored), &attempt).await.unwrap();
    bed.services.give_up(&changed, Some(&stored), &attempt).await;
    assert_eq!(claimed(&bed).await, 2);
}
