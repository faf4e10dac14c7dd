//! How a job knows its pods: labels with its uid and its name, and a selector for them.

use nodeplane_api::{
    meta,
    selector::LabelSelector,
    status::{FieldErrors, go_text},
};
use serde_json::{Value, json};

use crate::registry::{
    fields::{At, child, fill},
    workload::{check_label_selector, check_match, show_selector, template_labels},
};

const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
/// The same under names of old.
const OLD_UID: &str = "controller-uid";
const OLD_NAME: &str = "job-name";

/// Gives a new job a selector of its own, and its template the labels for it, unless it brings
/// its own.
pub(super) fn generate(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (meta::uid(job).to_owned(), meta::name(job).to_owned());
    let Some(spec) = job.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if let Some(labels) =
        child(spec, "template").and_then(|it| child(it, "metadata")).and_then(|it| child(it, "labels"))
    {
        for (key, value) in [(OLD_NAME, &name), (NAME, &name), (OLD_UID, &uid), (UID, &uid)] {
            if labels.get(key).is_none() {
                labels[key] = value.as_str().into();
            }
        }
    }
    if let Some(selected) = child(spec, "selector").and_then(|it| child(it, "matchLabels")) {
        fill(selected, UID, uid);
    }
}

/// A job without labels has those of its template.
pub(super) fn inherit(job: &mut Value) {
    let has_none = job["metadata"]["labels"].as_object().is_none_or(serde_json::Map::is_empty);
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if has_none && labels.is_object() {
        meta::set(job, "labels", labels);
    }
}

/// Adds what is wrong with labels that should be this job's alone.
pub(super) fn check_generated(job: &Value, errors: &mut FieldErrors) {
    let spec = At::root(job).field("spec");
    let selector = spec.field("selector");
    if spec.field("manualSelector").is_true() || !selector.is_set() {
        return;
    }
    let (uid, name) = (meta::uid(job), meta::name(job));
    if uid.is_empty() {
        errors.required("metadata.uid", "");
    }
    let labels = template_labels(&spec.field("template"));
    for (key, expected) in [(OLD_UID, uid), (OLD_NAME, name), (UID, uid), (NAME, name)] {
        check_label(&labels, key, expected, errors);
    }
    let all = json!({ UID: uid, NAME: name, OLD_UID: uid, OLD_NAME: name });
    if LabelSelector::from_value(selector.value).is_ok_and(|parsed| !parsed.matches(&all)) {
        errors.invalid_shown(selector.path, show_selector(selector.value), "`selector` not auto-generated");
    }
}

fn check_label(labels: &At<'_>, key: &str, expected: &str, errors: &mut FieldErrors) {
    let path = format!("{}[{key}]", labels.path);
    match labels.field(key).value.as_str() {
        None => errors.required(path, format!("must be '{expected}'")),
        Some(found) if found != expected => {
            errors.invalid_shown(path, go_text(labels.value), format!("must be '{expected}'"));
        }
        Some(_) => {}
    }
}

/// Adds what is wrong with the selector, whoever made it.
pub(super) fn check_selector(spec: &At<'_>, errors: &mut FieldErrors) {
    let (selector, template) = (spec.field("selector"), spec.field("template"));
    if selector.is_set() {
        check_label_selector(&selector, errors);
    } else {
        errors.required(selector.path.clone(), "");
    }
    if let Ok(parsed) = LabelSelector::from_value(selector.value) {
        check_match(parsed.matches(template_labels(&template).value), &template, errors);
    }
}
