//! Questions that the rooms of the machine, the status and the worker ask.

use std::{net::Ipv4Addr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as ContainerDef, ContainerStatus, Pod};

use super::Machine;
use crate::pods::{
    message::{Failure, Job, ProbeKind, ProbeTarget},
    pod::{self, PodExt, RestartPolicy},
    runtime::{Container, ContainerState, Exit, Sandbox},
};

impl Machine {
    /// The pod's object as last seen.
    pub fn pod(&self) -> Option<&Arc<Pod>> {
        self.pod.as_ref()
    }

    /// The pod's address, as soon as it is known.
    pub fn address(&self) -> Option<Ipv4Addr> {
        let connected = self.network.as_ref().and_then(|network| network.address);
        connected.or_else(|| self.running_sandbox().and_then(|sandbox| sandbox.address))
    }

    /// Which questions should be asked of which containers now.
    pub(super) fn probes(&self, pod: &Pod) -> Vec<ProbeTarget> {
        let mut targets = Vec::new();
        for (id, name) in self.running_containers() {
            let Some(definition) = self.definition(&name) else { continue };
            let mut target = |kind| targets.push(ProbeTarget { container: id.clone(), name: name.clone(), kind });
            let up = self.is_started(definition, &id);
            let lives = pod.deletion().is_none() && !self.kills.contains_key(&id);
            if definition.startup_probe.is_some() && !up && lives {
                target(ProbeKind::Startup);
            }
            if definition.liveness_probe.is_some() && up && lives {
                target(ProbeKind::Liveness);
            }
            if definition.readiness_probe.is_some() && up {
                target(ProbeKind::Readiness);
            }
        }
        targets
    }

    pub(in crate::pods) fn latest(&self, name: &str) -> Option<&Container> {
        self.observed.as_ref()?.containers.iter().find(|container| container.name == name)
    }

    /// The one before the latest.
    pub(in crate::pods) fn previous(&self, name: &str) -> Option<&Container> {
        self.observed.as_ref()?.containers.iter().filter(|container| container.name == name).nth(1)
    }

    pub(super) fn latest_in(&self, name: &str, sandbox: &str) -> Option<&Container> {
        self.latest(name).filter(|container| container.sandbox == sandbox)
    }

    /// What the status said last of a container.
    pub(in crate::pods) fn recorded(&self, name: &str) -> Option<&ContainerStatus> {
        let all = self.status.container_statuses.iter().chain(&self.status.init_container_statuses);
        all.flatten().find(|status| status.name == name)
    }

    /// How a container ended by the last status.
    pub(in crate::pods) fn recorded_exit(&self, name: &str) -> Option<i32> {
        Some(self.recorded(name)?.state.as_ref()?.terminated.as_ref()?.exit_code)
    }

    /// The restart count of the next container with this name, by the last status.
    pub(super) fn recorded_attempts(&self, name: &str) -> u32 {
        let known = self.recorded(name).filter(|status| status.container_id.is_some());
        known.map_or(0, |status| status.restart_count.unsigned_abs() + 1)
    }

    /// Whether the container has come up: it runs, and its startup probe, if any, has passed.
    pub(in crate::pods) fn is_started(&self, definition: &ContainerDef, id: &str) -> bool {
        definition.startup_probe.is_none() || self.started.get(id) == Some(&true)
    }

    /// Whether a running container may get traffic.
    pub(in crate::pods) fn is_ready(&self, definition: &ContainerDef, id: &str) -> bool {
        self.is_started(definition, id) && (definition.readiness_probe.is_none() || self.ready.get(id) == Some(&true))
    }

    /// Whether the pod's own containers may run: all inits of this sandbox are through, or one of
    /// the others has been started in it.
    pub(in crate::pods) fn is_initialized(&self, pod: &Pod, sandbox: &str) -> bool {
        let passed = |init: &ContainerDef| {
            let sidecar = pod::is_sidecar(init);
            self.latest_in(&init.name, sandbox).is_some_and(|container| match &container.state {
                ContainerState::Running { .. } => sidecar && self.is_started(init, &container.id),
                ContainerState::Exited(exit) => !sidecar && exit.code == 0,
                ContainerState::Created => false,
            })
        };
        let begun = |app: &ContainerDef| self.latest_in(&app.name, sandbox).is_some();
        PodExt::spec(pod).containers.iter().any(begun) || pod.inits().iter().all(passed)
    }

    /// The crash back-off that holds a container now.
    pub(in crate::pods) fn crash_delay(&self, name: &str, exit: &Exit, now: Timestamp) -> Option<SignedDuration> {
        if self.is_starting(name) {
            return None;
        }
        let backoff = self.crashes.get(name)?;
        backoff.remaining(exit.finished, now).map(|_| backoff.delay())
    }

    /// Why a container's start was refused, and whether that is an old story: an image that could
    /// not be pulled is waited for.
    pub(in crate::pods) fn refusal(&self, name: &str, now: Timestamp) -> Option<(&Failure, bool)> {
        let failed = self.failed.get(&Job::Start(name.to_owned()))?;
        Some((&failed.failure, failed.backs_off_since().is_some_and(|since| since <= now)))
    }

    pub(in crate::pods) fn is_starting(&self, name: &str) -> bool {
        self.in_flight.contains(&Job::Start(name.to_owned()))
    }

    /// Whether nothing of the pod will ever start again.
    pub(super) fn is_complete(&self, pod: &Pod) -> bool {
        let policy = pod.restart_policy();
        if policy == RestartPolicy::Always || self.in_flight.iter().any(|job| matches!(job, Job::Start(_))) {
            return false;
        }
        let end = |name: &str| match self.latest(name).map(|container| &container.state) {
            Some(ContainerState::Exited(exit)) => Some(exit.code),
            Some(_) => None,
            None => self.recorded_exit(name),
        };
        let failed_init = |init: &ContainerDef| {
            !pod::is_sidecar(init) && policy == RestartPolicy::Never && end(&init.name).is_some_and(|code| code != 0)
        };
        let never_again = |app: &ContainerDef| end(&app.name).is_some_and(|code| !policy.restarts(code));
        pod.inits().iter().any(failed_init) || PodExt::spec(pod).containers.iter().all(never_again)
    }

    pub(in crate::pods) fn running_sandbox(&self) -> Option<&Sandbox> {
        self.observed.as_ref()?.sandboxes.iter().find(|sandbox| sandbox.pid.is_some())
    }

    pub(super) fn running_sandboxes(&self) -> Vec<Sandbox> {
        let sandboxes = self.observed.iter().flat_map(|observed| &observed.sandboxes);
        sandboxes.filter(|sandbox| sandbox.pid.is_some()).cloned().collect()
    }

    /// Ids and names.
    pub(super) fn running_containers(&self) -> Vec<(String, String)> {
        let containers = self.observed.iter().flat_map(|observed| &observed.containers);
        containers
            .filter(|container| matches!(container.state, ContainerState::Running { .. }))
            .map(|container| (container.id.clone(), container.name.clone()))
            .collect()
    }

    /// Whether a container runs, or may have begun to.
    pub(in crate::pods) fn may_run(&self) -> bool {
        !self.running_containers().is_empty() || self.in_flight.iter().any(|job| matches!(job, Job::Start(_)))
    }

    pub(super) fn anything_runs(&self) -> bool {
        self.running_sandbox().is_some() || !self.running_containers().is_empty()
    }

    pub(in crate::pods) fn definition(&self, name: &str) -> Option<&ContainerDef> {
        let pod = self.pod.as_ref()?;
        pod.inits().iter().chain(&PodExt::spec(pod.as_ref()).containers).find(|container| container.name == name)
    }

    pub(super) fn container(&self, id: &str) -> Option<&Container> {
        self.observed.as_ref()?.containers.iter().find(|container| container.id == id)
    }

    pub(super) fn is_init(&self, name: &str) -> bool {
        self.pod.as_ref().is_some_and(|pod| pod.inits().iter().any(|init| init.name == name))
    }
}
