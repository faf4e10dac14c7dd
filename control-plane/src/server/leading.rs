//! Who moves the cluster: controllers and scheduler run on one server at a time.
//!
//! In: the API of this server, and whether others share its store. Out: controllers and scheduler,
//! at once when the store is this server's own, else while this server holds the Lease
//! `kube-system/nodeplane-controllers`. A leader that cannot renew stops them and stands again; the
//! API is served all the time. Should they not stop in time, the process ends: two that move the
//! cluster would be worse than one that is away.

use std::{fs, sync::Arc, time::Duration};

use nodeplane_api::meta::Key;
use nodeplane_client::leader::{Election, Lost, Term, Timing};
use tokio::{
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    controllers::{self, ControllerConfig, LEADER, caches::Caches},
    http::{Api, in_process},
    metrics::election::leads,
    scheduler,
};

/// How long work that has lost its lease may go on to finish what it is writing, and how long it
/// may take to end when it is cut off. Together less than what is left of the lease.
const FINISHED_WITHIN: Duration = Duration::from_secs(2);
const CUT_OFF_WITHIN: Duration = Duration::from_secs(1);

/// What moves the cluster, when it is this server's turn.
pub(super) struct Movers {
    pub(super) api: Arc<Api>,
    pub(super) controllers: ControllerConfig,
}

type Working = JoinSet<()>;

impl Movers {
    /// Works until `settle`; nobody else has this store.
    pub(super) async fn alone(self, settle: CancellationToken) {
        let mut working = self.start(&settle);
        while let Some(ended) = working.join_next().await {
            check(ended);
            if !settle.is_cancelled() {
                // The server ends with this task.
                return;
            }
        }
    }

    /// Works while this server leads, until `settle`.
    pub(super) async fn elected(self, settle: CancellationToken) {
        let client = in_process::client(&self.api, "system:kube-controller-manager");
        let [namespace, name] = LEADER;
        let election = Election::new(client, &Key::new(namespace, name), identity(), Timing::default());
        info!(identity = election.identity(), "standing for election");
        leads(name, false);
        loop {
            let term = tokio::select! {
                term = election.win() => term,
                () = settle.cancelled() => return,
            };
            info!(identity = election.identity(), "leading: controllers and scheduler run here");
            leads(name, true);
            let stands_again = self.lead(term, &settle).await;
            leads(name, false);
            if !stands_again {
                return;
            }
        }
    }

    /// Works for one term. Says whether to stand again.
    async fn lead(&self, mut term: Term, settle: &CancellationToken) -> bool {
        let stop = settle.child_token();
        let mut working = self.start(&stop);
        tokio::select! {
            lost = term.hold() => {
                give_up(&lost, &stop, working).await;
                return true;
            }
            () = settle.cancelled() => while working.join_next().await.is_some() {},
            Some(ended) = working.join_next() => {
                // Half of them is not enough: others may lead as soon as all have ended.
                stop.cancel();
                while working.join_next().await.is_some() {}
                term.release().await;
                check(ended);
                return false;
            }
        }
        term.release().await;
        false
    }

    fn start(&self, stop: &CancellationToken) -> Working {
        let mut working = JoinSet::new();
        let client = in_process::client(&self.api, "system:kube-controller-manager");
        let caches = Caches::start(&client);
        let config = self.controllers.clone();
        working.spawn(controllers::run_with(client, caches.clone(), config, stop.clone()));
        let client = in_process::client(&self.api, "system:kube-scheduler");
        working.spawn(scheduler::run(client, caches, stop.clone()));
        working.spawn(tell(self.api.clone(), stop.clone()));
        working
    }
}

/// Lets the API say that the cluster is moved from here, until `stop`.
async fn tell(api: Arc<Api>, stop: CancellationToken) {
    let _moving = api.moves.begin();
    stop.cancelled().await;
}

/// Ends what may no longer go on, before the lease is over.
async fn give_up(lost: &Lost, stop: &CancellationToken, mut working: Working) {
    error!(%lost, "not the leader any more: controllers and scheduler stop");
    stop.cancel();
    let finished = timeout(FINISHED_WITHIN, async { while working.join_next().await.is_some() {} }).await;
    if finished.is_ok() {
        return;
    }
    warn!("some controllers did not finish in time; they are cut off");
    if timeout(CUT_OFF_WITHIN, working.shutdown()).await.is_err() {
        error!("some controllers cannot be stopped; the server ends before another one leads");
        std::process::exit(1);
    }
}

/// Passes a panic on.
fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Who this server is in an election: readable, and another one after each start.
fn identity() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{}", host.trim(), uuid::Uuid::new_v4())
}
