//! The group `events.k8s.io`: the core group's events under other names.

use k8s_openapi::api::events::v1 as typed;

use super::{Kind, rows::Api};
use crate::{columns, conversions};

const V1: Api = Api("events.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .namespaced::<typed::Event>("Event", "events", "event")
    .short(&["ev"])
    .view_of(&conversions::NEW_EVENT)
    .columns(columns::EVENT)
    .fields(&[
        ("regarding.kind", "/involvedObject/kind", ""),
        ("regarding.namespace", "/involvedObject/namespace", ""),
        ("regarding.name", "/involvedObject/name", ""),
        ("regarding.uid", "/involvedObject/uid", ""),
        ("regarding.apiVersion", "/involvedObject/apiVersion", ""),
        ("regarding.resourceVersion", "/involvedObject/resourceVersion", ""),
        ("regarding.fieldPath", "/involvedObject/fieldPath", ""),
        ("reason", "/reason", ""),
        ("reportingController", "/reportingComponent", ""),
        ("type", "/type", ""),
    ])];
