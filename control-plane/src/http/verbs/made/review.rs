//! Questions that are answered in their `.status`.
//!
//! In: a review as a client sends it. Out: the same one with the answer. Nothing is stored, so
//! that a dry run is like any other.

use async_trait::async_trait;
use http::StatusCode;
use nodeplane_api::status::{FieldErrors, Status};
use serde_json::{Value, json};

use crate::http::{
    reply::Reply,
    verbs::{answer, ask::Ask, intake, options::WriteOptions},
};
use crate::registry::metadata::own;

/// One kind of question.
#[async_trait]
pub(super) trait Review: Sync {
    /// Everything that is wrong with the question.
    fn errors(&self, _review: &Value) -> FieldErrors {
        FieldErrors::default()
    }

    /// The answer, as `.status`.
    ///
    /// # Errors
    /// For a question that cannot be answered.
    async fn answer(&self, ask: &Ask<'_>, review: &Value) -> Result<Value, Status>;
}

/// Answers the review that the body asks for.
///
/// # Errors
/// 400 and 422 for a bad question.
pub(super) async fn create(ask: &Ask<'_>, kind: &dyn Review) -> Result<Reply, Status> {
    let options = WriteOptions::read(&ask.call.query, "CreateOptions")?;
    let mut intake = intake::object(ask.call, ask.kind(), options.validation)?;
    if ask.kind().is_namespaced() {
        own::enter_namespace(&mut intake.object, ask.namespace())?;
    }
    let errors = kind.errors(&intake.object);
    if !errors.is_empty() {
        return Err(Status::invalid(ask.kind(), "", &errors));
    }
    let mut review = intake.object;
    if review["metadata"].is_null() {
        review["metadata"] = json!({});
    }
    review["status"] = kind.answer(ask, &review).await?;
    Ok(answer::object(ask, StatusCode::CREATED, &review)?.with_warnings(&intake.warnings))
}
