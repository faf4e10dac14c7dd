use super::*;
use crate::registry::cases::{created, refused, refused_update, with};

fn volume() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "v" },
        "spec": { "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/data" } },
    })
}

fn said(changes: &[(&str, Value)]) -> Vec<String> {
    refused(&VolumeStrategy, &with(&volume(), changes))
}

#[test]
fn a_new_volume_is_pending_and_keeps_its_bytes() {
    let made = created(&VolumeStrategy, &with(&volume(), &[("/status", json!({ "phase": "Bound" }))]));
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(made["status"]["lastPhaseTransitionTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{made}");
    assert_eq!(made["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!((&made["spec"]["volumeMode"], &made["spec"]["hostPath"]["type"]), (&json!("Filesystem"), &json!("")));
    assert_eq!(said(&[]), Vec::<String>::new());
}

#[test]
fn a_volume_is_of_one_kind_and_has_a_size() {
    for (changes, expected) in [
        (("/spec/hostPath", Value::Null), "spec: Required value: must specify a volume type"),
        (
            ("/spec/nfs", json!({ "server": "s", "path": "/" })),
            "spec.nfs: Forbidden: may not specify more than 1 volume type",
        ),
        (("/spec/hostPath/path", json!("")), "spec.hostPath.path: Required value"),
        (
            ("/spec/hostPath/path", json!("/a/../b")),
            "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ),
        (("/spec/accessModes", json!([])), "spec.accessModes: Required value"),
        (
            ("/spec/accessModes", json!(["ReadWriteOncePod", "ReadOnlyMany"])),
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        (
            ("/spec/accessModes", json!(["Read"])),
            "spec.accessModes: Unsupported value: \"Read\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
             \"ReadWriteOnce\", \"ReadWriteOncePod\"",
        ),
        (
            ("/spec/capacity/storage", json!("0")),
            "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
        ),
        (
            ("/spec/persistentVolumeReclaimPolicy", json!("Keep")),
            "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Recycle\", \
             \"Retain\"",
        ),
        (
            ("/spec/volumeMode", json!("Tape")),
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
        ),
    ] {
        assert_eq!(said(std::slice::from_ref(&changes)), [expected]);
    }
    let local = [("/spec/hostPath", Value::Null), ("/spec/local", json!({ "path": "/data" }))];
    assert_eq!(said(&local), ["spec.nodeAffinity: Required value: Local volume requires node affinity"]);
}

#[test]
fn the_bytes_of_a_volume_stay_where_they_are() {
    let old = volume();
    let moved = with(&old, &[("/spec/hostPath/path", json!("/other")), ("/spec/volumeMode", json!("Block"))]);
    assert_eq!(
        refused_update(&VolumeStrategy, &moved, &old),
        [
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n",
            "volumeMode: Invalid value: \"Block\": field is immutable",
        ]
    );
    let bound = with(&old, &[("/spec/claimRef", json!({ "namespace": "shop", "name": "c" }))]);
    assert_eq!(refused_update(&VolumeStrategy, &bound, &old), Vec::<String>::new());
    let csi = [("/spec/hostPath", Value::Null), ("/spec/csi", json!({ "driver": "d", "volumeHandle": "h" }))];
    let csi = with(&old, &csi);
    let later = with(&csi, &[("/spec/csi/controllerExpandSecretRef", json!({ "name": "s" }))]);
    assert_eq!(refused_update(&VolumeStrategy, &later, &csi), Vec::<String>::new());
}

#[test]
fn a_new_phase_has_a_time() {
    let old = json!({ "status": { "phase": "Pending", "lastPhaseTransitionTime": "2020-01-01T00:00:00Z" } });
    let time = |changes: &[(&str, Value)]| {
        let mut volume = with(&old, changes);
        VolumeStrategy.prepare_for_part(Subresource::Status, &mut volume, &old);
        volume["status"]["lastPhaseTransitionTime"].as_str().unwrap().to_owned()
    };
    assert_eq!(time(&[]), "2020-01-01T00:00:00Z");
    assert!(*time(&[("/status/phase", json!("Bound"))]) > *"2025-01-01");
    let told = [("/status/phase", json!("Bound")), ("/status/lastPhaseTransitionTime", json!("2021-01-01T00:00:00Z"))];
    assert_eq!(time(&told), "2021-01-01T00:00:00Z");
}

#[test]
fn what_is_old_is_told() {
    let annotations = json!({ CLASS_ANNOTATION: "fast", MOUNT_ANNOTATION: "ro" });
    let changes = [("/metadata/annotations", annotations), ("/spec/persistentVolumeReclaimPolicy", json!("Recycle"))];
    let told = VolumeStrategy.warnings(&with(&volume(), &changes));
    assert_eq!(
        told,
        [
            "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use \
             \"storageClassName\" attribute instead",
            "metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use \"mountOptions\" \
             attribute instead",
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning.",
        ]
    );
}
