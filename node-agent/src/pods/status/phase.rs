//! A pod's phase (kubelet `getPhase`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use crate::pods::pod::{PodExt, RestartPolicy, is_sidecar};

/// The phase that follows from the containers' statuses.
pub(super) fn of(pod: &Pod, status: &PodStatus) -> &'static str {
    let inits = status.init_container_statuses.as_deref().unwrap_or_default();
    let apps = status.container_statuses.as_deref().unwrap_or_default();
    let policy = pod.restart_policy();
    let spec = PodExt::spec(pod);
    for (init, status) in pod.inits().iter().zip(inits) {
        if is_sidecar(init) {
            if !status.started.unwrap_or_default() && !anything_started(apps) {
                return "Pending";
            }
            continue;
        }
        match exit_code(status) {
            Some(0) => {}
            Some(_) if policy == RestartPolicy::Never => return "Failed",
            // Containers that have run speak for the inits before them.
            _ if anything_started(apps) => {}
            _ => return "Pending",
        }
    }
    let running = apps.iter().filter(|app| is_running(app)).count();
    let ended: Vec<i32> = apps.iter().filter_map(last_exit).collect();
    if running + ended.len() < spec.containers.len() {
        return "Pending";
    }
    if running > 0 {
        return "Running";
    }
    match policy {
        RestartPolicy::Always => "Running",
        _ if ended.iter().all(|code| *code == 0) => "Succeeded",
        RestartPolicy::Never => "Failed",
        RestartPolicy::OnFailure => "Running",
    }
}

fn anything_started(apps: &[ContainerStatus]) -> bool {
    apps.iter().any(|app| is_running(app) || last_exit(app).is_some())
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

/// How a container that does not run has ended: now, or before it began to wait.
fn last_exit(status: &ContainerStatus) -> Option<i32> {
    if is_running(status) {
        return None;
    }
    exit_code(status).or_else(|| Some(status.last_state.as_ref()?.terminated.as_ref()?.exit_code))
}
