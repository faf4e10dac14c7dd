//! Conditions of a pod.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::pods::{
    machine::Machine,
    pod::{PodExt, is_sidecar},
};

/// Conditions that the agent decides on; all others are kept as they are.
pub(super) const OWNED: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// The status of one condition with its reason.
struct Finding {
    kind: &'static str,
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

/// All conditions; the time of a transition changes only when the status does.
pub(super) fn of(
    machine: &Machine,
    pod: &Pod,
    status: &PodStatus,
    before: &PodStatus,
    now: Timestamp,
) -> Vec<PodCondition> {
    let recorded = pod.status.iter().flat_map(|status| &status.conditions).flatten();
    let foreign = recorded.filter(|condition| !OWNED.contains(&condition.type_.as_str())).cloned();
    let known: Vec<&PodCondition> = before.conditions.iter().flatten().collect();
    let containers = containers_ready(pod, status);
    let ready = ready(pod, &containers);
    let findings = [sandbox(machine, status), initialized(machine, pod, status), ready, containers, scheduled()];
    let own = findings.into_iter().map(|finding| {
        let value = if finding.holds { "True" } else { "False" };
        let last = known.iter().find(|condition| condition.type_ == finding.kind);
        let since = last.filter(|last| last.status == value).and_then(|last| last.last_transition_time.clone());
        PodCondition {
            type_: finding.kind.to_owned(),
            status: value.to_owned(),
            reason: finding.reason.map(str::to_owned),
            message: finding.message,
            last_transition_time: Some(since.unwrap_or(Time(now))),
            ..PodCondition::default()
        }
    });
    own.chain(foreign).collect()
}

fn plain(kind: &'static str, holds: bool) -> Finding {
    Finding { kind, holds, reason: None, message: None }
}

fn scheduled() -> Finding {
    plain("PodScheduled", true)
}

fn sandbox(machine: &Machine, status: &PodStatus) -> Finding {
    let up = machine.network.is_some() && machine.running_sandbox().is_some();
    plain("PodReadyToStartContainers", up && !is_over(status))
}

fn initialized(machine: &Machine, pod: &Pod, status: &PodStatus) -> Finding {
    let statuses = status.init_container_statuses.as_deref().unwrap_or_default();
    if status.phase.as_deref() == Some("Succeeded") {
        return Finding { reason: Some("PodCompleted"), ..plain("Initialized", true) };
    }
    let begun = machine.network.as_ref().is_some_and(|network| machine.is_initialized(pod, &network.sandbox));
    let open: Vec<&str> = pod
        .inits()
        .iter()
        .zip(statuses)
        .filter(|(init, status)| {
            let passed = if is_sidecar(init) { status.started == Some(true) } else { status.ready };
            !passed && !begun
        })
        .map(|(_, status)| status.name.as_str())
        .collect();
    if open.is_empty() {
        return plain("Initialized", true);
    }
    Finding {
        kind: "Initialized",
        holds: false,
        reason: Some("ContainersNotInitialized"),
        message: Some(format!("containers with incomplete status: {}", go_list(&open))),
    }
}

fn containers_ready(pod: &Pod, status: &PodStatus) -> Finding {
    let kind = "ContainersReady";
    match status.phase.as_deref() {
        Some("Succeeded") => return Finding { reason: Some("PodCompleted"), ..plain(kind, false) },
        Some("Failed") => return Finding { reason: Some("PodFailed"), ..plain(kind, false) },
        _ => {}
    }
    let sidecars = pod
        .inits()
        .iter()
        .zip(status.init_container_statuses.iter().flatten())
        .filter(|(init, _)| is_sidecar(init))
        .map(|(_, status)| status);
    let unready: Vec<&str> = sidecars
        .chain(status.container_statuses.iter().flatten())
        .filter(|status: &&ContainerStatus| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return plain(kind, true);
    }
    Finding {
        kind,
        holds: false,
        reason: Some("ContainersNotReady"),
        message: Some(format!("containers with unready status: {}", go_list(&unready))),
    }
}

/// Ready containers, and every readiness gate open.
fn ready(pod: &Pod, containers: &Finding) -> Finding {
    if !containers.holds {
        return Finding { kind: "Ready", holds: false, reason: containers.reason, message: containers.message.clone() };
    }
    let recorded: Vec<&PodCondition> = pod.status.iter().flat_map(|status| &status.conditions).flatten().collect();
    let open = |gate: &str| recorded.iter().any(|condition| condition.type_ == gate && condition.status == "True");
    let gates = PodExt::spec(pod).readiness_gates.as_deref().unwrap_or_default();
    let closed: Vec<String> = gates
        .iter()
        .filter(|gate| !open(&gate.condition_type))
        .map(|gate| match recorded.iter().find(|condition| condition.type_ == gate.condition_type) {
            Some(_) => {
                format!("the status of pod readiness gate \"{}\" is not \"True\", but False", gate.condition_type)
            }
            None => {
                format!("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.condition_type)
            }
        })
        .collect();
    if closed.is_empty() {
        return plain("Ready", true);
    }
    Finding { kind: "Ready", holds: false, reason: Some("ReadinessGatesNotReady"), message: Some(closed.join(", ")) }
}

fn is_over(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// `[a b]`, as Go prints a list.
fn go_list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}
