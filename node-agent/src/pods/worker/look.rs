//! Looks at the runtime: one at a time, each after what it should see.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::{hands::Hands, jobs::Ended};
use crate::pods::runtime::{Observed, RuntimeError};

/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The looks of one pod.
pub(super) struct Look {
    hands: Arc<Hands>,
    wanted: bool,
    not_before: Option<Instant>,
    under_way: Option<JoinHandle<Result<Observed, RuntimeError>>>,
    /// Jobs that had ended before the look under way began.
    carried: Vec<Ended>,
    /// Jobs that ended since.
    waiting: Vec<Ended>,
}

impl Look {
    pub(super) fn new(hands: Arc<Hands>) -> Self {
        Self { hands, wanted: false, not_before: None, under_way: None, carried: Vec::new(), waiting: Vec::new() }
    }

    /// A look that begins after now is wanted.
    pub(super) fn ask(&mut self) {
        self.wanted = true;
        self.not_before = None;
    }

    /// A look is wanted, and these come after it.
    pub(super) fn after(&mut self, ended: Ended) {
        self.waiting.push(ended);
        self.wanted = true;
    }

    /// The next thing seen, and the jobs that ended before. May be dropped and asked again.
    pub(super) async fn next(&mut self, pod: Option<&Arc<Pod>>) -> (Observed, Vec<Ended>) {
        loop {
            if let Some(task) = &mut self.under_way {
                let result = task.await;
                self.under_way = None;
                match result {
                    Ok(Ok(observed)) => return (observed, std::mem::take(&mut self.carried)),
                    Ok(Err(error)) => self.fail(&error.to_string()),
                    Err(error) => self.fail(&error.to_string()),
                }
            } else if self.wanted {
                if let Some(time) = self.not_before {
                    sleep_until(time).await;
                    self.not_before = None;
                }
                self.wanted = false;
                self.carried = std::mem::take(&mut self.waiting);
                let (hands, pod) = (self.hands.clone(), pod.cloned());
                self.under_way = Some(tokio::spawn(async move { hands.look(pod.as_deref()).await }));
            } else {
                return std::future::pending().await;
            }
        }
    }

    fn fail(&mut self, reason: &str) {
        warn!(pod = self.hands.pod.name, reason, "cannot see what runs; looking again");
        self.carried.append(&mut self.waiting);
        std::mem::swap(&mut self.carried, &mut self.waiting);
        self.wanted = true;
        self.not_before = Some(Instant::now() + AGAIN);
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Some(task) = &self.under_way {
            task.abort();
        }
    }
}
