//! From the caches to the Service plane, whenever they change.
//!
//! All changes that are known at a moment are taken over together; none waits for others. Facts are made and maps are
//! written in a thread for work that blocks. After that it rests for as long as that took, so that a storm of changes
//! takes half a core at most.

use std::{
    collections::BTreeSet,
    panic,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use nodeplane_api::meta::Key;
use nodeplane_client::{
    recorder::{Recorder, Severity},
    services::Changes,
};
use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{ServicePlane, Stats};
use crate::{
    model::{Rejected, Services},
    observe::Sources,
};

/// The longest rest.
const LONGEST_REST: Duration = Duration::from_millis(100);
/// The pause after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// How the feed is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How often the plane has taken changes over.
    pub syncs: u64,
    /// How often it has not.
    pub failures: u64,
    /// What the last time did.
    pub last: Option<Stats>,
    /// What could not be taken over and is left out; the node serves all the others.
    pub left_out: Vec<Rejected>,
    /// Why the newest changes were not taken.
    pub error: Option<String>,
}

/// Feeds one plane.
pub struct Feed {
    sources: Sources,
    plane: Arc<ServicePlane>,
    recorder: Recorder,
    facts: Mutex<Services>,
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

impl Feed {
    /// A feed that has not begun. What is left out becomes events by `recorder`.
    pub fn new(sources: Sources, plane: Arc<ServicePlane>, recorder: Recorder, node_name: &str) -> Self {
        let facts = Mutex::new(Services::new(node_name));
        Self { sources, plane, recorder, facts, progress: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// How it is doing.
    pub fn progress(&self) -> Progress {
        lock(&self.progress).clone()
    }

    /// Tells of every sync, taken or not.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until every cache has been complete, then keeps the plane at what they say, until `stop`.
    pub async fn run(self: &Arc<Self>, stop: &CancellationToken) {
        let _ = stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(self: &Arc<Self>) {
        let changes = self.sources.services.follow();
        self.sources.ready().await;
        loop {
            let begun = Instant::now();
            let taken = self.take_over(&changes).await;
            sleep(begun.elapsed().min(LONGEST_REST)).await;
            tokio::select! {
                () = changes.changed() => {}
                () = sleep(RETRY), if !taken => {}
                () = self.sources.services.ended() => break,
            }
        }
        self.note(Err("the API server is not followed any more; the reason is in the log".to_owned()), Vec::new());
    }

    /// Whether the plane has taken what is there.
    async fn take_over(self: &Arc<Self>, changes: &Changes) -> bool {
        let (feed, stale) = (self.clone(), changes.take());
        let outcome = spawn_blocking(move || feed.sync(stale)).await;
        outcome.unwrap_or_else(|broken| match broken.try_into_panic() {
            Ok(reason) => panic::resume_unwind(reason),
            // Only the end of the runtime cancels it.
            Err(_) => false,
        })
    }

    /// What the plane has not taken, it looks for by itself the next time.
    fn sync(&self, stale: BTreeSet<Key>) -> bool {
        let mut facts = lock(&self.facts);
        let mut changed = BTreeSet::new();
        for key in stale {
            let service = self.sources.services.objects.get(&key);
            let slices = self.sources.services.slices_of(&key);
            changed.extend(facts.put(&key.into(), service.as_deref(), slices.iter().map(|slice| &**slice)));
        }
        let outcome = self.plane.update(&facts, &changed).map_err(|error| error.to_string());
        let taken = outcome.is_ok();
        let mut left_out = facts.rejected();
        left_out.extend(self.plane.left_out());
        self.note(outcome, left_out);
        taken
    }

    fn note(&self, outcome: Result<Stats, String>, left_out: Vec<Rejected>) {
        let mut progress = lock(&self.progress);
        self.report(&progress.left_out, &left_out);
        progress.left_out = left_out;
        match outcome {
            Ok(stats) => {
                progress.syncs += 1;
                progress.last = Some(stats);
                if progress.error.take().is_some() {
                    info!("the Service plane takes changes again");
                }
            }
            Err(error) => {
                progress.failures += 1;
                error!(%error, "the Service plane did not take changes");
                progress.error = Some(error);
            }
        }
        drop(progress);
        self.changed.send_replace(());
    }

    /// Says once, and again only when it comes back, what is left out.
    fn report(&self, before: &[Rejected], now: &[Rejected]) {
        let before: BTreeSet<&Rejected> = before.iter().collect();
        for rejected in now.iter().filter(|rejected| !before.contains(rejected)) {
            warn!(reason = %rejected, "object left out of the Service plane");
            self.recorder.event(reference(rejected), Severity::Warning, "NotServed", &*rejected.reason);
        }
    }
}

fn reference(rejected: &Rejected) -> ObjectReference {
    let api_version = if rejected.kind == "Service" { "v1" } else { "discovery.k8s.io/v1" };
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(rejected.kind.to_owned()),
        namespace: Some(rejected.key.namespace.clone()),
        name: Some(rejected.key.name.clone()),
        ..ObjectReference::default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
