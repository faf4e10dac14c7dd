//! The group `storage.k8s.io`.

use k8s_openapi::api::storage::v1 as typed;

use super::{Kind, parts::STATUS, rows::Api};
use crate::columns;

const V1: Api = Api("storage.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.cluster::<typed::CSIDriver>("CSIDriver", "csidrivers", "csidriver").columns(columns::CSI_DRIVER),
    V1.cluster::<typed::CSINode>("CSINode", "csinodes", "csinode").columns(columns::CSI_NODE),
    V1.namespaced::<typed::CSIStorageCapacity>("CSIStorageCapacity", "csistoragecapacities", "csistoragecapacity")
        .columns(columns::CSI_STORAGE_CAPACITY),
    V1.cluster::<typed::StorageClass>("StorageClass", "storageclasses", "storageclass")
        .short(&["sc"])
        .columns(columns::STORAGE_CLASS),
    V1.cluster::<typed::VolumeAttachment>("VolumeAttachment", "volumeattachments", "volumeattachment")
        .parts(&[STATUS])
        .columns(columns::VOLUME_ATTACHMENT),
];
