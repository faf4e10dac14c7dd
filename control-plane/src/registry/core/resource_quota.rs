//! Quotas (upstream `ValidateResourceQuota`, `ValidateResourceQuotaUpdate`).

use std::collections::BTreeSet;

use nodeplane_api::{names, quantity::Quantity, status::FieldErrors};
use serde_json::Value;

use crate::registry::{Strategy, fields::At};

/// Things that are counted.
const COUNTED: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// Things of which there are amounts.
const MEASURED: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];
const SCOPES: [&str; 6] =
    ["Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"];
/// What the scopes of pods can be for.
const OF_PODS: [&str; 7] = ["pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const OPPOSITES: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
const ONLY_EXISTS: &str = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
    ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
    ResourceQuotaScopeCrossNamespacePodAffinity";

/// The strategy of quotas.
pub(super) struct QuotaStrategy;

impl Strategy for QuotaStrategy {
    fn validate(&self, quota: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(quota).field("spec");
        check_list(&spec.field("hard"), &mut errors);
        check_scopes(&spec, &mut errors);
        check_selector(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, quota: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let scopes = At::root(quota).field("spec").field("scopes");
        let before = At::root(old).field("spec").field("scopes");
        if set_of(&scopes) != set_of(&before) {
            errors.invalid_shown(scopes.path.clone(), show_scopes(&scopes), "field is immutable");
        }
        errors
    }

    fn validate_status_update(&self, quota: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let status = At::root(quota).field("status");
        check_list(&status.field("hard"), &mut errors);
        check_list(&status.field("used"), &mut errors);
        errors
    }
}

/// Adds what is wrong with the name of anything that there can be an amount of.
pub(super) fn check_resource_name(name: &str, at: &At<'_>, errors: &mut FieldErrors) -> bool {
    let wrong = names::qualified(name);
    let is_good = wrong.is_empty();
    for words in wrong {
        errors.invalid(at.path.clone(), name, words);
    }
    let is_known = is_quota_resource(name) || name == "storage";
    if is_good && !name.contains('/') && !is_known {
        errors.invalid(at.path.clone(), name, "must be a standard resource type or fully qualified");
        return false;
    }
    is_good
}

fn is_quota_resource(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").unwrap_or(name);
    COUNTED.contains(&name) || MEASURED.contains(&name) || bare.starts_with("hugepages-")
}

fn check_list(amounts: &At<'_>, errors: &mut FieldErrors) {
    for (name, amount) in amounts.entries() {
        let is_good = check_resource_name(name, &amount, errors);
        if !name.contains('/') && !is_quota_resource(name) {
            errors.invalid(amount.path.clone(), name, "must be a standard resource for quota");
        }
        let Ok(quantity) = amount.text().parse::<Quantity>() else { continue };
        if quantity.is_negative() {
            errors.invalid(amount.path.clone(), amount.text(), "must be greater than or equal to 0");
        }
        let is_counted = COUNTED.contains(&name) || (is_good && is_extended(name));
        if is_counted && !quantity.is_whole() {
            errors.invalid(amount.path.clone(), amount.text(), "must be an integer");
        }
    }
}

/// Whether others than Kubernetes named it.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

fn set_of<'a>(scopes: &At<'a>) -> BTreeSet<&'a str> {
    scopes.items().map(|scope| scope.text()).collect()
}

fn show_scopes(scopes: &At<'_>) -> String {
    let given: Vec<String> = scopes.items().map(|scope| format!("{:?}", scope.text())).collect();
    if scopes.is_set() { format!("[]core.ResourceQuotaScope{{{}}}", given.join(", ")) } else { NIL_SCOPES.to_owned() }
}

const NIL_SCOPES: &str = "[]core.ResourceQuotaScope(nil)";

/// Whether a scope can choose among what has this amount.
fn is_for(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        scope => !SCOPES.contains(&scope) || OF_PODS.contains(&resource),
    }
}

fn misfits<'a>(spec: &At<'a>, scope: &str) -> impl Iterator<Item = &'a str> {
    let hard: Vec<&str> = spec.field("hard").entries().map(|(name, _)| name).collect();
    let scope = scope.to_owned();
    hard.into_iter().filter(move |name| is_quota_resource(name) && !is_for(&scope, name))
}

fn check_scopes(spec: &At<'_>, errors: &mut FieldErrors) {
    let scopes = spec.field("scopes");
    let mut refuse = |words: &str| errors.invalid_shown(scopes.path.clone(), show_scopes(&scopes), words);
    for scope in scopes.items() {
        if !SCOPES.contains(&scope.text()) {
            refuse("unsupported scope");
        }
        misfits(spec, scope.text()).for_each(|_| refuse("unsupported scope applied to resource"));
    }
    let given = set_of(&scopes);
    for _ in OPPOSITES.iter().filter(|pair| pair.iter().all(|scope| given.contains(scope))) {
        refuse("conflicting scopes");
    }
}

fn check_selector(spec: &At<'_>, errors: &mut FieldErrors) {
    // Upstream leaves out the index.
    let path = "spec.scopeSelector.matchExpressions";
    let mut given = BTreeSet::new();
    for expression in spec.field("scopeSelector").field("matchExpressions").items() {
        let (scope, operator) = (expression.field("scopeName").text(), expression.field("operator").text());
        let values = expression.field("values");
        if !SCOPES.contains(&scope) {
            errors.invalid(format!("{path}.scopeName"), scope, "unsupported scope");
        }
        for _ in misfits(spec, scope) {
            errors.invalid(path, expression.value.clone(), "unsupported scope applied to resource");
        }
        if SCOPES.contains(&scope) && scope != "PriorityClass" && operator != "Exists" {
            errors.invalid(format!("{path}.operator"), operator, ONLY_EXISTS);
        }
        match operator {
            "In" | "NotIn" if values.len() == 0 => {
                let words = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.required(format!("{path}.values"), words);
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                let words = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.invalid(format!("{path}.values"), values.value.clone(), words);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(format!("{path}.operator"), other, "not a valid selector operator"),
        }
        given.insert(scope);
    }
    for _ in OPPOSITES.iter().filter(|pair| pair.iter().all(|scope| given.contains(scope))) {
        errors.invalid_shown("spec.scopeSelector.matchExpressions", NIL_SCOPES, "conflicting scopes");
    }
}

#[cfg(test)]
mod tests;
