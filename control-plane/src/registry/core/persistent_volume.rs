//! Volumes (upstream `ValidatePersistentVolume`, `ValidatePersistentVolumeUpdate`).

use jiff::Timestamp;
use nodeplane_api::{kinds::Subresource, names, quantity::Quantity, status::FieldErrors};
use serde_json::{Value, json};

use crate::registry::{
    Strategy,
    fields::{At, fill, object_mut},
    keep,
    metadata::{check_immutable, own},
    pod_template::{check_required_nodes, refuse_all},
};

/// How the class was named before there was a field.
pub(super) const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const MOUNT_ANNOTATION: &str = "volume.beta.kubernetes.io/mount-options";
const ACCESS: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const RECLAIM: [&str; 3] = ["Delete", "Recycle", "Retain"];
/// What a volume may have: files, or none.
pub(super) const MODES: [&str; 2] = ["Block", "Filesystem"];
/// Where the bytes are, in the order in which upstream looks.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];
/// What each kind of source cannot be without.
const NEEDED: [(&str, &[&str]); 5] = [
    ("hostPath", &["path"]),
    ("nfs", &["server", "path"]),
    ("local", &["path"]),
    ("csi", &["driver", "volumeHandle"]),
    ("iscsi", &["targetPortal", "iqn"]),
];

/// The strategy of volumes.
pub(super) struct VolumeStrategy;

impl Strategy for VolumeStrategy {
    fn default(&self, volume: &mut Value) {
        let Some(spec) = object_mut(volume, "spec") else { return };
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        if let Some(path) = object_mut(spec, "hostPath")
            && path.get("type").is_none()
        {
            path["type"] = "".into();
        }
    }

    fn prepare_for_create(&self, volume: &mut Value) {
        volume["status"] = json!({ "phase": "Pending", "lastPhaseTransitionTime": own::time(Timestamp::now()) });
    }

    fn prepare_for_update(&self, volume: &mut Value, old: &Value) {
        keep(volume, old, "status");
    }

    /// Since when it is in its phase, unless the writer knows.
    fn prepare_for_part(&self, _status: Subresource, volume: &mut Value, old: &Value) {
        let (status, before) = (&volume["status"], &old["status"]);
        let is_told = status["lastPhaseTransitionTime"] != before["lastPhaseTransitionTime"];
        if status["phase"] != before["phase"] && (!is_told || status["lastPhaseTransitionTime"].is_null()) {
            volume["status"]["lastPhaseTransitionTime"] = own::time(Timestamp::now()).into();
        }
    }

    fn validate(&self, volume: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let spec = At::root(volume).field("spec");
        check_access_modes(&spec.field("accessModes"), "", &mut errors);
        check_capacity(&spec.field("capacity"), &mut errors);
        let (reclaim, mode) = (spec.field("persistentVolumeReclaimPolicy"), spec.field("volumeMode"));
        if !RECLAIM.contains(&reclaim.text()) {
            errors.not_supported(reclaim.path.clone(), reclaim.text(), &RECLAIM);
        }
        check_required_nodes(&spec.field("nodeAffinity").field("required"), &mut errors);
        check_source(&spec, &mut errors);
        if spec.field("hostPath").field("path").text() == "/" && reclaim.text() == "Recycle" {
            errors.forbidden(reclaim.path, "may not be 'recycle' for a hostPath mount of '/'");
        }
        for class in ["storageClassName", "volumeAttributesClassName"].map(|field| spec.field(field)) {
            if !class.text().is_empty() {
                refuse_all(&class, names::subdomain(class.text()), &mut errors);
            }
        }
        if !MODES.contains(&mode.text()) {
            errors.not_supported(mode.path.clone(), mode.text(), &MODES);
        }
        errors
    }

    fn validate_update(&self, volume: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let (spec, before) = (&volume["spec"], &old["spec"]);
        let source = |spec: &Value| SOURCES.map(|source| spec[source].clone());
        let mut now = spec.clone();
        if before["csi"].is_object() && before["csi"]["controllerExpandSecretRef"].is_null() {
            // This one may come later.
            keep(&mut now["csi"], &before["csi"], "controllerExpandSecretRef");
        }
        if source(&now) != source(before) {
            let words = "spec.persistentvolumesource is immutable after creation\n";
            errors.forbidden("spec.persistentvolumesource", words);
        }
        let at = |spec, path: &str, field: &str| At { path: path.to_owned(), ..At::root(spec).field(field) };
        check_immutable(&at(spec, "volumeMode", "volumeMode"), &at(before, "", "volumeMode"), &mut errors);
        if before["nodeAffinity"].is_object() {
            check_immutable(&at(spec, "nodeAffinity", "nodeAffinity"), &at(before, "", "nodeAffinity"), &mut errors);
        }
        errors
    }

    fn warnings(&self, volume: &Value) -> Vec<String> {
        let mut warnings = deprecated_annotations(volume);
        if volume["metadata"]["annotations"].get(MOUNT_ANNOTATION).is_some() {
            warnings.push(format!(
                "metadata.annotations[{MOUNT_ANNOTATION}]: deprecated since v1.31; use \"mountOptions\" attribute instead"
            ));
        }
        if volume["spec"]["persistentVolumeReclaimPolicy"] == "Recycle" {
            warnings.push(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
                 approach is to use dynamic provisioning."
                    .to_owned(),
            );
        }
        warnings
    }
}

/// What is said of an old annotation of volumes and claims.
pub(super) fn deprecated_annotations(object: &Value) -> Vec<String> {
    let has = object["metadata"]["annotations"].get(CLASS_ANNOTATION).is_some();
    let words = "deprecated since v1.8; use \"storageClassName\" attribute instead";
    if has { vec![format!("metadata.annotations[{CLASS_ANNOTATION}]: {words}")] } else { Vec::new() }
}

/// Adds what is wrong with access modes, of which there must be one; `needed` says so.
pub(super) fn check_access_modes(modes: &At<'_>, needed: &str, errors: &mut FieldErrors) {
    if modes.len() == 0 {
        errors.required(modes.path.clone(), needed);
    }
    for mode in modes.items().filter(|mode| !ACCESS.contains(&mode.text())) {
        errors.not_supported(modes.path.clone(), mode.text(), &ACCESS);
    }
    let is_exclusive = |mode: &At<'_>| mode.text() == "ReadWriteOncePod";
    let is_shared = |mode: &At<'_>| ACCESS.contains(&mode.text()) && !is_exclusive(mode);
    if modes.items().any(|mode| is_exclusive(&mode)) && modes.items().any(|mode| is_shared(&mode)) {
        errors.forbidden(modes.path.clone(), "may not use ReadWriteOncePod with other access modes");
    }
}

/// Adds an error unless an amount is above zero.
pub(super) fn check_positive(amount: &At<'_>, errors: &mut FieldErrors) {
    if amount.text().parse::<Quantity>().is_ok_and(|quantity| quantity <= Quantity::ZERO) {
        errors.invalid(amount.path.clone(), amount.text(), "must be greater than zero");
    }
}

fn check_capacity(capacity: &At<'_>, errors: &mut FieldErrors) {
    if capacity.len() == 0 {
        errors.required(capacity.path.clone(), "");
    }
    if capacity.len() > 1 || !capacity.field("storage").is_set() {
        errors.not_supported(capacity.path.clone(), capacity.value.clone(), &["storage"]);
    }
    for (_, amount) in capacity.entries() {
        check_positive(&amount, errors);
    }
}

fn check_source(spec: &At<'_>, errors: &mut FieldErrors) {
    let sources: Vec<At<'_>> = SOURCES.iter().map(|source| spec.field(source)).filter(At::is_set).collect();
    let Some((first, more)) = sources.split_first() else {
        errors.required(spec.path.clone(), "must specify a volume type");
        return;
    };
    for (source, fields) in NEEDED.iter().map(|(source, fields)| (spec.field(source), fields)) {
        if source.path != first.path {
            continue;
        }
        for field in fields.iter().map(|field| source.field(field)).filter(|field| field.text().is_empty()) {
            errors.required(field.path.clone(), "");
        }
    }
    for other in more {
        errors.forbidden(other.path.clone(), "may not specify more than 1 volume type");
    }
    check_path(&spec.field("hostPath").field("path"), errors);
    let local = spec.field("local");
    if local.is_set() {
        check_path(&local.field("path"), errors);
        if !spec.field("nodeAffinity").field("required").is_set() {
            errors.required(spec.field("nodeAffinity").path, "Local volume requires node affinity");
        }
    }
}

/// A path may not climb.
fn check_path(path: &At<'_>, errors: &mut FieldErrors) {
    if path.text().split('/').any(|part| part == "..") {
        errors.invalid(path.path.clone(), path.text(), "must not contain '..'");
    }
}

/// Adds what is wrong with a volume that stands inside an attachment.
pub(in crate::registry) fn check_inline_volume(spec: &At<'_>, errors: &mut FieldErrors) {
    let mut refuse = |field: &str| {
        let field = spec.field(field);
        if field.len() > 0 || !field.text().is_empty() {
            errors.forbidden(field.path, "may not be specified in the context of inline volumes");
        }
    };
    for field in ["claimRef", "capacity", "nodeAffinity", "storageClassName"] {
        refuse(field);
    }
    if !spec.field("csi").is_set() {
        errors.required(spec.field("csi").path, "has to be specified in the context of inline volumes");
    }
    check_access_modes(&spec.field("accessModes"), "", errors);
    let (reclaim, mode) = (spec.field("persistentVolumeReclaimPolicy"), spec.field("volumeMode"));
    if !matches!(reclaim.text(), "" | "Retain") {
        errors.forbidden(reclaim.path, "may only be Retain in the context of inline volumes");
    }
    check_source(spec, errors);
    if !matches!(mode.text(), "" | "Filesystem") {
        let words = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.forbidden(mode.path, words);
    }
}

#[cfg(test)]
mod tests;
