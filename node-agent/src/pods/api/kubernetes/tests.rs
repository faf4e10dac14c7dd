//! What answers of the API server mean to a pod.

use kube::core::Status;

use super::{ApiError, failure, refusal};

fn answer(code: u16, message: &str) -> kube::Error {
    kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
}

#[test]
fn a_service_account_that_is_missing_does_not_read_as_a_pod_that_is_gone() {
    let missing = "serviceaccounts \"robot\" not found";
    assert_eq!(refusal(answer(404, missing)).to_string(), missing);
}

#[test]
fn a_pod_is_gone_when_it_is_missing_or_another_one_has_its_name() {
    assert!(matches!(failure(answer(404, "pods \"p\" not found")), ApiError::Gone));
    let other = "Precondition failed: UID in precondition: a, UID in object meta: b";
    assert!(matches!(failure(answer(409, other)), ApiError::Gone));
    assert!(matches!(failure(answer(409, "the object has been modified")), ApiError::Failed(_)));
}
