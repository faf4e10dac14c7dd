//! Roles, of a namespace and of the cluster (upstream `ValidateRole`, `ValidateClusterRole`).

use nodeplane_api::status::FieldErrors;
use serde_json::Value;

use crate::registry::{NameRule, Strategy, fields::At, workload::check_label_selector};

/// The strategy of roles.
pub(super) struct RoleStrategy {
    /// Whether the roles belong to namespaces.
    pub(super) is_namespaced: bool,
}

impl Strategy for RoleStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, role: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(role);
        for rule in root.field("rules").items() {
            check_rule(&rule, self.is_namespaced, &mut errors);
        }
        let aggregation = root.field("aggregationRule");
        if !aggregation.is_set() {
            return errors;
        }
        let selectors = aggregation.field("clusterRoleSelectors");
        if selectors.len() == 0 {
            let words = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.required(selectors.path.clone(), words);
        }
        selectors.items().for_each(|selector| check_label_selector(&selector, &mut errors));
        errors
    }
}

fn check_rule(rule: &At<'_>, is_namespaced: bool, errors: &mut FieldErrors) {
    let [verbs, groups, resources, names, urls] =
        ["verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs"].map(|field| rule.field(field));
    if verbs.len() == 0 {
        errors.required(verbs.path, "verbs must contain at least one value");
    }
    if urls.len() > 0 {
        let mut refuse = |words: &str| errors.invalid(urls.path.clone(), urls.value.clone(), words);
        if is_namespaced {
            refuse("namespaced rules cannot apply to non-resource URLs");
        }
        if groups.len() + resources.len() + names.len() > 0 {
            refuse("rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if groups.len() == 0 {
        errors.required(groups.path, "resource rules must supply at least one api group");
    }
    if resources.len() == 0 {
        errors.required(resources.path, "resource rules must supply at least one resource");
    }
}
