//! How something is to be deleted.
//!
//! In: a `DeleteOptions` body, or the same as query parameters. Out: options that fit together.

use nodeplane_api::{
    k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta_v1,
    status::{FieldErrors, Status},
};

use super::{
    intake,
    options::{META_GROUP, dry_run},
};
use crate::{
    http::call::Call,
    registry::engine::{Propagation, Removal},
};

/// Options of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeleteOptions {
    /// What is asked for.
    pub(super) removal: Removal,
    /// Whether the client named the propagation in the old way, which has an answer code of its
    /// own.
    pub(super) is_legacy_cascade: bool,
}

impl DeleteOptions {
    /// Reads the options of a call: the body when there is one, the query otherwise. A dry run
    /// may be asked for in either.
    ///
    /// # Errors
    /// 400 for a body that is none, 422 for options that do not fit together.
    pub(super) fn read(call: &Call) -> Result<Self, Status> {
        let mut raw = if call.body.is_empty() { from_query(call)? } else { from_body(call)? };
        let in_query = call.query.all("dryRun").filter(|value| !value.is_empty()).map(str::to_owned);
        raw.dry_run.get_or_insert_default().extend(in_query);
        Self::check(raw)
    }

    /// Checks options that came with something else.
    ///
    /// # Errors
    /// 422 for options that do not fit together.
    pub(super) fn check(raw: meta_v1::DeleteOptions) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        let policy = raw.propagation_policy.as_deref().filter(|policy| !policy.is_empty());
        let mut propagation = match policy {
            None => None,
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => {
                errors.not_supported("propagationPolicy", other, &["Foreground", "Background", "Orphan", "nil"]);
                None
            }
        };
        if raw.orphan_dependents.is_some() && policy.is_some() {
            let words = "orphanDependents and deletionPropagation cannot be both set";
            errors.invalid("propagationPolicy", policy.unwrap_or_default(), words);
        }
        match raw.orphan_dependents {
            Some(true) => propagation = Some(Propagation::Orphan),
            Some(false) => propagation = Some(Propagation::Background),
            None => {}
        }
        let dry_run = dry_run(raw.dry_run.iter().flatten().map(String::as_str), &mut errors);
        if !errors.is_empty() {
            return Err(Status::invalid_as(META_GROUP, "DeleteOptions", "", &errors));
        }
        let preconditions = raw.preconditions.unwrap_or_default();
        let removal = Removal {
            // A negative grace means: at once, but let the keeper know.
            grace: raw.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds }),
            propagation,
            uid: preconditions.uid,
            revision: preconditions.resource_version,
            dry_run,
        };
        Ok(Self { removal, is_legacy_cascade: raw.orphan_dependents == Some(false) })
    }
}

fn from_query(call: &Call) -> Result<meta_v1::DeleteOptions, Status> {
    let query = &call.query;
    Ok(meta_v1::DeleteOptions {
        grace_period_seconds: query.number("gracePeriodSeconds")?,
        orphan_dependents: query.optional_flag("orphanDependents"),
        propagation_policy: query.get("propagationPolicy").map(str::to_owned),
        ..meta_v1::DeleteOptions::default()
    })
}

fn from_body(call: &Call) -> Result<meta_v1::DeleteOptions, Status> {
    let body = intake::document(call, ("v1", "DeleteOptions"))?.value;
    if !matches!(body["kind"].as_str(), None | Some("" | "DeleteOptions")) {
        return Err(Status::bad_request("decoded object cannot be converted to DeleteOptions"));
    }
    serde_json::from_value(body).map_err(|error| {
        Status::bad_request(format!("DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: {error}"))
    })
}
