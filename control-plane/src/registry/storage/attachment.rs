//! Volumes on nodes (upstream `ValidateVolumeAttachment`, `ValidateVolumeAttachmentUpdate`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::check_driver_name;
use crate::registry::{Strategy, core::check_inline_volume, fields::At, pod_template::refuse_all};

const METADATA_LIMIT: usize = 256 * 1024;
const MESSAGE_LIMIT: usize = 1024;
const ONE_SOURCE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

/// The strategy of volume attachments.
pub(super) struct AttachmentStrategy;

impl Strategy for AttachmentStrategy {
    fn allows_unconditional_update(&self) -> bool {
        false
    }

    fn validate(&self, attachment: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(attachment).field("spec");
        let (attacher, node) = (spec.field("attacher"), spec.field("nodeName"));
        if attacher.text().is_empty() {
            errors.required(attacher.path, "");
        }
        check_source(&spec.field("source"), &mut errors);
        refuse_all(&node, names::subdomain(node.text()), &mut errors);
        errors.extend(check_status(attachment));
        errors
    }

    /// What this generation of the API asks of new ones.
    fn validate_create(&self, attachment: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(attachment).field("spec");
        check_driver_name(&spec.field("attacher"), &mut errors);
        let volume = spec.field("source").field("persistentVolumeName");
        if volume.is_set() {
            refuse_all(&volume, names::subdomain(volume.text()), &mut errors);
        }
        errors
    }

    fn validate_update(&self, attachment: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        if attachment["spec"] != old["spec"] {
            errors.invalid("spec", attachment["spec"].clone(), "field is immutable");
        }
        errors
    }

    fn validate_status_update(&self, attachment: &Value, _old: &Value) -> FieldErrors {
        check_status(attachment)
    }
}

fn check_source(source: &At<'_>, errors: &mut FieldErrors) {
    let (volume, inline) = (source.field("persistentVolumeName"), source.field("inlineVolumeSpec"));
    match (volume.is_set(), inline.is_set()) {
        (false, false) => errors.required(source.path.clone(), ONE_SOURCE),
        (true, true) => errors.forbidden(source.path.clone(), ONE_SOURCE),
        (true, false) if volume.text().is_empty() => {
            errors.required(volume.path, "must specify non empty persistentVolumeName");
        }
        (true, false) => {}
        (false, true) => check_inline_volume(&inline, errors),
    }
}

fn check_status(attachment: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let status = At::root(attachment).field("status");
    let metadata = status.field("attachmentMetadata");
    let size: usize = metadata.entries().map(|(key, value)| key.len() + value.text().len()).sum();
    if size > METADATA_LIMIT {
        errors.too_long(metadata.path, METADATA_LIMIT);
    }
    for error in ["attachError", "detachError"] {
        let message = status.field(error).field("message");
        if message.text().len() > MESSAGE_LIMIT {
            errors.too_long(message.path, MESSAGE_LIMIT);
        }
    }
    errors
}
