//! Issues the certificates that were asked for and approved, and forgets old requests.
//!
//! In: CertificateSigningRequests, and the cluster's signer. Out: their `.status.certificate`, or the
//! condition `Failed`; deletions. Who may have which certificate is decided in [`signers`], which
//! requests are old in [`cleaner`]; nobody is approved here. Behaviour of upstream's
//! `pkg/controller/certificates`.

mod cleaner;
mod signers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Client, ResourceExt, runtime::watcher};
use nodeplane_api::{kinds::Subresource, meta::Key};
use nodeplane_client::{
    controller::{Apply, Controller, Next, Reconcile},
    informer::Informer,
    write::{Hands, Write, WriteError},
};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::caches::row;
use crate::pki::{Signer, SigningRequest, Terms};

/// How long a certificate holds when nothing is said, and at most. Upstream's
/// `--cluster-signing-duration`.
const LIFETIME: Duration = Duration::days(365);
/// No certificate holds for less.
const LEAST: Duration = Duration::minutes(10);

/// Runs both controllers until `shutdown`.
pub async fn run(client: Client, hands: Hands, signer: Arc<Signer>, shutdown: CancellationToken) {
    let api = Api::<CertificateSigningRequest>::all(client);
    let requests = Arc::new(Informer::start(api, watcher::Config::default()));
    let signing = Controller::new("certificate-signing", hands.clone())
        .on(&requests, |request: &CertificateSigningRequest| vec![Key::of_meta(&request.metadata)]);
    let signing = signing.run(1, Signing { requests: requests.clone(), signer }, shutdown.clone());
    tokio::join!(signing, cleaner::run(hands, requests, shutdown));
}

struct Signing {
    requests: Arc<Informer<CertificateSigningRequest>>,
    signer: Arc<Signer>,
}

impl Reconcile for Signing {
    async fn reconcile(&self, key: &Key, apply: &Apply) -> Result<Next, WriteError> {
        let Some(request) = self.requests.get(key) else { return Ok(Next::Wait) };
        if let Some(answered) = answer(&request, &self.signer, Timestamp::now()) {
            apply
                .one(&Write::replace(row::<CertificateSigningRequest>(), Some(Subresource::Status), &answered))
                .await?;
            info!(request = %key, signer = request.spec.signer_name, user = ?request.spec.username, "answered");
        }
        Ok(Next::Wait)
    }
}

/// Whether a request has a condition that holds.
fn has(request: &CertificateSigningRequest, name: &str) -> bool {
    condition(request, name).is_some()
}

fn condition<'a>(request: &'a CertificateSigningRequest, name: &str) -> Option<&'a CertificateSigningRequestCondition> {
    let conditions = request.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == name && condition.status == "True")
}

/// The certificate of a request in PEM; empty until there is one.
fn certificate(request: &CertificateSigningRequest) -> &[u8] {
    request.status.as_ref().and_then(|status| status.certificate.as_ref()).map_or(&[], |bytes| &bytes.0)
}

/// The request with its answer, when it is approved and ours to answer.
fn answer(request: &CertificateSigningRequest, signer: &Signer, now: Timestamp) -> Option<CertificateSigningRequest> {
    let is_open = has(request, "Approved") && !has(request, "Denied") && !has(request, "Failed");
    if !is_open || !certificate(request).is_empty() || !signers::is_known(&request.spec.signer_name) {
        return None;
    }
    let mut answered = request.clone();
    let status = answered.status.get_or_insert_default();
    match sign(request, signer, now) {
        Ok(pem) => status.certificate = Some(ByteString(pem.into_bytes())),
        Err(why) => {
            warn!(request = request.name_any(), why, "a request fails");
            status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
                type_: "Failed".to_owned(),
                status: "True".to_owned(),
                reason: Some("SignerValidationFailure".to_owned()),
                message: Some(why),
                last_update_time: Some(Time(now)),
                ..CertificateSigningRequestCondition::default()
            });
        }
    }
    Some(answered)
}

fn sign(request: &CertificateSigningRequest, signer: &Signer, now: Timestamp) -> Result<String, String> {
    let spec = &request.spec;
    let asked = SigningRequest::parse(&spec.request.0)?;
    let usages = spec.usages.clone().unwrap_or_default();
    signers::check(&spec.signer_name, &asked, &usages)?;
    let terms = Terms { usages: &usages, lifetime: lifetime(spec.expiration_seconds) };
    let now = OffsetDateTime::from_unix_timestamp(now.as_second()).map_err(|error| error.to_string())?;
    signer.sign(&asked, terms, now).map_err(|error| error.to_string())
}

fn lifetime(asked: Option<i32>) -> Duration {
    asked.map_or(LIFETIME, |seconds| Duration::seconds(seconds.into()).clamp(LEAST, LIFETIME))
}
