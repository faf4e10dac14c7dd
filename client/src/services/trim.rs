//! What is kept of each object. A reader that needs more adds it here, where everybody sees who reads what.

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};

use super::SERVICE_NAME;

/// Labels that say who serves a Service; the Service plane reads them.
const SERVICE_LABELS: [&str; 2] = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];

/// Keeps what the Service plane, DNS and the environments of containers read: the ports and addresses.
pub(super) fn service(service: &mut Service) {
    service.metadata.annotations = None;
    service.metadata.owner_references = None;
    service.status = None;
    if let Some(labels) = &mut service.metadata.labels {
        labels.retain(|label, _| SERVICE_LABELS.contains(&label.as_str()));
    }
    if let Some(spec) = &mut service.spec {
        spec.selector = None;
    }
}

/// Keeps what the Service plane (addresses, conditions, nodes) and DNS (host names, too) read.
pub(super) fn slice(slice: &mut EndpointSlice) {
    slice.metadata.annotations = None;
    slice.metadata.owner_references = None;
    if let Some(labels) = &mut slice.metadata.labels {
        labels.retain(|label, _| label == SERVICE_NAME);
    }
    for endpoint in &mut slice.endpoints {
        endpoint.target_ref = None;
        endpoint.zone = None;
        endpoint.hints = None;
    }
}
