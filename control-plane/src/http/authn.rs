//! Who is calling.
//!
//! In: the certificate that the TLS layer has verified against the cluster's CA, if any. Out: a
//! [`Caller`]. Never decides what the caller may do.

use nodeplane_api::status::Status;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

pub use crate::access::{AUTHENTICATED, Caller, MASTERS, NODES, UNAUTHENTICATED};

impl Caller {
    /// The holder of a certificate: the subject's common name is the name, its organisations are
    /// the groups (upstream's `x509.CommonNameUserConversion`).
    ///
    /// # Errors
    /// 401 when the certificate cannot be read or names nobody.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Status> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Status::unauthorized())?;
        let subject = parsed.subject();
        let name = subject.iter_common_name().find_map(|cn| cn.as_str().ok()).unwrap_or_default();
        if name.is_empty() {
            return Err(Status::unauthorized());
        }
        let mut groups: Vec<String> =
            subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
        groups.push(AUTHENTICATED.to_owned());
        Ok(Self::named(name, groups))
    }

    /// The caller behind a connection. A bearer token is refused: no issuer of tokens is known.
    ///
    /// # Errors
    /// 401 when a credential was shown that cannot be accepted.
    pub fn identify(certificate: Option<&CertificateDer<'_>>, authorization: &str) -> Result<Self, Status> {
        match certificate {
            Some(certificate) => Self::from_certificate(certificate),
            None if authorization.is_empty() => Ok(Self::anonymous()),
            None => Err(Status::unauthorized()),
        }
    }
}
