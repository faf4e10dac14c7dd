//! Who is calling.
//!
//! In: the certificate that the TLS layer has verified against the cluster's CA, or a bearer
//! token. Out: a [`Caller`]. Never decides what the caller may do.

use nodeplane_api::status::Status;
use ring::digest;
use rustls_pki_types::CertificateDer;
use tracing::debug;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::Api;
pub use crate::access::{AUTHENTICATED, Caller, MASTERS, NODES, UNAUTHENTICATED};
use crate::{pki::subject, tokens::Refusal};

/// What a caller's extra calls the credential that was shown.
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

impl Caller {
    /// The holder of a certificate: the subject's common name is the name, its organisations are
    /// the groups (upstream's `x509.CommonNameUserConversion`).
    ///
    /// # Errors
    /// 401 when the certificate cannot be read, names nobody, or does not hold now: a connection
    /// may be older than the end of the certificate that opened it.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Status> {
        Self::certified(certificate, ASN1Time::now())
    }

    fn certified(certificate: &CertificateDer<'_>, now: ASN1Time) -> Result<Self, Status> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Status::unauthorized())?;
        let unreadable = |why| {
            debug!(%why, "a certificate is refused");
            Status::unauthorized()
        };
        let name = subject::user(parsed.subject()).map_err(unreadable)?;
        if name.is_empty() || !parsed.validity().is_valid_at(now) {
            return Err(Status::unauthorized());
        }
        let mut groups = subject::groups(parsed.subject()).map_err(unreadable)?;
        groups.push(AUTHENTICATED.to_owned());
        let print: String =
            digest::digest(&digest::SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::named(name, groups).with_extra(CREDENTIAL, vec![format!("X509SHA256={print}")]))
    }
}

/// The caller behind a connection: the holder of its certificate, or else of the token in the
/// header `Authorization`; nobody in particular when there is no token in it.
///
/// # Errors
/// 401 when a credential was shown that cannot be accepted; what the store says when it cannot be
/// found out.
pub(super) async fn identify(
    api: &Api,
    certificate: Option<&CertificateDer<'_>>,
    authorization: &str,
) -> Result<Caller, Status> {
    match certificate {
        Some(certificate) => Caller::from_certificate(certificate),
        None => match bearer(authorization) {
            Some(token) => holder(api, token).await,
            None => Ok(Caller::anonymous()),
        },
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

async fn holder(api: &Api, token: &str) -> Result<Caller, Status> {
    match api.tokens.authenticate(&api.objects, token).await {
        Ok(holder) => Ok(holder.caller),
        Err(Refusal::Unknown(status)) => Err(status),
        Err(why) => {
            debug!(%why, "a token is refused");
            Err(Status::unauthorized())
        }
    }
}

#[cfg(test)]
mod tests;
