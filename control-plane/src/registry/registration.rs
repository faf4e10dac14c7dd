//! APIServices (upstream kube-aggregator): which versions of which groups are served. Those that
//! another server would answer for are refused: calls are not handed on.

use nodeplane_api::{meta, names, status::FieldErrors};
use serde_json::{Value, json};

use super::{NameRule, Strategy, clear_status, fields::At, keep};

/// The strategy of APIServices.
pub(super) struct ApiServiceStrategy;

impl Strategy for ApiServiceStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    /// What is served here is available from its first moment on.
    fn prepare_for_create(&self, service: &mut Value) {
        clear_status(service);
        let condition = json!({
            "type": "Available", "status": "True", "reason": "Local",
            "message": "Local APIServices are always available",
            "lastTransitionTime": meta::text(service, "creationTimestamp"),
        });
        service["status"] = json!({ "conditions": [condition] });
    }

    fn prepare_for_update(&self, service: &mut Value, old: &Value) {
        keep(service, old, "status");
    }

    fn validate(&self, service: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let service = At::root(service);
        let spec = service.field("spec");
        let (group, version) = (spec.field("group"), spec.field("version"));
        let (name, wanted) = (meta::name(service.value), format!("{}.{}", version.text(), group.text()));
        if name != wanted && names::path_segment(name).is_empty() {
            let words = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
            errors.invalid("metadata.name", name, words);
        }
        if group.text().is_empty() && version.text() != "v1" {
            errors.required(group.path.clone(), "only v1 may have an empty group and it better be legacy kube");
        }
        if !group.text().is_empty() {
            for words in names::subdomain(group.text()) {
                errors.invalid(group.path.clone(), group.text(), words);
            }
        }
        for words in names::label_1035(version.text()) {
            errors.invalid(version.path.clone(), version.text(), words);
        }
        check_priorities(&spec, &mut errors);
        check_local(&spec, &mut errors);
        errors
    }
}

fn check_priorities(spec: &At<'_>, errors: &mut FieldErrors) {
    for (name, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let field = spec.field(name);
        let priority = field.integer().unwrap_or(0);
        if !(1..=most).contains(&priority) {
            errors.invalid(field.path, priority, format!("must be positive and less than {most}"));
        }
    }
}

fn check_local(spec: &At<'_>, errors: &mut FieldErrors) {
    let (service, bundle, insecure) =
        (spec.field("service"), spec.field("caBundle"), spec.field("insecureSkipTLSVerify"));
    if service.is_set() {
        errors.forbidden(service.path, "calls are not handed on to other servers");
        return;
    }
    if !bundle.text().is_empty() {
        errors.invalid(
            bundle.path.clone(),
            format!("{} bytes", bytes_of(bundle.text())),
            "local APIServices may not have a caBundle",
        );
    }
    if insecure.is_true() {
        errors.invalid(insecure.path, true, "local APIServices may not have insecureSkipTLSVerify");
    }
}

/// How many bytes some base64 stands for.
fn bytes_of(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests;
