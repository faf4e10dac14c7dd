//! Real time, but a short lease: 1 s is the least that a Lease can say.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::fake::Fake;

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/work";
const LEASE: Duration = Duration::from_secs(1);
const TIMING: Timing = Timing { lease: LEASE, renew: Duration::from_millis(600), retry: Duration::from_millis(50) };
/// Time that anything may take in a test.
const DEADLINE: Duration = Duration::from_secs(60);

fn candidate(server: &Fake, identity: &str) -> Election {
    Election::new(server.client(), &Key::new("kube-system", "work"), identity, TIMING)
}

fn lease(server: &Fake) -> Value {
    server.get(PATH).unwrap()
}

async fn won(election: &Election) -> Term {
    timeout(DEADLINE, election.win()).await.expect("the election is not won")
}

async fn lost(term: &mut Term) -> Lost {
    timeout(DEADLINE, term.hold()).await.expect("the lease is not lost")
}

/// Puts a lease of somebody else there, as its clock says.
fn foreign(server: &Fake, renewed: &str, seconds: u64) {
    let spec = json!({ "holderIdentity": "other", "leaseDurationSeconds": seconds, "renewTime": renewed,
                       "acquireTime": renewed, "leaseTransitions": 4 });
    server.put(PATH, json!({ "spec": spec }));
}

#[tokio::test]
async fn the_first_candidate_wins_at_once_and_says_so() {
    let server = Fake::default();
    let since = Instant::now();
    won(&candidate(&server, "a")).await;
    assert!(since.elapsed() < LEASE);
    let spec = lease(&server)["spec"].clone();
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!("a"), &json!(1)));
    assert_eq!((&spec["leaseTransitions"], &spec["acquireTime"]), (&json!(0), &spec["renewTime"]));
}

#[tokio::test]
async fn one_of_many_leads_and_stays_as_long_as_it_renews() {
    let server = Fake::default();
    let candidates: Vec<_> = ["a", "b", "c"].map(|name| candidate(&server, name)).into();
    let mut waiting = tokio::task::JoinSet::new();
    for candidate in candidates {
        waiting.spawn(async move { candidate.win().await });
    }
    let mut term = timeout(DEADLINE, waiting.join_next()).await.unwrap().unwrap().unwrap();
    // Several leases long.
    let held = timeout(3 * LEASE, term.hold()).await;
    assert!(held.is_err(), "{held:?}");
    assert!(waiting.try_join_next().is_none(), "a second candidate has won");
    assert_eq!(lease(&server)["spec"]["holderIdentity"], term.election.identity);
    assert_ne!(lease(&server)["spec"]["renewTime"], lease(&server)["spec"]["acquireTime"]);
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_falls_to_the_next_when_it_has_seen_all_of_it() {
    let server = Fake::default();
    let dead = won(&candidate(&server, "a")).await;
    let since = Instant::now();
    won(&candidate(&server, "b")).await;
    assert!(since.elapsed() >= LEASE, "{:?}", since.elapsed());
    assert_eq!(lease(&server)["spec"]["leaseTransitions"], 1);
    drop(dead);
}

#[tokio::test]
async fn the_clock_of_the_holder_does_not_matter() {
    for renewed in ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        let server = Fake::default();
        foreign(&server, renewed, 1);
        let since = Instant::now();
        won(&candidate(&server, "a")).await;
        assert!(since.elapsed() >= LEASE, "{renewed}: {:?}", since.elapsed());
        assert_eq!(lease(&server)["spec"]["leaseTransitions"], 5);
    }
}

#[tokio::test]
async fn a_longer_promise_is_honoured() {
    let server = Fake::default();
    foreign(&server, "2024-05-06T07:08:09.000000Z", 2);
    let since = Instant::now();
    won(&candidate(&server, "a")).await;
    assert!(since.elapsed() >= 2 * LEASE, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_lease_given_back_is_taken_at_once() {
    let server = Fake::default();
    // Candidates look seldom; they are told.
    let slow = Timing { lease: DEADLINE, renew: DEADLINE / 2, retry: DEADLINE / 4 };
    let named = |name: &str| Election::new(server.client(), &Key::new("kube-system", "work"), name, slow);
    let term = won(&named("a")).await;
    let next = named("b");
    let waiting = tokio::spawn(async move { next.win().await });
    // It has looked, and waits.
    let looked = async {
        while server.requests().iter().filter(|request| **request == format!("GET {PATH}")).count() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, looked).await.unwrap();
    let since = Instant::now();
    term.release().await;
    timeout(DEADLINE, waiting).await.unwrap().unwrap();
    assert!(since.elapsed() < slow.retry, "{:?}", since.elapsed());
    assert_eq!(lease(&server)["spec"]["holderIdentity"], "b");
}

#[tokio::test]
async fn who_cannot_renew_gives_up_before_anybody_else_can_win() {
    let server = Fake::default();
    let mut term = won(&candidate(&server, "a")).await;
    let renewed = term.renewed;
    for _ in 0..10_000 {
        server.refuse(500, "InternalError");
    }
    assert_eq!(lost(&mut term).await, Lost::Unrenewed(TIMING.renew));
    let late = renewed.elapsed();
    assert!(late >= TIMING.renew && late < LEASE, "{late:?}");
}

#[tokio::test]
async fn a_refused_renewal_is_tried_again() {
    let server = Fake::default();
    let mut term = won(&candidate(&server, "a")).await;
    server.refuse(500, "InternalError");
    server.refuse(503, "ServiceUnavailable");
    let held = timeout(2 * LEASE, term.hold()).await;
    assert!(held.is_err(), "{held:?}");
}

#[tokio::test]
async fn a_change_by_somebody_else_is_no_loss_and_a_deletion_neither() {
    let server = Fake::default();
    let mut term = won(&candidate(&server, "a")).await;
    let mut changed = lease(&server);
    changed["metadata"]["labels"] = json!({ "mine": "yes" });
    server.put(PATH, changed);
    assert!(timeout(LEASE, term.hold()).await.is_err());
    assert_eq!(lease(&server)["metadata"]["labels"]["mine"], "yes");
    server.remove(PATH);
    assert!(timeout(LEASE, term.hold()).await.is_err());
    assert_eq!(lease(&server)["spec"]["holderIdentity"], "a");
}

#[tokio::test]
async fn who_finds_another_in_its_place_gives_up_and_leaves_the_lease_alone() {
    let server = Fake::default();
    let mut term = won(&candidate(&server, "a")).await;
    foreign(&server, "2024-05-06T07:08:09.000000Z", 1);
    assert_eq!(lost(&mut term).await, Lost::Taken("other".to_owned()));
    term.release().await;
    assert_eq!(lease(&server)["spec"]["holderIdentity"], "other");
}

#[tokio::test]
async fn a_holder_that_slept_past_its_deadline_does_not_go_on() {
    let server = Fake::default();
    let mut term = won(&candidate(&server, "a")).await;
    // Nobody renews meanwhile, as in a process that stands still.
    sleep_until(term.renewed + TIMING.renew).await;
    let requests = server.requests().len();
    assert_eq!(lost(&mut term).await, Lost::Unrenewed(TIMING.renew));
    assert_eq!(server.requests().len(), requests, "it has asked once more");
}
