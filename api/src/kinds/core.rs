//! The core group.

use k8s_openapi::api::core::v1 as typed;

use super::{
    Kind, Verb,
    parts::{BINDING, EPHEMERAL_CONTAINERS, EVICTION, FINALIZE, LOG, SCALE, STATUS, TOKEN},
    rows::Api,
};
use crate::columns;

const V1: Api = Api("", "v1");

/// A namespace takes its contents with it; nobody may remove them all at once.
const ALL_BUT_COLLECTION: &[Verb] =
    &[Verb::Create, Verb::Delete, Verb::Get, Verb::List, Verb::Patch, Verb::Update, Verb::Watch];

pub(super) const ROWS: &[Kind] = &[
    V1.namespaced::<typed::Binding>("Binding", "bindings", "binding").made_for(&[Verb::Create]),
    V1.cluster::<typed::ComponentStatus>("ComponentStatus", "componentstatuses", "componentstatus")
        .short(&["cs"])
        .made_for(&[Verb::Get, Verb::List])
        .columns(columns::COMPONENT_STATUS),
    V1.cluster::<typed::Namespace>("Namespace", "namespaces", "namespace")
        .short(&["ns"])
        .verbs(ALL_BUT_COLLECTION)
        .parts(&[STATUS, FINALIZE])
        .columns(columns::NAMESPACE)
        .fields(&[("status.phase", "/status/phase", "")]),
    V1.cluster::<typed::Node>("Node", "nodes", "node")
        .short(&["no"])
        .parts(&[STATUS])
        .columns(columns::NODE)
        .fields(&[("spec.unschedulable", "/spec/unschedulable", "false")]),
    V1.namespaced::<typed::Pod>("Pod", "pods", "pod")
        .short(&["po"])
        .in_all()
        .parts(&[STATUS, BINDING, EPHEMERAL_CONTAINERS, EVICTION, LOG])
        .columns(columns::POD)
        .fields(&[
            ("spec.nodeName", "/spec/nodeName", ""),
            ("spec.restartPolicy", "/spec/restartPolicy", ""),
            ("spec.schedulerName", "/spec/schedulerName", ""),
            ("spec.serviceAccountName", "/spec/serviceAccountName", ""),
            ("spec.hostNetwork", "/spec/hostNetwork", "false"),
            ("status.phase", "/status/phase", ""),
            ("status.podIP", "/status/podIP", ""),
            ("status.nominatedNodeName", "/status/nominatedNodeName", ""),
        ]),
    V1.namespaced::<typed::Service>("Service", "services", "service")
        .short(&["svc"])
        .in_all()
        .parts(&[STATUS])
        .columns(columns::SERVICE)
        .fields(&[("spec.clusterIP", "/spec/clusterIP", ""), ("spec.type", "/spec/type", "")]),
    V1.namespaced::<typed::Endpoints>("Endpoints", "endpoints", "endpoints").short(&["ep"]).columns(columns::ENDPOINTS),
    V1.namespaced::<typed::ConfigMap>("ConfigMap", "configmaps", "configmap")
        .short(&["cm"])
        .columns(columns::CONFIG_MAP),
    V1.namespaced::<typed::Secret>("Secret", "secrets", "secret")
        .columns(columns::SECRET)
        .fields(&[("type", "/type", "")]),
    V1.namespaced::<typed::ServiceAccount>("ServiceAccount", "serviceaccounts", "serviceaccount")
        .short(&["sa"])
        .parts(&[TOKEN])
        .columns(columns::SERVICE_ACCOUNT),
    V1.namespaced::<typed::Event>("Event", "events", "event").short(&["ev"]).columns(columns::EVENT).fields(&[
        ("involvedObject.kind", "/involvedObject/kind", ""),
        ("involvedObject.namespace", "/involvedObject/namespace", ""),
        ("involvedObject.name", "/involvedObject/name", ""),
        ("involvedObject.uid", "/involvedObject/uid", ""),
        ("involvedObject.apiVersion", "/involvedObject/apiVersion", ""),
        ("involvedObject.resourceVersion", "/involvedObject/resourceVersion", ""),
        ("involvedObject.fieldPath", "/involvedObject/fieldPath", ""),
        ("reason", "/reason", ""),
        ("reportingComponent", "/reportingComponent", ""),
        ("source", "/source/component", ""),
        ("type", "/type", ""),
    ]),
    V1.namespaced::<typed::LimitRange>("LimitRange", "limitranges", "limitrange")
        .short(&["limits"])
        .columns(columns::LIMIT_RANGE),
    V1.namespaced::<typed::PersistentVolumeClaim>(
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "persistentvolumeclaim",
    )
    .short(&["pvc"])
    .parts(&[STATUS])
    .columns(columns::PERSISTENT_VOLUME_CLAIM),
    V1.cluster::<typed::PersistentVolume>("PersistentVolume", "persistentvolumes", "persistentvolume")
        .short(&["pv"])
        .parts(&[STATUS])
        .columns(columns::PERSISTENT_VOLUME),
    V1.namespaced::<typed::PodTemplate>("PodTemplate", "podtemplates", "podtemplate").columns(columns::POD_TEMPLATE),
    V1.namespaced::<typed::ReplicationController>(
        "ReplicationController",
        "replicationcontrollers",
        "replicationcontroller",
    )
    .short(&["rc"])
    .in_all()
    .parts(&[STATUS, SCALE])
    .columns(columns::REPLICATION_CONTROLLER)
    .fields(&[("status.replicas", "/status/replicas", "0")]),
    V1.namespaced::<typed::ResourceQuota>("ResourceQuota", "resourcequotas", "resourcequota")
        .short(&["quota"])
        .parts(&[STATUS])
        .columns(columns::RESOURCE_QUOTA),
];
