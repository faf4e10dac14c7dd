//! Keeps the status of a pod's object equal to what the machine says.
//!
//! In: the status wanted, and the object as the informer sees it. Out: writes, only when there is a
//! difference, the newest only, until the API server has taken it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};

use super::{
    api::{ApiError, PodApi},
    runtime::PodId,
    status,
};

/// After a first failure; doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What the writer works on.
#[derive(Clone, Debug, Default)]
struct Desk {
    wanted: Option<PodStatus>,
    /// The newest that is known of the object.
    known: Known,
}

/// An object's status as of a revision.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    revision: u64,
    status: Value,
}

/// Writes the status of one pod; ends when it is dropped.
pub struct Reporter {
    desk: watch::Sender<Desk>,
    task: AbortHandle,
}

impl Reporter {
    /// Starts the writer.
    pub fn start(api: Arc<dyn PodApi>, pod: PodId) -> Self {
        let desk = watch::Sender::new(Desk::default());
        let task = tokio::spawn(write(api, pod, desk.clone())).abort_handle();
        Self { desk, task }
    }

    /// The object should show this.
    pub fn show(&self, status: PodStatus) {
        self.desk.send_if_modified(|desk| {
            let is_new = desk.wanted.as_ref() != Some(&status);
            desk.wanted = Some(status);
            is_new
        });
    }

    /// The object was seen like this.
    pub fn saw(&self, pod: &Pod) {
        let revision = pod.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
        let status = pod.status.as_ref().map(status::owned).unwrap_or_default();
        self.desk.send_if_modified(|desk| desk.known.learn(Known { revision, status }));
    }

    /// Returns when the object shows what it should; or, with the answer no, when the API server has not taken it for
    /// as long as `patience`.
    pub async fn settled(&self, patience: Duration) -> bool {
        let mut desk = self.desk.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        timeout(patience, desk.wait_for(|desk| desk.open().is_none())).await.is_ok()
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    /// What has to be written: the parts that count, and the whole.
    fn open(&self) -> Option<(Value, &PodStatus)> {
        let wanted = self.wanted.as_ref()?;
        let owned = status::owned(wanted);
        (owned != self.known.status).then_some((owned, wanted))
    }
}

impl Known {
    /// Takes what is newer; whether it differs.
    fn learn(&mut self, other: Self) -> bool {
        if other.revision <= self.revision {
            return false;
        }
        let differs = other.status != self.status;
        *self = other;
        differs
    }
}

async fn write(api: Arc<dyn PodApi>, pod: PodId, desk: watch::Sender<Desk>) {
    let mut changes = desk.subscribe();
    let mut delay = FIRST_DELAY;
    loop {
        let open = changes.borrow_and_update().open().map(|(owned, wanted)| (owned, wanted.clone()));
        let Some((owned, wanted)) = open else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        match api.write_status(&pod, &wanted).await {
            Ok(revision) => {
                debug!(pod = pod.name, namespace = pod.namespace, phase = wanted.phase, revision, "status written");
                delay = FIRST_DELAY;
                desk.send_modify(|desk| {
                    // An object seen meanwhile may be newer than the one written.
                    if revision >= desk.known.revision || revision == 0 {
                        desk.known = Known { revision: revision.max(desk.known.revision), status: owned };
                    }
                });
            }
            // Nobody is left to be told.
            Err(ApiError::Gone) => desk.send_modify(|desk| desk.known.status = owned),
            Err(ApiError::Failed(reason)) => {
                warn!(pod = pod.name, namespace = pod.namespace, reason, "cannot write the status; trying again");
                let again = Instant::now() + delay;
                delay = (delay * 2).min(LONGEST_DELAY);
                sleep_until(again).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
