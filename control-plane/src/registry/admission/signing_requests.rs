//! Who asks for a certificate, and for whom nobody may.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use nodeplane_api::status::Status;
use serde_json::{Value, json};

use super::{Operation, Plugin, Review};
use crate::{access::MASTERS, pki::SigningRequest};

const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Writes the caller into a new request, as upstream's strategy does, and is upstream's
/// `CertificateSubjectRestriction`: a certificate of an administrator cannot be asked for.
pub(super) struct SigningRequests;

fn is_new(review: &Review<'_>) -> bool {
    let is_request = review.permit.request().resource() == ("certificates.k8s.io", "certificatesigningrequests");
    is_request && review.operation == Operation::Create && review.subresource().is_none()
}

#[async_trait]
impl Plugin for SigningRequests {
    async fn admit(&self, review: &Review<'_>, object: &mut Value) -> Result<(), Status> {
        if !is_new(review) {
            return Ok(());
        }
        let caller = review.permit.caller();
        let Some(spec) = object["spec"].as_object_mut() else { return Ok(()) };
        for field in ["uid", "extra"] {
            spec.remove(field);
        }
        spec.insert("username".to_owned(), caller.name().into());
        spec.insert("groups".to_owned(), json!(caller.groups()));
        if !caller.uid().is_empty() {
            spec.insert("uid".to_owned(), caller.uid().into());
        }
        if !caller.extra().is_empty() {
            spec.insert("extra".to_owned(), json!(caller.extra()));
        }
        Ok(())
    }

    async fn validate(&self, review: &Review<'_>, object: &Value) -> Result<(), Status> {
        let spec = &object["spec"];
        if !is_new(review) || spec["signerName"] != CLIENT_SIGNER {
            return Ok(());
        }
        let pem = STANDARD.decode(spec["request"].as_str().unwrap_or_default()).unwrap_or_default();
        let asks_for_masters =
            SigningRequest::parse(&pem).is_ok_and(|request| request.organizations.iter().any(|group| group == MASTERS));
        if asks_for_masters {
            let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
            return Err(Status::forbidden(review.kind(), review.name, why));
        }
        Ok(())
    }
}
