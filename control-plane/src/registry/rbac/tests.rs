use serde_json::{Value, json};

use super::{binding::BindingStrategy, role::RoleStrategy};
use crate::registry::{
    Strategy,
    cases::{created, refused, refused_update, with},
};

const NOTHING: &[&str] = &[];

fn object(kind: &str, fields: &Value) -> Value {
    let mut object =
        json!({ "apiVersion": super::GROUP.to_owned() + "/v1", "kind": kind, "metadata": { "name": "x:y" } });
    json_patch::merge(&mut object, fields);
    object
}

fn rule(rule: &Value) -> Vec<String> {
    refused(&RoleStrategy { is_namespaced: true }, &object("Role", &json!({ "rules": [rule] })))
}

fn cluster_rule(rule: &Value) -> Vec<String> {
    refused(&RoleStrategy { is_namespaced: false }, &object("ClusterRole", &json!({ "rules": [rule] })))
}

#[test]
fn a_rule_is_for_resources_or_for_paths() {
    let good = json!({ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"] });
    assert_eq!((rule(&good), cluster_rule(&good)), (Vec::new(), Vec::new()));
    let path = json!({ "verbs": ["get"], "nonResourceURLs": ["/metrics"] });
    assert_eq!(cluster_rule(&path), NOTHING);
    let invalid = "rules[0].nonResourceURLs: Invalid value: []string{\"/metrics\"}";
    assert_eq!(rule(&path), [format!("{invalid}: namespaced rules cannot apply to non-resource URLs")]);
    assert_eq!(
        cluster_rule(&with(&path, &[("/resources", json!(["pods"]))])),
        [format!("{invalid}: rules cannot apply to both regular resources and non-resource URLs")]
    );
    assert_eq!(
        rule(&json!({ "verbs": [] })),
        [
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ]
    );
}

#[test]
fn an_aggregated_role_selects_others() {
    let role = |selectors: Value| {
        let fields = json!({ "aggregationRule": { "clusterRoleSelectors": selectors } });
        refused(&RoleStrategy { is_namespaced: false }, &object("ClusterRole", &fields))
    };
    assert_eq!(role(json!([{ "matchLabels": { "a": "b" } }])), NOTHING);
    assert_eq!(
        role(json!([])),
        ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if \
          aggregationRule is non-nil"]
    );
}

fn binding(kind: &str) -> Value {
    object(
        kind,
        &json!({
            "roleRef": { "kind": "ClusterRole", "name": "system:view" },
            "subjects": [
                { "kind": "User", "name": "jane" }, { "kind": "Group", "name": "devs" },
                { "kind": "ServiceAccount", "name": "robot", "namespace": "shop" },
            ],
        }),
    )
}

#[test]
fn a_binding_knows_the_groups_of_what_it_names() {
    let strategy = BindingStrategy { is_namespaced: true };
    let made = created(&strategy, &binding("RoleBinding"));
    let groups: Vec<&Value> = made["subjects"].as_array().unwrap().iter().map(|subject| &subject["apiGroup"]).collect();
    assert_eq!(made["roleRef"]["apiGroup"], super::GROUP);
    assert_eq!(groups, [&json!(super::GROUP), &json!(super::GROUP), &Value::Null]);
    assert_eq!(refused(&strategy, &binding("RoleBinding")), NOTHING);
    assert_eq!(refused(&BindingStrategy { is_namespaced: false }, &binding("ClusterRoleBinding")), NOTHING);
}

#[test]
fn a_binding_names_a_role_and_who_gets_it() {
    let strategy = BindingStrategy { is_namespaced: true };
    let said = |changes: &[(&str, Value)]| refused(&strategy, &with(&binding("RoleBinding"), changes));
    assert_eq!(said(&[("/roleRef/name", json!(""))]), ["roleRef.name: Required value"]);
    assert_eq!(
        said(&[("/roleRef/kind", json!("Pod"))]),
        ["roleRef.kind: Unsupported value: \"Pod\": supported values: \"Role\", \"ClusterRole\""]
    );
    assert_eq!(
        said(&[("/roleRef/apiGroup", json!("apps"))]),
        ["roleRef.apiGroup: Unsupported value: \"apps\": supported values: \"rbac.authorization.k8s.io\""]
    );
    assert_eq!(
        said(&[("/subjects/0/kind", json!("Robot"))]),
        ["subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\""]
    );
    assert_eq!(
        said(&[("/subjects/1/name", json!(""))]),
        ["subjects[1].name: Required value", "subjects[1].name: Invalid value: \"\": group name cannot be empty"]
    );
    assert_eq!(
        said(&[("/subjects/2/apiGroup", json!("x"))]),
        ["subjects[2].apiGroup: Unsupported value: \"x\": supported values: \"\""]
    );
    let cluster = BindingStrategy { is_namespaced: false };
    let object = with(
        &binding("ClusterRoleBinding"),
        &[("/subjects/2/namespace", Value::Null), ("/roleRef/kind", json!("Role"))],
    );
    assert_eq!(
        refused(&cluster, &object),
        [
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
            "subjects[2].namespace: Required value",
        ]
    );
}

#[test]
fn a_binding_is_for_one_role() {
    let strategy = BindingStrategy { is_namespaced: true };
    let old = binding("RoleBinding");
    let other = with(&old, &[("/roleRef/name", json!("edit"))]);
    assert_eq!(
        refused_update(&strategy, &other, &old),
        ["roleRef: Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"ClusterRole\", \
          Name:\"edit\"}: cannot change roleRef"]
    );
    assert_eq!(refused_update(&strategy, &with(&old, &[("/subjects", json!([]))]), &old), NOTHING);
    assert_eq!(strategy.name_rule().check("system:x"), NOTHING);
}
