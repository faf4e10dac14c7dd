use serde_json::{Value, json};

use super::*;
use crate::registry::{
    NameRule,
    cases::{created, refused, said, updated, with},
};

fn namespace() -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })
}

#[test]
fn a_new_namespace_is_active_finds_itself_and_waits_for_its_content() {
    let namespace = created(&NamespaceStrategy, &namespace());
    assert_eq!(namespace["metadata"]["labels"], json!({ "kubernetes.io/metadata.name": "shop" }));
    assert_eq!(namespace["spec"], json!({ "finalizers": ["kubernetes"] }));
    assert_eq!(namespace["status"], json!({ "phase": "Active" }));
}

#[test]
fn what_the_maker_says_is_kept_as_far_as_it_may_be() {
    let wanted = with(
        &namespace(),
        &[
            ("/metadata/labels", json!({ "team": "a", "kubernetes.io/metadata.name": "other" })),
            ("/spec", json!({ "finalizers": ["example.com/own"] })),
            ("/status", json!({ "phase": "Terminating" })),
        ],
    );
    let namespace = created(&NamespaceStrategy, &wanted);
    assert_eq!(namespace["metadata"]["labels"], json!({ "team": "a", "kubernetes.io/metadata.name": "shop" }));
    assert_eq!(namespace["spec"]["finalizers"], json!(["example.com/own", "kubernetes"]));
    assert_eq!(namespace["status"]["phase"], "Active");
}

#[test]
fn a_generated_name_is_in_the_label_too() {
    let mut namespace = with(&namespace(), &[("/metadata", json!({ "generateName": "shop-" }))]);
    NamespaceStrategy.default(&mut namespace);
    namespace["metadata"]["name"] = "shop-x7k2p".into();
    NamespaceStrategy.prepare_for_create(&mut namespace);
    assert_eq!(namespace["metadata"]["labels"][NAME_LABEL], "shop-x7k2p");
}

#[test]
fn an_update_changes_neither_finalizers_nor_phase_nor_the_label() {
    let old = created(&NamespaceStrategy, &namespace());
    let wanted =
        with(&namespace(), &[("/spec", json!({ "finalizers": [] })), ("/metadata/labels", json!({ "team": "b" }))]);
    let new = updated(&NamespaceStrategy, &wanted, &old);
    assert_eq!((&new["spec"], &new["status"]), (&old["spec"], &old["status"]));
    assert_eq!(new["metadata"]["labels"], json!({ "team": "b", "kubernetes.io/metadata.name": "shop" }));
}

#[test]
fn deletion_waits_for_the_finalizers() {
    let mut namespace = created(&NamespaceStrategy, &namespace());
    NamespaceStrategy.on_deletion_marked(&mut namespace);
    assert_eq!(namespace["status"]["phase"], "Terminating");
    assert!(!NamespaceStrategy.is_deletion_complete(&namespace));
    namespace["spec"]["finalizers"] = json!([]);
    assert!(NamespaceStrategy.is_deletion_complete(&namespace));
}

#[test]
fn the_finalizers_of_a_namespace_have_a_domain_or_are_known() {
    let told = |finalizers: Value| {
        let asked = with(&namespace(), &[("/spec", json!({ "finalizers": finalizers }))]);
        said(&NamespaceStrategy.validate_part(Subresource::Finalize, &asked, &namespace()))
    };
    for fine in [json!([]), json!(["kubernetes", "example.com/mine", "orphan", "foregroundDeletion"])] {
        assert_eq!(told(fine), Vec::<String>::new());
    }
    assert_eq!(
        told(json!(["kubernetes", "mine"])),
        [
            "spec.finalizers[1]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    let slashes = told(json!(["a/b/c"]));
    assert!(
        slashes.len() == 1
            && slashes[0].starts_with("spec.finalizers[0]: Invalid value: \"a/b/c\": a qualified name must consist of"),
        "{slashes:?}"
    );
    assert_eq!(told(json!(["-"])).len(), 2);
    let new = refused(&NamespaceStrategy, &with(&namespace(), &[("/spec", json!({ "finalizers": ["mine"] }))]));
    assert_eq!(
        new,
        [
            "spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
}

#[test]
fn the_name_is_a_label() {
    assert_eq!(NamespaceStrategy.name_rule(), NameRule::Label);
    assert_eq!(NamespaceStrategy.name_rule().check("a.b").len(), 1);
}
