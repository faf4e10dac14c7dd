//! Which part of an object a write may change, and what happens to the rest.

use nodeplane_api::{
    meta,
    status::{FieldErrors, Status},
};
use serde_json::Value;

use super::{ask::Ask, metadata};
use crate::registry::{keep, validate_meta, validate_meta_update};

/// What a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything but what has a path of its own.
    Whole,
    /// `.status`, and annotations, which agents keep next to it.
    Status,
    /// A namespace's `.spec.finalizers`.
    Finalizers,
    /// Everything, as the server itself changes it.
    Assignment,
}

impl Part {
    /// The object to store when a client asks for `object` in place of `old`.
    pub(super) fn prepare(self, ask: &Ask<'_>, mut object: Value, old: &Value) -> Value {
        let strategy = ask.strategy();
        match self {
            Self::Whole => {
                strategy.default(&mut object);
                metadata::keep_server_fields(&mut object, old);
                strategy.prepare_for_update(&mut object, old);
                if strategy.counts_generations() {
                    metadata::count_generation(&mut object, old);
                }
                object
            }
            Self::Status => {
                let mut prepared = old.clone();
                keep(&mut prepared, &object, "status");
                // Left out, they stay: an agent may write a status that it made from nothing.
                if object["metadata"].get("annotations").is_some() {
                    keep(&mut prepared["metadata"], &object["metadata"], "annotations");
                }
                prepared
            }
            Self::Finalizers => {
                let mut prepared = old.clone();
                keep(&mut prepared["spec"], &object["spec"], "finalizers");
                prepared
            }
            Self::Assignment => object,
        }
    }

    /// Everything that is wrong with the change.
    ///
    /// # Errors
    /// 422.
    pub(super) fn validate(self, ask: &Ask<'_>, object: &Value, old: &Value) -> Result<(), Status> {
        let (kind, strategy) = (ask.kind(), ask.strategy());
        let mut errors = FieldErrors::default();
        match self {
            Self::Whole => {
                errors.extend(validate_meta(kind, strategy.name_rule(), object));
                errors.extend(validate_meta_update(kind, object, old));
                errors.extend(strategy.validate(object));
                errors.extend(strategy.validate_update(object, old));
            }
            Self::Status => {
                errors.extend(validate_meta(kind, strategy.name_rule(), object));
                errors.extend(strategy.validate_status_update(object, old));
            }
            Self::Finalizers | Self::Assignment => {}
        }
        if errors.is_empty() { Ok(()) } else { Err(Status::invalid(kind, meta::name(object), &errors)) }
    }

    /// Whether the change may need addresses or ports of the cluster.
    pub(super) fn allocates(self) -> bool {
        self == Self::Whole
    }
}
