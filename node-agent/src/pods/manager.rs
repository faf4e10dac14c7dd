//! Sees to it that each pod of this node has a worker, and that what has no pod ends.
//!
//! In: the informer's notices, the engine's events, a slow heartbeat as safety. Out: workers, and
//! orders to them. Level-triggered: [`Manager::sync`] is the one way in which an object reaches its
//! worker, at start, on notices and on relists alike.

mod workers;

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use nodeplane_api::meta::Key;
use nodeplane_client::informer::{Informer, Notice as Told};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::{Instant, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::workers::Workers;
use super::{
    context::Context,
    engine::{self, Notice},
    message::Message,
    pod::PodExt,
    runtime::{PodId, PodRecord},
    worker::Order,
};

/// Between two tries to learn what runs, while the agent starts.
const RETRY: Duration = Duration::from_millis(500);

/// How patient the manager is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long containers and files whose object is not known stay, once all objects are.
    pub orphans: Duration,
    /// How often everything is looked at even when nobody says that it moved.
    pub relist: Duration,
    /// How long a pod is left alone whose worker broke.
    pub rest: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { orphans: Duration::from_secs(10), relist: Duration::from_secs(60), rest: Duration::from_secs(10) }
    }
}

/// How far the taking over of what ran before has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Adoption {
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) complete: bool,
}

/// The manager.
pub(super) struct Manager {
    context: Arc<Context>,
    objects: Arc<Informer<Pod>>,
    timing: Timing,
    adoption: watch::Sender<Adoption>,
    workers: Workers,
    /// Since when a pod of which something runs has no object, by uid.
    orphans: HashMap<String, Instant>,
    /// When a pod whose worker broke gets another one, by uid.
    resting: HashMap<String, Instant>,
}

impl Manager {
    pub(super) fn new(
        context: Arc<Context>,
        objects: Arc<Informer<Pod>>,
        timing: Timing,
        adoption: watch::Sender<Adoption>,
    ) -> Self {
        let workers = Workers::new(context.clone());
        Self { context, objects, timing, adoption, workers, orphans: HashMap::new(), resting: HashMap::new() }
    }

    /// Works until `stop`, and returns when no worker is left.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.work()).await;
        self.workers.stop().await;
        info!("the pods' workers have let go; containers keep running");
    }

    async fn work(&mut self) {
        let mut told = self.objects.subscribe();
        let (speaker, mut heard) = mpsc::unbounded_channel();
        let _listener = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(engine::listen(
            self.context.runtime.clone(),
            speaker,
        )));
        self.adopt().await;
        self.objects.ready().await;
        // Only from now on is an object that is not known a missing one.
        self.orphans.values_mut().for_each(|since| *since = Instant::now());
        self.sync_all();
        self.find_files().await;
        self.adoption.send_modify(|adoption| adoption.complete = true);
        let mut heartbeat = interval_at(Instant::now() + self.timing.relist, self.timing.relist);
        loop {
            tokio::select! {
                told = told.recv() => match told {
                    Ok(Told::Changed(key)) => self.sync(&key),
                    Ok(Told::Relisted) | Err(broadcast::error::RecvError::Lagged(_)) => self.sync_all(),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(notice) = heard.recv() => match notice {
                    Notice::Moved(uid) => self.moved(&uid).await,
                    Notice::Listening => self.relist().await,
                },
                (pod, broke) = self.workers.ended() => self.ended(&pod, broke),
                _ = heartbeat.tick() => {
                    self.relist().await;
                    self.sync_all();
                    self.find_files().await;
                }
                () = until(self.resting.values().min().copied()) => self.end_rest().await,
                () = until(self.orphans.values().min().map(|since| *since + self.timing.orphans)) => self.end_orphans(),
            }
        }
    }

    /// Takes over what the runtime holds, before any pod is given an address.
    async fn adopt(&mut self) {
        let records = loop {
            match self.context.runtime.pods().await {
                Ok(records) => break records,
                Err(error) => warn!(%error, "cannot learn what runs; trying again"),
            }
            tokio::time::sleep(RETRY).await;
        };
        for record in &records {
            for address in &record.addresses {
                self.context.network.adopt(&record.pod.uid, *address).await;
            }
        }
        let addresses = records.iter().flat_map(|record| record.addresses.iter().copied()).collect();
        info!(pods = records.len(), "found what ran before");
        records.iter().for_each(|record| self.know(record));
        self.adoption.send_modify(|adoption| adoption.addresses = addresses);
    }

    /// Every worker looks, and everything that the runtime holds has a worker.
    async fn relist(&mut self) {
        self.workers.tell_all(|| Order::Look);
        self.learn().await;
    }

    async fn learn(&mut self) {
        match self.context.runtime.pods().await {
            Ok(records) => records.iter().for_each(|record| self.know(record)),
            Err(error) => warn!(%error, "cannot list what runs"),
        }
    }

    /// Gives what the runtime holds of a pod a worker; its object may follow.
    fn know(&mut self, record: &PodRecord) {
        if self.workers.has(&record.pod.uid) || self.resting.contains_key(&record.pod.uid) {
            return;
        }
        let grace = Duration::from_secs(record.grace_seconds.max(1).unsigned_abs());
        self.workers.start(record.pod.clone(), grace);
        self.orphans.insert(record.pod.uid.clone(), Instant::now());
        if self.objects.is_ready() {
            self.sync(&key_of(&record.pod));
        }
    }

    /// Files of pods of which nothing else is left: an agent died before it made a sandbox or after it removed the
    /// last container. Called when all objects are known and told, so that a pod without a worker has no object.
    async fn find_files(&mut self) {
        let paths = self.context.paths.clone();
        let found = match tokio::task::spawn_blocking(move || paths.uids()).await {
            Ok(Ok(uids)) => uids,
            Ok(Err(error)) => return warn!(%error, "cannot list the files of pods"),
            Err(error) => return warn!(%error, "cannot list the files of pods"),
        };
        for uid in found {
            if !self.workers.has(&uid) && !self.resting.contains_key(&uid) {
                self.orphans.entry(uid).or_insert_with(Instant::now);
            }
        }
    }

    async fn moved(&mut self, uid: &str) {
        if self.workers.has(uid) {
            self.workers.tell(uid, Order::Look);
        } else {
            // Left behind by somebody, or gone since.
            self.learn().await;
        }
    }

    fn sync_all(&mut self) {
        let mut keys: Vec<Key> = self.workers.pods().map(key_of).collect();
        self.objects.with(|objects| keys.extend(objects.keys().cloned()));
        keys.sort();
        keys.dedup();
        keys.iter().for_each(|key| self.sync(key));
    }

    /// Tells the workers of this name what there is of it now.
    fn sync(&mut self, key: &Key) {
        let object = self.objects.get(key);
        let uid = object.as_ref().map(|pod| pod.uid().to_owned());
        let others: Vec<String> = self
            .workers
            .pods()
            .filter(|pod| key_of(pod) == *key && Some(&pod.uid) != uid.as_ref())
            .map(|pod| pod.uid.clone())
            .collect();
        for other in others {
            // One that was never known is given time.
            if !self.orphans.contains_key(&other) {
                self.workers.tell(&other, Order::Tell(Message::Gone));
            }
        }
        if let Some(pod) = object.filter(|pod| !self.resting.contains_key(pod.uid())) {
            if !self.workers.has(pod.uid()) {
                self.workers.start(pod.id(), pod.grace());
            }
            self.orphans.remove(pod.uid());
            self.workers.tell_if_new(&pod);
        }
    }

    /// A worker has ended: nothing of its pod is left, unless it broke.
    fn ended(&mut self, pod: &PodId, broke: bool) {
        self.orphans.remove(&pod.uid);
        if broke {
            // The next one will find what this one broke of.
            self.resting.insert(pod.uid.clone(), Instant::now() + self.timing.rest);
        } else if pod.name.is_empty() {
            // The object may have come meanwhile.
            self.sync_all();
        } else if self.objects.get(&key_of(pod)).is_some_and(|object| object.uid() == pod.uid) {
            self.sync(&key_of(pod));
        }
    }

    /// Pods whose workers broke get others.
    async fn end_rest(&mut self) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        self.learn().await;
        self.sync_all();
    }

    fn end_orphans(&mut self) {
        let due = Instant::now();
        let (over, waiting) = self.orphans.drain().partition(|(_, since)| *since + self.timing.orphans <= due);
        self.orphans = waiting;
        let over: HashMap<String, Instant> = over;
        for uid in over.into_keys() {
            warn!(uid, "removing what is left of a pod that the API server does not know");
            if !self.workers.has(&uid) {
                // Only files: they do not say whose they are.
                let pod = PodId { namespace: String::new(), name: String::new(), uid: uid.clone() };
                self.workers.start(pod, Duration::ZERO);
            }
            self.workers.tell(&uid, Order::Tell(Message::Gone));
        }
    }
}

fn key_of(pod: &PodId) -> Key {
    Key::new(pod.namespace.clone(), pod.name.clone())
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
