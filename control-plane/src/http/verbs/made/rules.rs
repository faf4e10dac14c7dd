//! What whoever asks may do: `SelfSubjectRulesReview`.

use async_trait::async_trait;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::review::Review;
use crate::http::verbs::ask::Ask;

/// A question about all that one may do in a namespace.
pub(super) struct OwnRules;

#[async_trait]
impl Review for OwnRules {
    async fn answer(&self, ask: &Ask<'_>, review: &Value) -> Result<Value, Status> {
        let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let rules = ask.api.authority.rules(ask.permit.caller(), namespace).await;
        let mut status = json!({
            "resourceRules": rules.resources,
            "nonResourceRules": rules.paths,
            "incomplete": !rules.unknown.is_empty(),
        });
        if !rules.unknown.is_empty() {
            status["evaluationError"] = rules.unknown.join(", ").into();
        }
        Ok(status)
    }
}
