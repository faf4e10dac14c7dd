//! Columns of what keeps pods running, and of the templates and histories of such.

use serde_json::Value;

use super::{
    AGE, Column, NAME,
    cells::{self, NONE, int_at, items, joined, str_at},
};
use crate::selector::format_label_selector;

pub(super) const CONTAINERS: Column =
    Column::text("Containers", "Names of the containers in the template.", |object, _| {
        joined(object, "/spec/template/spec/containers", "name").into()
    })
    .wide();

pub(super) const IMAGES: Column = Column::text("Images", "Images of the containers in the template.", |object, _| {
    joined(object, "/spec/template/spec/containers", "image").into()
})
.wide();

pub(super) const SELECTOR: Column =
    Column::text("Selector", "Which pods belong to it.", |object, _| selector(object).into()).wide();

const DESIRED: Column =
    Column::number("Desired", "Pods that are wanted.", |object, _| int_at(object, "/spec/replicas").into());

const CURRENT: Column =
    Column::number("Current", "Pods that exist.", |object, _| int_at(object, "/status/replicas").into());

const READY: Column =
    Column::number("Ready", "Pods that are ready.", |object, _| int_at(object, "/status/readyReplicas").into());

const READY_OF_DESIRED: Column = Column::text("Ready", "Ready pods of those that are wanted.", |object, _| {
    format!("{}/{}", int_at(object, "/status/readyReplicas"), int_at(object, "/spec/replicas")).into()
});

pub(crate) const DEPLOYMENT: &[Column] = &[
    NAME,
    READY_OF_DESIRED,
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

pub(crate) const REPLICA_SET: &[Column] = &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR];

pub(crate) const REPLICATION_CONTROLLER: &[Column] = &[
    NAME,
    DESIRED,
    CURRENT,
    READY,
    AGE,
    CONTAINERS,
    IMAGES,
    Column::text("Selector", "Which pods belong to it.", |controller, _| {
        cells::labels(controller, "/spec/selector").into()
    })
    .wide(),
];

pub(crate) const STATEFUL_SET: &[Column] = &[NAME, READY_OF_DESIRED, AGE, CONTAINERS, IMAGES];

pub(crate) const DAEMON_SET: &[Column] = &[
    NAME,
    Column::number("Desired", "Nodes that should run its pod.", |set, _| {
        int_at(set, "/status/desiredNumberScheduled").into()
    }),
    Column::number("Current", "Nodes that should run its pod and have one.", |set, _| {
        int_at(set, "/status/currentNumberScheduled").into()
    }),
    Column::number("Ready", "Nodes that should run its pod and have a ready one.", |set, _| {
        int_at(set, "/status/numberReady").into()
    }),
    Column::number("Up-to-date", "Nodes with a pod made from the present template.", |set, _| {
        int_at(set, "/status/updatedNumberScheduled").into()
    }),
    Column::number("Available", "Nodes with a pod that has been ready for long enough.", |set, _| {
        int_at(set, "/status/numberAvailable").into()
    }),
    Column::text("Node Selector", "Labels of the nodes that run its pod.", |set, _| {
        cells::labels(set, "/spec/template/spec/nodeSelector").into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const CONTROLLER_REVISION: &[Column] = &[
    NAME,
    Column::text("Controller", "Whose history it belongs to.", |revision, _| controller(revision).into()),
    Column::number("Revision", "Its place in the history.", |revision, _| int_at(revision, "/revision").into()),
    AGE,
];

pub(crate) const POD_TEMPLATE: &[Column] = &[
    NAME,
    Column::text("Containers", "Names of the containers in the template.", |template, _| {
        joined(template, "/template/spec/containers", "name").into()
    }),
    Column::text("Images", "Images of the containers in the template.", |template, _| {
        joined(template, "/template/spec/containers", "image").into()
    }),
    Column::text("Pod Labels", "Labels of the pods that are made from it.", |template, _| {
        cells::labels(template, "/template/metadata/labels").into()
    }),
];

/// Columns of the view that the `scale` subresource gives of a workload.
pub const SCALE: &[Column] = &[
    NAME,
    DESIRED,
    Column::number("Available", "Pods that exist.", |scale, _| int_at(scale, "/status/replicas").into()),
    AGE,
];

fn selector(object: &Value) -> String {
    format_label_selector(&object["spec"]["selector"])
}

/// Kind, group and name of the owner that controls a revision.
fn controller(revision: &Value) -> String {
    let Some(owner) = items(revision, "/metadata/ownerReferences").find(|owner| owner["controller"] == true) else {
        return NONE.to_owned();
    };
    let (kind, name) = (str_at(owner, "/kind").to_lowercase(), str_at(owner, "/name"));
    match str_at(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

#[cfg(test)]
mod tests;
