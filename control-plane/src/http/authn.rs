//! Who is calling.
//!
//! In: the certificate that the TLS layer has verified against the cluster's CA, if any. Out: a
//! [`Caller`]. Never decides what the caller may do.

use nodeplane_api::status::Status;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Group of callers that may do everything.
pub const MASTERS: &str = "system:masters";
/// Group of node agents.
pub const NODES: &str = "system:nodes";
/// Group of everybody who showed a credential.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Somebody with a name and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    name: String,
    groups: Vec<String>,
}

impl Caller {
    /// A caller without a credential.
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    /// Somebody by name and groups.
    pub fn named(name: &str, groups: Vec<String>) -> Self {
        Self { name: name.to_owned(), groups }
    }

    /// A part of this process, such as `system:kube-controller-manager`. It may do everything.
    pub fn component(name: &str) -> Self {
        Self { name: name.to_owned(), groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()] }
    }

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
        Ok(Self { name: name.to_owned(), groups })
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

    /// User name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Groups.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Whether the caller is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}
