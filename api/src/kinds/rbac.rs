//! The group `rbac.authorization.k8s.io`.

use k8s_openapi::api::rbac::v1 as typed;

use super::{Kind, rows::Api};
use crate::columns;

const V1: Api = Api("rbac.authorization.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.cluster::<typed::ClusterRoleBinding>("ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding")
        .columns(columns::ROLE_BINDING),
    V1.cluster::<typed::ClusterRole>("ClusterRole", "clusterroles", "clusterrole").columns(columns::ROLE),
    V1.namespaced::<typed::RoleBinding>("RoleBinding", "rolebindings", "rolebinding").columns(columns::ROLE_BINDING),
    V1.namespaced::<typed::Role>("Role", "roles", "role").columns(columns::ROLE),
];
