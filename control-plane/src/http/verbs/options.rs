//! The options that all writes have.

use nodeplane_api::status::{FieldErrors, Status};

use crate::http::call::Query;

/// The group of option objects, as error messages name it.
pub(super) const META_GROUP: &str = "meta.k8s.io";

/// The longest name of a field manager, in bytes.
const MANAGER_LIMIT: usize = 128;

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
        let mut errors = FieldErrors::default();
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        check_manager(query.text("fieldManager"), &mut errors);
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

fn check_manager(manager: &str, errors: &mut FieldErrors) {
    if manager.len() > MANAGER_LIMIT {
        errors.too_long("fieldManager", MANAGER_LIMIT);
    }
    if manager.chars().any(char::is_control) {
        errors.invalid("fieldManager", manager, "should only contain printable characters");
    }
}
