//! Who may call this node: administrators and the API server, nobody else.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer as _, X509Certificate};

/// The group of administrators and of the API server: a name alone, others may be signed for.
const MASTERS: &str = "system:masters";

/// Decides about the holder of a certificate that the handshake has verified. The error names who was refused.
pub(super) fn permit(certificate: Option<&CertificateDer<'_>>) -> Result<(), String> {
    let parsed = certificate.and_then(|certificate| X509Certificate::from_der(certificate).ok());
    let Some((_, certificate)) = parsed else { return Err("system:anonymous".to_owned()) };
    let subject = certificate.subject();
    // The last common name is the user, as it is to the API server and whoever signs.
    let user = subject.iter_common_name().map(AttributeTypeAndValue::as_str).last();
    let Some(Ok(user)) = user else { return Err("system:anonymous".to_owned()) };
    let is_master = subject.iter_organization().any(|group| group.as_str() == Ok(MASTERS));
    if is_master { Ok(()) } else { Err(user.to_owned()) }
}
