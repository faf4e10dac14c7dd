//! Forgets requests that are of no use any more (upstream `certificates/cleaner`).

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::certificates::v1::CertificateSigningRequest, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;
use nodeplane_api::meta::Key;
use nodeplane_client::{
    informer::Informer,
    write::{Hands, Write},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use x509_parser::pem::Pem;

use super::{certificate, condition};
use crate::controllers::caches::row;

const PERIOD: Duration = Duration::from_secs(3600);
/// How long a decision is kept.
const DECIDED: SignedDuration = SignedDuration::from_hours(1);
/// How long somebody may take to decide.
const PENDING: SignedDuration = SignedDuration::from_hours(24);

/// Runs until `shutdown`.
pub(super) async fn run(hands: Hands, requests: Arc<Informer<CertificateSigningRequest>>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        for request in requests.list() {
            if !is_over(&request, Timestamp::now()) {
                continue;
            }
            let uid = request.uid().unwrap_or_default();
            let write = Write::delete(row::<CertificateSigningRequest>(), Key::of_meta(&request.metadata), uid);
            match hands.apply(&write).await {
                Ok(_) => info!(request = request.name_any(), "an old request is forgotten"),
                Err(error) => debug!(%error, %write, "a request is not deleted"),
            }
        }
    }
}

/// Whether nobody needs a request any more.
pub(super) fn is_over(request: &CertificateSigningRequest, now: Timestamp) -> bool {
    let is_old = |at: Option<&Time>, limit: SignedDuration| at.is_some_and(|at| now.duration_since(at.0) > limit);
    let conditions = request.status.as_ref().and_then(|status| status.conditions.as_ref());
    if conditions.is_none_or(Vec::is_empty) {
        return is_old(request.metadata.creation_timestamp.as_ref(), PENDING);
    }
    let decided = ["Approved", "Denied", "Failed"].iter().filter_map(|name| condition(request, name));
    let is_decided = decided.into_iter().any(|decision| is_old(decision.last_update_time.as_ref(), DECIDED));
    is_decided || has_expired(certificate(request), now)
}

/// Whether the certificate that was issued holds no more.
fn has_expired(pem: &[u8], now: Timestamp) -> bool {
    let Some(Ok(block)) = Pem::iter_from_buffer(pem).next() else { return false };
    block.parse_x509().is_ok_and(|certificate| certificate.validity().not_after.timestamp() < now.as_second())
}
