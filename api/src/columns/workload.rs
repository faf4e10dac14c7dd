//! Columns of what keeps pods running: Deployments and ReplicaSets.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{int_at, joined},
};
use crate::selector::format_label_selector;

const CONTAINERS: Column = Column::text("Containers", "Names of the containers in the template.", |object, _| {
    joined(object, "/spec/template/spec/containers", "name").into()
})
.wide();

const IMAGES: Column = Column::text("Images", "Images of the containers in the template.", |object, _| {
    joined(object, "/spec/template/spec/containers", "image").into()
})
.wide();

const SELECTOR: Column =
    Column::text("Selector", "Which pods belong to it.", |object, _| selector(object).into()).wide();

pub(crate) const DEPLOYMENT: &[Column] = &[
    NAME,
    Column::text("Ready", "Ready pods of those that are wanted.", |deployment, _| {
        format!("{}/{}", int_at(deployment, "/status/readyReplicas"), int_at(deployment, "/spec/replicas")).into()
    }),
    Column::text("Up-to-date", "Pods made from the present template.", |deployment, _| {
        int_at(deployment, "/status/updatedReplicas").into()
    }),
    Column::text("Available", "Pods that have been ready for long enough.", |deployment, _| {
        int_at(deployment, "/status/availableReplicas").into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const REPLICA_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "Pods that are wanted.", |set, _| int_at(set, "/spec/replicas").into()),
    Column::number("Current", "Pods that exist.", |set, _| int_at(set, "/status/replicas").into()),
    Column::number("Ready", "Pods that are ready.", |set, _| int_at(set, "/status/readyReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const CONTROLLER_REVISION: &[Column] = &[NAME, AGE];

pub(crate) const DAEMON_SET: &[Column] = &[NAME, AGE];

pub(crate) const POD_TEMPLATE: &[Column] = &[NAME, AGE];

pub(crate) const REPLICATION_CONTROLLER: &[Column] = &[NAME, AGE];

pub(crate) const STATEFUL_SET: &[Column] = &[NAME, AGE];

/// Columns of the view that the `scale` subresource gives of a workload.
pub const SCALE: &[Column] = &[
    NAME,
    Column::number("Desired", "Pods that are wanted.", |scale, _| int_at(scale, "/spec/replicas").into()),
    Column::number("Available", "Pods that exist.", |scale, _| int_at(scale, "/status/replicas").into()),
    AGE,
];

fn selector(object: &Value) -> String {
    format_label_selector(&object["spec"]["selector"])
}
