//! From the caches to the Service plane, whenever they change.
//!
//! All changes that are known at a moment go into one snapshot; none waits for others. After a snapshot it rests for
//! as long as that took, so that a storm of changes takes half a core at most.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::Sources;
use crate::{
    dataplane::{ServicePlane, Stats},
    model::Snapshot,
};

/// The longest rest after a snapshot.
const LONGEST_REST: Duration = Duration::from_millis(100);
/// The pause after a failed sync.
const RETRY: Duration = Duration::from_millis(500);

/// How the feed is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Snapshots that the plane has taken.
    pub syncs: u64,
    /// Snapshots that it has not.
    pub failures: u64,
    /// What the last one did.
    pub last: Option<Stats>,
    /// Why the newest snapshot was not taken.
    pub error: Option<String>,
}

/// Feeds one plane.
pub struct Feed {
    sources: Sources,
    plane: Arc<ServicePlane>,
    node_name: String,
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

impl Feed {
    /// A feed that has not begun.
    pub fn new(sources: Sources, plane: Arc<ServicePlane>, node_name: &str) -> Self {
        let (node_name, progress, changed) = (node_name.to_owned(), Mutex::default(), watch::Sender::new(()));
        Self { sources, plane, node_name, progress, changed }
    }

    /// How it is doing.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Tells of every sync, taken or not.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until every cache has been complete, then keeps the plane at what they say, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let _ = stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        self.sources.ready().await;
        let (mut services, mut slices) =
            (self.sources.services.objects.generation(), self.sources.services.slices.generation());
        loop {
            // Marked as seen before the caches are read: what comes while reading is seen again.
            services.borrow_and_update();
            slices.borrow_and_update();
            let begun = Instant::now();
            let taken = self.sync();
            sleep(begun.elapsed().min(LONGEST_REST)).await;
            let retry = async { if taken { std::future::pending().await } else { sleep(RETRY).await } };
            // The senders live as long as the caches that we hold.
            tokio::select! {
                _ = services.changed() => {}
                _ = slices.changed() => {}
                () = retry => {}
            }
        }
    }

    /// Whether the plane has taken it.
    fn sync(&self) -> bool {
        let (services, slices) = (self.sources.services.objects.list(), self.sources.services.slices.list());
        let snapshot = Snapshot::build(services, slices, &self.node_name);
        let outcome = self.plane.sync(&snapshot);
        let mut progress = self.lock();
        match &outcome {
            Ok(stats) => {
                progress.syncs += 1;
                progress.last = Some(*stats);
                if progress.error.take().is_some() {
                    info!("the Service plane takes snapshots again");
                }
            }
            Err(error) => {
                progress.failures += 1;
                error!(%error, "the Service plane did not take a snapshot; trying again");
                progress.error = Some(error.to_string());
            }
        }
        drop(progress);
        self.changed.send_replace(());
        outcome.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
