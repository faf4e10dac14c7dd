//! Columns of volumes and what provides them.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{self, NONE, items, or, str_at, truth_or},
};

const UNSET: &str = "<unset>";
/// Where the class of a volume or claim stood before it had a field.
const CLASS_ANNOTATION: &str = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";
/// What makes a storage class the one for claims without any, in two generations of the API.
const DEFAULT_ANNOTATIONS: [&str; 2] = [
    "/metadata/annotations/storageclass.kubernetes.io~1is-default-class",
    "/metadata/annotations/storageclass.beta.kubernetes.io~1is-default-class",
];
/// How access modes are abbreviated, in the order in which they are shown.
const MODES: [(&str, &str); 4] =
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

pub(crate) const CSI_DRIVER: &[Column] = &[
    NAME,
    Column::boolean("AttachRequired", "Whether volumes are attached before they are mounted.", |driver, _| {
        truth_or(driver, "/spec/attachRequired", true)
    }),
    Column::boolean("PodInfoOnMount", "Whether the driver learns which pod it mounts for.", |driver, _| {
        truth_or(driver, "/spec/podInfoOnMount", false)
    }),
    Column::boolean("StorageCapacity", "Whether pods go where the driver has room.", |driver, _| {
        truth_or(driver, "/spec/storageCapacity", false)
    }),
    Column::text("TokenRequests", "Audiences of the tokens that the driver gets.", |driver, _| {
        match driver.pointer("/spec/tokenRequests") {
            Some(_) => cells::joined(driver, "/spec/tokenRequests", "audience").into(),
            None => UNSET.into(),
        }
    }),
    Column::boolean("RequiresRepublish", "Whether the driver is called again and again.", |driver, _| {
        truth_or(driver, "/spec/requiresRepublish", false)
    }),
    Column::text("Modes", "Kinds of volumes that the driver has.", |driver, _| {
        let modes: Vec<&str> = items(driver, "/spec/volumeLifecycleModes").filter_map(Value::as_str).collect();
        or(&modes.join(","), NONE).into()
    }),
    AGE,
];

pub(crate) const CSI_NODE: &[Column] = &[
    NAME,
    Column::number("Drivers", "How many drivers are on the node.", |node, _| cells::len(node, "/spec/drivers").into()),
    AGE,
];

pub(crate) const CSI_STORAGE_CAPACITY: &[Column] = &[
    NAME,
    Column::text("StorageClassName", "The class that it is about.", |capacity, _| {
        cells::text(capacity, "/storageClassName")
    }),
    Column::text("Capacity", "How much room there is.", |capacity, _| cells::text_or(capacity, "/capacity", UNSET)),
];

pub(crate) const PERSISTENT_VOLUME: &[Column] = &[
    NAME,
    Column::text("Capacity", "How large it is.", |volume, _| cells::text_or(volume, "/spec/capacity/storage", "0")),
    Column::text("Access Modes", "How it may be mounted.", |volume, _| modes(volume, "/spec/accessModes").into()),
    Column::text("Reclaim Policy", "What becomes of it without its claim.", |volume, _| {
        cells::text(volume, "/spec/persistentVolumeReclaimPolicy")
    }),
    Column::text("Status", "Whether it is free, bound or released.", |volume, _| phase(volume).into()),
    Column::text("Claim", "The claim that has it.", |volume, _| match volume.pointer("/spec/claimRef") {
        Some(claim) => format!("{}/{}", str_at(claim, "/namespace"), str_at(claim, "/name")).into(),
        None => "".into(),
    }),
    Column::text("StorageClass", "Its class.", |volume, _| class(volume).into()),
    Column::text("VolumeAttributesClass", "The class of its attributes.", |volume, _| {
        text_or_unset(volume, "/spec/volumeAttributesClassName")
    }),
    Column::text("Reason", "Why it is in this state.", |volume, _| cells::text(volume, "/status/reason")),
    AGE,
    Column::text("VolumeMode", "Whether it has files or is a block device.", |volume, _| {
        text_or_unset(volume, "/spec/volumeMode")
    })
    .wide(),
];

pub(crate) const PERSISTENT_VOLUME_CLAIM: &[Column] = &[
    NAME,
    Column::text("Status", "Whether it has a volume.", |claim, _| phase(claim).into()),
    Column::text("Volume", "The volume that it has.", |claim, _| cells::text(claim, "/spec/volumeName")),
    Column::text("Capacity", "How large the volume is.", |claim, _| match is_bound(claim) {
        true => cells::text_or(claim, "/status/capacity/storage", "0"),
        false => "".into(),
    }),
    Column::text("Access Modes", "How the volume may be mounted.", |claim, _| match is_bound(claim) {
        true => modes(claim, "/status/accessModes").into(),
        false => "".into(),
    }),
    Column::text("StorageClass", "Its class.", |claim, _| class(claim).into()),
    Column::text("VolumeAttributesClass", "The class of its attributes.", |claim, _| {
        text_or_unset(claim, "/spec/volumeAttributesClassName")
    }),
    AGE,
    Column::text("VolumeMode", "Whether it wants files or a block device.", |claim, _| {
        text_or_unset(claim, "/spec/volumeMode")
    })
    .wide(),
];

pub(crate) const STORAGE_CLASS: &[Column] = &[
    Column::text("Name", "Name of the class, and whether it is the default.", |class, _| {
        let name = str_at(class, "/metadata/name");
        let is_default = DEFAULT_ANNOTATIONS.iter().any(|annotation| str_at(class, annotation) == "true");
        if is_default { format!("{name} (default)").into() } else { name.into() }
    })
    .names_object(),
    Column::text("Provisioner", "Who makes volumes of the class.", |class, _| cells::text(class, "/provisioner")),
    Column::text("ReclaimPolicy", "What becomes of a volume without its claim.", |class, _| {
        cells::text_or(class, "/reclaimPolicy", "Delete")
    }),
    Column::text("VolumeBindingMode", "When a claim gets its volume.", |class, _| {
        cells::text_or(class, "/volumeBindingMode", "Immediate")
    }),
    Column::text("AllowVolumeExpansion", "Whether volumes can grow.", |class, _| {
        truth_or(class, "/allowVolumeExpansion", false)
    }),
    AGE,
];

pub(crate) const VOLUME_ATTACHMENT: &[Column] = &[
    NAME,
    Column::text("Attacher", "Who attaches.", |attachment, _| cells::text(attachment, "/spec/attacher")),
    Column::text("PV", "The volume.", |attachment, _| cells::text(attachment, "/spec/source/persistentVolumeName")),
    Column::text("Node", "The node that it is attached to.", |attachment, _| cells::text(attachment, "/spec/nodeName")),
    Column::boolean("Attached", "Whether it is attached by now.", |attachment, _| {
        truth_or(attachment, "/status/attached", false)
    }),
    AGE,
];

fn is_bound(claim: &Value) -> bool {
    !str_at(claim, "/spec/volumeName").is_empty()
}

fn phase(object: &Value) -> &str {
    match object.pointer("/metadata/deletionTimestamp") {
        Some(_) => "Terminating",
        None => str_at(object, "/status/phase"),
    }
}

fn class(object: &Value) -> &str {
    match object.pointer(CLASS_ANNOTATION) {
        Some(class) => str_at(class, ""),
        None => str_at(object, "/spec/storageClassName"),
    }
}

fn text_or_unset(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).cloned().unwrap_or_else(|| UNSET.into())
}

fn modes(object: &Value, pointer: &str) -> String {
    let has = |mode: &str| items(object, pointer).any(|given| given == mode);
    let shown: Vec<&str> = MODES.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect();
    shown.join(",")
}
