//! The group `networking.k8s.io`.

use k8s_openapi::api::networking::v1 as typed;

use super::{Kind, parts::STATUS, rows::Api};
use crate::columns;

const V1: Api = Api("networking.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[
    V1.cluster::<typed::IngressClass>("IngressClass", "ingressclasses", "ingressclass").columns(columns::INGRESS_CLASS),
    V1.namespaced::<typed::Ingress>("Ingress", "ingresses", "ingress")
        .short(&["ing"])
        .parts(&[STATUS])
        .columns(columns::INGRESS),
    V1.namespaced::<typed::NetworkPolicy>("NetworkPolicy", "networkpolicies", "networkpolicy")
        .short(&["netpol"])
        .columns(columns::NETWORK_POLICY),
];
