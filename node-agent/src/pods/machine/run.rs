//! Toward everything running: files, sandbox, network, init containers in order, the others.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as ContainerDef, Pod};

use super::{
    Machine, Network,
    decide::{MINIMUM_GRACE, wake_at},
};
use crate::pods::{
    backoff::{self, Backoff},
    message::{Action, Job, Plan, ProbeKind},
    pod::{self, PodExt, RestartPolicy},
    runtime::{Container, ContainerState, Exit, Sandbox},
    status,
};

const SANDBOX_CHANGED: &str = "Pod sandbox changed, it will be killed and re-created.";

/// What every start of a container needs to know.
struct Stage<'a> {
    network: &'a Network,
    now: Timestamp,
}

impl Machine {
    pub(super) fn run(&mut self, pod: &Arc<Pod>, now: Timestamp, plan: &mut Plan) {
        plan.cancel.extend(self.outdated.iter().cloned());
        if self.in_flight.iter().any(|job| matches!(job, Job::StopSandboxes | Job::RemoveAll)) {
            // The object is back, and what began while it was gone is not over.
            return;
        }
        let sandbox = self.running_sandbox().cloned();
        if !self.volumes.ready && sandbox.is_none() {
            self.ask(plan, Action::PrepareVolumes, now);
            return;
        }
        let Some(sandbox) = sandbox else { return self.replace_sandbox(now, plan) };
        let Some(network) = self.connected(sandbox, now, plan) else { return };
        self.tend_files(now, plan);
        self.prune(&network.sandbox, now, plan);
        self.kill_unwanted(pod, &network.sandbox, now, plan);
        let stage = Stage { network: &network, now };
        if self.volumes.ready && self.run_inits(pod, &stage, plan) {
            for container in &PodExt::spec(pod.as_ref()).containers {
                self.run_container(container, pod.restart_policy(), &stage, plan);
            }
        }
    }

    /// Makes the files again when they are behind. Whoever failed at it waits as after any failure.
    fn tend_files(&mut self, now: Timestamp, plan: &mut Plan) {
        let is_due = self.volumes.renew.is_some_and(|renew| renew <= now);
        let is_behind = !self.volumes.ready || self.volumes.stale || is_due;
        if is_behind && self.ask(plan, Action::PrepareVolumes, now) {
            (self.volumes.stale, self.volumes.renew) = (false, None);
        }
        if let Some(renew) = self.volumes.renew.filter(|_| !is_due) {
            wake_at(plan, renew);
        }
    }

    fn connected(&self, sandbox: Sandbox, now: Timestamp, plan: &mut Plan) -> Option<Network> {
        let network = self.network.clone().filter(|network| network.sandbox == sandbox.id);
        if network.is_none() {
            self.ask(plan, Action::Connect(sandbox), now);
        }
        network
    }

    fn replace_sandbox(&self, now: Timestamp, plan: &mut Plan) {
        let running = self.running_containers();
        for (id, name) in &running {
            self.stop_once(plan, (id, name), MINIMUM_GRACE, format!("Stopping container {name}"), now);
        }
        if !running.is_empty() {
            return;
        }
        let sandboxes = self.observed.as_ref().map_or(&[][..], |observed| &observed.sandboxes);
        if let Some((_, older @ [_, ..])) = sandboxes.split_first() {
            self.ask(plan, Action::Prune(older.iter().map(|sandbox| sandbox.id.clone()).collect()), now);
        }
        // What a try left that failed is replaced: tries do not pile up, and none of them is a change.
        let again = self.failed.contains_key(&Job::Sandbox);
        let newest = sandboxes.first().map(|sandbox| sandbox.attempt);
        let attempt = newest.map_or(0, |newest| if again { newest } else { newest + 1 });
        if self.ask(plan, Action::RunSandbox { attempt }, now) && attempt > 0 && !again {
            plan.actions.push(Action::Event {
                container: String::new(),
                warning: false,
                reason: "SandboxChanged",
                message: SANDBOX_CHANGED.to_owned(),
            });
        }
    }

    /// Starts init containers one after the other; whether the others may start.
    fn run_inits(&mut self, pod: &Arc<Pod>, stage: &Stage<'_>, plan: &mut Plan) -> bool {
        let initialized = self.is_initialized(pod, &stage.network.sandbox);
        for init in pod.inits() {
            let sidecar = pod::is_sidecar(init);
            if initialized && !sidecar {
                continue;
            }
            self.run_container(init, pod.init_policy(init), stage, plan);
            let passed = match self.latest_in(&init.name, &stage.network.sandbox).map(|c| (&c.id, &c.state)) {
                Some((id, ContainerState::Running { .. })) => sidecar && self.is_started(init, id),
                Some((_, ContainerState::Exited(exit))) => !sidecar && exit.code == 0,
                _ => false,
            };
            if !passed && !initialized {
                return false;
            }
        }
        true
    }

    fn run_container(&mut self, definition: &ContainerDef, policy: RestartPolicy, stage: &Stage<'_>, plan: &mut Plan) {
        let name = &definition.name;
        let Some(attempt) = self.next_attempt(definition, policy, stage, plan) else { return };
        let start = Action::Start {
            name: name.clone(),
            attempt,
            sandbox: stage.network.sandbox.clone(),
            address: stage.network.address,
        };
        if !self.ask(plan, start, stage.now) {
            self.announce_pull(definition, stage.now, plan);
        }
    }

    /// The restart count of the container that should start now, if one should.
    fn next_attempt(
        &mut self,
        definition: &ContainerDef,
        policy: RestartPolicy,
        stage: &Stage<'_>,
        plan: &mut Plan,
    ) -> Option<u32> {
        let name = &definition.name;
        let Some(container) = self.latest(name).cloned() else {
            // Somebody may have removed the container of a pod that we know. An init container that
            // is asked for has to be seen through.
            return match self.recorded_exit(name) {
                Some(code) if !policy.restarts(code) && !self.is_init(name) => None,
                _ => Some(self.recorded_attempts(name)),
            };
        };
        match &container.state {
            // One of another sandbox is ended before it is replaced.
            ContainerState::Running { .. } => None,
            // A start that did not come to its end.
            ContainerState::Created => Some(container.attempt),
            ContainerState::Exited(exit) => {
                let init_again = self.is_init(name) && container.sandbox != stage.network.sandbox;
                let again = policy.restarts(exit.code) || init_again;
                // The newest one may have been removed, and this is an older one.
                (again && self.may_restart(definition, &container, exit, stage.now, plan))
                    .then(|| (container.attempt + 1).max(self.recorded_attempts(name)))
            }
        }
    }

    /// Whether a container that ended may start again now; otherwise remembers when.
    fn may_restart(
        &mut self,
        definition: &ContainerDef,
        container: &Container,
        exit: &Exit,
        now: Timestamp,
        plan: &mut Plan,
    ) -> bool {
        let job = Job::Start(definition.name.clone());
        if self.in_flight.contains(&job) || self.failed.contains_key(&job) {
            // The back-off was paid before the start that is under way or was refused.
            return true;
        }
        if container.hash != pod::hash(definition) {
            self.crashes.remove(&definition.name);
        }
        let backoff = self.crashes.entry(definition.name.clone()).or_insert(Backoff::new(backoff::RESTART));
        let Some(left) = backoff.remaining(exit.finished, now) else {
            backoff.next(exit.finished, now);
            return true;
        };
        wake_at(plan, now.checked_add(left).unwrap_or(now));
        if self.announced.insert(container.id.clone())
            && let Some(pod) = &self.pod
        {
            let (name, pod) = (&definition.name, status::pod_words(pod));
            let message = format!("Back-off restarting failed container {name} in pod {pod}");
            plan.actions.push(Action::Event { container: name.clone(), warning: true, reason: "BackOff", message });
        }
        false
    }

    /// Tells once that an image will be pulled again.
    fn announce_pull(&mut self, definition: &ContainerDef, now: Timestamp, plan: &mut Plan) {
        let Some(failed) = self.failed.get_mut(&Job::Start(definition.name.clone())) else { return };
        let Some(since) = failed.backs_off_since().filter(|_| !failed.announced) else { return };
        if since > now {
            return wake_at(plan, since);
        }
        failed.announced = true;
        let image = definition.image.as_deref().unwrap_or_default();
        let container = definition.name.clone();
        let message = format!("Back-off pulling image \"{image}\"");
        plan.actions.push(Action::Event { container: container.clone(), warning: false, reason: "BackOff", message });
        let message = "Error: ImagePullBackOff".to_owned();
        plan.actions.push(Action::Event { container, warning: true, reason: "Failed", message });
    }

    /// Containers that failed a probe or whose definition changed.
    fn kill_unwanted(&self, pod: &Pod, sandbox: &str, now: Timestamp, plan: &mut Plan) {
        for (id, name) in self.running_containers() {
            let Some(definition) = self.definition(&name) else { continue };
            let Some(container) = self.container(&id) else { continue };
            let mut grace = pod.grace();
            let why = if container.sandbox != sandbox {
                SANDBOX_CHANGED.to_owned()
            } else if container.hash != pod::hash(definition) {
                format!("Container {name} definition changed, will be restarted")
            } else if let Some(kill) = self.kills.get(&id) {
                grace = probe_grace(definition, kill.probe).unwrap_or(grace);
                kill.why.clone()
            } else {
                continue;
            };
            self.stop_once(plan, (&id, &name), grace, why, now);
        }
    }

    /// One dead container of each name is kept for its log, and no other sandbox.
    fn prune(&self, sandbox: &str, now: Timestamp, plan: &mut Plan) {
        let Some(observed) = &self.observed else { return };
        let mut seen: std::collections::HashMap<&str, u32> = std::collections::HashMap::new();
        let others = observed.sandboxes.iter().filter(|other| other.id != sandbox);
        let mut useless: Vec<String> = others.map(|other| other.id.clone()).collect();
        for container in &observed.containers {
            let count = seen.entry(&container.name).or_default();
            *count += 1;
            if *count > 2 && !matches!(container.state, ContainerState::Running { .. }) {
                useless.push(container.id.clone());
            }
        }
        if !useless.is_empty() {
            self.ask(plan, Action::Prune(useless), now);
        }
    }

    fn stop_once(&self, plan: &mut Plan, (id, name): (&str, &str), grace: Duration, why: String, now: Timestamp) {
        if !self.in_flight.iter().any(|job| matches!(job, Job::Stop(other, _) if other == id)) {
            let (id, name) = (id.to_owned(), name.to_owned());
            self.ask(plan, Action::Stop { id, name, grace, left: grace, why }, now);
        }
    }
}

/// The time that a failed probe itself grants.
fn probe_grace(definition: &ContainerDef, kind: ProbeKind) -> Option<Duration> {
    let probe = match kind {
        ProbeKind::Startup => definition.startup_probe.as_ref(),
        ProbeKind::Liveness => definition.liveness_probe.as_ref(),
        ProbeKind::Readiness => definition.readiness_probe.as_ref(),
    };
    let seconds = probe?.termination_grace_period_seconds?;
    Some(Duration::from_secs(seconds.max(1).unsigned_abs()))
}
