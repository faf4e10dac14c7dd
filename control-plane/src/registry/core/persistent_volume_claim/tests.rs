use super::*;
use crate::registry::cases::{created, refused, refused_update, said, with};

fn claim() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "c", "namespace": "shop" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "2Gi" } } },
    })
}

#[test]
fn a_new_claim_waits_for_a_volume() {
    let source = json!({ "kind": "PersistentVolumeClaim", "name": "other" });
    let made = created(&ClaimStrategy, &with(&claim(), &[("/spec/dataSource", source.clone())]));
    assert_eq!(made["status"], json!({ "phase": "Pending" }));
    assert_eq!((&made["spec"]["volumeMode"], &made["spec"]["dataSourceRef"]), (&json!("Filesystem"), &source));
    let new = created(&ClaimStrategy, &with(&claim(), &[("/spec/dataSourceRef", source.clone())]));
    assert_eq!(new["spec"]["dataSource"], source);
    let elsewhere = with(&source, &[("/namespace", json!("other"))]);
    let new = created(&ClaimStrategy, &with(&claim(), &[("/spec/dataSourceRef", elsewhere)]));
    assert_eq!(new["spec"].get("dataSource"), None);
}

#[test]
fn a_claim_says_what_it_needs() {
    let said = |changes: &[(&str, Value)]| refused(&ClaimStrategy, &with(&claim(), changes));
    assert_eq!(said(&[]), Vec::<String>::new());
    for (change, expected) in [
        (("/spec/accessModes", json!([])), "spec.accessModes: Required value: at least 1 access mode is required"),
        (("/spec/resources", json!({})), "spec.resources[storage]: Required value"),
        (
            ("/spec/resources/requests/storage", json!("0")),
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
        ),
        (
            ("/spec/dataSource", json!({ "kind": "Snapshot", "name": "s" })),
            "spec.dataSource: Invalid value: \"Snapshot\"",
        ),
        (
            ("/spec/volumeMode", json!("Tape")),
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        ),
    ] {
        let told = said(std::slice::from_ref(&change));
        assert_eq!(told.first().map(String::as_str), Some(expected));
    }
}

#[test]
fn a_claim_changes_little() {
    let old = claim();
    let refused = |changes: &[(&str, Value)]| refused_update(&ClaimStrategy, &with(&old, changes), &old);
    assert_eq!(
        refused(&[("/spec/volumeName", json!("v")), ("/metadata/labels", json!({ "a": "b" }))]),
        Vec::<String>::new()
    );
    let immutable = format!("spec: Forbidden: {SPEC_IS_IMMUTABLE}");
    assert_eq!(refused(&[("/spec/accessModes", json!(["ReadOnlyMany"]))]), std::slice::from_ref(&immutable));
    // Only a claim that has its volume grows.
    assert_eq!(refused(&[("/spec/resources/requests/storage", json!("3Gi"))]), [immutable]);
    let annotation = json!({ CLASS_ANNOTATION: "fast" });
    assert_eq!(
        refused(&[("/metadata/annotations", annotation)]),
        ["metadata.annotations[volume.beta.kubernetes.io/storage-class]: Invalid value: \"fast\": field is immutable"]
    );
}

#[test]
fn a_bound_claim_grows() {
    let status = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } });
    let bound = with(&claim(), &[("/status", status), ("/spec/volumeMode", json!("Filesystem"))]);
    let size = |size: &str| {
        let new = with(&bound, &[("/spec/resources/requests/storage", json!(size))]);
        said(&ClaimStrategy.validate_update(&new, &bound))
    };
    assert_eq!((size("3Gi"), size("1536Mi")), (Vec::new(), Vec::new()));
    assert_eq!(size("1Gi"), ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]);
}

#[test]
fn the_class_moves_from_the_annotation_to_the_field() {
    let old = with(&claim(), &[("/metadata/annotations", json!({ CLASS_ANNOTATION: "fast" }))]);
    let moved = with(&claim(), &[("/spec/storageClassName", json!("fast"))]);
    assert_eq!(refused_update(&ClaimStrategy, &moved, &old), Vec::<String>::new());
    let other = with(&claim(), &[("/spec/storageClassName", json!("slow"))]);
    assert_eq!(refused_update(&ClaimStrategy, &other, &old).len(), 2);
}

#[test]
fn half_a_byte_is_told() {
    let told = ClaimStrategy.warnings(&with(&claim(), &[("/spec/resources/requests/storage", json!("100m"))]));
    assert_eq!(
        told,
        ["spec.resources.requests[storage]: fractional byte value \"100m\" is invalid, must be an integer"]
    );
    assert_eq!(ClaimStrategy.warnings(&claim()), Vec::<String>::new());
}
