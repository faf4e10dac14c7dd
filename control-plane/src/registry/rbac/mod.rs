//! The group `rbac.authorization.k8s.io`.

mod binding;
mod role;
#[cfg(test)]
mod tests;

use super::{Strategy, plain};

/// The group's name, which references repeat.
const GROUP: &str = "rbac.authorization.k8s.io";

/// What differs for a kind of this group.
pub(super) fn strategy(kind: &str) -> &'static dyn Strategy {
    match kind {
        "Role" => &role::RoleStrategy { is_namespaced: true },
        "ClusterRole" => &role::RoleStrategy { is_namespaced: false },
        "RoleBinding" => &binding::BindingStrategy { is_namespaced: true },
        "ClusterRoleBinding" => &binding::BindingStrategy { is_namespaced: false },
        _ => plain(),
    }
}
