//! Statuses of containers (kubelet `convertStatusToAPIStatus`).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{
        Container as ContainerDef, ContainerState as State, ContainerStateRunning, ContainerStateTerminated,
        ContainerStateWaiting, ContainerStatus, Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::{is_ending, pod_words};
use crate::pods::{
    backoff::go_duration,
    machine::Machine,
    pod::{PodExt, RestartPolicy, is_sidecar},
    runtime::{Container, ContainerState, Exit},
};

/// Statuses of the init containers in the order of the specification; none when there are none.
pub(super) fn inits(machine: &Machine, pod: &Pod, now: Timestamp) -> Option<Vec<ContainerStatus>> {
    let one = |init: &ContainerDef| {
        let mut status = status(machine, pod, init, pod.init_policy(init), "PodInitializing", now);
        if !is_sidecar(init) {
            let done = status.state.as_ref().and_then(|state| state.terminated.as_ref());
            status.ready = done.is_some_and(|end| end.exit_code == 0);
            status.started = Some(status.state.as_ref().is_some_and(|state| state.running.is_some()));
        }
        status
    };
    (!pod.inits().is_empty()).then(|| pod.inits().iter().map(one).collect())
}

/// Statuses of the other containers, by name.
pub(super) fn apps(machine: &Machine, pod: &Pod, now: Timestamp) -> Vec<ContainerStatus> {
    let first = if pod.inits().is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let spec = PodExt::spec(pod);
    let mut all: Vec<_> =
        spec.containers.iter().map(|app| status(machine, pod, app, pod.restart_policy(), first, now)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn status(
    machine: &Machine,
    pod: &Pod,
    definition: &ContainerDef,
    policy: RestartPolicy,
    first_reason: &str,
    now: Timestamp,
) -> ContainerStatus {
    let name = &definition.name;
    let ending = is_ending(machine, pod);
    let refused = refusal(machine, definition, now);
    let Some(container) = machine.latest(name) else {
        let waiting = refused.unwrap_or_else(|| waiting(first_reason, None));
        return absent(machine, definition, policy, ending, waiting);
    };
    let mut status = ContainerStatus {
        name: name.clone(),
        image: container.image.clone(),
        image_id: container.image_id.clone(),
        container_id: Some(container_id(container)),
        restart_count: restart_count(machine, container),
        last_state: machine.previous(name).and_then(terminated_state).or(Some(State::default())),
        started: Some(false),
        ..ContainerStatus::default()
    };
    let delay = |exit: &Exit| machine.crash_delay(name, exit, now).filter(|_| policy.restarts(exit.code) && !ending);
    let held = match &container.state {
        ContainerState::Created => refused.or_else(|| Some(waiting(first_reason, None))),
        ContainerState::Running { .. } => None,
        ContainerState::Exited(exit) => {
            let held = refused.filter(|_| !ending).or_else(|| Some(crash_loop(pod, name, delay(exit)?)));
            if held.is_some() {
                status.last_state = terminated_state(container);
            }
            held
        }
    };
    if let ContainerState::Running { .. } = container.state {
        status.started = Some(machine.is_started(definition, &container.id));
        status.ready = machine.is_ready(definition, &container.id);
    }
    status.state = Some(held.unwrap_or_else(|| own_state(container)));
    status
}

/// It never falls, even when somebody removes the newest container of a name.
fn restart_count(machine: &Machine, container: &Container) -> i32 {
    let recorded = machine.recorded(&container.name).map_or(0, |status| status.restart_count);
    i32::try_from(container.attempt).unwrap_or(i32::MAX).max(recorded)
}

/// The status of a container that does not exist: it never did, or somebody removed it.
fn absent(
    machine: &Machine,
    definition: &ContainerDef,
    policy: RestartPolicy,
    ending: bool,
    waiting: State,
) -> ContainerStatus {
    let recorded = machine.recorded(&definition.name);
    let ended = machine.recorded_exit(&definition.name);
    if let Some(recorded) = recorded.filter(|_| ended.is_some_and(|code| ending || !policy.restarts(code))) {
        return recorded.clone();
    }
    let ran = recorded.and_then(|status| status.state.as_ref()?.running.clone());
    let mut status = ContainerStatus {
        name: definition.name.clone(),
        image: definition.image.clone().unwrap_or_default(),
        state: Some(waiting),
        last_state: Some(State::default()),
        started: Some(false),
        ..ContainerStatus::default()
    };
    if let Some(recorded) = recorded {
        status.restart_count = recorded.restart_count;
        status.container_id.clone_from(&recorded.container_id);
        status.image_id.clone_from(&recorded.image_id);
        let before = recorded.state.clone().filter(|state| state.terminated.is_some());
        status.last_state = before.or_else(|| recorded.last_state.clone()).or(status.last_state);
    }
    if let Some(ran) = ran {
        let lost = State { terminated: Some(lost(recorded, ran)), ..State::default() };
        if ending {
            status.state = Some(lost);
        } else {
            status.last_state = Some(lost);
        }
    }
    status
}

fn lost(recorded: Option<&ContainerStatus>, ran: ContainerStateRunning) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: recorded.and_then(|status| status.container_id.clone()),
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        started_at: ran.started_at,
        ..ContainerStateTerminated::default()
    }
}

fn own_state(container: &Container) -> State {
    match &container.state {
        ContainerState::Running { started } => {
            State { running: Some(ContainerStateRunning { started_at: Some(Time(*started)) }), ..State::default() }
        }
        _ => terminated_state(container).unwrap_or_default(),
    }
}

fn crash_loop(pod: &Pod, name: &str, delay: SignedDuration) -> State {
    let (delay, pod) = (go_duration(delay), pod_words(pod));
    waiting("CrashLoopBackOff", Some(format!("back-off {delay} restarting failed container={name} pod={pod}")))
}

/// What keeps a container from starting.
fn refusal(machine: &Machine, definition: &ContainerDef, now: Timestamp) -> Option<State> {
    let (failure, backs_off) = machine.refusal(&definition.name, now)?;
    if !backs_off {
        return Some(waiting(failure.reason, Some(failure.message.clone())));
    }
    let image = definition.image.as_deref().unwrap_or_default();
    let message = format!("Back-off pulling image \"{image}\": {}: {}", failure.reason, failure.message);
    Some(waiting("ImagePullBackOff", Some(message)))
}

fn waiting(reason: &str, message: Option<String>) -> State {
    State { waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message }), ..State::default() }
}

fn terminated_state(container: &Container) -> Option<State> {
    let ContainerState::Exited(exit) = &container.state else { return None };
    Some(State {
        terminated: Some(ContainerStateTerminated {
            container_id: Some(container_id(container)),
            exit_code: exit.code,
            signal: None,
            reason: Some(exit.reason.clone()),
            message: (!exit.message.is_empty()).then(|| exit.message.clone()),
            started_at: exit.started.map(Time),
            finished_at: Some(Time(exit.finished)),
        }),
        ..State::default()
    })
}

fn container_id(container: &Container) -> String {
    format!("docker://{}", container.id)
}
