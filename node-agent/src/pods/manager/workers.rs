//! The workers of this node, by the uids of their pods.

use std::{collections::HashMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use tokio::{
    sync::mpsc,
    task::{Id, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::pods::{
    config::Watches,
    context::Context,
    message::Message,
    pod::PodExt,
    runtime::PodId,
    worker::{Order, Setup, Worker},
};

/// What workers get to let go before they are dropped.
const LETTING_GO: Duration = Duration::from_secs(5);

/// All workers.
pub(super) struct Workers {
    context: Arc<Context>,
    watches: Arc<Watches>,
    stop: CancellationToken,
    running: HashMap<String, Running>,
    tasks: JoinSet<()>,
    by_task: HashMap<Id, PodId>,
}

struct Running {
    pod: PodId,
    orders: mpsc::UnboundedSender<Order>,
    /// The object that it was told of last.
    told: Option<Arc<Pod>>,
}

impl Workers {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            watches: Arc::new(Watches::new(context.api.clone())),
            context,
            stop: CancellationToken::new(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
            by_task: HashMap::new(),
        }
    }

    /// Starts a worker. The pod must have none.
    pub(super) fn start(&mut self, pod: PodId, orphan_grace: Duration) {
        let (orders, taken) = mpsc::unbounded_channel();
        let setup =
            Setup { context: self.context.clone(), watches: self.watches.clone(), pod: pod.clone(), orphan_grace };
        let worker = Worker::new(setup, taken);
        let task = self.tasks.spawn(worker.run(self.stop.clone()));
        self.by_task.insert(task.id(), pod.clone());
        self.running.insert(pod.uid.clone(), Running { pod, orders, told: None });
    }

    pub(super) fn has(&self, uid: &str) -> bool {
        self.running.contains_key(uid)
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &PodId> {
        self.running.values().map(|running| &running.pod)
    }

    pub(super) fn tell(&mut self, uid: &str, order: Order) {
        if let Some(running) = self.running.get_mut(uid) {
            if matches!(order, Order::Tell(Message::Gone)) {
                running.told = None;
            }
            // One that has just ended is noticed by its end.
            let _ = running.orders.send(order);
        }
    }

    pub(super) fn tell_all(&self, order: impl Fn() -> Order) {
        for running in self.running.values() {
            let _ = running.orders.send(order());
        }
    }

    /// Tells the pod's worker of the object, unless it knows this very one.
    pub(super) fn tell_if_new(&mut self, pod: &Arc<Pod>) {
        if let Some(running) = self.running.get_mut(pod.uid())
            // One that removes files knows no more of its pod than the uid, and cannot serve it.
            && !running.pod.name.is_empty()
            && running.told.as_ref().is_none_or(|told| !Arc::ptr_eq(told, pod))
        {
            running.told = Some(pod.clone());
            let _ = running.orders.send(Order::Tell(Message::Desired(pod.clone())));
        }
    }

    /// The next worker that ended, and whether it broke. May be dropped and asked again.
    pub(super) async fn ended(&mut self) -> (PodId, bool) {
        let (id, broke) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, false),
            Some(Err(panic)) => {
                error!(%panic, "a pod's worker broke");
                (panic.id(), true)
            }
            None => return std::future::pending().await,
        };
        match self.by_task.remove(&id) {
            Some(pod) => {
                self.running.remove(&pod.uid);
                (pod, broke)
            }
            None => unreachable!("every worker was entered when it was started"),
        }
    }

    /// Has all workers let go.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LETTING_GO, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}
