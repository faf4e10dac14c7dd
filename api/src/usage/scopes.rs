//! Which objects a quota is about, by its scopes.

use serde_json::Value;

use super::read;
use crate::kinds::Kind;

/// Whether a quota with this `spec` counts this object: it is in all of the quota's scopes. Only
/// pods are in scopes.
pub fn chooses(spec: &Value, kind: &Kind, object: &Value) -> bool {
    let is_pod = kind.group.is_empty() && kind.plural == "pods";
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let in_scope = |scope: &Value| is_in(object, scope.as_str().unwrap_or_default());
    let fits = |expression: &Value| match expression["scopeName"].as_str() {
        Some("PriorityClass") => has_class(object, expression),
        scope => is_in(object, scope.unwrap_or_default()),
    };
    let (scopes, expressions) = (list(&spec["scopes"]), list(&spec["scopeSelector"]["matchExpressions"]));
    let has_scopes = !scopes.is_empty() || !expressions.is_empty();
    !has_scopes || (is_pod && scopes.iter().all(in_scope) && expressions.iter().all(fits))
}

fn is_in(pod: &Value, scope: &str) -> bool {
    let spec = &pod["spec"];
    match scope {
        "Terminating" => ends(spec),
        "NotTerminating" => !ends(spec),
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "PriorityClass" => !class(spec).is_empty(),
        "CrossNamespacePodAffinity" => looks_elsewhere(spec),
        _ => false,
    }
}

fn ends(spec: &Value) -> bool {
    spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0)
}

fn class(spec: &Value) -> &str {
    spec["priorityClassName"].as_str().unwrap_or_default()
}

fn has_class(pod: &Value, expression: &Value) -> bool {
    let class = class(&pod["spec"]);
    let is_listed = || expression["values"].as_array().into_iter().flatten().any(|value| value == class);
    match expression["operator"].as_str() {
        Some("In") => !class.is_empty() && is_listed(),
        // Having none is not having any of these.
        Some("NotIn") => class.is_empty() || !is_listed(),
        Some("Exists") => !class.is_empty(),
        Some("DoesNotExist") => class.is_empty(),
        _ => false,
    }
}

/// Whether no container asks for CPU or memory or is limited in them.
fn is_best_effort(spec: &Value) -> bool {
    let containers = ["containers", "initContainers"].map(|list| spec[list].as_array().into_iter().flatten());
    containers.into_iter().flatten().all(|container| {
        let lists = ["requests", "limits"].map(|list| read(&container["resources"][list]));
        let states = |name: &str| lists.iter().any(|list| list.get(name).is_some_and(|amount| !amount.is_zero()));
        !states("cpu") && !states("memory")
    })
}

/// Whether a pod's neighbours may be of other namespaces.
fn looks_elsewhere(spec: &Value) -> bool {
    let elsewhere = |term: &Value| {
        term["namespaces"].as_array().is_some_and(|names| !names.is_empty()) || term["namespaceSelector"].is_object()
    };
    ["podAffinity", "podAntiAffinity"].map(|kind| &spec["affinity"][kind]).into_iter().any(|terms| {
        let list = |field: &str| terms[field].as_array().into_iter().flatten();
        list("requiredDuringSchedulingIgnoredDuringExecution").any(elsewhere)
            || list("preferredDuringSchedulingIgnoredDuringExecution").any(|term| elsewhere(&term["podAffinityTerm"]))
    })
}
