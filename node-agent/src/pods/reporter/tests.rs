//! When statuses are written, and when not.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::json;

use super::Reporter;
use crate::pods::{
    api::fake::{FIRST_REVISION, FakeApi},
    fixtures::{self, eventually},
    pod::PodExt,
};

/// Longer than a write takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn status(phase: &str) -> PodStatus {
    PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() }
}

fn object(revision: u64, phase: &str) -> Pod {
    let mut pod = fixtures::pod(json!({}));
    pod.metadata.resource_version = Some(revision.to_string());
    pod.status = Some(status(phase));
    pod
}

fn start(api: &FakeApi) -> Reporter {
    Reporter::start(Arc::new(api.clone()), fixtures::pod(json!({})).id())
}

fn phases(api: &FakeApi) -> Vec<String> {
    api.state().statuses.iter().filter_map(|(_, status)| status.phase.clone()).collect()
}

#[tokio::test]
async fn what_the_object_shows_is_not_written() {
    let api = FakeApi::default();
    let reporter = start(&api);
    reporter.saw(&object(5, "Running"));
    reporter.show(status("Running"));
    assert!(reporter.settled(PATIENCE).await);
    assert_eq!(phases(&api), Vec::<String>::new());
}

#[tokio::test]
async fn a_difference_is_written_once() {
    let api = FakeApi::default();
    let reporter = start(&api);
    reporter.saw(&object(0, "Pending"));
    reporter.show(status("Running"));
    assert!(reporter.settled(PATIENCE).await);
    reporter.show(status("Running"));
    // The object as it was, seen late.
    reporter.saw(&object(0, "Pending"));
    reporter.saw(&object(1, "Running"));
    assert!(reporter.settled(PATIENCE).await);
    assert_eq!(phases(&api), ["Running"]);
}

#[tokio::test]
async fn what_somebody_else_wrote_is_put_right() {
    let api = FakeApi::default();
    let reporter = start(&api);
    reporter.show(status("Running"));
    assert!(reporter.settled(PATIENCE).await);
    reporter.saw(&object(FIRST_REVISION + 2, "Unknown"));
    assert!(reporter.settled(PATIENCE).await);
    assert_eq!(phases(&api), ["Running", "Running"]);
}

#[tokio::test]
async fn failures_are_tried_again_with_the_newest_only() {
    let api = FakeApi::default();
    api.state().refusals = 1;
    let reporter = start(&api);
    reporter.show(status("Pending"));
    eventually("a write was refused", || api.state().refusals == 0).await;
    reporter.show(status("Running"));
    assert!(reporter.settled(PATIENCE).await);
    assert_eq!(phases(&api), ["Running"]);
}

#[tokio::test]
async fn an_end_does_not_wait_for_ever_for_a_status_that_is_refused() {
    let api = FakeApi::default();
    api.state().refusals = u32::MAX;
    let reporter = start(&api);
    reporter.show(status("Failed"));
    assert!(!reporter.settled(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn nobody_is_told_of_a_pod_that_is_gone() {
    let api = FakeApi::default();
    api.state().gone = true;
    let reporter = start(&api);
    reporter.show(status("Running"));
    assert!(reporter.settled(PATIENCE).await);
    assert_eq!(phases(&api), Vec::<String>::new());
}
