//! A world around one machine: its actions are done on a fake engine, one at a time.

use std::{collections::VecDeque, net::Ipv4Addr, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, Pod, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use serde_json::Value;

use crate::pods::{
    fixtures::{self, HOST, IMAGE},
    machine::{Machine, Node},
    message::{Action, Done, Failure, Job, Message, Plan, ProbeKind, ProbeTarget, Verdict},
    pod::{self, PodExt},
    runtime::{
        ContainerRuntime, ContainerSpec, ContainerState as RuntimeState, HostNamespaces, RuntimeError, SandboxSpec,
        fake::FakeRuntime,
    },
};

/// When every world begins.
pub(super) const BEGIN: i64 = 1_700_000_000;
/// The pod's address.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// More steps than any plan takes: beyond, the machine runs in circles.
const CIRCLES: usize = 300;

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) runtime: FakeRuntime,
    /// The pod's object, as the API server has it.
    pub(super) object: Option<Pod>,
    pub(super) pending: VecDeque<Action>,
    pub(super) plan: Plan,
    /// `Reason: message`.
    pub(super) events: Vec<String>,
    pub(super) statuses: Vec<PodStatus>,
    pub(super) finished: bool,
    /// So many jobs of this kind fail.
    pub(super) failing: Vec<Job>,
    pub(super) cancelled: Vec<Job>,
    /// Files hold tokens that must be renewed after so many seconds.
    pub(super) tokens: Option<i64>,
    /// When files were made, in seconds since the beginning.
    pub(super) prepared: Vec<i64>,
}

impl World {
    /// A pod that has just been bound to the node.
    pub(super) fn new(spec: Value) -> Self {
        let mut world = Self::without_object();
        world.object = Some(fixtures::pod(spec));
        world.tell_object();
        world
    }

    /// A pod of which the agent knows nothing.
    pub(super) fn without_object() -> Self {
        let runtime = FakeRuntime::with_images(&[IMAGE]);
        runtime.state().now = Some(Timestamp::from_second(BEGIN).expect("a time"));
        let mut world = Self {
            machine: fresh(),
            runtime,
            object: None,
            pending: VecDeque::new(),
            plan: Plan::default(),
            events: Vec::new(),
            statuses: Vec::new(),
            finished: false,
            failing: Vec::new(),
            cancelled: Vec::new(),
            tokens: None,
            prepared: Vec::new(),
        };
        world.look();
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        self.runtime.state().now.expect("the clock is set")
    }

    /// Tells the machine something, and takes its plan.
    pub(super) fn tell(&mut self, message: Message) {
        let plan = self.machine.handle(message, self.now());
        for action in plan.actions.clone() {
            match action {
                Action::Event { reason, message, .. } => self.events.push(format!("{reason}: {message}")),
                action => self.pending.push_back(action),
            }
        }
        self.cancelled.extend(plan.cancel.clone());
        if let Some(status) = &plan.status
            && self.statuses.last() != Some(status)
        {
            self.statuses.push((**status).clone());
            if let Some(object) = &mut self.object {
                object.status = Some((**status).clone());
            }
        }
        self.finished |= plan.finished;
        self.plan = plan;
    }

    pub(super) fn tell_object(&mut self) {
        match self.object.clone() {
            Some(object) => self.tell(Message::Desired(Arc::new(object))),
            None => self.tell(Message::Gone),
        }
    }

    /// The machine sees what there is.
    pub(super) fn look(&mut self) {
        if let Ok(observed) = now(self.runtime.observe("u")) {
            self.tell(Message::Observed(observed));
        }
    }

    /// Does one action and tells its end; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        let Some(action) = self.pending.pop_front() else { return false };
        let job = action.job().expect("events are told at once");
        let result = self.perform(action, &job);
        self.look();
        self.tell(Message::Done(job, result));
        true
    }

    /// Does everything that can be done now.
    pub(super) fn settle(&mut self) {
        for _ in 0..CIRCLES {
            if !self.step() {
                return;
            }
        }
        panic!("no end: {:?}", self.pending);
    }

    /// Lets time pass, with everything that it brings.
    pub(super) fn pass(&mut self, seconds: i64) {
        let end = self.now() + SignedDuration::from_secs(seconds);
        self.settle();
        for _ in 0..CIRCLES {
            let wake = self.plan.wake.filter(|wake| *wake <= end);
            let next = wake.unwrap_or(end).max(self.now());
            self.runtime.state().now = Some(next);
            self.tell(Message::Tick);
            self.settle();
            if wake.is_none() {
                return;
            }
        }
        panic!("time stands still at {}", self.now());
    }

    /// The agent dies and another one starts; jobs under way are lost where they stand.
    pub(super) fn restart_agent(&mut self) {
        self.machine = fresh();
        self.pending.clear();
        self.plan = Plan::default();
        if self.object.is_some() {
            self.tell_object();
        }
        self.look();
        if self.object.is_none() {
            self.tell(Message::Gone);
        }
    }

    /// Somebody deletes the pod.
    pub(super) fn delete(&mut self, grace: i64) {
        let at = self.now() + SignedDuration::from_secs(grace);
        let object = self.object.as_mut().expect("a pod");
        object.metadata.deletion_timestamp = Some(Time(at));
        object.metadata.deletion_grace_period_seconds = Some(grace);
        self.tell_object();
    }

    /// A container ends by itself.
    pub(super) fn end(&mut self, name: &str, code: i32) {
        let id = self.runtime.id_of(name).expect("a container");
        self.runtime.end(&id, code);
        self.look();
        self.settle();
    }

    pub(super) fn probe(&mut self, name: &str, kind: ProbeKind, passed: bool) {
        let container = self.runtime.id_of(name).expect("a container");
        self.tell(Message::Probed(Verdict { container, kind, passed }));
        self.settle();
    }

    fn perform(&mut self, action: Action, job: &Job) -> Result<Done, Failure> {
        if *job == Job::Volumes {
            self.prepared.push(self.now().as_second() - BEGIN);
        }
        if let Some(index) = self.failing.iter().position(|failing| failing == job) {
            self.failing.remove(index);
            return Err(Failure::new("Planned", "as planned"));
        }
        let renew = self.tokens.map(|seconds| self.now() + SignedDuration::from_secs(seconds));
        let refused = |error: RuntimeError| Failure::new("RuntimeError", error);
        match action {
            Action::PrepareVolumes => Ok(Done::Prepared { renew }),
            Action::Event { .. } => Ok(Done::Plain),
            Action::RunSandbox { attempt } => {
                let sandbox = now(self.runtime.run_sandbox(&self.sandbox(attempt))).map_err(refused)?;
                Ok(Done::Connected { sandbox: sandbox.id, address: Some(ADDRESS) })
            }
            Action::Connect(sandbox) => Ok(Done::Connected { sandbox: sandbox.id, address: sandbox.address }),
            Action::Start { name, attempt, sandbox, .. } => self.start(&name, attempt, &sandbox),
            Action::Stop { id, left, .. } => now(self.runtime.stop(&id, left)).map_err(refused).map(|()| Done::Plain),
            Action::StopSandboxes(sandboxes) => {
                for sandbox in sandboxes {
                    now(self.runtime.stop(&sandbox.id, Duration::ZERO)).map_err(refused)?;
                }
                Ok(Done::Plain)
            }
            Action::Prune(ids) => {
                for id in ids {
                    now(self.runtime.remove(&id)).map_err(refused)?;
                }
                Ok(Done::Plain)
            }
            Action::RemoveAll => {
                let observed = now(self.runtime.observe("u")).map_err(refused)?;
                let sandboxes = observed.sandboxes.into_iter().map(|sandbox| sandbox.id);
                for id in observed.containers.into_iter().map(|container| container.id).chain(sandboxes) {
                    now(self.runtime.remove(&id)).map_err(refused)?;
                }
                Ok(Done::Plain)
            }
            Action::Delete(_) => {
                self.object = None;
                Ok(Done::Plain)
            }
        }
    }

    fn sandbox(&self, attempt: u32) -> SandboxSpec {
        SandboxSpec {
            pod: self.object.as_ref().expect("a pod").id(),
            attempt,
            hostname: "p".to_owned(),
            address: Some(ADDRESS),
            host: HostNamespaces::default(),
            sysctls: Vec::new(),
            grace_seconds: 30,
        }
    }

    fn start(&self, name: &str, attempt: u32, sandbox: &str) -> Result<Done, Failure> {
        let pod = self.object.as_ref().expect("a pod");
        let mut all = PodExt::spec(pod).containers.iter().chain(pod.inits());
        let definition = all.find(|container| container.name == name).expect("a container");
        let image = definition.image.clone().expect("an image");
        if now(self.runtime.image(&image)).is_ok_and(|image| image.is_none()) {
            now(self.runtime.pull(&image, None)).map_err(|error| Failure::new("ErrImagePull", error))?;
        }
        let spec = ContainerSpec {
            name: name.to_owned(),
            attempt,
            hash: pod::hash(definition),
            image,
            ..ContainerSpec::default()
        };
        let created = now(self.runtime.create_container(&pod.id(), sandbox, &spec));
        let id = created.map_err(|error| Failure::new("CreateContainerError", error))?;
        now(self.runtime.start_container(&id)).map_err(|error| Failure::new("RunContainerError", error))?;
        Ok(Done::Plain)
    }

    // What tests ask.

    pub(super) fn status(&self) -> &PodStatus {
        self.statuses.last().expect("a status")
    }

    pub(super) fn phase(&self) -> &str {
        self.status().phase.as_deref().unwrap_or_default()
    }

    /// The newest status of a container.
    pub(super) fn container(&self, name: &str) -> &ContainerStatus {
        let status = self.status();
        let mut all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
        all.find(|status| status.name == name).expect("a container's status")
    }

    /// `Running`, `Waiting: reason` or `Terminated: reason code`.
    pub(super) fn state(&self, name: &str) -> String {
        words(self.container(name).state.as_ref())
    }

    pub(super) fn condition(&self, kind: &str) -> bool {
        let mut all = self.status().conditions.iter().flatten();
        all.any(|condition| condition.type_ == kind && condition.status == "True")
    }

    /// Names of running containers, sorted.
    pub(super) fn running(&self) -> Vec<String> {
        let state = self.runtime.state();
        let running = |state: &RuntimeState| matches!(state, RuntimeState::Running { .. });
        let all = state.containers.values().filter(|(_, container, _)| running(&container.state));
        let mut names: Vec<String> = all.map(|(_, container, _)| container.name.clone()).collect();
        names.sort();
        names
    }

    pub(super) fn running_sandboxes(&self) -> usize {
        self.runtime.state().sandboxes.values().filter(|(_, sandbox)| sandbox.pid.is_some()).count()
    }

    /// How many containers and sandboxes exist.
    pub(super) fn left(&self) -> (usize, usize) {
        let state = self.runtime.state();
        (state.containers.len(), state.sandboxes.len())
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.runtime.state().calls.clone()
    }

    pub(super) fn clear_calls(&self) {
        self.runtime.state().calls.clear();
    }

    /// Which probes run, such as `app Readiness`.
    pub(super) fn probes(&self) -> Vec<String> {
        let words = |target: &ProbeTarget| format!("{} {:?}", target.name, target.kind);
        self.plan.probes.iter().map(words).collect()
    }
}

/// `Running`, `Waiting: reason` or `Terminated: reason code`.
pub(super) fn words(state: Option<&ContainerState>) -> String {
    match state {
        Some(ContainerState { running: Some(_), .. }) => "Running".to_owned(),
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            format!("Waiting: {}", waiting.reason.as_deref().unwrap_or_default())
        }
        Some(ContainerState { terminated: Some(end), .. }) => {
            format!("Terminated: {} {}", end.reason.as_deref().unwrap_or_default(), end.exit_code)
        }
        _ => String::new(),
    }
}

fn fresh() -> Machine {
    Machine::new(Node { address: HOST }, Duration::from_secs(30))
}

/// The fake engine answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("an answer at once")
}
