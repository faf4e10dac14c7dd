//! The life of one pod as a state machine: messages in, plans out.
//!
//! Pure: no I/O, no clock, no randomness. Level-triggered: every message leads to the same look at
//! what is wanted and what is there, so a lost or repeated message changes nothing. Here the
//! messages are taken in; [`decide`] says what follows, [`run`] and [`stop`] say it toward
//! everything and toward nothing running, [`view`] answers the questions of all of them.

mod decide;
mod run;
mod stop;
mod view;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::{
    backoff::{self, Backoff},
    message::{Done, Failure, Job, Message, Plan, ProbeKind, Verdict},
    pod::PodExt,
    runtime::{ContainerState, Observed},
};

/// How long the error of a pull is shown before the delay that follows from it.
const PULL_ERROR_SHOWN: SignedDuration = SignedDuration::from_secs(3);

/// Everything that is known of one pod.
#[derive(Debug)]
pub struct Machine {
    pub(super) node: Node,
    pub(super) pod: Option<Arc<Pod>>,
    pub(super) observed: Option<Observed>,
    /// What the API server should show.
    pub(super) status: PodStatus,
    pub(super) network: Option<Network>,
    /// Set when the pod has failed for good for a reason of its own.
    pub(super) verdict: Option<Failure>,
    volumes: Volumes,
    gone: bool,
    finished: bool,
    orphan_grace: Duration,
    in_flight: BTreeSet<Job>,
    /// Jobs under way that go by what the object said before it was changed.
    outdated: BTreeSet<Job>,
    failed: HashMap<Job, Failed>,
    crashes: HashMap<String, Backoff>,
    pulls: HashMap<String, Backoff>,
    /// Containers whose back-off was told.
    announced: HashSet<String>,
    kills: HashMap<String, Kill>,
    ready: HashMap<String, bool>,
    started: HashMap<String, bool>,
    /// When the way to nothing running began.
    stopping: Option<Timestamp>,
    /// When the API server last agreed to remove the object.
    deleted: Option<Timestamp>,
}

/// What the machine must know of the node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Address of the node.
    pub address: Ipv4Addr,
}

/// The connected sandbox.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) sandbox: String,
    pub(super) address: Option<Ipv4Addr>,
}

/// The pod's files on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Volumes {
    /// Containers can start.
    ready: bool,
    /// Something that they show has changed since they were made.
    stale: bool,
    /// When something that they show must be renewed.
    renew: Option<Timestamp>,
}

/// A job that will be tried again.
#[derive(Clone, Debug)]
struct Failed {
    failure: Failure,
    at: Timestamp,
    backoff: Backoff,
    /// Its back-off was told.
    announced: bool,
}

impl Failed {
    /// From when on a failed pull is shown as the delay before the next one.
    fn backs_off_since(&self) -> Option<Timestamp> {
        let pulled = self.failure.reason == "ErrImagePull";
        pulled.then(|| self.at.checked_add(PULL_ERROR_SHOWN).unwrap_or(self.at))
    }
}

/// A running container that must be replaced.
#[derive(Clone, Debug)]
struct Kill {
    probe: ProbeKind,
    why: String,
}

impl Machine {
    /// A pod of which nothing is known yet. If its object never shows up, its containers get
    /// `orphan_grace` to end.
    pub fn new(node: Node, orphan_grace: Duration) -> Self {
        Self {
            node,
            pod: None,
            observed: None,
            status: PodStatus::default(),
            network: None,
            verdict: None,
            volumes: Volumes::default(),
            gone: false,
            finished: false,
            orphan_grace,
            in_flight: BTreeSet::new(),
            outdated: BTreeSet::new(),
            failed: HashMap::new(),
            crashes: HashMap::new(),
            pulls: HashMap::new(),
            announced: HashSet::new(),
            kills: HashMap::new(),
            ready: HashMap::new(),
            started: HashMap::new(),
            stopping: None,
            deleted: None,
        }
    }

    /// Takes a message in and says what follows.
    pub fn handle(&mut self, message: Message, now: Timestamp) -> Plan {
        match message {
            Message::Desired(pod) => self.desire(pod),
            Message::Gone => self.gone = true,
            Message::Observed(observed) => self.observe(observed),
            Message::Done(job, result) => self.done(job, result, now),
            Message::Probed(verdict) => self.probed(&verdict),
            Message::Refreshed => self.refresh(),
            Message::Tick => {}
        }
        self.decide(now)
    }

    fn desire(&mut self, pod: Arc<Pod>) {
        self.gone = false;
        match &self.pod {
            None => self.resume(pod.status.as_ref()),
            Some(known) => {
                let shown = |pod: &Pod| (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
                self.volumes.stale |= shown(known) != shown(&pod);
                let known = known.clone();
                self.forgive(&known, &pod);
            }
        }
        self.pod = Some(pod);
    }

    /// A container whose image was changed starts without the delays of the image that it had.
    fn forgive(&mut self, known: &Pod, pod: &Pod) {
        let all = |pod: &Pod| pod.inits().iter().chain(&PodExt::spec(pod).containers).cloned().collect::<Vec<_>>();
        let known = all(known);
        for container in all(pod) {
            let before = known.iter().find(|before| before.name == container.name);
            if before.is_none_or(|before| before.image == container.image) {
                continue;
            }
            let start = Job::Start(container.name);
            self.failed.remove(&start);
            if self.in_flight.contains(&start) {
                self.outdated.insert(start.clone());
            }
            if let Job::Start(name) = start {
                self.pulls.remove(&name);
            }
        }
    }

    /// A restarted agent goes on where it stood.
    fn resume(&mut self, recorded: Option<&PodStatus>) {
        let Some(recorded) = recorded else { return };
        self.status = recorded.clone();
        for known in recorded.container_statuses.iter().chain(&recorded.init_container_statuses).flatten() {
            let Some((_, id)) = known.container_id.as_deref().and_then(|id| id.split_once("://")) else { continue };
            self.ready.insert(id.to_owned(), known.ready);
            self.started.insert(id.to_owned(), known.started == Some(true));
        }
    }

    fn observe(&mut self, observed: Observed) {
        let exists = |id: &str| observed.containers.iter().any(|container| container.id == id);
        self.kills.retain(|id, _| exists(id));
        self.announced.retain(|id| exists(id));
        self.failed.retain(|job, _| !matches!(job, Job::Stop(id, _) if !exists(id)));
        let runs = |id: &str| observed.sandboxes.iter().any(|sandbox| sandbox.id == id && sandbox.pid.is_some());
        self.network.take_if(|network| !runs(&network.sandbox));
        self.observed = Some(observed);
    }

    fn done(&mut self, job: Job, result: Result<Done, Failure>, now: Timestamp) {
        self.in_flight.remove(&job);
        let outdated = self.outdated.remove(&job);
        match result {
            // That it failed says nothing about the next one.
            Err(_) if outdated => {}
            Ok(Done::GivenUp) => self.volumes.stale |= job == Job::Volumes && self.volumes.ready,
            Ok(done) => {
                self.failed.remove(&job);
                self.succeed(&job, done, now);
            }
            Err(failure) => self.fail(job, failure, now),
        }
    }

    fn succeed(&mut self, job: &Job, done: Done, now: Timestamp) {
        match (job, done) {
            (Job::Sandbox, Done::Connected { sandbox, address }) => {
                self.network = Some(Network { sandbox, address });
            }
            (Job::Volumes, done) => {
                self.volumes.ready = true;
                self.volumes.renew = if let Done::Prepared { renew } = done { renew } else { None };
            }
            (Job::RemoveAll, _) => self.finished = true,
            (Job::Delete, _) => self.deleted = Some(now),
            (Job::Start(name), _) => {
                self.pulls.remove(name);
            }
            _ => {}
        }
    }

    fn fail(&mut self, job: Job, failure: Failure, now: Timestamp) {
        if let (Job::Start(name), "RunContainerError") = (&job, failure.reason)
            && self.latest(name).is_some_and(|container| matches!(container.state, ContainerState::Exited(_)))
        {
            // A container that could not start is one that crashed: that back-off applies.
            self.failed.remove(&job);
            return;
        }
        self.volumes.stale |= job == Job::Volumes && self.volumes.ready;
        let mut backoff = match (&job, failure.reason) {
            (Job::Start(name), "ErrImagePull") => {
                self.pulls.get(name).copied().unwrap_or(Backoff::new(backoff::RESTART))
            }
            _ => self.failed.get(&job).map_or(Backoff::new(backoff::RETRY), |failed| failed.backoff),
        };
        backoff.next(now, now);
        if let (Job::Start(name), "ErrImagePull") = (&job, failure.reason) {
            self.pulls.insert(name.clone(), backoff);
        }
        self.failed.insert(job, Failed { failure, at: now, backoff, announced: false });
    }

    fn probed(&mut self, verdict: &Verdict) {
        let Some(container) = self.container(&verdict.container) else { return };
        let (id, name) = (container.id.clone(), container.name.clone());
        let why = |kind: &str| format!("Container {name} failed {kind} probe, will be restarted");
        let kill = |kind: &str| Kill { probe: verdict.kind, why: why(kind) };
        match (verdict.kind, verdict.passed) {
            (ProbeKind::Readiness, passed) => {
                self.ready.insert(id, passed);
            }
            (ProbeKind::Startup, true) => {
                self.started.insert(id, true);
            }
            (ProbeKind::Startup, false) => {
                self.kills.insert(id, kill("startup"));
            }
            (ProbeKind::Liveness, false) => {
                self.kills.insert(id, kill("liveness"));
            }
            (ProbeKind::Liveness, true) => {}
        }
    }

    /// What was missing may be there now: nothing that waits for it waits out its delay.
    fn refresh(&mut self) {
        self.volumes.stale = true;
        self.failed.retain(|job, failed| {
            !matches!((job, failed.failure.reason), (Job::Volumes, _) | (_, "CreateContainerConfigError"))
        });
    }
}
