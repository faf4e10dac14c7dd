//! The options that all writes have.

use nodeplane_api::status::{FieldErrors, Status};

use crate::{http::call::Query, registry::metadata::managers};

/// The group of option objects, as error messages name it.
pub(super) const META_GROUP: &str = "meta.k8s.io";

/// What unknown and duplicate fields do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validation {
    /// Nothing.
    Ignore,
    /// They are dropped with a warning.
    Warn,
    /// They fail the call.
    Strict,
}

/// Options of creates, updates and patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteOptions {
    /// Do everything but store the result.
    pub(super) dry_run: bool,
    pub(super) validation: Validation,
}

impl WriteOptions {
    /// Reads the options of a query. `named` is what upstream calls them, such as
    /// `CreateOptions`.
    ///
    /// # Errors
    /// 422 for an option that is none.
    pub(super) fn read(query: &Query, named: &str) -> Result<Self, Status> {
        Self::read_with(query, named, FieldErrors::default())
    }

    /// Reads the options of a patch. Server-side apply needs a name, and alone knows `force`.
    ///
    /// # Errors
    /// As [`WriteOptions::read`].
    pub(super) fn read_patch(query: &Query, is_apply: bool) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        if is_apply && query.text("fieldManager").is_empty() {
            errors.required("fieldManager", "is required for apply patch");
        }
        if !is_apply && query.get("force").is_some() {
            errors.forbidden("force", "may not be specified for non-apply patch");
        }
        Self::read_with(query, "PatchOptions", errors)
    }

    fn read_with(query: &Query, named: &str, mut errors: FieldErrors) -> Result<Self, Status> {
        managers::check_name(query.text("fieldManager"), "fieldManager", &mut errors);
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let validation = match query.text("fieldValidation") {
            "Ignore" => Validation::Ignore,
            "" | "Warn" => Validation::Warn,
            "Strict" => Validation::Strict,
            other => {
                errors.not_supported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]);
                Validation::Warn
            }
        };
        if errors.is_empty() {
            return Ok(Self { dry_run, validation });
        }
        Err(Status::invalid_as(META_GROUP, named, "", &errors))
    }
}

/// Whether the values of `dryRun` ask for one; the only way to say so is `All`.
pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut FieldErrors) -> bool {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        errors.not_supported("dryRun", values.clone(), &["All"]);
    }
    !values.is_empty()
}
