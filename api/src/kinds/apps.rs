//! The group `apps`.

use k8s_openapi::api::apps::v1 as typed;

use super::{
    Kind,
    parts::{SCALE, STATUS},
    rows::Api,
};
use crate::columns;

const V1: Api = Api("apps", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.namespaced::<typed::Deployment>("Deployment", "deployments", "deployment")
        .short(&["deploy"])
        .in_all()
        .parts(&[STATUS, SCALE])
        .columns(columns::DEPLOYMENT),
    V1.namespaced::<typed::ReplicaSet>("ReplicaSet", "replicasets", "replicaset")
        .short(&["rs"])
        .in_all()
        .parts(&[STATUS, SCALE])
        .columns(columns::REPLICA_SET)
        .fields(&[("status.replicas", "/status/replicas", "0")]),
    V1.namespaced::<typed::ControllerRevision>("ControllerRevision", "controllerrevisions", "controllerrevision")
        .columns(columns::CONTROLLER_REVISION),
    V1.namespaced::<typed::DaemonSet>("DaemonSet", "daemonsets", "daemonset")
        .short(&["ds"])
        .in_all()
        .parts(&[STATUS])
        .columns(columns::DAEMON_SET),
    V1.namespaced::<typed::StatefulSet>("StatefulSet", "statefulsets", "statefulset")
        .short(&["sts"])
        .in_all()
        .parts(&[STATUS, SCALE])
        .columns(columns::STATEFUL_SET),
];
