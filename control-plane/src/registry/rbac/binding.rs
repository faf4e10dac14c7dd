//! Who gets which role (upstream `ValidateRoleBinding`, `ValidateClusterRoleBinding`).

use nodeplane_api::{names, status::FieldErrors};
use serde_json::Value;

use super::GROUP;
use crate::registry::{
    NameRule, Strategy,
    fields::{At, each, fill, object_mut},
    pod_template::refuse_all,
};

/// The strategy of bindings.
pub(super) struct BindingStrategy {
    /// Whether the bindings belong to namespaces.
    pub(super) is_namespaced: bool,
}

impl Strategy for BindingStrategy {
    fn default(&self, binding: &mut Value) {
        if let Some(role) = object_mut(binding, "roleRef") {
            fill(role, "apiGroup", GROUP);
        }
        for subject in each(binding, "subjects") {
            if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
                fill(subject, "apiGroup", GROUP);
            }
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, binding: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let root = At::root(binding);
        let role = root.field("roleRef");
        let kinds: &[&str] = if self.is_namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
        check_one_of(&role.field("apiGroup"), &[GROUP], &mut errors);
        check_one_of(&role.field("kind"), kinds, &mut errors);
        let name = role.field("name");
        match name.text() {
            "" => errors.required(name.path.clone(), ""),
            text => refuse_all(&name, names::path_segment(text), &mut errors),
        }
        for subject in root.field("subjects").items() {
            check_subject(&subject, self.is_namespaced, &mut errors);
        }
        errors
    }

    fn validate_update(&self, binding: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let role = At::root(binding).field("roleRef");
        if *role.value != old["roleRef"] {
            let [group, kind, name] = ["apiGroup", "kind", "name"].map(|field| role.field(field).text());
            let shown = format!("rbac.RoleRef{{APIGroup:{group:?}, Kind:{kind:?}, Name:{name:?}}}");
            errors.invalid_shown(role.path, shown, "cannot change roleRef");
        }
        errors
    }
}

fn check_one_of(field: &At<'_>, supported: &[&str], errors: &mut FieldErrors) {
    if !supported.contains(&field.text()) {
        errors.not_supported(field.path.clone(), field.text(), supported);
    }
}

fn check_subject(subject: &At<'_>, is_namespaced: bool, errors: &mut FieldErrors) {
    let [name, kind, group, namespace] = ["name", "kind", "apiGroup", "namespace"].map(|field| subject.field(field));
    if name.text().is_empty() {
        errors.required(name.path.clone(), "");
    }
    match kind.text() {
        "ServiceAccount" => {
            if !name.text().is_empty() {
                refuse_all(&name, names::subdomain(name.text()), errors);
            }
            check_one_of(&group, &[""], errors);
            if !is_namespaced && namespace.text().is_empty() {
                errors.required(namespace.path, "");
            }
        }
        "User" | "Group" => {
            if name.text().is_empty() {
                errors.invalid(name.path, "", format!("{} name cannot be empty", kind.text().to_lowercase()));
            }
            check_one_of(&group, &[GROUP], errors);
        }
        _ => check_one_of(&kind, &["ServiceAccount", "User", "Group"], errors),
    }
}
