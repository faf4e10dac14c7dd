//! The group `certificates.k8s.io`.

use k8s_openapi::api::certificates::v1 as typed;

use super::{
    Kind,
    parts::{APPROVAL, STATUS},
    rows::Api,
};
use crate::columns;

const V1: Api = Api("certificates.k8s.io", "v1");

pub(super) const ROWS: &[Kind] = &[V1
    .cluster::<typed::CertificateSigningRequest>(
        "CertificateSigningRequest",
        "certificatesigningrequests",
        "certificatesigningrequest",
    )
    .short(&["csr"])
    .parts(&[STATUS, APPROVAL])
    .columns(columns::CERTIFICATE_SIGNING_REQUEST)
    .fields(&[("spec.signerName", "/spec/signerName", "")])];
