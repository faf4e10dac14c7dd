//! Who may call this node: administrators and the API server, nobody else.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The group of administrators.
const MASTERS: &str = "system:masters";
/// The user that the API server is to nodes.
const API_SERVER: &str = "kube-apiserver-kubelet-client";

/// Decides about the holder of a certificate that the handshake has verified. The error names who was refused.
pub(super) fn permit(certificate: Option<&CertificateDer<'_>>) -> Result<(), String> {
    let parsed = certificate.and_then(|certificate| X509Certificate::from_der(certificate).ok());
    let Some((_, certificate)) = parsed else { return Err("system:anonymous".to_owned()) };
    let subject = certificate.subject();
    let user = subject.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
    let is_master = subject.iter_organization().any(|group| group.as_str() == Ok(MASTERS));
    if is_master || user == API_SERVER { Ok(()) } else { Err(user.to_owned()) }
}
