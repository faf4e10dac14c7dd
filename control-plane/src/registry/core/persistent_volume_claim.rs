//! Claims of volumes (upstream `ValidatePersistentVolumeClaim`,
//! `ValidatePersistentVolumeClaimUpdate`).

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::{Value, json};

use super::persistent_volume::{CLASS_ANNOTATION, MODES, check_access_modes, check_positive, deprecated_annotations};
use crate::registry::{
    Strategy,
    fields::{At, fill, object_mut},
    keep,
    metadata::check_immutable,
    pod_template::refuse_all,
    workload::check_label_selector,
};

const SPEC_IS_IMMUTABLE: &str = "spec is immutable after creation except resources.requests and \
    volumeAttributesClassName for bound claims\n";

/// The strategy of claims.
pub(super) struct ClaimStrategy;

impl Strategy for ClaimStrategy {
    fn default(&self, claim: &mut Value) {
        if let Some(spec) = object_mut(claim, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
    }

    fn prepare_for_create(&self, claim: &mut Value) {
        claim["status"] = json!({ "phase": "Pending" });
        agree_on_source(claim);
    }

    fn prepare_for_update(&self, claim: &mut Value, old: &Value) {
        keep(claim, old, "status");
        agree_on_source(claim);
    }

    fn validate(&self, claim: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        check_claim_spec(&At::root(claim).field("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, claim: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let is_bound = claim["status"]["phase"] == "Bound";
        let mut comparable = claim["spec"].clone();
        if old["spec"]["volumeName"].as_str().unwrap_or_default().is_empty() {
            // It is named once.
            keep(&mut comparable, &old["spec"], "volumeName");
        }
        if !is_class_upgrade(claim, old) {
            check_class_annotation(claim, old, &mut errors);
        } else {
            keep(&mut comparable, &old["spec"], "storageClassName");
        }
        if is_bound {
            if let Some(requests) = comparable.pointer_mut("/resources/requests") {
                keep(requests, &old["spec"]["resources"]["requests"], "storage");
            }
            keep(&mut comparable, &old["spec"], "volumeAttributesClassName");
        }
        if comparable != old["spec"] {
            errors.forbidden("spec", SPEC_IS_IMMUTABLE);
        }
        check_size(claim, old, &mut errors);
        let mode = |claim: &Value| claim["spec"]["volumeMode"].clone();
        let (now, before) = (mode(claim), mode(old));
        let at = |value| At { value, path: "volumeMode".to_owned() };
        check_immutable(&at(&now), &at(&before), &mut errors);
        errors
    }

    fn validate_status_update(&self, claim: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        for (_, amount) in At::root(claim).field("status").field("capacity").entries() {
            if amount.text().parse::<Quantity>().is_ok_and(Quantity::is_negative) {
                errors.invalid(amount.path.clone(), amount.text(), "must be a valid resource quantity");
            }
        }
        errors
    }

    fn warnings(&self, claim: &Value) -> Vec<String> {
        let mut warnings = deprecated_annotations(claim);
        let amount = claim["spec"]["resources"]["requests"]["storage"].as_str().unwrap_or_default();
        if amount.parse::<Quantity>().is_ok_and(|quantity| !quantity.is_whole()) {
            warnings.push(format!(
                "spec.resources.requests[storage]: fractional byte value {amount:?} is invalid, must be an integer"
            ));
        }
        warnings
    }
}

/// Adds what is wrong with what a claim asks for.
pub(super) fn check_claim_spec(spec: &At<'_>, errors: &mut FieldErrors) {
    check_access_modes(&spec.field("accessModes"), "at least 1 access mode is required", errors);
    check_label_selector(&spec.field("selector"), errors);
    let size = spec.field("resources").field("requests").field("storage");
    let size = At { path: format!("{}.resources[storage]", spec.path), ..size };
    if size.is_set() {
        check_positive(&size, errors);
    } else {
        errors.required(size.path, "");
    }
    for class in ["storageClassName", "volumeAttributesClassName"].map(|field| spec.field(field)) {
        if !class.text().is_empty() {
            refuse_all(&class, names::subdomain(class.text()), errors);
        }
    }
    let mode = spec.field("volumeMode");
    if mode.is_set() && !MODES.contains(&mode.text()) {
        errors.not_supported(mode.path.clone(), mode.text(), &MODES);
    }
    let sources = ["dataSource", "dataSourceRef"].map(|field| spec.field(field));
    for source in sources.iter().filter(|source| source.is_set()) {
        check_data_source(source, errors);
    }
    let [old, new] = &sources;
    let is_other = |field: &str| old.value.get(field) != new.value.get(field);
    if old.is_set() && new.is_set() && ["apiGroup", "kind", "name"].into_iter().any(is_other) {
        errors.invalid_shown(spec.path.clone(), old.path.clone(), "must match dataSourceRef");
    }
}

fn check_data_source(source: &At<'_>, errors: &mut FieldErrors) {
    for field in ["name", "kind"].map(|field| source.field(field)) {
        if field.text().is_empty() {
            errors.required(field.path, "");
        }
    }
    let (group, kind) = (source.field("apiGroup"), source.field("kind"));
    match group.text() {
        "" if kind.text() != "PersistentVolumeClaim" => errors.invalid(source.path.clone(), kind.text(), ""),
        "" => {}
        text => refuse_all(&group, names::subdomain(text), errors),
    }
}

/// `dataSource` and `dataSourceRef` are one field in two generations of the API.
fn agree_on_source(claim: &mut Value) {
    let Some(spec) = object_mut(claim, "spec") else { return };
    let is_set = |field: &str| spec.get(field).is_some_and(Value::is_object);
    match (is_set("dataSource"), is_set("dataSourceRef")) {
        (true, false) => spec["dataSourceRef"] = spec["dataSource"].clone(),
        (false, true) if spec["dataSourceRef"]["namespace"].as_str().unwrap_or_default().is_empty() => {
            spec["dataSource"] = spec["dataSourceRef"].clone();
        }
        _ => {}
    }
}

/// Whether a claim moves its class from the annotation to the field.
fn is_class_upgrade(claim: &Value, old: &Value) -> bool {
    let annotation = |claim: &Value| claim["metadata"]["annotations"].get(CLASS_ANNOTATION).cloned();
    let (now, before) = (annotation(claim), annotation(old));
    before.is_some()
        && old["spec"]["storageClassName"].is_null()
        && claim["spec"].get("storageClassName") == before.as_ref()
        && now.is_none_or(|now| Some(now) == before)
}

fn check_class_annotation(claim: &Value, old: &Value, errors: &mut FieldErrors) {
    let annotation =
        |claim: &Value| claim["metadata"]["annotations"][CLASS_ANNOTATION].as_str().unwrap_or_default().to_owned();
    if annotation(claim) != annotation(old) {
        let path = format!("metadata.annotations[{CLASS_ANNOTATION}]");
        errors.invalid(path, annotation(claim), "field is immutable");
    }
}

/// A claim may grow, and shrink as far as it has not grown yet.
fn check_size(claim: &Value, old: &Value, errors: &mut FieldErrors) {
    const PATH: &str = "spec.resources.requests.storage";
    let amount =
        |value: &Value| value.as_str().and_then(|text| text.parse::<Quantity>().ok()).unwrap_or(Quantity::ZERO);
    let size = |claim: &Value| amount(&claim["spec"]["resources"]["requests"]["storage"]);
    if size(claim) < size(old) && size(claim) <= amount(&old["status"]["capacity"]["storage"]) {
        errors.forbidden(PATH, "field can not be less than status.capacity");
    }
}

#[cfg(test)]
mod tests;
