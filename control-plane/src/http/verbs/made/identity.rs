//! Who somebody is: `SelfSubjectReview` and `TokenReview`.

use async_trait::async_trait;
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::review::Review;
use crate::http::verbs::ask::Ask;

/// As whom the server knows whoever asks.
pub(super) struct Myself;

#[async_trait]
impl Review for Myself {
    async fn answer(&self, ask: &Ask<'_>, _: &Value) -> Result<Value, Status> {
        Ok(json!({ "userInfo": ask.permit.caller().to_user_info() }))
    }
}

/// Whose token something is.
pub(super) struct SomeToken;

#[async_trait]
impl Review for SomeToken {
    async fn answer(&self, ask: &Ask<'_>, review: &Value) -> Result<Value, Status> {
        let token = review["spec"]["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        let audiences = review["spec"]["audiences"].as_array().into_iter().flatten();
        let audiences: Vec<&str> = audiences.filter_map(Value::as_str).collect();
        let tokens = &ask.api.tokens;
        let checked = match audiences.is_empty() {
            true => tokens.authenticate(&ask.api.objects, token).await,
            false => tokens.authenticate_for(&ask.api.objects, token, &audiences).await,
        };
        Ok(match checked {
            Ok(holder) => json!({
                "authenticated": true,
                "user": holder.caller.to_user_info(),
                "audiences": holder.audiences,
            }),
            Err(why) => json!({ "user": {}, "error": why.to_string() }),
        })
    }
}
